/** Growing columns in which points are gathered before they become a segment; reused from request to request. */

import type { ExponentialBuckets, PointExemplar, PointsSegment } from "../../model/batch.ts";
import type { PointsLayout } from "../../model/layout.ts";

const initialRows = 1024;
/** Columns larger than this are given back after use. */
const maxKeptRows = 1 << 18;

/** Columns of 64-bit values: two words a row, so that every bit stays as it came, NaNs too. */
type Words = Int32Array<ArrayBuffer>;

function grown(words: Words, rows: number): Words {
  const result = new Int32Array(rows * 2);
  result.set(words.subarray(0, Math.min(words.length, result.length)));
  return result;
}

function grownTo<T extends Uint32Array | Uint8Array | Int32Array>(column: T, larger: T): T {
  larger.set(column.subarray(0, Math.min(column.length, larger.length)) as never);
  return larger;
}

/** A list of 64-bit values behind one another. */
export class WordList {
  words: Words = new Int32Array(initialRows * 2);
  length = 0;

  /** Appends the 8 bytes at `at`. */
  push(view: DataView, at: number): void {
    if (this.length * 2 >= this.words.length) this.words = grown(this.words, this.length * 2);
    this.words[this.length * 2] = view.getInt32(at, true);
    this.words[this.length * 2 + 1] = view.getInt32(at + 4, true);
    this.length++;
  }

  take(): ArrayBuffer {
    const buffer = this.words.buffer.slice(0, this.length * 8);
    this.length = 0;
    if (this.words.length > maxKeptRows * 2) this.words = new Int32Array(initialRows * 2);
    return buffer;
  }
}

/** What rows of every kind have. A row is begun with `begin`, which clears it. */
abstract class Rows {
  length = 0;
  capacity = initialRows;
  times: Words = new Int32Array(initialRows * 2);
  starts: Words = new Int32Array(initialRows * 2);
  flags = new Uint32Array(initialRows);
  regions = new Uint32Array(initialRows);
  series = new Uint32Array(initialRows);
  exemplars: PointExemplar[] | undefined;

  /** The number of a new row; its columns hold zeros. */
  begin(): number {
    const row = this.length++;
    if (row >= this.capacity) this.resize(this.capacity * 2);
    this.times[row * 2] = 0;
    this.times[row * 2 + 1] = 0;
    this.starts[row * 2] = 0;
    this.starts[row * 2 + 1] = 0;
    this.flags[row] = 0;
    return row;
  }

  protected resize(rows: number): void {
    this.capacity = rows;
    this.times = grown(this.times, rows);
    this.starts = grown(this.starts, rows);
    this.flags = grownTo(this.flags, new Uint32Array(rows));
    this.regions = grownTo(this.regions, new Uint32Array(rows));
    this.series = grownTo(this.series, new Uint32Array(rows));
  }

  /** Forgets all rows. */
  reset(): void {
    this.length = 0;
    this.exemplars = undefined;
    if (this.capacity > maxKeptRows) this.resize(initialRows);
  }

  protected takeWords(words: Words): ArrayBuffer {
    return words.buffer.slice(0, this.length * 8);
  }

  protected base(layout: PointsLayout) {
    return {
      form: "points" as const,
      layout,
      from: 0,
      to: this.length,
      timeUnixNano: new BigUint64Array(this.takeWords(this.times)),
      startTimeUnixNano: new BigUint64Array(this.takeWords(this.starts)),
      flags: this.flags.slice(0, this.length),
      exemplars: this.exemplars,
    };
  }

  /** The rows as a segment; they stay until `reset`. */
  abstract segment(layout: PointsLayout): PointsSegment;
}

export type PointRows = Rows;

export class NumberRows extends Rows {
  values: Words = new Int32Array(initialRows * 2);
  kinds = new Uint8Array(initialRows);
  /** Whether a row is no double. */
  isMixed = false;

  protected override resize(rows: number): void {
    super.resize(rows);
    this.values = grown(this.values, rows);
    this.kinds = grownTo(this.kinds, new Uint8Array(rows));
  }

  override reset(): void {
    super.reset();
    this.isMixed = false;
  }

  segment(layout: PointsLayout): PointsSegment {
    const values = this.takeWords(this.values);
    return {
      ...this.base(layout),
      kind: "number",
      doubles: new Float64Array(values),
      ints: new BigInt64Array(values),
      isInt: this.isMixed ? this.kinds.slice(0, this.length) : undefined,
    };
  }
}

/** Bits of `has`. */
export const hasBits = { sum: 1, min: 2, max: 4 } as const;

const nanHigh = 0x7ff80000;

/** Count, sum and extremes. */
abstract class StatisticRows extends Rows {
  counts: Words = new Int32Array(initialRows * 2);
  sums: Words = new Int32Array(initialRows * 2);
  mins: Words = new Int32Array(initialRows * 2);
  maxs: Words = new Int32Array(initialRows * 2);
  has = new Uint8Array(initialRows);

  override begin(): number {
    const row = super.begin();
    this.counts[row * 2] = 0;
    this.counts[row * 2 + 1] = 0;
    for (const column of [this.sums, this.mins, this.maxs]) {
      column[row * 2] = 0;
      column[row * 2 + 1] = nanHigh;
    }
    this.has[row] = 0;
    return row;
  }

