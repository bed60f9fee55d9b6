/** Cuts chosen rows out of a segment: columns are shared when all rows stay, gathered when not. */

import type {
  ExponentialHistogramPoints,
  HistogramPoints,
  NumberPoints,
  PointColumns,
  PointExemplar,
  PointsSegment,
  SampleExemplar,
  SamplesSegment,
  SummaryPoints,
} from "./batch.ts";
import type { PointsLayout, SamplesLayout } from "./layout.ts";

/** The rows of `rows` (sorted rows of the whole source layout) that a segment holds, counted from its first row. */
function rowsWithin(segment: { from: number; to: number }, rows: Uint32Array): { first: number; local: Uint32Array } {
  let first = 0;
  while (first < rows.length && (rows[first] as number) < segment.from) first++;
  let end = first;
  while (end < rows.length && (rows[end] as number) < segment.to) end++;
  const local = new Uint32Array(end - first);
  for (let i = 0; i < local.length; i++) local[i] = (rows[first + i] as number) - segment.from;
  return { first, local };
}

function pickExemplars<E extends SampleExemplar | PointExemplar>(
  exemplars: readonly E[] | undefined,
  local: Uint32Array,
): E[] | undefined {
  if (exemplars === undefined) return undefined;
  const place = new Map(Array.from(local, (row, i) => [row, i]));
  const kept: E[] = [];
  for (const exemplar of exemplars) {
    const row = place.get(exemplar.row);
    if (row !== undefined) kept.push({ ...exemplar, row });
  }
  return kept;
}

/** The segment with `layout` in place of its own. `rows` lists the rows of the old layout that the new one kept. */
export function selectSamples(
  segment: SamplesSegment,
  layout: SamplesLayout,
  rows: Uint32Array | undefined,
): SamplesSegment {
  if (layout === segment.layout) return segment;
  if (rows === undefined) return { ...segment, layout };
  const { first, local } = rowsWithin(segment, rows);
  const values = new Float64Array(local.length);
  for (let i = 0; i < local.length; i++) values[i] = segment.values[local[i] as number] as number;
  return {
    form: "samples",
    layout,
    from: first,
    to: first + local.length,
    values,
    stale: typeof segment.stale === "boolean" ? segment.stale : gatherBytes(segment.stale, local),
    timestampMs: segment.timestampMs,
    timestampsMs: segment.timestampsMs && gatherDoubles(segment.timestampsMs, local),
    exemplars: pickExemplars(segment.exemplars, local),
    histograms: segment.histograms && Array.from(local, (row) => segment.histograms?.[row] ?? new Uint8Array()),
  };
}

/** The points segment with `layout` in place of its own, likewise. */
export function selectPoints(
  segment: PointsSegment,
  layout: PointsLayout,
  rows: Uint32Array | undefined,
): PointsSegment {
  if (rows === undefined) return { ...segment, layout };
  const { first, local } = rowsWithin(segment, rows);
  const base = selectColumns(segment, layout, first, local);
  switch (segment.kind) {
    case "number":
      return selectNumbers(segment, base, local);
    case "histogram":
      return selectHistograms(segment, base, local);
    case "summary":
      return selectSummaries(segment, base, local);
    case "exponential_histogram":
      return selectExponential(segment, base, local);
  }
}

function selectColumns(segment: PointColumns, layout: PointsLayout, first: number, local: Uint32Array): PointColumns {
  return {
    form: "points",
    layout,
    from: first,
    to: first + local.length,
    timeUnixNano: gatherBigs(segment.timeUnixNano, local),
    startTimeUnixNano: gatherBigs(segment.startTimeUnixNano, local),
    flags: gatherNumbers(segment.flags, local),
    exemplars: pickExemplars(segment.exemplars, local),
  };
}

function selectNumbers(segment: NumberPoints, base: PointColumns, local: Uint32Array): NumberPoints {
  const ints = gatherSigned(segment.ints, local);
  return {
    ...base,
    kind: "number",
    ints,
    doubles: new Float64Array(ints.buffer),
    isInt: segment.isInt && gatherBytes(segment.isInt, local),
  };
}

