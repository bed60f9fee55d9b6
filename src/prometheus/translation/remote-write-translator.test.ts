import { describe, expect, it } from "vitest";
import type { Attributes } from "../../model/attributes.ts";
import { type HistogramPoints, metricsBatch, type NumberPoints, type OpenSegment } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { PointsLayout } from "../../model/layout.ts";
import type { Metric } from "../../model/series.ts";
import { createRemoteWriteTranslator, type RemoteWriteTranslatorOptions } from "./remote-write-translator.ts";
import { describeRows, member, type PageRow, testSegment } from "./test-page.ts";

const plain: RemoteWriteTranslatorOptions = {
  namespace: "",
  externalLabels: {},
  translationStrategy: "",
  addMetricSuffixes: true,
  disableScopeInfo: true,
  resourceToTelemetry: { enabled: false, excludeServiceAttributes: false },
  targetInfo: false,
};

function translate(segments: readonly OpenSegment[], options: Partial<RemoteWriteTranslatorOptions> = {}) {
  const identities = segments[0]?.layout.identities ?? new Identities();
  const { batch, dropped } = createRemoteWriteTranslator({ ...plain, ...options }, identities).translate(
    metricsBatch(segments),
  );
  return { rows: describeRows(batch.segments), dropped: Object.fromEntries(dropped) };
}

const page = (rows: readonly PageRow[], options: Partial<RemoteWriteTranslatorOptions> = {}) =>
  translate([testSegment(rows)], options);

const target = 'instance="example.org:9100",job="node"';

/** Number points of one metric, one for each set of attributes. */
function numbers(
  metric: Partial<Metric>,
  attributes: readonly Attributes[],
  change: Partial<NumberPoints> = {},
  resource: Attributes = new Map([["service.name", "s"]]),
): NumberPoints {
  const identities = change.layout?.identities ?? new Identities();
  const series = attributes.map((one) =>
    identities.internSeries({
      resource: { attributes: resource, schemaUrl: "", droppedAttributesCount: 0 },
      scope: { name: "", version: "", attributes: new Map(), schemaUrl: "", droppedAttributesCount: 0 },
      metric: {
        name: "m",
        description: "",
        unit: "",
        type: "gauge",
        temporality: "none",
        isMonotonic: false,
        metadata: new Map(),
        ...metric,
      },
      attributes: one,
    }),
  );
  const ints = BigInt64Array.from(series, () => 0n);
  const doubles = new Float64Array(ints.buffer);
  for (let row = 0; row < doubles.length; row++) doubles[row] = row + 1;
  return {
    form: "points",
    kind: "number",
    layout: new PointsLayout(identities, Uint32Array.from(series), 1),
    from: 0,
    to: series.length,
    timeUnixNano: BigUint64Array.from(series, () => 1_700_000_000_123_999_999n),
    startTimeUnixNano: new BigUint64Array(series.length),
    flags: new Uint32Array(series.length),
    doubles,
    ints,
    ...change,
  };
}

