/** What reading a page gives: its content, or an error that says how far the page was read. */

import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";
import type { SamplesLayout } from "../../model/layout.ts";
import type { ScrapeError } from "./sample-labels.ts";

/** Bounds on one page; all are finite. */
export interface PageLimits {
  /** Bytes of one line. */
  readonly lineBytes: number;
  /** Series of one page. */
  readonly series: number;
  /** Labels of one series. */
  readonly labels: number;
  /** Series after metric relabeling (`sample_limit`); 0 means none. */
  readonly samples: number;
}

/** What a page held. Columns have one element per row of the layout. */
export interface PageContent {
  readonly layout: SamplesLayout;
  readonly values: Float64Array;
  /** Milliseconds by row, NaN where the page gave none; undefined when it gave none at all, and when times are ignored. */
  readonly timestamps: Float64Array | undefined;
  readonly exemplars: readonly SampleExemplar[];
  /** Lines with a sample. */
  readonly samples: number;
  /** Of these, how many metric relabeling left (duplicates included). */
  readonly samplesAfterRelabel: number;
  readonly seriesAdded: number;
  readonly duplicates: number;
}

/** The rows of a page that was scraped at `timestampMs`; times of the page count only with `honorTimestamps`. */
export function pageSegment(content: PageContent, timestampMs: number, honorTimestamps: boolean): SamplesSegment {
  const { layout, values, exemplars } = content;
  let timestampsMs: Float64Array | undefined;
  if (content.timestamps !== undefined && honorTimestamps) {
    timestampsMs = content.timestamps.map((time) => (Number.isNaN(time) ? timestampMs : time));
  }
  return {
    form: "samples",
    layout,
    from: 0,
    to: layout.length,
    values,
    stale: false,
    timestampMs,
    timestampsMs,
    exemplars,
  };
}

/** What had been read of a page before its fault. */
export interface PageRead {
  readonly samples: number;
  readonly samplesAfterRelabel: number;
  readonly seriesAdded: number;
  /** Label sets read before the fault, each once. */
  readonly seen: Uint32Array;
  /** Those of `seen` whose line had no timestamp of its own. */
  readonly seenWithoutTime: Uint32Array;
  /** Byte of the page where the fault is. */
  readonly offset: number;
}

/** A page that failed, and what had been read before the fault. */
export class PageError extends Error {
  readonly reason: ScrapeError["reason"];
  readonly samples: number;
  readonly samplesAfterRelabel: number;
  readonly seriesAdded: number;
  readonly seen: Uint32Array;
  readonly seenWithoutTime: Uint32Array;
  readonly offset: number;

  constructor(cause: Error, reason: ScrapeError["reason"], read: PageRead) {
    super(cause.message, { cause });
    this.name = "PageError";
    this.reason = reason;
    this.samples = read.samples;
    this.samplesAfterRelabel = read.samplesAfterRelabel;
    this.seriesAdded = read.seriesAdded;
    this.seen = read.seen;
    this.seenWithoutTime = read.seenWithoutTime;
    this.offset = read.offset;
  }
}