/** Ranges of a flat column, one per kept row, copied behind one another. */
function gatherRanges<T extends Float64Array | BigUint64Array>(
  offsets: Uint32Array,
  column: T,
  local: Uint32Array,
  make: (length: number) => T,
): { offsets: Uint32Array; column: T } {
  const result = new Uint32Array(local.length + 1);
  let total = 0;
  const sizes = Array.from(local, (row) => (offsets[row + 1] as number) - (offsets[row] as number));
  for (const [i, size] of sizes.entries()) {
    result[i] = total;
    total += size;
  }
  result[local.length] = total;
  const kept = make(total);
  for (const [i, row] of local.entries()) {
    const start = offsets[row] as number;
    kept.set(column.subarray(start, start + (sizes[i] as number)) as never, result[i] as number);
  }
  return { offsets: result, column: kept };
}

function selectHistograms(segment: HistogramPoints, base: PointColumns, local: Uint32Array): HistogramPoints {
  const buckets = gatherRanges(segment.bucketOffsets, segment.bucketCounts, local, (n) => new BigUint64Array(n));
  const bounds = gatherRanges(segment.boundOffsets, segment.bounds, local, (n) => new Float64Array(n));
  return {
    ...base,
    kind: "histogram",
    counts: gatherBigs(segment.counts, local),
    ...selectStatistics(segment, local),
    bucketOffsets: buckets.offsets,
    bucketCounts: buckets.column,
    boundOffsets: bounds.offsets,
    bounds: bounds.column,
  };
}

function selectStatistics(segment: HistogramPoints | ExponentialHistogramPoints, local: Uint32Array) {
  return {
    sums: gatherDoubles(segment.sums, local),
    hasSum: gatherBytes(segment.hasSum, local),
    mins: gatherDoubles(segment.mins, local),
    maxs: gatherDoubles(segment.maxs, local),
    hasMin: gatherBytes(segment.hasMin, local),
    hasMax: gatherBytes(segment.hasMax, local),
  };
}

function selectSummaries(segment: SummaryPoints, base: PointColumns, local: Uint32Array): SummaryPoints {
  const quantiles = gatherRanges(segment.quantileOffsets, segment.quantiles, local, (n) => new Float64Array(n));
  const values = gatherRanges(segment.quantileOffsets, segment.quantileValues, local, (n) => new Float64Array(n));
  return {
    ...base,
    kind: "summary",
    counts: gatherBigs(segment.counts, local),
    sums: gatherDoubles(segment.sums, local),
    quantileOffsets: quantiles.offsets,
    quantiles: quantiles.column,
    quantileValues: values.column,
  };
}

function selectExponential(
  segment: ExponentialHistogramPoints,
  base: PointColumns,
  local: Uint32Array,
): ExponentialHistogramPoints {
  const scales = new Int32Array(local.length);
  for (let i = 0; i < local.length; i++) scales[i] = segment.scales[local[i] as number] as number;
  const pick = <T>(list: readonly T[]): T[] => Array.from(local, (row) => list[row] as T);
  return {
    ...base,
    kind: "exponential_histogram",
    counts: gatherBigs(segment.counts, local),
    ...selectStatistics(segment, local),
    scales,
    zeroCounts: gatherBigs(segment.zeroCounts, local),
    zeroThresholds: gatherDoubles(segment.zeroThresholds, local),
    positive: pick(segment.positive),
    negative: pick(segment.negative),
  };
}

function gatherDoubles(column: Float64Array, rows: Uint32Array): Float64Array {
  const result = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as number;
  return result;
}

function gatherBigs(column: BigUint64Array, rows: Uint32Array): BigUint64Array {
  const result = new BigUint64Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as bigint;
  return result;
}

function gatherSigned(column: BigInt64Array, rows: Uint32Array): BigInt64Array<ArrayBuffer> {
  const result = new BigInt64Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as bigint;
  return result;
}

function gatherNumbers(column: Uint32Array, rows: Uint32Array): Uint32Array {
  const result = new Uint32Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as number;
  return result;
}

function gatherBytes(column: Uint8Array, rows: Uint32Array): Uint8Array {
  const result = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) result[i] = column[rows[i] as number] as number;
  return result;
}
