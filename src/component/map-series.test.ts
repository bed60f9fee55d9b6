/** A function of a series as a processor: on samples and on points, once per series, remembered per layout. */

import { describe, expect, test } from "vitest";
import {
  type MetricsBatch,
  metricsBatch,
  type NumberPoints,
  type SamplesSegment,
  sliceSamples,
} from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import { PointsLayout } from "../model/layout.ts";
import type { Metric, Series } from "../model/series.ts";
import { buildSamples, type SampleRow } from "../testing/build-samples.ts";
import { createMetricsSink } from "../testing/sink.ts";
import { mapSeries, type SeriesFunction } from "./map-series.ts";

const rename: SeriesFunction = (series) => ({
  ...series,
  metric: { ...series.metric, name: `x_${series.metric.name}` },
});
const dropB: SeriesFunction = (series) => (series.metric.name.startsWith("b") ? undefined : series);

function createKit(edit: SeriesFunction) {
  const calls: string[] = [];
  const sink = createMetricsSink();
  let dropped = 0;
  const metrics = mapSeries(
    (series) => {
      calls.push(series.metric.name);
      return edit(series);
    },
    {
      dropped: (rows) => {
        dropped += rows;
      },
    },
  );
  return {
    calls,
    sink,
    get dropped() {
      return dropped;
    },
    run: async (batch: MetricsBatch) => {
      const before = sink.batches.length;
      await metrics(batch, sink);
      return sink.batches[before];
    },
  };
}

const rows: SampleRow[] = [
  { name: "a", value: 1, type: "gauge", exemplar: { labels: { t: "a" }, value: 1 } },
  { name: "b_total", value: 2, type: "counter", exemplar: { labels: { t: "b" }, value: 2 } },
  { name: "c_bucket", labels: { le: "+Inf" }, value: 3, type: "histogram", exemplar: { labels: { t: "c" }, value: 3 } },
  { name: "c_count", value: 3, type: "histogram", stale: true },
];

/** `series value` of the rows of a samples batch, with the exemplars by their values. */
function describeSamples(batch: MetricsBatch | undefined): string[] {
  return (batch?.segments ?? []).flatMap((segment) => {
    if (segment.form !== "samples") return ["points"];
    const { identities } = segment.layout;
    const reading = segment.layout.reading();
    return Array.from({ length: segment.to - segment.from }, (_, row) => {
      const { metric } = identities.seriesView(reading.series[segment.from + row] as number);
      const exemplar = segment.exemplars?.find((each) => each.row === row);
      const stale = typeof segment.stale === "boolean" ? segment.stale : segment.stale[row] === 1;
      return `${metric.name} ${stale ? "stale" : segment.values[row]}${exemplar === undefined ? "" : ` #${exemplar.value}`}`;
    });
  });
}

describe("samples", () => {
  test("are renamed, with values, staleness and exemplars at their rows", async () => {
    const kit = createKit(rename);
    expect(describeSamples(await kit.run(buildSamples(rows)))).toEqual([
      "x_a 1 #1",
      "x_b_total 2 #2",
      "x_c 3 #3",
      "x_c stale",
    ]);
    expect([kit.calls, kit.dropped]).toEqual([["a", "b_total", "c"], 0]);
  });

  test("are dropped where the function says so", async () => {
    const kit = createKit(dropB);
    const batch = buildSamples(rows);
    expect(describeSamples(await kit.run(batch))).toEqual(["a 1 #1", "c 3 #3", "c stale"]);
    expect(kit.dropped).toBe(1);
    const segment = batch.segments[0] as SamplesSegment;
    const parts = metricsBatch([sliceSamples(segment, 0, 2), sliceSamples(segment, 2, 4), sliceSamples(segment, 1, 2)]);
    expect(describeSamples(await kit.run(parts))).toEqual(["a 1 #1", "c 3 #3", "c stale"]);
    expect(kit.dropped).toBe(3);
  });

  test("that do not change are the same segment; their labels stay", async () => {
    const kit = createKit((series) => series);
    const batch = buildSamples(rows);
    expect((await kit.run(batch))?.segments[0]).toBe(batch.segments[0]);
  });

  test("rows that belong to no point are not counted as dropped", async () => {
    const kit = createKit(rename);
    await kit.run(buildSamples([...rows, { name: "target_info", labels: { v: "1" }, value: 1, type: "gauge" }]));
    expect(kit.dropped).toBe(0);
  });

  test("of one layout are mapped once", async () => {
    const kit = createKit(rename);
    const batch = buildSamples(rows);
    const first = await kit.run(batch);
    const second = await kit.run(
      metricsBatch([{ ...(batch.segments[0] as SamplesSegment), values: Float64Array.of(9, 9, 9, 9) }]),
    );
    expect(kit.calls.length).toBe(3);
    expect(second?.segments[0]?.layout).toBe(first?.segments[0]?.layout);
    expect(describeSamples(second)[0]).toBe("x_a 9 #1");
  });
});

