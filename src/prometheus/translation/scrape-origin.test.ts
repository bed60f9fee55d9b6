import { describe, expect, it } from "vitest";
import { metricsBatch, type SamplesSegment } from "../../model/batch.ts";
import { SamplesLayout } from "../../model/layout.ts";
import type { Series } from "../../model/series.ts";
import { createRemoteWriteTranslator } from "./remote-write-translator.ts";
import { describeRows, member, type PageRow, testOrigin, testSegment } from "./test-page.ts";

function seriesOf(segment: SamplesSegment): (Series | undefined)[] {
  const { identities } = segment.layout;
  return Array.from(segment.layout.reading().series, (id) => (id === 0 ? undefined : identities.seriesView(id)));
}

function only(row: PageRow): Series {
  return seriesOf(testSegment([row]))[0] as Series;
}

describe("resource", () => {
  it("comes from the job and instance of the row, else from those of the target", () => {
    const series = seriesOf(
      testSegment([
        { name: "a" },
        { name: "a", labels: { job: "other" } },
        { name: "a", labels: { job: "", instance: "i:1" } },
      ]),
    );
    expect(
      series.map((one) => [
        one?.resource.attributes.get("service.name"),
        one?.resource.attributes.get("service.instance.id"),
      ]),
    ).toEqual([
      ["node", "example.org:9100"],
      ["other", "example.org:9100"],
      ["node", "i:1"],
    ]);
  });

  it("takes the labels of target_info with the same job and instance, wherever the row stands", () => {
    const [first, , other] = seriesOf(
      testSegment([
        { name: "a" },
        { name: "target_info", labels: { os: "linux", "service.name": "named", empty: "" } },
        { name: "a", labels: { job: "other" } },
      ]),
    );
    expect(Object.fromEntries(first?.resource.attributes ?? [])).toMatchObject({
      os: "linux",
      "service.name": "named",
    });
    expect(other?.resource.attributes.has("os")).toBe(false);
  });

  it("keeps what it was taught of target_info for layouts without it", () => {
    const origin = testOrigin();
    const page = testSegment([{ name: "a" }, { name: "target_info", labels: { os: "linux" } }], origin);
    expect(origin.learn(page.layout)).toBe(true);
    expect(origin.learn(page.layout)).toBe(false);
    const [up] = seriesOf(testSegment([{ name: "up" }], origin));
    expect(up?.resource).toEqual(seriesOf(page)[0]?.resource);
    expect(origin.learn(testSegment([{ name: "a" }], origin).layout)).toBe(true);
    expect(seriesOf(testSegment([{ name: "up" }], origin))[0]?.resource.attributes.has("os")).toBe(false);
  });

  it("reports rows that have neither a job nor a target with one", () => {
    const origin = testOrigin({ targetLabels: [["instance", "i"]] });
    const withJob = testSegment([{ name: "a" }, { name: "target_info", labels: { job: "" } }], origin);
    const without = testSegment([{ name: "a", labels: { job: "" } }], origin);
    expect(origin.problem(withJob.layout)).toBeUndefined();
    expect(origin.problem(without.layout)).toBe("job or instance cannot be found from labels");
    expect(seriesOf(without)).toEqual([undefined]);
  });
});

describe("scope", () => {
  it("is the receiver's for rows without scope labels", () => {
    expect(only({ name: "a" }).scope).toMatchObject({ name: "scraper", version: "1.2.3", schemaUrl: "" });
  });

  it("comes from otel_scope labels, which leave the point", () => {
    const series = only({
      name: "a",
      labels: { otel_scope_name: "n", otel_scope_version: "v", otel_scope_schema_url: "u", otel_scope_k: "x", b: "c" },
    });
    expect(series.scope).toMatchObject({ name: "n", version: "v", schemaUrl: "u" });
    expect([...series.scope.attributes]).toEqual([["k", "x"]]);
    expect([...series.attributes]).toEqual([["b", "c"]]);
  });
});

