/** Writes data points by gathering the bytes of attributes that were encoded once. */

import type {
  ExponentialBuckets,
  ExponentialHistogramPoints,
  HistogramPoints,
  NumberPoints,
  SummaryPoints,
} from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import type { LayoutGroups } from "./layout-groups.ts";
import { lengthBytes, NestedWriter } from "./nested-writer.ts";

/** Room that every point has beyond its attributes, exemplars and lists. */
const pointRoom = 192;

/** The columns of a segment that is no number segment as words of 32 bits, so that every bit is copied as it is. */
interface SegmentWords {
  readonly times: Int32Array;
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly sums: Int32Array;
  readonly mins: Int32Array;
  readonly maxs: Int32Array;
  /** Bucket counts and bounds, zero counts and thresholds, or quantiles and their values. */
  readonly first: Int32Array;
  readonly second: Int32Array;
}

type CountedPoints = HistogramPoints | ExponentialHistogramPoints | SummaryPoints;

const noWords = new Int32Array();

function segmentWords(segment: CountedPoints): SegmentWords {
  const common = {
    times: wordsOf(segment.timeUnixNano),
    starts: wordsOf(segment.startTimeUnixNano),
    counts: wordsOf(segment.counts),
    sums: wordsOf(segment.sums),
  };
  if (segment.kind === "summary") {
    const [first, second] = [wordsOf(segment.quantiles), wordsOf(segment.quantileValues)];
    return { ...common, mins: noWords, maxs: noWords, first, second };
  }
  const extremes = { ...common, mins: wordsOf(segment.mins), maxs: wordsOf(segment.maxs) };
  return segment.kind === "histogram"
    ? { ...extremes, first: wordsOf(segment.bucketCounts), second: wordsOf(segment.bounds) }
    : { ...extremes, first: wordsOf(segment.zeroCounts), second: wordsOf(segment.zeroThresholds) };
}

function wordsOf(column: Float64Array | BigUint64Array | BigInt64Array): Int32Array {
  return new Int32Array(column.buffer, column.byteOffset, column.length * 2);
}

/** Encoded exemplar fields of a row, or undefined. */
export type ExemplarFields = ReadonlyMap<number, Uint8Array> | undefined;

/** Writes points into a request. */
export class PointWriter extends NestedWriter {
  #pairs = new DataView(new ArrayBuffer(0));

  #segment: CountedPoints | undefined;
  #words: SegmentWords | undefined;

