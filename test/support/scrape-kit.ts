/** A scrape loop, pool or manager over pages that a test hands out, and what it delivers as lines that read like a page. */

import { isStale, type MetricsBatch } from "../../src/model/batch.ts";
import { Identities, type Label } from "../../src/model/identities.ts";
import { LabelsBuilder } from "../../src/prometheus/relabel/labels-builder.ts";
import { LabelSetMarks } from "../../src/prometheus/scrape/label-set-marks.ts";
import { PageTurns } from "../../src/prometheus/scrape/page-turns.ts";
import { SampleLabels } from "../../src/prometheus/scrape/sample-labels.ts";
import { ScrapeLoop, type ScrapeLoopParts, type ScrapeSettings } from "../../src/prometheus/scrape/scrape-loop.ts";
import type { ScrapeMetrics } from "../../src/prometheus/scrape/scrape-metrics.ts";
import {
  FetchError,
  type FetchedPage,
  type PageFetcher,
  type ScrapeTarget,
} from "../../src/prometheus/scrape/scrape-target.ts";
import { TargetPage } from "../../src/prometheus/scrape/target-page.ts";
import { createScrapeOrigin } from "../../src/prometheus/translation/scrape-origin.ts";
import { createFakeClock, type FakeClock } from "../../src/testing/fake-clock.ts";

/** What a target answers: a page of the text format, a page with its type, or a failure. */
export type Answer = string | { readonly page: string; readonly contentType: string | undefined } | FetchError;

export const textType = "text/plain; version=0.0.4";
export const openMetricsType = "application/openmetrics-text; version=1.0.0";

/** `name{a="b"} value @time`, without job and instance; a stale marker has the value `stale`. */
export function describeBatch(identities: Identities, batch: MetricsBatch): string[] {
  const lines: string[] = [];
  for (const segment of batch.segments) {
    if (segment.form !== "samples") throw new Error("expected samples");
    for (let row = 0; row < segment.to - segment.from; row++) {
      const labels = identities.labels(segment.layout.labels?.[segment.from + row] ?? 0);
      const name = labels.find(([label]) => label === "__name__")?.[1] ?? "";
      const own = labels.filter(([label]) => !["__name__", "job", "instance"].includes(label));
      const text = own.map(([label, value]) => `${label}="${value}"`).join(",");
      const value = isStale(segment, row) ? "stale" : segment.values[row];
      const time = segment.timestampsMs?.[row] ?? segment.timestampMs;
      lines.push(`${name}${text === "" ? "" : `{${text}}`} ${value} @${time}`);
    }
  }
  return lines;
}

/** Counts what the loop reports. */
export interface MetricsRecord extends ScrapeMetrics {
  readonly dropped: Record<string, number>;
  readonly exceeded: string[];
  missed: number;
}

export function recordMetrics(): MetricsRecord {
  const dropped: Record<string, number> = {};
  const exceeded: string[] = [];
  return {
    dropped,
    exceeded,
    missed: 0,
    scraped: () => {},
    intervalLength: () => {},
    missedScrapes(count) {
      this.missed += count;
    },
    samplesDropped: (reason, count) => {
      dropped[reason] = (dropped[reason] ?? 0) + count;
    },
    limitExceeded: (reason) => exceeded.push(reason),
    pageMissing: () => {},
  };
}

/** A fetcher whose answers a function gives; an answer may take its time. */
export function answering(
  answer: (target: ScrapeTarget, signal: AbortSignal) => Answer | Promise<Answer>,
): PageFetcher & { closed: boolean } {
  return {
    closed: false,
    async fetch(target, signal): Promise<FetchedPage> {
      const given = await answer(target, signal);
      if (given instanceof FetchError) throw given;
      const { page, contentType } = typeof given === "string" ? { page: given, contentType: textType } : given;
      const bytes = Buffer.from(page);
      return { page: bytes, length: bytes.length, contentType, release: () => bytes.fill(0x7e) };
    },
    async close() {
      this.closed = true;
    },
  };
}