describe("otel_scope_info", () => {
  const scoped = (labels: Record<string, string> = {}): PageRow => ({
    name: "a",
    labels: { otel_scope_name: "n", otel_scope_version: "v", ...labels },
  });
  const info = (labels: Record<string, string> = {}): PageRow => ({
    name: "otel_scope_info",
    labels: { otel_scope_name: "n", otel_scope_version: "v", mascot: "bear", ...labels },
  });
  const attributesOf = (rows: readonly PageRow[]) =>
    seriesOf(testSegment(rows)).map((one) =>
      one === undefined ? undefined : Object.fromEntries(one.scope.attributes),
    );

  it.each<[string, PageRow[], unknown[]]>([
    ["is no metric, and its labels are the scope's", [info(), scoped()], [undefined, { mascot: "bear" }]],
    ["counts wherever it stands", [scoped(), info()], [{ mascot: "bear" }, undefined]],
    ["leaves another version alone", [info({ otel_scope_version: "w" }), scoped()], [undefined, {}]],
    ["leaves the scope of another job alone", [info({ job: "other" }), scoped()], [undefined, {}]],
    ["leaves a scope with attributes alone", [info(), scoped({ otel_scope_k: "x" })], [undefined, { k: "x" }]],
    ["leaves rows without a scope alone", [{ ...info(), labels: { mascot: "bear" } }, { name: "a" }], [undefined, {}]],
    [
      "is the last one of its scope",
      [info(), info({ mascot: "cat" }), scoped()],
      [undefined, undefined, { mascot: "cat" }],
    ],
  ])("%s", (_, rows, expected) => {
    expect(attributesOf(rows)).toEqual(expected);
  });

  it("is remembered for layouts without it", () => {
    const origin = testOrigin();
    const page = testSegment([scoped(), info()], origin);
    expect(origin.learn(page.layout)).toBe(true);
    expect(origin.learn(page.layout)).toBe(false);
    expect(seriesOf(testSegment([scoped()], origin))[0]?.scope).toEqual(seriesOf(page)[0]?.scope);
  });
});

describe("attributes", () => {
  it("are all labels but those that have become something else", () => {
    const labels = { b: "1", a: "2", le: "3", quantile: "4", __scheme__: "x", __metrics_path__: "/m", __param_q: "5" };
    expect([...only({ name: "a", labels }).attributes]).toEqual([
      ["__param_q", "5"],
      ["a", "2"],
      ["b", "1"],
      ["le", "3"],
      ["quantile", "4"],
    ]);
  });

  it("lack the bound of their own type only", () => {
    const histogram = member("h", "histogram", "_bucket", { le: "1", quantile: "2" }, 1);
    const summary = member("s", "summary", "", { le: "1", quantile: "2" }, 1);
    expect([...only(histogram).attributes]).toEqual([["quantile", "2"]]);
    expect([...only(summary).attributes]).toEqual([["le", "1"]]);
  });

  it("are numbered as a series with the same attributes is", () => {
    const segment = testSegment([
      { name: "a", labels: { "\uffff": "1", "\u{1f600}": "2", "\u00e9": "3", Z: "4", a: "5" } },
    ]);
    const { identities } = segment.layout;
    const id = segment.layout.reading().series[0] as number;
    expect(identities.internSeries(identities.seriesView(id))).toBe(id);
  });
});

describe("metric", () => {
  it("has help, UCUM unit and the declared type", () => {
    const family = { name: "a_bytes", type: "gauge", help: "How much.", unit: "bytes" } as const;
    expect(only({ name: "a_bytes", family: { ...family, exposedName: "a_bytes" } }).metric).toEqual({
      name: "a_bytes",
      description: "How much.",
      unit: "By",
      type: "gauge",
      temporality: "none",
      isMonotonic: false,
      metadata: new Map([["prometheus.type", "gauge"]]),
    });
  });

  it("has the Collector's words for what a scrape reports", () => {
    const { metric } = only({ name: "scrape_duration_seconds" });
    expect([metric.description, metric.unit, metric.metadata.get("prometheus.type")]).toEqual([
      "Duration of the scrape",
      "s",
      "gauge",
    ]);
  });

  it("loses its suffixes when asked to", () => {
    const origin = testOrigin({ trimMetricSuffixes: true });
    const family = { name: "a_seconds", exposedName: "a_seconds_total", type: "counter", unit: "seconds" } as const;
    expect(seriesOf(testSegment([{ name: "a_seconds_total", family }], origin))[0]?.metric.name).toBe("a");
  });
});

describe("stale markers", () => {
  it("of rows without a family name the series that the page made of them", () => {
    const origin = testOrigin();
    const rows = [
      member("c", "counter", "", {}, 1),
      member("h", "histogram", "_bucket", { le: "1.0" }, 1),
      member("h", "histogram", "_sum", {}, 1),
      member("h", "histogram", "_count", {}, 1),
    ];
    const page = testSegment(rows, origin);
    const { identities } = origin;
    const translator = createRemoteWriteTranslator(
      {
        namespace: "",
        externalLabels: {},
        translationStrategy: "",
        addMetricSuffixes: true,
        disableScopeInfo: true,
        resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
        targetInfo: false,
      },
      identities,
    );
    const sent = describeRows(translator.translate(metricsBatch([page])).batch.segments);
    const layout = new SamplesLayout(identities, { labels: page.layout.labels as Uint32Array }, origin);
    const markers = describeRows(translator.translate(metricsBatch([{ ...page, layout, stale: true }])).batch.segments);
    expect(markers).toEqual(sent.map((row) => row.replace(/ \S+$/, " stale")));
  });
});
