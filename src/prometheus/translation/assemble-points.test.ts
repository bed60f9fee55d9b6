import { describe, expect, it } from "vitest";
import type { HistogramPoints, NumberPoints, PointsSegment, SummaryPoints } from "../../model/batch.ts";
import { sliceSamples } from "../../model/batch.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { member, type PageRow, testOrigin, testSegment, testTimeMs } from "./test-page.ts";

const time = BigInt(testTimeMs) * 1_000_000n;

function assemble(rows: readonly PageRow[]): { segments: PointsSegment[]; dropped: Record<string, number> } {
  const dropped: Record<string, number> = {};
  const origin = testOrigin({
    dropped: (reason, points) => {
      dropped[reason] = (dropped[reason] ?? 0) + points;
    },
  });
  return { segments: origin.points(testSegment(rows, origin)), dropped };
}

const bucket = (le: string, value: number, labels = {}) =>
  member("h", "histogram", "_bucket", { ...labels, le }, value);
const sum = (value: number, labels = {}) => member("h", "histogram", "_sum", labels, value);
const count = (value: number, labels = {}) => member("h", "histogram", "_count", labels, value);

function histogram(rows: readonly PageRow[]) {
  const { segments, dropped } = assemble(rows);
  const points = segments.find((segment): segment is HistogramPoints => segment.kind === "histogram");
  if (points === undefined) return { dropped };
  return {
    bounds: [...points.bounds],
    buckets: [...points.bucketCounts].map(Number),
    count: Number(points.counts[0]),
    sum: points.hasSum[0] === 1 ? points.sums[0] : undefined,
    flags: points.flags[0],
  };
}

