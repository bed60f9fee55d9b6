import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MetricsBatch } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import {
  buildExponentialHistograms,
  buildHistograms,
  buildNumbers,
  buildSummaries,
  joinBatches,
  type NumberRow,
} from "../../testing/build-points.ts";
import { sampleMetrics } from "../../testing/sample-metrics.ts";
import { attributeText } from "./attribute-text.ts";
import { encodeMetricsJson } from "./encode-metrics.ts";
import { batchPoints } from "./group-points.ts";

const time = 1_700_000_000_000_000_000n;
const encode = (batch: MetricsBatch) => encodeMetricsJson(batchPoints(batch));
/** The one metric of a batch with one. */
const onlyMetric = (batch: MetricsBatch) => JSON.parse(encode(batch)).resourceMetrics[0].scopeMetrics[0].metrics[0];

describe("encodeMetricsJson", () => {
  test("writes a request without points as an empty object", () => {
    expect(encode(buildNumbers([]))).toBe("{}");
  });

  test("groups by resource, scope and metric across segments", () => {
    const identities = new Identities();
    const rows: NumberRow[] = [
      { name: "a", value: 1, resource: { r: "1" }, attributes: { k: "x" } },
      { name: "b", value: 2, resource: { r: "2" } },
      { name: "a", value: 3, resource: { r: "1" }, attributes: { k: "y" } },
      { name: "a", value: 4, resource: { r: "1" }, scope: { name: "s", version: "1" } },
    ];
    const more = buildNumbers([{ name: "a", value: 5, resource: { r: "1" } }], { identities });
    const { resourceMetrics } = JSON.parse(encode(joinBatches(buildNumbers(rows, { identities }), more)));
    const shape = resourceMetrics.map((resource: { scopeMetrics: { metrics: { gauge: { dataPoints: [] } }[] }[] }) =>
      resource.scopeMetrics.map((scope) => scope.metrics.map((metric) => metric.gauge.dataPoints.length)),
    );
    expect(shape).toEqual([[[3], [1]], [[1]]]);
  });

  test("writes a number point byte for byte as the Collector does", () => {
    const batch = buildNumbers([
      {
        name: "requests",
        description: 'Requests "seen"',
        unit: "1",
        type: "sum",
        metadata: { "prometheus.type": "counter" },
        value: 9_007_199_254_740_993n,
        attributes: { b: true, a: "x", d: 1.5, i: 7n },
        resource: { "service.name": "api" },
        resourceSchemaUrl: "https://example.test/r",
        scope: { name: "lib", version: "2", attributes: { s: 1n }, schemaUrl: "https://example.test/s" },
        startTimeUnixNano: 5n,
      },
    ]);
    expect(encode(batch)).toBe(
      '{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]},' +
        '"scopeMetrics":[{"scope":{"name":"lib","version":"2","attributes":[{"key":"s","value":{"intValue":"1"}}]},' +
        '"metrics":[{"name":"requests","description":"Requests \\"seen\\"","unit":"1","sum":{"dataPoints":[{' +
        '"attributes":[{"key":"a","value":{"stringValue":"x"}},{"key":"b","value":{"boolValue":true}},' +
        '{"key":"d","value":{"doubleValue":1.5}},{"key":"i","value":{"intValue":"7"}}],' +
        '"startTimeUnixNano":"5","timeUnixNano":"1700000000000000000","asInt":"9007199254740993"}],' +
        '"aggregationTemporality":2,"isMonotonic":true},' +
        '"metadata":[{"key":"prometheus.type","value":{"stringValue":"counter"}}]}],' +
        '"schemaUrl":"https://example.test/s"}],"schemaUrl":"https://example.test/r"}]}',
    );
  });

  test("writes NaN and infinities as strings and keeps the sign of zero", () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0];
    const text = encode(buildNumbers(values.map((value, i) => ({ name: `m${i}`, value }))));
    expect(text.match(/"asDouble":[^}]+/g)).toEqual([
      '"asDouble":"NaN"',
      '"asDouble":"Infinity"',
      '"asDouble":"-Infinity"',
      '"asDouble":0',
      '"asDouble":-0',
    ]);
  });

  test("writes a stale point with its flag and without a value", () => {
    const point = onlyMetric(buildNumbers([{ name: "m", value: 3, flags: 1 }])).gauge.dataPoints[0];
    expect(point).toEqual({ timeUnixNano: String(time), flags: 1 });
  });

  test("writes every part of a histogram", () => {
    const row = { name: "h", bounds: [0.5, 1], buckets: [1n, 0n, 2n], sum: 4.5, min: 0.1, max: 3 };
    const exemplars = [
      { value: 0.25, traceId: "00".repeat(15) + "ff", spanId: "0102030405060708", attributes: { u: "v" } },
    ];
    expect(onlyMetric(buildHistograms([{ ...row, exemplars }])).histogram).toEqual({
      dataPoints: [
        {
          timeUnixNano: String(time),
          count: "3",
          sum: 4.5,
          bucketCounts: ["1", "0", "2"],
          explicitBounds: [0.5, 1],
          min: 0.1,
          max: 3,
          exemplars: [
            {
              filteredAttributes: [{ key: "u", value: { stringValue: "v" } }],
              timeUnixNano: String(time),
              asDouble: 0.25,
              traceId: "000000000000000000000000000000ff",
              spanId: "0102030405060708",
            },
          ],
        },
      ],
      aggregationTemporality: 2,
    });
  });

  test("writes exponential histograms and summaries", () => {
    const exponential = buildExponentialHistograms([
      { name: "e", scale: -2, zeroCount: 1n, zeroThreshold: 0.5, positive: { offset: -3, counts: [4n] }, sum: 0 },
    ]);
    expect(onlyMetric(exponential).exponentialHistogram.dataPoints[0]).toEqual({
      timeUnixNano: String(time),
      count: "5",
      sum: 0,
      scale: -2,
      zeroCount: "1",
      positive: { offset: -3, bucketCounts: ["4"] },
      negative: {},
      zeroThreshold: 0.5,
    });
    const summary = buildSummaries([
      {
        name: "s",
        count: 2n,
        sum: 3,
        quantiles: [
          [0, 1],
          [0.5, Number.NaN],
        ],
      },
    ]);
    expect(onlyMetric(summary).summary.dataPoints[0]).toEqual({
      timeUnixNano: String(time),
      count: "2",
      sum: 3,
      quantileValues: [{ value: 1 }, { quantile: 0.5, value: "NaN" }],
    });
  });
});