describe("names and labels", () => {
  it("adds suffixes, namespace and scope labels", () => {
    const rows = [
      { ...member("c", "counter", "", { b: "x" }, 1), family: { name: "c", type: "counter", unit: "bytes" } as const },
    ];
    expect(page(rows, { namespace: "ns", disableScopeInfo: false }).rows).toEqual([
      `ns_c_bytes_total{b="x",${target},otel_scope_name="scraper",otel_scope_version="1.2.3"} 1`,
    ]);
    expect(page(rows, { addMetricSuffixes: false }).rows).toEqual([`c{b="x",${target}} 1`]);
    expect(
      page(rows, { addMetricSuffixes: false, translationStrategy: "UnderscoreEscapingWithSuffixes" }).rows,
    ).toEqual([`c_bytes_total{b="x",${target}} 1`]);
  });

  it("joins the values of keys that become one label, unless they are equal", () => {
    const rows = [{ name: "m", labels: { "a.b": "c", a_b: "d", a__b: "c" } }];
    expect(page(rows).rows).toEqual([`m{a_b="c;d",${target}} 0`]);
  });

  it("adds external labels under their sanitised names where the series has none", () => {
    const externalLabels = { "a.b": "e", _x: "1", __replica__: "r", c: "f" };
    expect(page([{ name: "m", labels: { a_b: "own" } }], { externalLabels }).rows).toEqual([
      `m{__replica__="r",a_b="own",c="f",${target},key_x="1"} 0`,
    ]);
  });

  it("copies resource attributes to series when asked to", () => {
    const labels = { service_name: "own", "server.port": "1" };
    const resourceToTelemetry = { enabled: true, excludeServiceAttributes: false };
    const all =
      'server_address="example.org",server_port="9100",service_instance_id="example.org:9100",service_name="node;own",url_scheme="http"';
    expect(page([{ name: "m", labels }], { resourceToTelemetry }).rows).toEqual([`m{${target},${all}} 0`]);
    expect(
      page([{ name: "m", labels }], { resourceToTelemetry: { ...resourceToTelemetry, excludeServiceAttributes: true } })
        .rows,
    ).toEqual([`m{${target},server_address="example.org",server_port="9100",service_name="own",url_scheme="http"} 0`]);
  });

  it("makes job of namespace and name, and text of attributes of every kind", () => {
    const resource: Attributes = new Map([
      ["service.namespace", "n"],
      ["service.name", "s"],
    ]);
    const attributes: Attributes = new Map<string, Attributes | string | number | bigint | boolean | Uint8Array>([
      ["b", true],
      ["d", 1.5],
      ["i", 9007199254740993n],
      ["job", "own"],
      ["x", Uint8Array.of(1)],
      ["e", ""],
    ]);
    expect(translate([numbers({}, [attributes], {}, resource)]).rows).toEqual([
      'm{b="true",d="1.5",i="9007199254740993",job="n/s",x="AQ=="} 1',
    ]);
  });

  it("drops points that cannot be named, and counts them", () => {
    expect(translate([numbers({ name: "..." }, [new Map()])])).toEqual({ rows: [], dropped: { name: 1 } });
    expect(translate([numbers({}, [new Map([["", "x"]]), new Map()])])).toEqual({
      rows: ['m{job="s"} 2'],
      dropped: { label: 1 },
    });
    expect(page([{ name: "m", labels: { ____: "x" } }])).toEqual({ rows: [], dropped: { label: 1 } });
  });

  it("counts rows that another row of their family took the place of", () => {
    const rows = ["", "_sum", "_total"].map((suffix, i) => member("g", "gauge", suffix, {}, i));
    expect(page(rows)).toEqual({ rows: [`g{${target}} 2`], dropped: { replaced: 2 } });
  });

  it("sends the first of two series with the same labels", () => {
    const rows = [member("a", "counter", "", {}, 1), member("a_total", "gauge", "", {}, 2)];
    expect(page(rows)).toEqual({ rows: [`a_total{${target}} 1`], dropped: { duplicate: 1 } });
  });
});

describe("histograms and summaries of scraped rows", () => {
  const bucket = (le: string, value: number) => member("h", "histogram", "_bucket", { le }, value);
  const count = (value: number) => member("h", "histogram", "_count", {}, value);
  const sum = (value: number) => member("h", "histogram", "_sum", {}, value);
  const le = (bound: string) => `h_bucket{${target},le="${bound}"}`;

  it("writes bounds without an exponent and +Inf as the count", () => {
    expect(page([bucket("1e-07", 1), bucket("1e+06", 2), bucket("+Inf", 99), sum(1), count(3)]).rows).toEqual([
      `${le("0.0000001")} 1`,
      `${le("1000000")} 2`,
      `h_sum{${target}} 1`,
      `h_count{${target}} 3`,
      `${le("+Inf")} 3`,
    ]);
  });

  it("adds the +Inf bucket that a page lacks", () => {
    expect(page([count(3)]).rows).toEqual([`h_count{${target}} 3`, `${le("+Inf")} 3`]);
  });

  it("adds the sum that a summary lacks", () => {
    const rows = [member("s", "summary", "", { quantile: "0.50" }, 2), member("s", "summary", "_count", {}, 1.5)];
    expect(page(rows).rows).toEqual([`s{${target},quantile="0.5"} 2`, `s_count{${target}} 1`, `s_sum{${target}} 0`]);
  });

  it.each<[string, PageRow[], Record<string, number>]>([
    ["without a count", [bucket("1", 1), bucket("+Inf", 1), sum(1)], { incomplete: 1 }],
  ])("drops a histogram %s and keeps its neighbours", (_, rows, dropped) => {
    expect(page([{ name: "a" }, ...rows, { name: "z" }])).toEqual({
      rows: [`a{${target}} 0`, `z{${target}} 0`],
      dropped,
    });
  });

  it.each<[string, PageRow[], string[]]>([
    [
      "falling buckets",
      [bucket("1", 2), bucket("2", 1), count(3)],
      [`${le("1")} 2`, `${le("2")} 1`, `h_count{${target}} 3`, `${le("+Inf")} 3`],
    ],
    [
      "a negative bucket",
      [bucket("1", -2), count(3)],
      [`${le("1")} ${2 ** 64}`, `h_count{${target}} 3`, `${le("+Inf")} 3`],
    ],
    [
      "a count that is not a number",
      [count(Number.NaN)],
      [`h_count{${target}} ${2 ** 63}`, `${le("+Inf")} ${2 ** 63}`],
    ],
    ["a negative count", [count(-0.5)], [`h_count{${target}} 0`, `${le("+Inf")} 0`]],
  ])("sends of a histogram with %s what its whole counts add up to", (_, rows, expected) => {
    expect(page(rows)).toEqual({ rows: expected, dropped: {} });
  });

  it("marks every part stale, the sum among them", () => {
    const stale = [bucket("1", 1), sum(1), count(2)].map((row) => ({ ...row, stale: true }));
    const markers = [`${le("1")} stale`, `h_sum{${target}} stale`, `h_count{${target}} stale`, `${le("+Inf")} stale`];
    expect(page(stale).rows).toEqual(markers);
    expect(page([...stale, { name: "z" }]).rows).toEqual([...markers, `z{${target}} 0`]);
  });

  it("marks a bucket that left a histogram which goes on", () => {
    const rows = [{ ...bucket("1", 1), stale: true }, bucket("2", 1), count(2)];
    expect(page(rows).rows).toEqual([`${le("1")} stale`, `${le("2")} 1`, `h_count{${target}} 2`, `${le("+Inf")} 2`]);
  });

  it("marks a bucket that comes without its count", () => {
    expect(page([{ ...bucket("1", 1), stale: true }, { name: "z" }])).toEqual({
      rows: [`${le("1")} stale`, `z{${target}} 0`],
      dropped: {},
    });
  });

  it("refuses parts of another time than the first", () => {
    const rows = [bucket("1", 1), { ...bucket("2", 2), timestampMs: 5 }, count(2)];
    expect(page(rows)).toEqual({
      rows: [`${le("1")} 1`, `h_count{${target}} 2`, `${le("+Inf")} 2`],
      dropped: { timestamp: 1 },
    });
  });

  it("keeps the layout from one scrape to the next", () => {
    const segment = testSegment([bucket("1", 1), count(2)]);
    const translator = createRemoteWriteTranslator(plain, segment.layout.identities);
    const layouts = [1, 2].map(() => translator.translate(metricsBatch([segment])).batch.segments[0]?.layout);
    expect(layouts[0]).toBe(layouts[1]);
  });
});