describe("histograms", () => {
  it.each([
    [
      "sorts buckets and ignores +Inf",
      [bucket("+Inf", 9), bucket("2", 3), bucket("1", 1), sum(4), count(5)],
      [1, 2],
      [1, 2, 2],
      4,
    ],
    ["needs no +Inf bucket", [bucket("1", 1), count(5)], [1], [1, 4], undefined],
    ["needs no buckets", [sum(2.5), count(5)], [], [5], 2.5],
    ["keeps a sum that is not a number", [sum(Number.NaN), count(5)], [], [5], Number.NaN],
    ["cuts fractions", [bucket("1", 1.5), bucket("2", 3), count(5.9), sum(1)], [1, 2], [1, 1, 2], 1],
  ])("%s", (_, rows, bounds, buckets, expectedSum) => {
    expect(histogram(rows)).toEqual({ bounds, buckets, count: 5, sum: expectedSum, flags: 0 });
  });

  it("leaves out a point without a count", () => {
    expect(histogram([bucket("1", 1), bucket("+Inf", 1), sum(1)])).toEqual({ dropped: { incomplete: 1 } });
  });

  it.each([
    ["falling buckets", [bucket("1", 2), bucket("2", 1), count(3)], [2n, 2n ** 64n - 1n, 2n], 3n],
    ["a bucket that is not a number", [bucket("1", Number.NaN), count(3)], [2n ** 63n, 2n ** 63n], 3n],
    ["a negative bucket", [bucket("1", -1), count(3)], [2n ** 64n - 1n, 4n], 3n],
    ["a count below the buckets", [bucket("1", 4), count(3)], [4n, 2n ** 64n - 1n], 3n],
    ["a count that is not a number", [count(Number.NaN)], [2n ** 63n], 2n ** 63n],
    ["a count beyond 64 bits", [count(2 ** 64)], [2n ** 63n], 2n ** 63n],
  ])("makes of %s the point that otelcol-contrib makes", (_, rows, buckets, expected) => {
    const [points] = assemble(rows).segments as [HistogramPoints];
    expect([[...points.bucketCounts], points.counts[0]]).toEqual([buckets, expected]);
  });

  it("keeps a bound that is not a number where Go's sort leaves it", () => {
    const [points] = assemble(["2", "1", "NaN", "3", "0.5"].map((le) => bucket(le, 1)).concat(count(5))).segments as [
      HistogramPoints,
    ];
    expect([...points.bounds]).toEqual([1, 2, Number.NaN, 0.5, 3]);
  });

  it("flags a stale point and keeps its bounds", () => {
    const rows = [bucket("1", 1), sum(1), count(2)].map((row) => ({ ...row, stale: true }));
    expect(histogram(rows)).toEqual({ bounds: [1], buckets: [0, 0], count: 0, sum: undefined, flags: 1 });
  });

  it("leaves a stale bucket out of a live point", () => {
    const rows = [{ ...bucket("1", 0), stale: true }, bucket("2", 1), count(2), sum(1)];
    expect(histogram(rows)).toEqual({ bounds: [2], buckets: [1, 1], count: 2, sum: 1, flags: 0 });
  });

  it("refuses rows of another time than the first", () => {
    const rows = [bucket("1", 1), { ...bucket("2", 2), timestampMs: 5 }, count(2)];
    expect(histogram(rows)).toEqual({ bounds: [1], buckets: [1, 1], count: 2, sum: undefined, flags: 0 });
    expect(histogram([bucket("1", 1), { ...count(2), timestampMs: 5 }])).toEqual({ dropped: { incomplete: 1 } });
  });

  it("keeps histograms apart by their labels", () => {
    const { segments } = assemble([
      bucket("1", 1, { a: "x" }),
      bucket("1", 2, { a: "y" }),
      count(3, { a: "y" }),
      count(4, { a: "x" }),
    ]);
    const points = segments[0] as HistogramPoints;
    expect([...points.counts]).toEqual([4n, 3n]);
    expect([...points.bucketCounts]).toEqual([1n, 3n, 2n, 1n]);
  });

  it("uses the planned layout again and again, but not when a point is missing between others", () => {
    const origin = testOrigin();
    const rows = ["x", "y", "z"].map((a) => count(1, { a }));
    const segment = testSegment(rows, origin);
    const [first] = origin.points(segment);
    expect(origin.points(segment)[0]?.layout).toBe(first?.layout);
    const lacking = testSegment(
      rows.map((row, i) => (i === 1 ? bucket("1", 1, row.labels) : row)),
      origin,
    );
    const [partial] = origin.points(lacking) as [HistogramPoints];
    expect([...partial.counts]).toEqual([1n, 1n]);
    expect([...partial.layout.series]).toEqual([first?.layout.series[0], first?.layout.series[2]]);
  });

  it("takes rows of a whole histogram from a part of a page", () => {
    const origin = testOrigin();
    const segment = testSegment(
      ["x", "y"].flatMap((a) => [bucket("1", 1, { a }), count(2, { a })]),
      origin,
    );
    const [points] = origin.points(sliceSamples(segment, 2, 4)) as [HistogramPoints];
    expect([points.from, points.to, ...points.bucketCounts]).toEqual([1, 2, 1n, 1n]);
  });

  it("starts a new point when a processor made two histograms one series", () => {
    const origin = testOrigin();
    const segment = testSegment(
      [bucket("1", 1), count(2), bucket("1", 3), count(4)].map((row, i) => ({
        ...row,
        labels: { ...row.labels, a: String(i >> 1) },
      })),
      origin,
    );
    const { part, bound, series } = segment.layout.reading();
    const merged = { part, bound, series: series.map(() => series[0] as number) };
    const layout = new SamplesLayout(origin.identities, { reading: merged }, origin);
    const [points] = origin.points({ ...segment, layout }) as [HistogramPoints];
    expect([...points.counts]).toEqual([2n, 4n]);
  });
});

describe("summaries", () => {
  const quantile = (text: string, value: number) => member("s", "summary", "", { quantile: text }, value);
  const summaryCount = member("s", "summary", "_count", {}, 4.5);
  const summarySum = member("s", "summary", "_sum", {}, 7);

  it("sorts quantiles and takes a missing sum for zero", () => {
    const { segments } = assemble([quantile("0.9", 2), quantile("0.5", Number.NaN), summaryCount]);
    const points = segments[0] as SummaryPoints;
    expect([...points.quantiles]).toEqual([0.5, 0.9]);
    expect([...points.quantileValues]).toEqual([Number.NaN, 2]);
    expect([points.counts[0], points.sums[0]]).toEqual([4n, 0]);
  });

  it("are left out without a count", () => {
    expect(assemble([quantile("0.9", 2), summarySum])).toEqual({ segments: [], dropped: { incomplete: 1 } });
  });

  it("have zeros when stale", () => {
    const rows = [quantile("0.9", 2), summarySum, summaryCount].map((row) => ({ ...row, stale: true }));
    const points = assemble(rows).segments[0] as SummaryPoints;
    expect([points.flags[0], points.counts[0], points.sums[0], points.quantileValues[0]]).toEqual([1, 0n, 0, 0]);
  });
});

