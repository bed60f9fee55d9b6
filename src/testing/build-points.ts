/** Builds batches of OTLP points from rows that read like data. */

import { type Attributes, type AttributeValue, noAttributes } from "../model/attributes.ts";
import {
  type ExponentialBuckets,
  metricsBatch,
  type OpenMetricsBatch,
  type PointColumns,
  type PointExemplar,
  type PointsSegment,
} from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import { PointsLayout } from "../model/layout.ts";
import type { Metric, MetricType, Temporality } from "../model/series.ts";

/** Attributes as an object: a bigint is an int64, a number a double. */
export type AttributeRecord = Readonly<Record<string, AttributeValue>> | Attributes;

export interface ExemplarRow {
  readonly value: number | bigint;
  readonly timeUnixNano?: bigint;
  readonly attributes?: AttributeRecord;
  /** Hexadecimal. */
  readonly traceId?: string;
  readonly spanId?: string;
}

/** What rows of every kind have; only the name is needed. */
export interface PointRow {
  readonly name: string;
  readonly description?: string;
  readonly unit?: string;
  readonly metadata?: AttributeRecord;
  readonly temporality?: Temporality;
  readonly attributes?: AttributeRecord;
  readonly resource?: AttributeRecord;
  readonly resourceSchemaUrl?: string;
  readonly scope?: { name?: string; version?: string; attributes?: AttributeRecord; schemaUrl?: string };
  /** Nanoseconds since 1970; default 1700000000 s. */
  readonly timeUnixNano?: bigint;
  /** Default 0, which is unknown. */
  readonly startTimeUnixNano?: bigint;
  readonly flags?: number;
  readonly exemplars?: readonly ExemplarRow[];
}

export interface NumberRow extends PointRow {
  /** An int64 is a bigint, a double a number. */
  readonly value: number | bigint;
  /** Default gauge. */
  readonly type?: "gauge" | "sum";
  readonly isMonotonic?: boolean;
}

interface DistributionRow extends PointRow {
  readonly count?: bigint;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
}

export interface HistogramRow extends DistributionRow {
  readonly bounds: readonly number[];
  /** One more than bounds, or none at all. */
  readonly buckets: readonly bigint[];
}

export interface ExponentialHistogramRow extends DistributionRow {
  readonly scale: number;
  readonly zeroCount?: bigint;
  readonly zeroThreshold?: number;
  readonly positive?: { offset: number; counts: readonly bigint[] };
  readonly negative?: { offset: number; counts: readonly bigint[] };
}

export interface SummaryRow extends PointRow {
  readonly count: bigint;
  readonly sum: number;
  /** Pairs of quantile and value. */
  readonly quantiles: readonly (readonly [quantile: number, value: number])[];
}

export interface BuildOptions {
  /** Tables to use; batches that meet must share them. Default: new ones. */
  readonly identities?: Identities;
  /** Default 0. */
  readonly lane?: number;
}

const defaultTimeUnixNano = 1_700_000_000_000_000_000n;

/** A batch of one segment of gauge and sum points. */
export function buildNumbers(rows: readonly NumberRow[], options: BuildOptions = {}): OpenMetricsBatch {
  const ints = new BigInt64Array(rows.length);
  const doubles = new Float64Array(ints.buffer);
  const isInt = new Uint8Array(rows.length);
  for (const [i, { value }] of rows.entries()) {
    if (typeof value === "number") doubles[i] = value;
    else {
      ints[i] = value;
      isInt[i] = 1;
    }
  }
  const columns = pointColumns(rows, options, (row) => ({
    ...described(row, row.type ?? "gauge"),
    temporality: row.type === "sum" ? (row.temporality ?? "cumulative") : "none",
    isMonotonic: row.isMonotonic ?? row.type === "sum",
  }));
  return batchOf({ ...columns, kind: "number", doubles, ints, isInt });
}

/** A batch of one segment of explicit histograms. */
export function buildHistograms(rows: readonly HistogramRow[], options: BuildOptions = {}): OpenMetricsBatch {
  return batchOf({
    ...pointColumns(rows, options, (row) => distribution(row, "histogram")),
    kind: "histogram",
    ...statistics(rows, (row) => total(row.buckets)),
    bucketOffsets: offsets(rows.map((row) => row.buckets.length)),
    bucketCounts: BigUint64Array.from(rows.flatMap((row) => row.buckets)),
    boundOffsets: offsets(rows.map((row) => row.bounds.length)),
    bounds: Float64Array.from(rows.flatMap((row) => row.bounds)),
  });
}

/** A batch of one segment of exponential histograms. */
export function buildExponentialHistograms(
  rows: readonly ExponentialHistogramRow[],
  options: BuildOptions = {},
): OpenMetricsBatch {
  const half = (buckets?: { offset: number; counts: readonly bigint[] }): ExponentialBuckets => ({
    offset: buckets?.offset ?? 0,
    counts: BigUint64Array.from(buckets?.counts ?? []),
  });
  return batchOf({
    ...pointColumns(rows, options, (row) => distribution(row, "exponential_histogram")),
    kind: "exponential_histogram",
    ...statistics(
      rows,
      (row) => total(row.positive?.counts ?? []) + total(row.negative?.counts ?? []) + (row.zeroCount ?? 0n),
    ),
    scales: Int32Array.from(rows, (row) => row.scale),
    zeroCounts: BigUint64Array.from(rows, (row) => row.zeroCount ?? 0n),
    zeroThresholds: Float64Array.from(rows, (row) => row.zeroThreshold ?? 0),
    positive: rows.map((row) => half(row.positive)),
    negative: rows.map((row) => half(row.negative)),
  });
}