describe("points", () => {
  it("sends integers as doubles and times in whole milliseconds", () => {
    const points = numbers({}, [new Map()], { isInt: Uint8Array.of(1) });
    points.ints[0] = -7n;
    expect(translate([points]).rows).toEqual(['m{job="s"} -7']);
  });

  it("marks points without a value stale", () => {
    expect(translate([numbers({}, [new Map()], { flags: Uint32Array.of(1) })]).rows).toEqual(['m{job="s"} stale']);
  });

  it.each(["delta", "unspecified"] as const)("drops sums of %s temporality", (temporality) => {
    const points = numbers({ type: "sum", temporality, isMonotonic: true }, [new Map()]);
    expect(translate([points])).toEqual({ rows: [], dropped: { temporality: 1 } });
  });

  it("keeps one sample of each labels and time", () => {
    const times = BigUint64Array.of(5_000_000n, 5_999_999n, 6_000_000n);
    const points = numbers({}, [new Map(), new Map(), new Map()], { timeUnixNano: times });
    expect(translate([points])).toEqual({ rows: ['m{job="s"} 1@5', 'm{job="s"} 3@6'], dropped: { duplicate: 1 } });
  });

  it("counts the buckets of a histogram up and leaves out a sum that is not there", () => {
    const { layout, ...rest } = numbers({ type: "histogram", temporality: "cumulative" }, [new Map()]);
    const points: HistogramPoints = {
      ...rest,
      layout,
      kind: "histogram",
      counts: BigUint64Array.of(10n),
      sums: Float64Array.of(Number.NaN),
      hasSum: Uint8Array.of(0),
      mins: Float64Array.of(1),
      maxs: Float64Array.of(2),
      hasMin: Uint8Array.of(1),
      hasMax: Uint8Array.of(1),
      bucketOffsets: Uint32Array.of(0, 3),
      bucketCounts: BigUint64Array.of(1n, 2n, 3n),
      boundOffsets: Uint32Array.of(0, 2),
      bounds: Float64Array.of(0.5, 1e21),
      exemplars: undefined,
    };
    expect(translate([points]).rows).toEqual([
      'm_count{job="s"} 10',
      'm_bucket{job="s",le="0.5"} 1',
      'm_bucket{job="s",le="1000000000000000000000"} 3',
      'm_bucket{job="s",le="+Inf"} 10',
    ]);
  });
});

