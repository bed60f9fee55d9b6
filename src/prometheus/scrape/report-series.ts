/** The series that a scrape says about itself: `up`, `scrape_duration_seconds` and the rest. */

import type { SamplesSegment } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";

/** What one scrape reports of its page. */
export interface ScrapeReport {
  readonly samplesScraped: number;
  readonly samplesPostMetricRelabeling: number;
  readonly seriesAdded: number;
  /** Uncompressed bytes; -1 over the body size limit, 0 on other failures. */
  readonly bodySizeBytes: number;
}

const names = [
  "up",
  "scrape_duration_seconds",
  "scrape_samples_scraped",
  "scrape_samples_post_metric_relabeling",
  "scrape_series_added",
];
const extraNames = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

export class ReportSeries {
  readonly layout: SamplesLayout;
  readonly #extra: { timeoutSeconds: number; sampleLimit: number } | undefined;

  constructor(
    identities: Identities,
    origin: Origin,
    labels: readonly Label[],
    extra: { timeoutSeconds: number; sampleLimit: number } | undefined,
  ) {
    this.#extra = extra;
    const all = extra === undefined ? names : [...names, ...extraNames];
    const sets = all.map((name) => identities.internLabels(insertName(labels, name)));
    this.layout = new SamplesLayout(identities, { labels: Uint32Array.from(sets) }, origin);
  }

  /** The report as rows at the time of the scrape. */
  segment(report: ScrapeReport, up: boolean, durationSeconds: number, timestampMs: number): SamplesSegment {
    const extra = this.#extra;
    const values = new Float64Array(names.length + (extra === undefined ? 0 : extraNames.length));
    values[0] = up ? 1 : 0;
    values[1] = durationSeconds;
    values[2] = report.samplesScraped;
    values[3] = report.samplesPostMetricRelabeling;
    values[4] = report.seriesAdded;
    if (extra !== undefined) {
      values[5] = extra.timeoutSeconds;
      values[6] = extra.sampleLimit;
      values[7] = report.bodySizeBytes;
    }
    return {
      form: "samples",
      layout: this.layout,
      from: 0,
      to: values.length,
      values,
      stale: false,
      timestampMs,
    };
  }
}

/** The labels with a metric name, in byte order. */
function insertName(labels: readonly Label[], name: string): Label[] {
  const all: Label[] = [...labels.filter(([label]) => label !== "__name__"), ["__name__", name]];
  return all.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** A batch of stale markers for label sets. */
export function staleSegment(
  identities: Identities,
  origin: Origin,
  labelSets: Uint32Array,
  timestampMs: number,
): SamplesSegment {
  return {
    form: "samples",
    layout: new SamplesLayout(identities, { labels: labelSets }, origin),
    from: 0,
    to: labelSets.length,
    values: new Float64Array(labelSets.length),
    stale: true,
    timestampMs,
  };
}