export interface LoopKit {
  readonly loop: ScrapeLoop;
  readonly clock: FakeClock;
  readonly identities: Identities;
  readonly metrics: MetricsRecord;
  readonly failures: string[];
  readonly refusals: string[];
  /** All that was delivered, one list of lines per batch. */
  readonly batches: string[][];
  /** What the next scrapes find. */
  answer: (target: ScrapeTarget, signal: AbortSignal) => Answer | Promise<Answer>;
  /** Set to refuse what is delivered. */
  refuses: boolean;
  /** Scrapes once, due now, and returns what was delivered besides the report. */
  scrape(answer: Answer): Promise<string[]>;
  /** The last value of a report series. */
  report(name: string): number | undefined;
}

export interface LoopKitOptions {
  readonly settings?: Partial<ScrapeSettings>;
  readonly target?: Partial<ScrapeTarget>;
  readonly limits?: { readonly samples?: number; readonly series?: number };
  readonly startMs?: number;
  readonly readsOtlp?: boolean;
}

const reportNames = /^(up|scrape_[a-z_]+) /;

export function createLoopKit(options: LoopKitOptions = {}): LoopKit {
  const clock = createFakeClock(options.startMs ?? 1_000_000);
  const identities = new Identities();
  const metrics = recordMetrics();
  const target: ScrapeTarget = {
    jobName: "job",
    labels: [
      ["instance", "host:80"],
      ["job", "job"],
    ],
    discoveredLabels: {},
    url: "http://host:80/metrics",
    socketPath: undefined,
    intervalMs: 10_000,
    timeoutMs: 5_000,
    identity: "id",
    hash: 0,
    ...options.target,
  };
  const failures: string[] = [];
  const refusals: string[] = [];
  const batches: string[][] = [];
  const parts = loopParts({ clock, identities, metrics, target, options });
  const loop = new ScrapeLoop({
    ...parts,
    fetcher: answering((wanted, signal) => kit.answer(wanted, signal)),
    deliver: async (batch) => {
      if (kit.refuses) throw new Error("refused");
      batches.push(describeBatch(identities, batch));
    },
    failed: (_target, error) => failures.push(error.message),
    refused: (_target, error) => refusals.push(error.message),
  });
  const kit: LoopKit = {
    loop,
    clock,
    identities,
    metrics,
    failures,
    refusals,
    batches,
    answer: () => "",
    refuses: false,
    async scrape(answer) {
      kit.answer = () => answer;
      const before = batches.length;
      await loop.scrape(clock.now(), new AbortController().signal);
      return (batches[before] ?? []).filter((line) => !reportNames.test(line));
    },
    report(name) {
      const line = batches.at(-1)?.find((text) => text.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.split(" ")[1]);
    },
  };
  return kit;
}

function loopParts(given: {
  clock: FakeClock;
  identities: Identities;
  metrics: MetricsRecord;
  target: ScrapeTarget;
  options: LoopKitOptions;
}): Omit<ScrapeLoopParts, "fetcher" | "deliver" | "failed" | "refused"> {
  const { clock, identities, metrics, target, options } = given;
  const settings = {
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    fallbackProtocol: undefined,
    sampleLimit: options.limits?.samples ?? 0,
    extraScrapeMetrics: false,
    externalLabels: [],
    ...options.settings,
  };
  const marks = new LabelSetMarks();
  const origin = createScrapeOrigin({
    lane: 7,
    identities,
    targetLabels: target.labels,
    discoveredLabels: [],
    scopeName: "",
    scopeVersion: "",
  });
  const labels = new SampleLabels(identities, new LabelsBuilder(), {
    targetLabels: target.labels as readonly Label[],
    honorLabels: false,
    relabel: undefined,
    limits: { labels: 0, nameLength: 0, valueLength: 0 },
    externalLabels: [],
    isValidMetricName: () => true,
    isValidLabelName: () => true,
  });
  const page = new TargetPage({
    identities,
    labels,
    marks,
    origin,
    limits: {
      lineBytes: 100_000,
      labels: 100,
      series: options.limits?.series ?? 100_000,
      samples: settings.sampleLimit,
    },
    ignoresTimestamps: !settings.honorTimestamps,
  });
  return {
    identities,
    target,
    settings,
    page,
    origin,
    readsOtlp: options.readsOtlp ?? false,
    marks,
    turns: new PageTurns(),
    metrics,
    now: clock.now,
    monotonic: clock.monotonic,
    sleepUntil: (dueMs, signal) => clock.sleep(dueMs - clock.now(), signal),
    state: undefined,
  };
}
