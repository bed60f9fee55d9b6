/** What travels through a metrics pipeline: immutable batches of segments, each a layout and its columns. */

import type { Attributes } from "./attributes.ts";
import type { ClientInfo } from "./client-info.ts";
import { ConsumeError, DecodeError } from "./errors.ts";
import type { Label } from "./identities.ts";
import type { PointsLayout, SamplesLayout } from "./layout.ts";
import type { OtlpSegment } from "./otlp-request.ts";

/** An exemplar of a sample row. */
export interface SampleExemplar {
  /** Row of the segment, counted from its first row. */
  readonly row: number;
  readonly labels: readonly Label[];
  readonly value: number;
  /** Undefined when the page gave none: the time of the sample counts. */
  readonly timestampMs: number | undefined;
}

/** Rows as Prometheus has them. Columns have `to - from` elements; nothing may be changed once it was handed on. */
export interface SamplesSegment {
  readonly form: "samples";
  readonly layout: SamplesLayout;
  /** The rows of the layout that the segment holds: [from, to). */
  readonly from: number;
  readonly to: number;
  readonly values: Float64Array;
  /** Which rows are stale: none (false), all (true), or one byte per row that is 1 for stale. The value of a stale row has no meaning. */
  readonly stale: boolean | Uint8Array;
  /** Milliseconds since 1970 of every row, unless `timestampsMs` gives one per row. */
  readonly timestampMs: number;
  readonly timestampsMs?: Float64Array | undefined;
  /** Sorted by row. */
  readonly exemplars?: readonly SampleExemplar[] | undefined;
  /** Where the rows are native histograms, the `prometheus.Histogram` message of each: then `values` and `stale` say nothing. */
  readonly histograms?: readonly Uint8Array[] | undefined;
}

export interface PointExemplar {
  readonly row: number;
  readonly filteredAttributes: Attributes;
  /** An int64 is a bigint, a double a number. */
  readonly value: number | bigint;
  readonly timeUnixNano: bigint;
  /** 16 bytes, or empty. */
  readonly traceId: Uint8Array;
  /** 8 bytes, or empty. */
  readonly spanId: Uint8Array;
}

/** Columns that every kind of points has. Times are nanoseconds since 1970, 0 for unknown. */
export interface PointColumns {
  readonly form: "points";
  readonly layout: PointsLayout;
  readonly from: number;
  readonly to: number;
  readonly timeUnixNano: BigUint64Array;
  readonly startTimeUnixNano: BigUint64Array;
  /** OTLP DataPointFlags; bit 0 is NoRecordedValue. */
  readonly flags: Uint32Array;
  readonly exemplars?: readonly PointExemplar[] | undefined;
}

/** Gauge and sum points: 8 raw bytes a row, seen as double or as int64 where `isInt` says so. */
export interface NumberPoints extends PointColumns {
  readonly kind: "number";
  readonly doubles: Float64Array;
  /** The same bytes as `doubles`. */
  readonly ints: BigInt64Array;
  /** One byte per row: 0 for a double, 1 for an int64, 2 for a point without a value (its double is 0); undefined when all are doubles. */
  readonly isInt?: Uint8Array | undefined;
}

/** Explicit histograms: bucket counts and bounds of all rows behind one another. */
export interface HistogramPoints extends PointColumns {
  readonly kind: "histogram";
  readonly counts: BigUint64Array;
  /** NaN where `hasSum` is 0. */
  readonly sums: Float64Array;
  readonly hasSum: Uint8Array;
  /** NaN where absent. */
  readonly mins: Float64Array;
  readonly maxs: Float64Array;
  readonly hasMin: Uint8Array;
  readonly hasMax: Uint8Array;
  /** Row r of the segment has buckets [bucketOffsets[r], bucketOffsets[r + 1]); one element more than rows. */
  readonly bucketOffsets: Uint32Array;
  readonly bucketCounts: BigUint64Array;
  /** Row r has bounds [boundOffsets[r], boundOffsets[r + 1]): one fewer than buckets, or none at all. */
  readonly boundOffsets: Uint32Array;
  readonly bounds: Float64Array;
}

/** One half of an exponential histogram. */
export interface ExponentialBuckets {
  readonly offset: number;
  readonly counts: BigUint64Array;
}

export interface ExponentialHistogramPoints extends PointColumns {
  readonly kind: "exponential_histogram";
  readonly counts: BigUint64Array;
  readonly sums: Float64Array;
  readonly hasSum: Uint8Array;
  readonly mins: Float64Array;
  readonly maxs: Float64Array;
  readonly hasMin: Uint8Array;
  readonly hasMax: Uint8Array;
  readonly scales: Int32Array;
  readonly zeroCounts: BigUint64Array;
  readonly zeroThresholds: Float64Array;
  readonly positive: readonly ExponentialBuckets[];
  readonly negative: readonly ExponentialBuckets[];
}

export interface SummaryPoints extends PointColumns {
  readonly kind: "summary";
  readonly counts: BigUint64Array;
  readonly sums: Float64Array;
  /** Row r has quantiles [quantileOffsets[r], quantileOffsets[r + 1]). */
  readonly quantileOffsets: Uint32Array;
  readonly quantiles: Float64Array;
  readonly quantileValues: Float64Array;
}