const metric = (name: string): Metric => ({
  name,
  description: "",
  unit: "",
  type: "gauge",
  temporality: "none",
  isMonotonic: false,
  metadata: new Map(),
});

function pointsOf(names: readonly string[], from = 0, to = names.length): NumberPoints {
  const identities = new Identities();
  const noAttributes = { attributes: new Map(), schemaUrl: "", droppedAttributesCount: 0 };
  const series = names.map(
    (name): Series => ({
      resource: noAttributes,
      scope: { name: "", version: "", ...noAttributes },
      metric: metric(name),
      attributes: new Map(),
    }),
  );
  const layout = new PointsLayout(
    identities,
    Uint32Array.from(series, (each) => identities.internSeries(each)),
    3,
  );
  const doubles = Float64Array.from({ length: to - from }, (_, i) => from + i);
  return {
    form: "points",
    kind: "number",
    layout,
    from,
    to,
    timeUnixNano: new BigUint64Array(to - from).fill(7n),
    startTimeUnixNano: new BigUint64Array(to - from),
    flags: new Uint32Array(to - from),
    doubles,
    ints: new BigInt64Array(doubles.buffer),
  };
}

const describePoints = (batch: MetricsBatch | undefined) =>
  (batch?.segments ?? []).flatMap((segment) => {
    if (segment.form !== "points" || segment.kind !== "number") return ["other"];
    const { layout, from, to, doubles } = segment;
    return Array.from({ length: to - from }, (_, row) => {
      const view = layout.identities.seriesView(layout.series[from + row] as number);
      return `${view.metric.name} ${doubles[row]}`;
    });
  });

describe("points", () => {
  test("are renamed and dropped, in whole layouts and in parts of them", async () => {
    for (const [from, to, wanted] of [
      [0, 4, ["a 0", "c 2"]],
      [1, 3, ["c 2"]],
      [1, 2, []],
    ] as const) {
      const kit = createKit(dropB);
      const result = await kit.run(metricsBatch([pointsOf(["a", "b", "c", "b2"], from, to)]));
      expect(describePoints(result)).toEqual(wanted);
      expect(kit.dropped).toBe(to - from - wanted.length);
    }
    const kit = createKit(rename);
    const result = await kit.run(metricsBatch([pointsOf(["a", "b", "a"])]));
    expect([describePoints(result), kit.calls]).toEqual([
      ["x_a 0", "x_b 1", "x_a 2"],
      ["a", "b"],
    ]);
    expect(result?.segments[0]?.layout).toMatchObject({ lane: 3 });
  });

  test("a batch of which nothing is left is not handed on", async () => {
    const kit = createKit(() => undefined);
    expect(await kit.run(metricsBatch([pointsOf(["a", "b"])]))).toBeUndefined();
    expect([kit.sink.batches.length, kit.dropped]).toEqual([0, 2]);
  });
});
