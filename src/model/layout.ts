/** Layouts: ordered, immutable lists of series, the shape of one scrape page or one request. */

import type { PointsSegment, SamplesSegment } from "./batch.ts";
import type { Identities } from "./identities.ts";
import { none } from "./intern-table.ts";

/** Which part of an OTLP point a sample row is. */
export const rowPart = {
  /** Not part of any point: target_info, or a row that OTLP cannot hold. */
  none: 0,
  value: 1,
  bucket: 2,
  sum: 3,
  count: 4,
  quantile: 5,
  /** The `_created` series: the start time of the point, in seconds. */
  created: 6,
  /** Of a point that another row of its family has taken the place of: it is counted, and goes nowhere. */
  replaced: 7,
  /** Of a part that its point has from a row before: it is counted as a duplicate, and goes nowhere. */
  repeated: 8,
} as const;

/** The OTLP reading of the rows of a samples layout; all arrays have one element per row. */
export interface OtlpReading {
  /** The series that the row belongs to, or `none`. */
  readonly series: Uint32Array;
  /** One of `rowPart`. */
  readonly part: Uint8Array;
  /** For buckets and quantiles: the number (in `Identities.texts`) of the bound as it was written; else 0. */
  readonly bound: Uint32Array;
}

/** Where rows came from: what the OTLP reading needs beyond the labels, and which lane they travel in. */
export interface Origin {
  /** Small number that is the same for all rows of one source (a scrape target); work is divided into lanes by it. */
  readonly lane: number;
  /** Computes the OTLP reading of a layout from its labels. */
  read(layout: SamplesLayout): OtlpReading;
  /** Assembles the OTLP points of a segment: at most one segment of each kind. Rows that make no valid point are left out. */
  points(segment: SamplesSegment): PointsSegment[];
}

/** The shape of a list of sample rows. Rows are named in the Prometheus reading, in the OTLP reading, or both. */
export class SamplesLayout {
  readonly form = "samples";
  readonly identities: Identities;
  readonly length: number;
  /** Label sets, one per row, exactly as scraped; undefined when a processor has changed the OTLP reading. */
  readonly labels: Uint32Array | undefined;
  /** Metric families, one per row (`none` when nothing was declared). */
  readonly families: Uint32Array;
  readonly origin: Origin;
  #reading: OtlpReading | undefined;

  constructor(
    identities: Identities,
    rows: { labels?: Uint32Array; reading?: OtlpReading; families?: Uint32Array },
    origin: Origin,
  ) {
    this.identities = identities;
    this.labels = rows.labels;
    this.#reading = rows.reading;
    this.origin = origin;
    this.length = (rows.labels ?? rows.reading?.series ?? new Uint32Array()).length;
    this.families = rows.families ?? new Uint32Array(this.length).fill(none);
    identities.register(this);
  }

  /** The OTLP reading, worked out at the first call and remembered. */
  reading(): OtlpReading {
    this.#reading ??= this.origin.read(this);
    return this.#reading;
  }

  /** The reading if somebody asked for it before; for the sweep of the tables. */
  get knownReading(): OtlpReading | undefined {
    return this.#reading;
  }
}

/** The shape of a list of OTLP points of one kind: one series per row. */
export class PointsLayout {
  readonly form = "points";
  readonly identities: Identities;
  readonly series: Uint32Array;
  readonly lane: number;

  constructor(identities: Identities, series: Uint32Array, lane: number) {
    this.identities = identities;
    this.series = series;
    this.lane = lane;
    identities.register(this);
  }

  get length(): number {
    return this.series.length;
  }
}

export type Layout = SamplesLayout | PointsLayout;