describe("properties", () => {
  const double = fc.double();
  const attributeValue = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      double,
      fc.constant(null),
      fc.uint8Array(),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 3 }).map((record) => new Map(Object.entries(record))),
    ),
  })).value;
  const attributes = fc.dictionary(fc.string({ minLength: 1 }), attributeValue, { maxKeys: 4 });
  const numberRow = fc.record({
    name: fc.string({ unit: "grapheme", minLength: 1 }),
    value: fc.oneof(double, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    attributes,
    timeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  });

  test("a naive decoder finds every number point with its value, time and attributes", () => {
    fc.assert(
      fc.property(fc.array(numberRow, { maxLength: 6 }), (rows) => {
        const found = decodeNumbers(encode(buildNumbers(rows as NumberRow[])));
        const expected = rows.map((row) =>
          describePoint({
            name: row.name,
            value: row.value,
            time: row.timeUnixNano,
            attributes: new Map(Object.entries(row.attributes) as [string, unknown][]),
          }),
        );
        expect(found.sort()).toEqual(expected.sort());
      }),
    );
  });

  test("a naive decoder finds buckets, bounds and statistics of every histogram", () => {
    const row = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 60n }), fc.double({ noNaN: true })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (lists) => {
        const rows = lists.map((pairs, i) => ({
          name: `h${i}`,
          buckets: pairs.map((pair) => pair[0]),
          bounds: pairs.slice(1).map((pair) => pair[1]),
          sum: pairs[0]?.[1] ?? 0,
        }));
        const { metrics } = JSON.parse(encode(buildHistograms(rows))).resourceMetrics[0].scopeMetrics[0];
        const found = metrics.map((metric: { histogram: { dataPoints: JsonHistogram[] } }) => {
          const point = metric.histogram.dataPoints[0] as JsonHistogram;
          return {
            buckets: point.bucketCounts.map(BigInt),
            bounds: (point.explicitBounds ?? []).map(Number),
            sum: Number(point.sum),
          };
        });
        expect(found).toEqual(rows.map(({ buckets, bounds, sum }) => ({ buckets, bounds, sum })));
      }),
    );
  });
});

