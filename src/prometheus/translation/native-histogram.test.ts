/** Exponential histograms as native ones: buckets that fall together are added up, and nothing is lost. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readHistogram, staleBits } from "../../../test/kit/remote-write-message.ts";
import type { ExponentialHistogramPoints } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { PointsLayout } from "../../model/layout.ts";
import { nativeHistogram } from "./native-histogram.ts";

interface Parts {
  readonly scale: number;
  readonly offset?: number;
  readonly counts?: readonly (number | bigint)[];
  readonly negative?: readonly number[];
  readonly zeroThreshold?: number;
  readonly sum?: number;
}

function points({ scale, offset = 0, counts = [], negative = [], zeroThreshold = 0, sum }: Parts) {
  const half = (list: readonly (number | bigint)[]) => ({ offset, counts: BigUint64Array.from(list, BigInt) });
  const result: ExponentialHistogramPoints = {
    form: "points",
    kind: "exponential_histogram",
    layout: new PointsLayout(new Identities(), Uint32Array.of(0), 0),
    from: 0,
    to: 1,
    timeUnixNano: BigUint64Array.of(5_000_000n),
    startTimeUnixNano: BigUint64Array.of(0n),
    flags: Uint32Array.of(0),
    counts: BigUint64Array.of(9n),
    sums: Float64Array.of(sum ?? Number.NaN),
    hasSum: Uint8Array.of(sum === undefined ? 0 : 1),
    mins: new Float64Array(1),
    maxs: new Float64Array(1),
    hasMin: new Uint8Array(1),
    hasMax: new Uint8Array(1),
    scales: Int32Array.of(scale),
    zeroCounts: BigUint64Array.of(3n),
    zeroThresholds: Float64Array.of(zeroThreshold),
    positive: [half(counts)],
    negative: [half(negative)],
  };
  return result;
}

function read(parts: Parts, isStale = false) {
  const bytes = nativeHistogram(points(parts), 0, isStale, 5);
  return bytes === undefined ? undefined : readHistogram(bytes);
}

describe("nativeHistogram", () => {
  it.each([
    ["buckets end where exponential ones begin", { scale: 3, counts: [1, 0, 2] }, { 1: "1", 3: "2" }],
    ["negative offsets", { scale: 0, offset: -3, counts: [4, 5] }, { "-2": "4", "-1": "5" }],
    ["a finer scale is merged", { scale: 9, counts: [0, 0, 5, 5] }, { 2: "10" }],
    ["merged below zero", { scale: 10, offset: -5, counts: [1, 1, 1, 1, 1, 1] }, { "-1": "1", 0: "4", 1: "1" }],
    ["long gaps", { scale: 8, counts: [1, 0, 0, 0, 0, 0, 2] }, { 1: "1", 7: "2" }],
    ["the finest scale there may be", { scale: 2 ** 31 - 1, offset: -1, counts: [1, 1] }, { 0: "1", 1: "1" }],
    [
      "counts of 64 bits",
      { scale: 0, counts: [2n ** 62n, 0, 2n ** 62n + 1n] },
      { 1: `${2n ** 62n}`, 3: `${2n ** 62n + 1n}` },
    ],
  ])("%s", (_title, parts, positive) => {
    expect(read(parts)).toMatchObject({ positive, negative: {}, schema: Math.min(8, parts.scale) });
  });

  it("carries count, sum, zero bucket, both halves and time", () => {
    expect(read({ scale: -4, counts: [2], negative: [4], zeroThreshold: 0.5, sum: 1 })).toEqual({
      count: "9",
      sum: "3ff0000000000000",
      schema: -4,
      zeroThreshold: 0.5,
      zeroCount: "3",
      negative: { 1: "4" },
      positive: { 1: "2" },
      timestamp: "5",
    });
  });

  it.each([
    ["a scale below -4", { scale: -5, counts: [1] }],
    ["an index beyond 32 bits", { scale: 8, offset: 2 ** 31 - 1, counts: [1, 1] }],
  ])("%s cannot be said", (_title, parts) => {
    expect(read(parts)).toBeUndefined();
  });

  it("a stale point has the marker, no count and no buckets", () => {
    expect(read({ scale: 0, counts: [1], sum: 3 }, true)).toMatchObject({ sum: staleBits, count: "0", positive: {} });
  });

  it("holds what the buckets hold, whatever the scale, offset and gaps", () => {
    const counts = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 9 })), { maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: -4, max: 20 }),
        fc.integer({ min: -200, max: 200 }),
        counts,
        (scale, offset, list) => {
          const expected: Record<string, string> = {};
          for (const [i, count] of list.entries()) {
            let index = offset + i;
            for (let finer = scale; finer > 8; finer--) index = Math.floor(index / 2);
            if (count > 0) expected[index + 1] = String(Number(expected[index + 1] ?? 0) + count);
          }
          expect(read({ scale, offset, counts: list })?.positive).toEqual(expected);
        },
      ),
    );
  });
});