describe("exemplars", () => {
  const exemplar = (value: number) => ({
    labels: [["trace_id", "0123456789abcdef0123456789abcdef"]] as [string, string][],
    value,
    timestampMs: 9,
  });

  it("go to the first bucket that holds them", () => {
    const rows = [
      member("h", "histogram", "_bucket", { le: "1" }, 1),
      { ...member("h", "histogram", "_bucket", { le: "2" }, 1), exemplar: exemplar(0.5) },
      { ...member("h", "histogram", "_count", {}, 2), exemplar: exemplar(3) },
    ];
    const shown = page(rows).rows.filter((row) => row.includes("#"));
    expect(shown.map((row) => row.slice(row.indexOf("le="), row.indexOf(" #")))).toEqual(['le="1"} 1', 'le="+Inf"} 2']);
  });

  it("of gauges are not sent", () => {
    expect(page([{ name: "g", exemplar: exemplar(1) }]).rows).toEqual([`g{${target}} 0`]);
  });

  it("are sent without their attributes when those are too long", () => {
    const labels = [...exemplar(1).labels, ["k", "v".repeat(128)]] as [string, string][];
    const { rows } = page([{ ...member("c", "counter", "_total", {}, 1), exemplar: { ...exemplar(1), labels } }]);
    expect(rows).toEqual([
      `c_total{${target}} 1 # {"labels":[["trace_id","0123456789abcdef0123456789abcdef"]],"value":1,"timestampMs":9}`,
    ]);
  });
});

describe("target_info", () => {
  const info = 'server_address="example.org",server_port="9100",url_scheme="http"';

  it("is sent once for each resource, at the newest time of its points", () => {
    const rows = [
      { name: "a", timestampMs: 5 },
      { name: "a", labels: { job: "other" }, timestampMs: 7 },
      { name: "b", timestampMs: 6 },
    ];
    const all = page(rows, { targetInfo: true, namespace: "ns" }).rows.filter((row) => row.includes("target_info"));
    expect(all).toEqual([
      `ns_target_info{${target},${info}} 1@6`,
      `ns_target_info{${target.replace("node", "other")},${info}} 1@7`,
    ]);
  });

  it("is sent once for a batch of several segments", () => {
    const segment = testSegment([{ name: "a" }]);
    const { rows } = translate([segment, { ...segment, timestampMs: segment.timestampMs + 1 }], { targetInfo: true });
    expect(rows.filter((row) => row.startsWith("target_info"))).toEqual([
      `target_info{${target},${info}} 1@${segment.timestampMs + 1}`,
    ]);
  });

  it("has labels named by its own rules, and external labels by those of series", () => {
    const rows = [{ name: "a" }, { name: "target_info", labels: { a__b: "1", _c: "2", "9d": "3" } }];
    const { rows: sent } = page(rows, { targetInfo: true, externalLabels: { _x: "y" } });
    expect(sent).toContain(`target_info{_c="2",a__b="1",${target},key_9d="3",key_x="y",${info}} 1`);
  });

  it.each<[string, Attributes]>([
    ["says nothing but which service it is", new Map([["service.name", "s"]])],
    ["has neither job nor instance", new Map([["k", "v"]])],
  ])("is not sent for a resource that %s", (_, resource) => {
    const { rows } = translate([numbers({}, [new Map()], {}, resource)], { targetInfo: true });
    expect(rows.filter((row) => row.startsWith("target_info"))).toEqual([]);
  });
});

describe("metadata", () => {
  it("names each family once with its Prometheus type, help and unit", () => {
    const family = (name: string, type: "counter" | "histogram", exposedName = name) => ({
      name,
      exposedName,
      type,
      help: "Help.",
      unit: "seconds",
    });
    const segment = testSegment([
      { name: "c_total", family: family("c", "counter", "c_total") },
      { name: "h_sum", family: family("h", "histogram", "h_sum") },
      { name: "h_count", family: family("h", "histogram", "h_count") },
      { name: "i_info", family: { name: "i", exposedName: "i_info", type: "info" } },
      { name: "u" },
    ]);
    const translator = createRemoteWriteTranslator(plain, segment.layout.identities);
    const expected = [
      { name: "c_seconds_total", type: "counter", help: "Help.", unit: "seconds" },
      { name: "h_seconds", type: "histogram", help: "Help.", unit: "seconds" },
      { name: "i", type: "info", help: "", unit: "" },
      { name: "u", type: "unknown", help: "", unit: "" },
    ];
    expect(translator.metadata(metricsBatch([segment]))).toEqual(expected);
    const points = translator.metadata(metricsBatch(segment.layout.origin.points(segment)));
    expect(points.map(({ name }) => name).sort()).toEqual(["c_seconds_total", "h_seconds", "i", "u"]);
  });

  it("says nothing of a scraped histogram without a count, which never makes a point", () => {
    const segment = testSegment([{ name: "h_sum", family: { name: "h", exposedName: "h_sum", type: "histogram" } }]);
    const translator = createRemoteWriteTranslator(plain, segment.layout.identities);
    expect(translator.metadata(metricsBatch([segment]))).toEqual([]);
  });
});
