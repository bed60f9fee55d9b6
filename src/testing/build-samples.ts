/** Builds batches of scraped samples from rows that read like a page. */

import { metricsBatch, type OpenMetricsBatch, type SampleExemplar } from "../model/batch.ts";
import { Identities, type Label } from "../model/identities.ts";
import { none } from "../model/intern-table.ts";
import { SamplesLayout } from "../model/layout.ts";
import type { FamilyType } from "../model/series.ts";
import { contribScopeName, createScrapeOrigin } from "../prometheus/translation/scrape-origin.ts";

/** One line of a page. */
export interface SampleRow {
  /** The exposed name, for example `http_requests_total` or `latency_bucket`. */
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** The declared type of the family; rows without are not declared. */
  readonly type?: FamilyType;
  /** The family's name; default the row's name without a suffix that its type knows. */
  readonly family?: string;
  readonly help?: string;
  readonly unit?: string;
  readonly stale?: boolean;
  /** Milliseconds since 1970, when the row has a time of its own. */
  readonly timestampMs?: number;
  readonly exemplar?: {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
    timestampMs?: number;
  };
}

export interface BuildSamplesOptions {
  /** Tables to use; batches that meet must share them. Default: new ones. */
  readonly identities?: Identities;
  /** The target. Default 0. */
  readonly lane?: number;
  /** Time of the scrape in milliseconds since 1970. Default 1700000000000. */
  readonly timestampMs?: number;
  /** Default "job" and "instance:80". */
  readonly job?: string;
  readonly instance?: string;
}

/** A batch of one samples segment, as a scrape of the page would give it. */
export function buildSamples(rows: readonly SampleRow[], options: BuildSamplesOptions = {}): OpenMetricsBatch {
  const { identities = new Identities(), lane = 0, timestampMs = 1_700_000_000_000 } = options;
  const target: Label[] = [
    ["instance", options.instance ?? "instance:80"],
    ["job", options.job ?? "job"],
  ];
  const origin = createScrapeOrigin({
    lane,
    identities,
    targetLabels: target,
    discoveredLabels: [["__scheme__", "http"]],
    scopeName: contribScopeName,
    scopeVersion: "0.0.0-test",
  });
  const labels = Uint32Array.from(rows, (row) => identities.internLabels(sortedLabels(row, target)));
  const families = Uint32Array.from(rows, (row) => internFamily(identities, row));
  const ownTimes = rows.some((row) => row.timestampMs !== undefined);
  const stale = rows.some((row) => row.stale === true);
  const exemplars = rows.flatMap(exemplarOf);
  return metricsBatch([
    {
      form: "samples",
      layout: new SamplesLayout(identities, { labels, families }, origin),
      from: 0,
      to: rows.length,
      values: Float64Array.from(rows, (row) => row.value),
      stale: stale ? Uint8Array.from(rows, (row) => (row.stale === true ? 1 : 0)) : false,
      timestampMs,
      timestampsMs: ownTimes ? Float64Array.from(rows, (row) => row.timestampMs ?? timestampMs) : undefined,
      exemplars: exemplars.length === 0 ? undefined : exemplars,
    },
  ]);
}

function sortedLabels(row: SampleRow, target: readonly Label[]): Label[] {
  const all = new Map<string, string>([...target, ...Object.entries(row.labels ?? {}), ["__name__", row.name]]);
  const pairs = [...all].filter(([, value]) => value !== "");
  return pairs.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

const suffixes: Readonly<Partial<Record<FamilyType, readonly string[]>>> = {
  counter: ["_total", "_created"],
  histogram: ["_bucket", "_count", "_sum", "_created"],
  gaugehistogram: ["_bucket", "_gcount", "_gsum"],
  summary: ["_count", "_sum", "_created"],
  info: ["_info"],
};

function internFamily(identities: Identities, row: SampleRow): number {
  const { type, help = "", unit = "" } = row;
  if (type === undefined) return none;
  const suffix = (suffixes[type] ?? []).find((one) => row.name.endsWith(one)) ?? "";
  const name = row.family ?? row.name.slice(0, row.name.length - suffix.length);
  return identities.internFamily({ name, exposedName: row.name, type, help, unit });
}

function exemplarOf({ exemplar }: SampleRow, row: number): SampleExemplar[] {
  if (exemplar === undefined) return [];
  return [{ row, labels: Object.entries(exemplar.labels), value: exemplar.value, timestampMs: exemplar.timestampMs }];
}
