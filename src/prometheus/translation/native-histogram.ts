/** Encodes exponential histograms as the native histograms of remote write 1.0, with fewer buckets where the scale is too fine. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import type { ExponentialBuckets, ExponentialHistogramPoints } from "../../model/batch.ts";

/** The schemas that native histograms have: powers of 2^(2^-schema). */
const minSchema = -4;
const maxSchema = 8;
/** What Prometheus takes for "about zero" when the point says nothing. */
const defaultZeroThreshold = 1e-128;
/** More empty buckets than this begin a new span; fewer are cheaper as zeros. */
const maxGap = 2;
const maxIndex = 2 ** 31 - 1;

interface Spans {
  /** Pairs of offset from the end of the last span, and length. */
  readonly spans: { readonly offset: number; length: number }[];
  /** Differences of the counts of neighbours. */
  readonly deltas: bigint[];
}

/**
 * Buckets by their native index, those that fall together added up. The native bucket i ends at base^i, the exponential
 * bucket i begins there: hence the one.
 */
function mergedBuckets({ offset, counts }: ExponentialBuckets, scaleDown: number): [index: number, count: bigint][] {
  const width = 2 ** scaleDown;
  const merged: [number, bigint][] = [];
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as bigint;
    if (count === 0n) continue;
    const at = offset + i;
    // Where the width is infinite the quotient is a zero of either sign.
    const index = (Number.isFinite(width) ? Math.floor(at / width) : at < 0 ? -1 : 0) + 1;
    const last = merged.at(-1);
    if (last !== undefined && last[0] === index) last[1] += count;
    else merged.push([index, count]);
  }
  return merged;
}

function spansOf(buckets: readonly (readonly [index: number, count: bigint])[]): Spans {
  const spans: Spans["spans"] = [];
  const deltas: bigint[] = [];
  let next = 0;
  let previous = 0n;
  for (const [index, count] of buckets) {
    const span = spans.at(-1);
    const gap = index - next;
    if (span === undefined || gap > maxGap) spans.push({ offset: gap, length: 1 });
    else {
      for (let i = 0; i < gap; i++) {
        deltas.push(BigInt.asIntN(64, -previous));
        previous = 0n;
      }
      span.length += gap + 1;
    }
    deltas.push(BigInt.asIntN(64, count - previous));
    previous = count;
    next = index + 1;
  }
  return { spans, deltas };
}

const zigzag = (value: bigint) => BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
const zigzag32 = (value: number) => ((value << 1) ^ (value >> 31)) >>> 0;

function writeBuckets(message: ByteWriter, spansTag: number, { spans, deltas }: Spans): void {
  for (const { offset, length } of spans) {
    const span = new ByteWriter(16);
    if (offset !== 0) {
      span.varint(0x08);
      span.varint64(BigInt(zigzag32(offset)));
    }
    span.varint(0x10);
    span.varint(length);
    message.bytesField(spansTag, span.view());
  }
  if (deltas.length === 0) return;
  const packed = new ByteWriter(deltas.length * 2 + 8);
  for (const delta of deltas) packed.varint64(zigzag(delta));
  message.bytesField(spansTag + 8, packed.view());
}

function double(message: ByteWriter, tag: number, value: number): void {
  if (Object.is(value, 0)) return;
  message.varint(tag);
  message.double(value);
}

/** The bits of the NaN that marks a series as ended, in the order of the wire. */
const staleSum = Uint8Array.of(0x19, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f);

/**
 * A `prometheus.Histogram` message, or undefined when native histograms cannot say it: a scale below -4 or a bucket beyond
 * 32 bits. A stale one has the marker as its sum and no buckets, as the specification demands.
 */
export function nativeHistogram(
  points: ExponentialHistogramPoints,
  row: number,
  isStale: boolean,
  timestampMs: number,
): Uint8Array | undefined {
  const scale = points.scales[row] as number;
  if (scale < minSchema) return undefined;
  const schema = Math.min(scale, maxSchema);
  const halves = [points.negative[row], points.positive[row]].map((half) =>
    half === undefined || isStale ? [] : mergedBuckets(half, scale - schema),
  );
  if (halves.some((buckets) => buckets.some(([index]) => Math.abs(index) > maxIndex))) return undefined;
  const [negative = [], positive = []] = halves;
  const message = new ByteWriter(64 + (negative.length + positive.length) * 4);
  message.varint(0x08);
  message.varint64(isStale ? 0n : (points.counts[row] as bigint));
  if (isStale) message.raw(staleSum);
  else if (points.hasSum[row] === 1) double(message, 0x19, points.sums[row] as number);
  if (schema !== 0) {
    message.varint(0x20);
    message.varint(zigzag32(schema));
  }
  double(message, 0x29, (points.zeroThresholds[row] as number) || defaultZeroThreshold);
  message.varint(0x30);
  message.varint64(isStale ? 0n : (points.zeroCounts[row] as bigint));
  writeBuckets(message, 0x42, spansOf(negative));
  writeBuckets(message, 0x5a, spansOf(positive));
  if (timestampMs !== 0) {
    message.varint(0x78);
    message.varint64(BigInt.asUintN(64, BigInt(Math.trunc(timestampMs))));
  }
  return message.copy();
}