interface JsonHistogram {
  bucketCounts: string[];
  explicitBounds?: (string | number)[];
  sum: string | number;
}

interface JsonValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string;
  doubleValue?: number | string;
  bytesValue?: string;
  arrayValue?: { values?: JsonValue[] };
  kvlistValue?: { values?: JsonKeyValue[] };
}

interface JsonKeyValue {
  key?: string;
  value: JsonValue;
}

function decodeValue(value: JsonValue): unknown {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) return BigInt(value.intValue);
  if (value.doubleValue !== undefined) return Number(value.doubleValue);
  if (value.bytesValue !== undefined) return Uint8Array.from(Buffer.from(value.bytesValue, "base64"));
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(decodeValue);
  if (value.kvlistValue !== undefined) return decodeAttributes(value.kvlistValue.values);
  return null;
}

function decodeAttributes(list: JsonKeyValue[] = []): Map<string, unknown> {
  return new Map(list.map(({ key = "", value }) => [key, decodeValue(value)]));
}

function describePoint(point: {
  name: string;
  value: unknown;
  time: bigint;
  attributes: Map<string, unknown>;
}): string {
  return JSON.stringify(point, (_key, value: unknown) => {
    if (value instanceof Map) return [...value].sort(([a], [b]) => (a < b ? -1 : 1));
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "number") return Object.is(value, -0) ? "-0" : `${value}`;
    return value;
  });
}

interface JsonPoint {
  attributes?: JsonKeyValue[];
  timeUnixNano?: string;
  asInt?: string;
  asDouble?: number | string;
}

function decodeNumbers(text: string): string[] {
  const found: string[] = [];
  for (const resource of JSON.parse(text).resourceMetrics ?? []) {
    for (const { name, gauge } of resource.scopeMetrics[0].metrics) {
      for (const point of gauge.dataPoints as JsonPoint[]) {
        found.push(
          describePoint({
            name,
            value: point.asInt === undefined ? Number(point.asDouble) : BigInt(point.asInt),
            time: BigInt(point.timeUnixNano ?? 0),
            attributes: decodeAttributes(point.attributes),
          }),
        );
      }
    }
  }
  return found;
}

describe("attributeText", () => {
  test.each([
    ["text", "text"],
    [true, "true"],
    [7n, "7"],
    [1e21, "1e+21"],
    [1e-7, "1e-7"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "-Infinity"],
    [null, ""],
    [Uint8Array.of(1, 2), "AQI="],
    [["a", 1n, null], '["a",1,null]'],
    [
      new Map([
        ["b", 1.5],
        ["a", 2],
      ]),
      '{"a":2,"b":1.5}',
    ],
  ])("writes value %# as the Collector does", (value, text) => {
    expect(attributeText(value)).toBe(text);
  });
});

test("writes every kind of point byte for byte as the file exporter of the Collector 0.155 does", () => {
  const golden = readFileSync(new URL("golden/sample.txt", import.meta.url), "utf8");
  expect(`${encode(sampleMetrics())}\n`).toBe(golden);
});