describe("gauges and sums", () => {
  it("have the value, the time in nanoseconds and a flag when stale", () => {
    const rows = [
      { name: "a", value: 1.5 },
      { name: "b", value: Number.NaN },
      { name: "c", stale: true, value: 3 },
      { name: "d", timestampMs: 7 },
    ];
    const points = assemble(rows).segments[0] as NumberPoints;
    expect([...points.doubles]).toEqual([1.5, Number.NaN, 0, 0]);
    expect([...points.flags]).toEqual([0, 0, 1, 0]);
    expect([...points.timeUnixNano]).toEqual([time, time, time, 7_000_000n]);
    expect([...points.startTimeUnixNano]).toEqual([0n, 0n, 0n, 0n]);
  });

  it("take the start time of a counter from its _created row", () => {
    const counter = member("c", "counter", "_total", {}, 1);
    const points = assemble([counter, member("c", "counter", "_created", {}, 1000.5)]).segments[0] as NumberPoints;
    expect([...points.startTimeUnixNano]).toEqual([1_000_500_000_000n]);
  });

  it("make no point of a lone start time", () => {
    expect(assemble([member("c", "counter", "_created", {}, 1)])).toEqual({ segments: [], dropped: {} });
  });

  it("keep the first of two rows that relabeling made one series", () => {
    const rows = [
      { name: "a", value: 1 },
      { name: "a", value: 2, labels: { __scheme__: "http" } },
    ];
    const { segments, dropped } = assemble(rows);
    expect([...(segments[0] as NumberPoints).doubles]).toEqual([1]);
    expect(dropped).toEqual({ duplicate: 1 });
  });

  it("count rows without a usable bound", () => {
    expect(assemble([bucket("x", 1), count(2)]).dropped).toEqual({ malformed: 1 });
  });
});

describe("exemplars", () => {
  const exemplar = {
    labels: [
      ["trace_id", "0123456789abcdef0123456789abcdef"],
      ["Span_ID", "00000000000000ff"],
      ["k", "v"],
    ] as [string, string][],
    value: 0.5,
    timestampMs: undefined,
  };

  it("keep trace and span and take the time of the sample when they have none", () => {
    const points = assemble([{ name: "z" }, { ...member("c", "counter", "_total", {}, 1), exemplar }]).segments[0];
    expect(points?.exemplars).toEqual([
      {
        row: 1,
        filteredAttributes: new Map([["k", "v"]]),
        value: 0.5,
        timeUnixNano: time,
        traceId: Uint8Array.from(Buffer.from("0123456789abcdef0123456789abcdef", "hex")),
        spanId: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 255]),
      },
    ]);
  });

  const traceOf = (id: string) => {
    const odd = { ...exemplar, labels: [["trace_id", id]] as [string, string][] };
    const [found] =
      assemble([{ ...member("c", "counter", "_total", {}, 1), exemplar: odd }]).segments[0]?.exemplars ?? [];
    return {
      traceId: Buffer.from(found?.traceId ?? []).toString("hex"),
      kept: found?.filteredAttributes.get("trace_id"),
    };
  };

  it.each([
    ["with other characters", "x".repeat(32)],
    ["with half a byte", "012"],
  ])("keep a trace id %s as an attribute", (_, id) => {
    expect(traceOf(id)).toEqual({ traceId: "", kept: id });
  });

  it.each([
    ["that is short fills the end of the id", "0123", `${"0".repeat(28)}0123`],
    ["that is long loses its end", "ab".repeat(17), "ab".repeat(16)],
    ["of zeros is none", "0".repeat(32), ""],
    ["that is empty is none", "", ""],
  ])("a trace id %s", (_, id, traceId) => {
    expect(traceOf(id)).toEqual({ traceId, kept: undefined });
  });

  it("of all buckets belong to the histogram", () => {
    const rows = [{ ...bucket("1", 1), exemplar }, { ...bucket("+Inf", 2), exemplar }, count(2)];
    expect(assemble(rows).segments[0]?.exemplars?.map(({ row }) => row)).toEqual([0, 0]);
  });
});