/** A batch of one segment of summaries. */
export function buildSummaries(rows: readonly SummaryRow[], options: BuildOptions = {}): OpenMetricsBatch {
  return batchOf({
    ...pointColumns(rows, options, (row) => described(row, "summary")),
    kind: "summary",
    counts: BigUint64Array.from(rows, (row) => row.count),
    sums: Float64Array.from(rows, (row) => row.sum),
    quantileOffsets: offsets(rows.map((row) => row.quantiles.length)),
    quantiles: Float64Array.from(rows.flatMap((row) => row.quantiles.map((pair) => pair[0]))),
    quantileValues: Float64Array.from(rows.flatMap((row) => row.quantiles.map((pair) => pair[1]))),
  });
}

/** One batch of the segments of several; they must share their identity tables. */
export function joinBatches(...batches: readonly OpenMetricsBatch[]): OpenMetricsBatch {
  return metricsBatch(batches.flatMap((batch) => batch.segments));
}

/** Attributes from an object, in its order. */
export function attributesFrom(record: AttributeRecord | undefined): Attributes {
  if (record === undefined) return noAttributes;
  return record instanceof Map ? record : new Map(Object.entries(record));
}

function batchOf(segment: PointsSegment): OpenMetricsBatch {
  return metricsBatch([segment]);
}

function described(row: PointRow, type: MetricType): Metric {
  return {
    name: row.name,
    description: row.description ?? "",
    unit: row.unit ?? "",
    type,
    temporality: "none",
    isMonotonic: false,
    metadata: attributesFrom(row.metadata),
  };
}

function distribution(row: PointRow, type: MetricType): Metric {
  return { ...described(row, type), temporality: row.temporality ?? "cumulative" };
}

function pointColumns<R extends PointRow>(
  rows: readonly R[],
  { identities = new Identities(), lane = 0 }: BuildOptions,
  metricOf: (row: R) => Metric,
): PointColumns {
  const series = Uint32Array.from(rows, (row) => {
    const { scope = {} } = row;
    return identities.internSeriesParts(
      identities.internResource(attributesFrom(row.resource), row.resourceSchemaUrl),
      identities.internScope(scope.name ?? "", scope.version ?? "", attributesFrom(scope.attributes), scope.schemaUrl),
      identities.internMetric(metricOf(row)),
      identities.internAttributes(attributesFrom(row.attributes)),
    );
  });
  const exemplars = rows.flatMap((row, at) => (row.exemplars ?? []).map((exemplar) => exemplarAt(at, exemplar)));
  return {
    form: "points",
    layout: new PointsLayout(identities, series, lane),
    from: 0,
    to: rows.length,
    timeUnixNano: BigUint64Array.from(rows, (row) => row.timeUnixNano ?? defaultTimeUnixNano),
    startTimeUnixNano: BigUint64Array.from(rows, (row) => row.startTimeUnixNano ?? 0n),
    flags: Uint32Array.from(rows, (row) => row.flags ?? 0),
    exemplars: exemplars.length === 0 ? undefined : exemplars,
  };
}

function exemplarAt(row: number, exemplar: ExemplarRow): PointExemplar {
  return {
    row,
    filteredAttributes: attributesFrom(exemplar.attributes),
    value: exemplar.value,
    timeUnixNano: exemplar.timeUnixNano ?? defaultTimeUnixNano,
    traceId: Uint8Array.from(Buffer.from(exemplar.traceId ?? "", "hex")),
    spanId: Uint8Array.from(Buffer.from(exemplar.spanId ?? "", "hex")),
  };
}

function statistics<R extends DistributionRow>(rows: readonly R[], countOf: (row: R) => bigint) {
  return {
    counts: BigUint64Array.from(rows, (row) => row.count ?? countOf(row)),
    sums: Float64Array.from(rows, (row) => row.sum ?? Number.NaN),
    hasSum: Uint8Array.from(rows, (row) => (row.sum === undefined ? 0 : 1)),
    mins: Float64Array.from(rows, (row) => row.min ?? Number.NaN),
    maxs: Float64Array.from(rows, (row) => row.max ?? Number.NaN),
    hasMin: Uint8Array.from(rows, (row) => (row.min === undefined ? 0 : 1)),
    hasMax: Uint8Array.from(rows, (row) => (row.max === undefined ? 0 : 1)),
  };
}

function total(counts: readonly bigint[]): bigint {
  return counts.reduce((sum, count) => sum + count, 0n);
}

function offsets(sizes: readonly number[]): Uint32Array {
  const result = new Uint32Array(sizes.length + 1);
  for (const [i, size] of sizes.entries()) result[i + 1] = (result[i] as number) + size;
  return result;
}
