/** Segments: parts of them, what is stale in them, and how large they count. */

import { describe, expect, test } from "vitest";
import {
  buildExponentialHistograms,
  buildHistograms,
  buildNumbers,
  buildSummaries,
  type ExponentialHistogramRow,
} from "../testing/build-points.ts";
import { buildSamples, type SampleRow } from "../testing/build-samples.ts";
import { countRows, isStale, type SamplesSegment, segmentBytes, sliceSamples } from "./batch.ts";

function samples(rows: readonly SampleRow[]): SamplesSegment {
  const [segment] = buildSamples(rows).segments;
  if (segment?.form !== "samples") throw new Error("expected samples");
  return segment;
}

const row = (value: number, more: Partial<SampleRow> = {}): SampleRow => ({ name: `m${value}`, value, ...more });

describe("isStale", () => {
  test.each([
    [true, [true, true, true]],
    [false, [false, false, false]],
    [Uint8Array.of(0, 1, 0), [false, true, false]],
  ])("of %j is %j", (stale, expected) => {
    const segment: SamplesSegment = { ...samples([row(1), row(2), row(3)]), stale };
    expect([0, 1, 2].map((index) => isStale(segment, index))).toEqual(expected);
  });
});

describe("sliceSamples", () => {
  const exemplar = (value: number) => ({ labels: { id: String(value) }, value });
  const whole = samples([
    row(0, { exemplar: exemplar(10) }),
    row(1, { stale: true, timestampMs: 7 }),
    row(2, { exemplar: exemplar(12) }),
    row(3),
    row(4, { exemplar: exemplar(14) }),
  ]);

  test("returns the segment itself for all of its rows", () => {
    expect(sliceSamples(whole, 0, 5)).toBe(whole);
  });

  test.each([
    [0, 2, [0, 1], [false, true], [[0, 10]]],
    [1, 3, [1, 2], [true, false], [[1, 12]]],
    [
      2,
      5,
      [2, 3, 4],
      [false, false, false],
      [
        [0, 12],
        [2, 14],
      ],
    ],
    [3, 4, [3], [false], []],
    [2, 2, [], [], []],
  ] as const)("of [%i, %i) has those rows, stale marks and exemplars", (from, to, values, stale, exemplars) => {
    const part = sliceSamples(whole, from, to);
    expect([part.from, part.to]).toEqual([from, to]);
    expect([...part.values]).toEqual(values);
    expect(values.map((_, index) => isStale(part, index))).toEqual(stale);
    expect([...(part.timestampsMs ?? [])]).toEqual([...(whole.timestampsMs ?? [])].slice(from, to));
    expect((part.exemplars ?? []).map((each) => [each.row, each.value])).toEqual(exemplars);
  });

  test("of a slice counts from the first row of the slice", () => {
    const part = sliceSamples(sliceSamples(whole, 1, 5), 1, 4);
    expect([part.from, part.to, ...part.values]).toEqual([2, 5, 2, 3, 4]);
    expect(part.exemplars?.map((each) => each.row)).toEqual([0, 2]);
  });

  test("shares the columns and leaves the whole as it was", () => {
    const part = sliceSamples(whole, 1, 3);
    expect(part.values.buffer).toBe(whole.values.buffer);
    expect([whole.from, whole.to, whole.values.length, whole.exemplars?.length]).toEqual([0, 5, 5, 3]);
  });

  test.each([true, false])("keeps a mark for all rows (%j)", (stale) => {
    expect(sliceSamples({ ...whole, stale }, 1, 3).stale).toBe(stale);
  });
});

describe("segmentBytes", () => {
  const sizeOf = (rows: readonly SampleRow[]) => segmentBytes(samples(rows));
  const plain = [row(1), row(2), row(3), row(4)];

  test("grows with rows, times of their own, stale marks and exemplars", () => {
    const size = sizeOf(plain);
    expect(sizeOf([...plain, row(5)]) - size).toBe(8);
    expect(sizeOf([...plain.slice(1), row(1, { timestampMs: 5 })]) - size).toBe(8 * 4);
    expect(sizeOf([...plain.slice(1), row(1, { stale: true })]) - size).toBe(4);
    expect(sizeOf([...plain.slice(1), row(1, { exemplar: { labels: {}, value: 1 } })]) - size).toBe(256);
  });

  test("of two parts is the size of the whole and one base", () => {
    const whole = samples(plain);
    const parts = segmentBytes(sliceSamples(whole, 0, 1)) + segmentBytes(sliceSamples(whole, 1, 4));
    expect(parts - segmentBytes(whole)).toBe(segmentBytes(sliceSamples(whole, 0, 0)));
  });

  const buckets = (count: number) => Array.from({ length: count }, () => 1n);
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
  const exponential = (count: number): ExponentialHistogramRow => ({
    name: "m",
    count: 1n,
    scale: 0,
    positive: { offset: 0, counts: buckets(count) },
    negative: { offset: 0, counts: buckets(count) },
  });

  test.each([
    [
      "histogram",
      1600,
      (count: number) =>
        buildHistograms([{ name: "m", count: 1n, buckets: buckets(count), bounds: numbers(count - 1) }]),
    ],
    [
      "summary",
      1600,
      (count: number) =>
        buildSummaries([{ name: "m", count: 1n, sum: 1, quantiles: numbers(count).map((one) => [one, one]) }]),
    ],
    ["exponential histogram", 1600, (count: number) => buildExponentialHistograms([exponential(count)])],
  ] as const)("of a %s counts what each of its buckets or quantiles holds", (_, bytes, build) => {
    const [small, large] = [build(10), build(110)].map(({ segments: [segment] }) =>
      segment === undefined ? 0 : segmentBytes(segment),
    );
    expect((large ?? 0) - (small ?? 0)).toBe(bytes);
  });
});

test("countRows adds the rows of all segments", () => {
  const { segments } = buildSamples([row(1), row(2), row(3)]);
  const more = buildNumbers([{ name: "n", value: 1 }]).segments;
  expect(countRows({ signal: "metrics", segments: [...segments, ...more] })).toBe(4);
  expect(countRows({ signal: "metrics", segments: [] })).toBe(0);
});
