/** Rows cut out of a segment of any kind are those rows, whatever part of its layout the segment holds. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { buildExponentialHistograms, buildHistograms, buildNumbers, buildSummaries } from "../testing/build-points.ts";
import {
  type ExponentialHistogramPoints,
  type HistogramPoints,
  isStale,
  type NumberPoints,
  type PointsSegment,
  type SamplesSegment,
  type SummaryPoints,
  sliceSamples,
} from "./batch.ts";
import { Identities } from "./identities.ts";
import { type Origin, PointsLayout, SamplesLayout } from "./layout.ts";
import { selectPoints, selectSamples } from "./select-rows.ts";

/** One row of a segment, apart from where it stands. */
function rowOf(segment: PointsSegment, row: number): object {
  const { layout, from, timeUnixNano, startTimeUnixNano, flags, exemplars } = segment;
  const base = {
    series: layout.series[from + row],
    time: timeUnixNano[row],
    start: startTimeUnixNano[row],
    flags: flags[row],
    exemplars: (exemplars ?? []).filter((each) => each.row === row).map(({ value }) => value),
  };
  if (segment.kind === "number") return { ...base, int: segment.ints[row], isInt: segment.isInt?.[row] ?? 0 };
  if (segment.kind === "summary") {
    const [start, end] = [segment.quantileOffsets[row], segment.quantileOffsets[row + 1]];
    const quantiles = [...segment.quantiles.subarray(start, end)];
    return {
      ...base,
      count: segment.counts[row],
      sum: segment.sums[row],
      quantiles,
      values: [...segment.quantileValues.subarray(start, end)],
    };
  }
  const statistics = {
    count: segment.counts[row],
    sum: [segment.sums[row], segment.hasSum[row]],
    min: [segment.mins[row], segment.hasMin[row]],
    max: [segment.maxs[row], segment.hasMax[row]],
  };
  if (segment.kind === "histogram") {
    const buckets = [...segment.bucketCounts.subarray(segment.bucketOffsets[row], segment.bucketOffsets[row + 1])];
    const bounds = [...segment.bounds.subarray(segment.boundOffsets[row], segment.boundOffsets[row + 1])];
    return { ...base, ...statistics, buckets, bounds };
  }
  const { scales, zeroCounts, zeroThresholds, positive, negative } = segment;
  return {
    ...base,
    ...statistics,
    rest: [scales[row], zeroCounts[row], zeroThresholds[row], positive[row], negative[row]],
  };
}

const identities = new Identities();
const eight = [...Array(8).keys()];
const only = <T extends PointsSegment>(batch: { segments: readonly unknown[] }): T => batch.segments[0] as T;

const segments: PointsSegment[] = [
  only<NumberPoints>(
    buildNumbers(
      eight.map((n) => ({ name: `n${n}`, value: n % 2 === 0 ? BigInt(n) : n / 3 })),
      { identities },
    ),
  ),
  only<HistogramPoints>(
    buildHistograms(
      eight.map((n) => ({
        name: `h${n}`,
        buckets: eight.slice(0, (n % 3) + 1).map((i) => BigInt(i + n)),
        bounds: eight.slice(0, n % 3),
        sum: n,
      })),
      { identities },
    ),
  ),
  only<SummaryPoints>(
    buildSummaries(
      eight.map((n) => ({
        name: `s${n}`,
        count: BigInt(n),
        sum: n * 2,
        quantiles: eight.slice(0, n % 4).map((i) => [i / 10, i + n] as const),
      })),
      { identities },
    ),
  ),
  only<ExponentialHistogramPoints>(
    buildExponentialHistograms(
      eight.map((n) => ({
        name: `e${n}`,
        scale: n,
        zeroCount: BigInt(n),
        count: BigInt(n),
        positive: { offset: n, counts: [BigInt(n), 7n] },
      })),
      { identities },
    ),
  ),
];

const chosenRows = fc.subarray(eight);
const part = fc
  .tuple(fc.nat({ max: 8 }), fc.nat({ max: 8 }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

test.each(segments.map((segment) => ({ kind: segment.kind, segment })))("$kind points", ({ segment }) => {
  expect(segment.to).toBe(8);
  fc.assert(
    fc.property(chosenRows, part, (rows, [from, to]) => {
      const all = Uint32Array.from(eight);
      const piece = selectPoints(segment, segment.layout, all.subarray(from, to));
      const held: PointsSegment = { ...piece, from, to };
      const layout = new PointsLayout(
        identities,
        Uint32Array.from(rows, (row) => segment.layout.series[row] as number),
        0,
      );
      const result = selectPoints(held, layout, Uint32Array.from(rows));
      const wanted = rows.filter((row) => row >= from && row < to);
      expect(result.to - result.from).toBe(wanted.length);
      expect(wanted.map((_, i) => rowOf(result, i))).toEqual(wanted.map((row) => rowOf(segment, row)));
    }),
    { numRuns: 60 },
  );
  expect(selectPoints(segment, segment.layout, undefined)).toEqual(segment);
});

test("samples", () => {
  const columns = fc.record({ wideStale: fc.boolean(), wideTimes: fc.boolean(), rows: chosenRows, part });
  fc.assert(
    fc.property(columns, ({ wideStale, wideTimes, rows, part: [from, to] }) => {
      const labels = Uint32Array.from(eight, (n) => identities.internLabels([["__name__", `m${n}`]]));
      const source = new SamplesLayout(identities, { labels }, { lane: 0 } as Origin);
      const whole: SamplesSegment = {
        form: "samples",
        layout: source,
        from: 0,
        to: 8,
        values: Float64Array.from(eight, (n) => n * 10),
        stale: wideStale ? Uint8Array.from(eight, (n) => n % 2) : false,
        timestampMs: 5,
        timestampsMs: wideTimes ? Float64Array.from(eight, (n) => n + 1000) : undefined,
        exemplars: eight
          .filter((n) => n % 3 === 0)
          .map((row) => ({ row, labels: [], value: row, timestampMs: undefined })),
        histograms: wideTimes ? eight.map((n) => Uint8Array.of(n)) : undefined,
      };
      const describeRow = (segment: SamplesSegment, row: number) => ({
        histogram: segment.histograms?.[row],
        set: segment.layout.labels?.[segment.from + row],
        value: segment.values[row],
        stale: isStale(segment, row),
        time: segment.timestampsMs?.[row] ?? segment.timestampMs,
        exemplars: segment.exemplars?.filter((each) => each.row === row).map(({ value }) => value),
      });
      const layout = new SamplesLayout(
        identities,
        { labels: Uint32Array.from(rows, (row) => labels[row] as number) },
        source.origin,
      );
      const result = selectSamples(sliceSamples(whole, from, to), layout, Uint32Array.from(rows));
      const wanted = rows.filter((row) => row >= from && row < to);
      expect(result.to - result.from).toBe(wanted.length);
      expect(wanted.map((_, i) => describeRow(result, i))).toEqual(wanted.map((row) => describeRow(whole, row)));
    }),
    { numRuns: 200 },
  );
});