  /** The words of a segment; those of the last one are kept. */
  #wordsFor(segment: CountedPoints): SegmentWords {
    if (this.#words === undefined || this.#segment !== segment) {
      this.#segment = segment;
      this.#words = segmentWords(segment);
    }
    return this.#words;
  }

  override reset(): void {
    super.reset();
    this.#segment = undefined;
    this.#words = undefined;
  }

  /** To be called before the points of a segment: the table of attributes may have moved. */
  useTables(identities: Identities): void {
    this.#pairs = new DataView(identities.attributePairs.bytes.buffer);
  }

  #word(tag: number, words: Int32Array, row: number): void {
    const { bytes, at } = this;
    bytes[at] = tag;
    this.view.setInt32(at + 1, words[row * 2] as number, true);
    this.view.setInt32(at + 5, words[row * 2 + 1] as number, true);
    this.at = at + 9;
  }

  #wordUnlessZero(tag: number, words: Int32Array, row: number): void {
    if (((words[row * 2] as number) | (words[row * 2 + 1] as number)) !== 0) this.#word(tag, words, row);
  }

  #flags(tag: number, flags: number): void {
    if (flags === 0) return;
    this.bytes[this.at++] = tag;
    this.varint(flags);
  }

  /**
   * The attributes of a row, each behind `tag`. Several bytes at a time, a little over the end: what comes next writes over
   * it; `reserve` must have counted a few spare bytes.
   */
  #attributes(identities: Identities, { sets, isPlain }: LayoutGroups, place: number, tag: number): void {
    const set = sets[place] as number;
    const { attributeSets, attributePairs } = identities;
    const { items } = attributeSets;
    const { lengths, offsets } = attributePairs;
    const [bytes, view, pairs] = [this.bytes, this.view, this.#pairs];
    let at = this.at;
    let item = attributeSets.offsets[set] as number;
    const last = item + (attributeSets.lengths[set] as number);
    for (; item < last; item++) {
      const pair = items[item] as number;
      const length = lengths[pair] as number;
      let source = offsets[pair] as number;
      bytes[at++] = tag;
      if (length < 0x80) bytes[at++] = length;
      else {
        let rest = length;
        while (rest >= 0x80) {
          bytes[at++] = (rest & 0x7f) | 0x80;
          rest >>>= 7;
        }
        bytes[at++] = rest;
      }
      const end = at + length;
      if (isPlain) {
        while (at < end) {
          view.setFloat64(at, pairs.getFloat64(source, true), true);
          at += 8;
          source += 8;
        }
      } else {
        while (at < end) {
          view.setInt32(at, pairs.getInt32(source, true), true);
          at += 4;
          source += 4;
        }
      }
      at = end;
    }
    this.at = at;
  }

  /** NumberDataPoint fields of the rows of the segment, which are `rows[from..to)` of its layout. */
  numbers(segment: NumberPoints, groups: LayoutGroups, from: number, to: number, exemplars: ExemplarFields): void {
    const { identities } = segment.layout;
    const { order, weights } = groups;
    const [times, starts] = [wordsOf(segment.timeUnixNano), wordsOf(segment.startTimeUnixNano)];
    const values = wordsOf(segment.ints);
    const { flags, isInt } = segment;
    for (let i = from; i < to; i++) {
      const place = order[i] as number;
      if (place < segment.from || place >= segment.to) continue;
      const row = place - segment.from;
      const word = row * 2;
      const flag = flags[row] as number;
      const isEmpty = ((values[word] as number) | (values[word + 1] as number)) === 0;
      const kind = isInt === undefined ? 0 : (isInt[row] as number);
      // A stale marker that was scraped has no value.
      const hasValue = kind === 1 || (kind === 0 && !(isEmpty && (flag & 1) === 1));
      const fields = exemplars?.get(row);
      const size =
        (weights[place] as number) +
        (((starts[word] as number) | (starts[word + 1] as number)) === 0 ? 0 : 9) +
        (((times[word] as number) | (times[word + 1] as number)) === 0 ? 0 : 9) +
        (hasValue ? 9 : 0) +
        (flag === 0 ? 0 : 1 + lengthBytes(flag)) +
        (fields === undefined ? 0 : fields.length);
      this.reserve(size + pointRoom);
      this.bytes[this.at++] = 0x0a;
      this.varint(size);
      this.#wordUnlessZero(0x11, starts, row);
      this.#wordUnlessZero(0x19, times, row);
      if (hasValue && kind === 0) this.#word(0x21, values, row);
      if (fields !== undefined) this.raw(fields);
      if (hasValue && kind === 1) this.#word(0x31, values, row);
      if ((weights[place] as number) > 0) this.#attributes(identities, groups, place, 0x3a);
      this.#flags(0x40, flag);
    }
  }

  #times({ starts, times }: SegmentWords, row: number): void {
    this.#wordUnlessZero(0x11, starts, row);
    this.#wordUnlessZero(0x19, times, row);
  }

  histogram(segment: HistogramPoints, groups: LayoutGroups, row: number, exemplars: Uint8Array | undefined): void {
    const { bucketOffsets, boundOffsets } = segment;
    const words = this.#wordsFor(segment);
    const place = segment.from + row;
    const weight = groups.weights[place] as number;
    const [firstBucket, endBucket] = [bucketOffsets[row] as number, bucketOffsets[row + 1] as number];
    const [firstBound, endBound] = [boundOffsets[row] as number, boundOffsets[row + 1] as number];
    const guess = 8 * (endBucket - firstBucket + endBound - firstBound) + weight + 40 + (exemplars?.length ?? 0);
    this.reserve(guess + pointRoom);
    const start = this.open(0x0a, guess);
    this.#times(words, row);
    this.#wordUnlessZero(0x21, words.counts, row);
    if (segment.hasSum[row] === 1) this.#word(0x29, words.sums, row);
    this.#packed(0x32, words.first, firstBucket, endBucket);
    this.#packed(0x3a, words.second, firstBound, endBound);
    if (exemplars !== undefined) this.raw(exemplars);
    this.reserve(weight + pointRoom);
    if (weight > 0) this.#attributes(segment.layout.identities, groups, place, 0x4a);
    this.#flags(0x50, segment.flags[row] as number);
    if (segment.hasMin[row] === 1) this.#word(0x59, words.mins, row);
    if (segment.hasMax[row] === 1) this.#word(0x61, words.maxs, row);
    this.close(start, guess);
  }

  #packed(tag: number, words: Int32Array, from: number, to: number): void {
    if (to === from) return;
    this.bytes[this.at++] = tag;
    this.varint((to - from) * 8);
    for (let i = from * 2; i < to * 2; i++) {
      this.view.setInt32(this.at, words[i] as number, true);
      this.at += 4;
    }
  }

  exponential(
    segment: ExponentialHistogramPoints,
    groups: LayoutGroups,
    row: number,
    exemplars: Uint8Array | undefined,
  ): void {
    const words = this.#wordsFor(segment);
    const place = segment.from + row;
    const weight = groups.weights[place] as number;
    const [positive, negative] = [segment.positive[row], segment.negative[row]] as [
      ExponentialBuckets,
      ExponentialBuckets,
    ];
    const guess = weight + 40 + 2 * (positive.counts.length + negative.counts.length) + (exemplars?.length ?? 0);
    this.reserve(weight + pointRoom);
    const start = this.open(0x0a, guess);
    if (weight > 0) this.#attributes(segment.layout.identities, groups, place, 0x0a);
    this.#times(words, row);
    this.#wordUnlessZero(0x21, words.counts, row);
    if (segment.hasSum[row] === 1) this.#word(0x29, words.sums, row);
    this.#zigzag(0x30, segment.scales[row] as number);
    this.#wordUnlessZero(0x39, words.first, row);
    this.#buckets(0x42, positive);
    this.#buckets(0x4a, negative);
    this.reserve(pointRoom);
    this.#flags(0x50, segment.flags[row] as number);
    if (exemplars !== undefined) this.raw(exemplars);
    this.reserve(pointRoom);
    if (segment.hasMin[row] === 1) this.#word(0x61, words.mins, row);
    if (segment.hasMax[row] === 1) this.#word(0x69, words.maxs, row);
    this.#wordUnlessZero(0x71, words.second, row);
    this.close(start, guess);
  }

  #zigzag(tag: number, value: number): void {
    if (value === 0) return;
    this.bytes[this.at++] = tag;
    this.varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  #buckets(tag: number, { offset, counts }: ExponentialBuckets): void {
    if (offset === 0 && counts.length === 0) return;
    this.reserve(counts.length * 10 + pointRoom);
    const guess = counts.length;
    const start = this.open(tag, guess);
    this.#zigzag(0x08, offset);
    if (counts.length > 0) {
      const inner = this.open(0x12, guess);
      const words = new Uint32Array(counts.buffer, counts.byteOffset, counts.length * 2);
      for (let i = 0; i < counts.length; i++) {
        if (words[i * 2 + 1] === 0) this.varint(words[i * 2] as number);
        else this.varint64(counts[i] as bigint);
      }
      this.close(inner, guess);
    }
    this.close(start, guess);
  }

  summary(segment: SummaryPoints, groups: LayoutGroups, row: number): void {
    const { quantileOffsets } = segment;
    const words = this.#wordsFor(segment);
    const place = segment.from + row;
    const weight = groups.weights[place] as number;
    const [first, end] = [quantileOffsets[row] as number, quantileOffsets[row + 1] as number];
    const guess = weight + 40 + 20 * (end - first);
    this.reserve(guess + pointRoom);
    const start = this.open(0x0a, guess);
    this.#times(words, row);
    this.#wordUnlessZero(0x21, words.counts, row);
    this.#wordUnlessZero(0x29, words.sums, row);
    for (let i = first; i < end; i++) {
      const inner = this.open(0x32, 0);
      this.#wordUnlessZero(0x09, words.first, i);
      this.#wordUnlessZero(0x11, words.second, i);
      this.close(inner, 0);
    }
    if (weight > 0) this.#attributes(segment.layout.identities, groups, place, 0x3a);
    this.#flags(0x40, segment.flags[row] as number);
    this.close(start, guess);
  }
}