export type PointsSegment = NumberPoints | HistogramPoints | ExponentialHistogramPoints | SummaryPoints;
/** A segment whose rows can be looked at. */
export type OpenSegment = SamplesSegment | PointsSegment;
/** Any segment; see `openSegments` for those that are still in their bytes. */
export type MetricsSegment = OpenSegment | OtlpSegment;

/** DataPointFlags: the point says that there is no value (a stale marker). */
export const noRecordedValue = 1;

/** An immutable list of segments. */
export interface MetricsBatch {
  readonly signal: "metrics";
  readonly segments: readonly MetricsSegment[];
  /** Who sent it; undefined for scraped data, and where data of several clients was joined. */
  readonly client?: ClientInfo | undefined;
}

/** A batch of which every segment is open. */
export interface OpenMetricsBatch extends MetricsBatch {
  readonly segments: readonly OpenSegment[];
}

export function metricsBatch(segments: readonly OpenSegment[], client?: ClientInfo): OpenMetricsBatch;
export function metricsBatch(segments: readonly MetricsSegment[], client?: ClientInfo): MetricsBatch;
export function metricsBatch(segments: readonly MetricsSegment[], client?: ClientInfo): MetricsBatch {
  return client === undefined ? { signal: "metrics", segments } : { signal: "metrics", segments, client };
}

/**
 * The segments of a batch, those in their received bytes replaced by their points. Throws a permanent ConsumeError when
 * bytes are no valid metrics.
 */
export function openSegments(batch: MetricsBatch): readonly OpenSegment[] {
  const { segments } = batch;
  if (segments.every((segment) => segment.form !== "otlp")) return segments as readonly OpenSegment[];
  return segments.flatMap((segment): readonly OpenSegment[] => (segment.form === "otlp" ? opened(segment) : [segment]));
}

/** The batch with open segments only; the batch itself where they are. Throws as `openSegments` does. */
export function openBatch(batch: MetricsBatch): OpenMetricsBatch {
  const segments = openSegments(batch);
  return segments === batch.segments ? (batch as OpenMetricsBatch) : metricsBatch(segments, batch.client);
}

function opened(segment: OtlpSegment): readonly PointsSegment[] {
  try {
    return segment.open();
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    throw new ConsumeError("CONSUME_REJECTED", `metrics cannot be decoded: ${caught.message}`, {
      permanent: true,
      cause: caught,
    });
  }
}

/** Rows of a batch: samples in the samples form, points in the points form. */
export function countRows(batch: MetricsBatch): number {
  let count = 0;
  for (const segment of batch.segments) count += segment.to - segment.from;
  return count;
}

export function isStale(segment: SamplesSegment, row: number): boolean {
  return typeof segment.stale === "boolean" ? segment.stale : segment.stale[row] === 1;
}

/** Rows [from, to) of a samples segment, counted from its first row; columns are shared, not copied. */
export function sliceSamples(segment: SamplesSegment, from: number, to: number): SamplesSegment {
  if (from === 0 && to === segment.to - segment.from) return segment;
  const exemplars = segment.exemplars
    ?.filter((exemplar) => exemplar.row >= from && exemplar.row < to)
    .map((exemplar) => ({ ...exemplar, row: exemplar.row - from }));
  return {
    form: "samples",
    layout: segment.layout,
    from: segment.from + from,
    to: segment.from + to,
    values: segment.values.subarray(from, to),
    stale: typeof segment.stale === "boolean" ? segment.stale : segment.stale.subarray(from, to),
    timestampMs: segment.timestampMs,
    timestampsMs: segment.timestampsMs?.subarray(from, to),
    exemplars,
    histograms: segment.histograms?.slice(from, to),
  };
}

/** Rough bytes that a segment keeps alive in a queue beyond its layout, for bounds. */
export function segmentBytes(segment: MetricsSegment): number {
  if (segment.form === "otlp") return 200 + segment.request.bytes.byteLength;
  const rows = segment.to - segment.from;
  const exemplars = (segment.exemplars?.length ?? 0) * 256;
  if (segment.form === "samples") {
    const stale = typeof segment.stale === "boolean" ? 0 : rows;
    const histograms = segment.histograms?.reduce((sum, { byteLength }) => sum + 100 + byteLength, 0) ?? 0;
    return 200 + rows * (segment.timestampsMs === undefined ? 8 : 16) + stale + exemplars + histograms;
  }
  const base = 300 + rows * 28 + exemplars;
  if (segment.kind === "number") return base + rows * 8;
  if (segment.kind === "histogram")
    return base + rows * 30 + segment.bucketCounts.byteLength + segment.bounds.byteLength;
  if (segment.kind === "summary") return base + rows * 20 + segment.quantiles.byteLength * 2;
  return base + rows * 120 + bucketBytes(segment.positive) + bucketBytes(segment.negative);
}

function bucketBytes(halves: readonly ExponentialBuckets[]): number {
  let bytes = 0;
  for (const { counts } of halves) bytes += 40 + counts.byteLength;
  return bytes;
}
