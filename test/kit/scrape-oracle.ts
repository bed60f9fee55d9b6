/** Runs one scenario of pages before two scrapers, and says in which slots what they wrote may be compared. */

import type { PageExporter, ServedEntry, Target } from "./page-exporter.ts";
import { waitFor } from "./wait.ts";

/** Both scrape once in each slot; a scrape begins in its slot's middle half. */
export const slotMs = 1000;
const warmScrapes = 3;

/** A sample that a page must lead to: labels of the page, value. */
export interface ExpectedSample {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One job with one target, and its pages. */
export interface OracleCase {
  /** Name of target and job, and value of the label `case` of all its series. */
  readonly name: string;
  /** Keys of the scrape configuration beside name, target and interval. */
  readonly job?: Readonly<Record<string, unknown>>;
  /** Labels of the target beside `case`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly page: Target;
  /** What the page of a slot must lead to: samples that are there, or a failed scrape. */
  readonly expected?: (slot: number) => readonly ExpectedSample[] | "down";
  /** Its samples carry timestamps of their own: whole slots. */
  readonly explicit?: boolean;
}

/** Serves a page that is the same for all until the scenario begins. */
export function addCase(exporter: PageExporter, { name, page }: OracleCase): void {
  exporter.add(name, (slot, startMs) => (slot < 0 ? { body: "warm 1\n" } : page(slot, startMs)));
}

/** Requests of each scraper to each target. */
export class ScrapeLog {
  readonly #entries = new Map<string, ServedEntry[]>();

  constructor(exporters: readonly PageExporter[]) {
    for (const exporter of exporters) {
      for (const entry of exporter.log) {
        const key = `${entry.scraper} ${entry.target}`;
        const list = this.#entries.get(key);
        if (list === undefined) this.#entries.set(key, [entry]);
        else list.push(entry);
      }
    }
  }

  of(scraper: string, target: string): readonly ServedEntry[] {
    return this.#entries.get(`${scraper} ${target}`) ?? [];
  }

  /** The request of the scrape that began at the time, if it reached the exporter. */
  at(scraper: string, target: string, timestampMs: number): ServedEntry | undefined {
    const early = 5;
    return this.of(scraper, target).find(
      ({ arrivedMs }) => arrivedMs >= timestampMs - early && arrivedMs < timestampMs + slotMs - 2 * early,
    );
  }
}

/**
 * Waits until all scrapers scrape all targets, then lets each target begin at an edge as far from their scrapes as can be.
 * Returns when the last slot 0 begins.
 */
export async function beginScenario(
  exporters: ReadonlyMap<string, PageExporter>,
  scrapers: readonly string[],
): Promise<number> {
  const targets = [...exporters.keys()];
  const all = [...new Set(exporters.values())];
  await waitFor("all targets to be scraped by all", () => {
    const log = new ScrapeLog(all);
    return targets.every((target) => scrapers.every((scraper) => log.of(scraper, target).length >= warmScrapes));
  });
  const log = new ScrapeLog(all);
  const soonMs = Date.now() + slotMs;
  const begins = new Map<string, number>();
  for (const target of targets) {
    const phases = scrapers.flatMap((scraper) =>
      log
        .of(scraper, target)
        .slice(-2)
        .map(({ arrivedMs }) => arrivedMs % slotMs),
    );
    const edgeMs = widestGap(phases);
    begins.set(target, soonMs + ((((edgeMs - soonMs) % slotMs) + slotMs) % slotMs));
  }
  const begin = (target: string) => begins.get(target) ?? Number.POSITIVE_INFINITY;
  for (const exporter of all) exporter.begin(begin);
  return Math.max(...begins.values());
}

/** Middle of the widest gap between phases of a slot. */
function widestGap(phases: readonly number[]): number {
  const sorted = [...phases].sort((a, b) => a - b);
  let edge = 0;
  let widest = -1;
  for (const [i, phase] of sorted.entries()) {
    const next = sorted[i + 1] ?? (sorted[0] ?? 0) + slotMs;
    if (next - phase <= widest) continue;
    widest = next - phase;
    edge = Math.round(phase + widest / 2) % slotMs;
  }
  return edge;
}