  protected override resize(rows: number): void {
    super.resize(rows);
    this.counts = grown(this.counts, rows);
    this.sums = grown(this.sums, rows);
    this.mins = grown(this.mins, rows);
    this.maxs = grown(this.maxs, rows);
    this.has = grownTo(this.has, new Uint8Array(rows));
  }

  protected statistics(layout: PointsLayout) {
    const [hasSum, hasMin, hasMax] = [hasBits.sum, hasBits.min, hasBits.max].map((bit) => {
      const column = new Uint8Array(this.length);
      for (let row = 0; row < column.length; row++) column[row] = ((this.has[row] as number) & bit) === 0 ? 0 : 1;
      return column;
    }) as [Uint8Array, Uint8Array, Uint8Array];
    return {
      ...this.base(layout),
      counts: new BigUint64Array(this.takeWords(this.counts)),
      sums: new Float64Array(this.takeWords(this.sums)),
      hasSum,
      mins: new Float64Array(this.takeWords(this.mins)),
      maxs: new Float64Array(this.takeWords(this.maxs)),
      hasMin,
      hasMax,
    };
  }
}

export class HistogramRows extends StatisticRows {
  readonly bucketCounts = new WordList();
  readonly bounds = new WordList();
  bucketOffsets = new Uint32Array(initialRows + 1);
  boundOffsets = new Uint32Array(initialRows + 1);

  protected override resize(rows: number): void {
    super.resize(rows);
    this.bucketOffsets = grownTo(this.bucketOffsets, new Uint32Array(rows + 1));
    this.boundOffsets = grownTo(this.boundOffsets, new Uint32Array(rows + 1));
  }

  override begin(): number {
    const row = super.begin();
    this.bucketOffsets[row] = this.bucketCounts.length;
    this.boundOffsets[row] = this.bounds.length;
    return row;
  }

  segment(layout: PointsLayout): PointsSegment {
    const rows = this.length;
    this.bucketOffsets[rows] = this.bucketCounts.length;
    this.boundOffsets[rows] = this.bounds.length;
    return {
      ...this.statistics(layout),
      kind: "histogram",
      bucketOffsets: this.bucketOffsets.slice(0, rows + 1),
      bucketCounts: new BigUint64Array(this.bucketCounts.take()),
      boundOffsets: this.boundOffsets.slice(0, rows + 1),
      bounds: new Float64Array(this.bounds.take()),
    };
  }

  override reset(): void {
    super.reset();
    this.bucketCounts.length = 0;
    this.bounds.length = 0;
  }
}

export const noBuckets: ExponentialBuckets = { offset: 0, counts: new BigUint64Array() };

export class ExponentialRows extends StatisticRows {
  scales = new Int32Array(initialRows);
  zeroCounts: Words = new Int32Array(initialRows * 2);
  zeroThresholds: Words = new Int32Array(initialRows * 2);
  positive: ExponentialBuckets[] = [];
  negative: ExponentialBuckets[] = [];

  protected override resize(rows: number): void {
    super.resize(rows);
    this.scales = grownTo(this.scales, new Int32Array(rows));
    this.zeroCounts = grown(this.zeroCounts, rows);
    this.zeroThresholds = grown(this.zeroThresholds, rows);
  }

  override begin(): number {
    const row = super.begin();
    this.scales[row] = 0;
    for (const column of [this.zeroCounts, this.zeroThresholds]) {
      column[row * 2] = 0;
      column[row * 2 + 1] = 0;
    }
    this.positive[row] = noBuckets;
    this.negative[row] = noBuckets;
    return row;
  }

  segment(layout: PointsLayout): PointsSegment {
    return {
      ...this.statistics(layout),
      kind: "exponential_histogram",
      scales: this.scales.slice(0, this.length),
      zeroCounts: new BigUint64Array(this.takeWords(this.zeroCounts)),
      zeroThresholds: new Float64Array(this.takeWords(this.zeroThresholds)),
      positive: this.positive,
      negative: this.negative,
    };
  }

  override reset(): void {
    super.reset();
    this.positive = [];
    this.negative = [];
  }
}

export class SummaryRows extends Rows {
  counts: Words = new Int32Array(initialRows * 2);
  sums: Words = new Int32Array(initialRows * 2);
  quantileOffsets = new Uint32Array(initialRows + 1);
  readonly quantiles = new WordList();
  readonly quantileValues = new WordList();

  protected override resize(rows: number): void {
    super.resize(rows);
    this.counts = grown(this.counts, rows);
    this.sums = grown(this.sums, rows);
    this.quantileOffsets = grownTo(this.quantileOffsets, new Uint32Array(rows + 1));
  }

  override begin(): number {
    const row = super.begin();
    for (const column of [this.counts, this.sums]) {
      column[row * 2] = 0;
      column[row * 2 + 1] = 0;
    }
    this.quantileOffsets[row] = this.quantiles.length;
    return row;
  }

  segment(layout: PointsLayout): PointsSegment {
    this.quantileOffsets[this.length] = this.quantiles.length;
    return {
      ...this.base(layout),
      kind: "summary",
      counts: new BigUint64Array(this.takeWords(this.counts)),
      sums: new Float64Array(this.takeWords(this.sums)),
      quantileOffsets: this.quantileOffsets.slice(0, this.length + 1),
      quantiles: new Float64Array(this.quantiles.take()),
      quantileValues: new Float64Array(this.quantileValues.take()),
    };
  }

  override reset(): void {
    super.reset();
    this.quantiles.length = 0;
    this.quantileValues.length = 0;
  }
}
