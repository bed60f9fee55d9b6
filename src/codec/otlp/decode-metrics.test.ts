import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary } from "../../../test/kit/otlp-arbitrary.ts";
import { normalPoints } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import type { NumberPoints, PointsSegment } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { MetricsDecoder } from "./decode-metrics.ts";
import { MetricsEncoder } from "./encode-metrics.ts";
import { metricsSegment } from "./metrics-segment.ts";
import { resourceHash, resourceRanges } from "./request-resources.ts";
import { openRequest } from "./walk-request.ts";

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const gauge = (name: string, values: readonly number[], labels = values.map((_, i) => `p${i}`)) => ({
  name,
  gauge: {
    dataPoints: values.map((asDouble, i) => ({
      timeUnixNano: "5",
      asDouble,
      attributes: [attribute("a", labels[i] ?? ""), attribute("b", "x")],
    })),
  },
});
const requestOf = (service: string, ...metrics: object[]) => ({
  resourceMetrics: [{ resource: { attributes: [attribute("service.name", service)] }, scopeMetrics: [{ metrics }] }],
});

function setup() {
  const identities = new Identities();
  const decoder = new MetricsDecoder(identities);
  const decode = (value: object) => decoder.decode(encodeOtlp("metrics", value));
  return { identities, decoder, decode };
}

const numbers = (segments: readonly PointsSegment[]) => segments[0] as NumberPoints;

describe("MetricsDecoder", () => {
  test("a client that keeps its shape keeps its layout, whatever the values", () => {
    const { decode } = setup();
    const first = numbers(decode(requestOf("s", gauge("m", [1, 2]), gauge("n", [3]))));
    const second = numbers(decode(requestOf("s", gauge("m", [4, 5]), gauge("n", [6]))));
    expect(second.layout).toBe(first.layout);
    expect([...first.doubles]).toEqual([1, 2, 3]);
    expect([...second.doubles]).toEqual([4, 5, 6]);
  });

  test("shapes that take turns keep a layout each", () => {
    const { decode } = setup();
    const shapes = [
      requestOf("s", gauge("m", [1, 2])),
      requestOf("s", gauge("m", [1, 2, 3])),
      requestOf("s", gauge("other", [1])),
      requestOf("t", gauge("m", [1, 2])),
    ];
    const layouts = shapes.map((shape) => numbers(decode(shape)).layout);
    expect(new Set(layouts).size).toBe(4);
    for (let i = 0; i < 3; i++) expect(shapes.map((shape) => numbers(decode(shape)).layout)).toEqual(layouts);
  });

  test("points that appear, vanish and change places keep their series", () => {
    const { decode, identities } = setup();
    const named = (labels: readonly string[]) => {
      const { layout } = numbers(decode(requestOf("s", gauge("m", labels.map(Number), [...labels]))));
      return new Map(labels.map((label, i) => [label, layout.series[i] as number]));
    };
    const first = named(["1", "2", "3", "4"]);
    for (const labels of [
      ["2", "3", "4"],
      ["1", "5", "2", "3"],
      ["4", "3", "2", "1"],
    ]) {
      for (const [label, series] of named(labels)) {
        if (first.has(label)) expect(series).toBe(first.get(label));
        expect(identities.seriesView(series).attributes.get("a")).toBe(label);
      }
    }
  });

  test("attributes in another order are the same series", () => {
    const { decode } = setup();
    const point = (attributes: object[]) =>
      requestOf("s", { name: "m", gauge: { dataPoints: [{ asInt: "1", attributes }] } });
    const first = numbers(decode(point([attribute("a", "1"), attribute("b", "2")])));
    const second = numbers(decode(point([attribute("b", "2"), attribute("a", "1")])));
    expect(second.layout).toBe(first.layout);
  });

  test("a resource is in the lane in which its unopened request is", () => {
    const { decoder, identities } = setup();
    const bytes = encodeOtlp("metrics", requestOf("s", gauge("m", [1])));
    const [range] = resourceRanges(bytes);
    const { layout } = numbers(decoder.decode(bytes));
    expect(layout.lane).toBe(resourceHash(identities.hashKey, bytes, range?.start ?? 0, range?.to ?? 0));
  });

  test("the bits of NaNs, minus zero and integers beyond 2^53 are kept", () => {
    const bits = [0x7ff0000000000002n, 0xfff8000000001234n, 0x8000000000000000n, 0x7ff0000000000001n];
    const bytes = Buffer.from(encodeOtlp("metrics", requestOf("s", gauge("m", [1.5, 1.5, 1.5, 1.5]))));
    const marker = Buffer.alloc(8);
    marker.writeDoubleLE(1.5);
    for (const value of bits) bytes.writeBigUInt64LE(value, bytes.indexOf(marker));
    const { decoder } = setup();
    for (let i = 0; i < 2; i++) {
      const segments = decoder.decode(bytes);
      expect([...numbers(segments).ints].map((value) => BigInt.asUintN(64, value))).toEqual(bits);
      const encoded = new MetricsEncoder().encode(segments);
      expect([...numbers(decoder.decode(encoded.bytes)).ints]).toEqual([...numbers(segments).ints]);
    }
  });

  test("a sweep between requests changes nothing but the numbers", () => {
    const { decode, decoder, identities } = setup();
    const encoder = new MetricsEncoder();
    const requests = [requestOf("s", gauge("m", [1, 2])), requestOf("t", gauge("n", [3], ["q"]), gauge("m", [1]))];
    for (let round = 0; round < 4; round++) {
      for (const value of requests) {
        decode(requestOf(`passing ${round}`, gauge(`passing ${round}`, [1], [`passing ${round}`])));
        const bytes = encodeOtlp("metrics", value);
        const encoded = encoder.encode(decoder.decode(bytes));
        expect(normalPoints(decodeOtlp("metrics", encoded.bytes))).toEqual(normalPoints(decodeOtlp("metrics", bytes)));
        identities.sweep(true);
      }
    }
  });

  test("clients that are gone are forgotten, those that still send keep their layouts", () => {
    const { decode, decoder, identities } = setup();
    const staying = requestOf("stays", gauge("m", [1, 2]));
    const { layout } = numbers(decode(staying));
    for (let i = 0; i < 50; i++)
      decode(
        requestOf(
          `pod ${i}`,
          gauge(
            "m",
            Array.from({ length: 100 }, () => 1),
          ),
        ),
      );
    const before = decoder.byteLength;
    for (let round = 0; round < 2; round++) {
      identities.sweep(true);
      expect(numbers(decode(staying)).layout).toBe(layout);
    }
    expect(decoder.byteLength).toBeLessThan(before - 50 * 100 * 4 + 1);
  });

  test("a request that refers to the last one in no way is decoded as if it were the first", () => {
    const { decoder } = setup();
    const encoder = new MetricsEncoder();
    fc.assert(
      fc.property(requestArbitrary("metrics", 2), requestArbitrary("metrics", 2), (one, other) => {
        for (const value of [one, other, one, { resourceMetrics: [...list(other), ...list(one)] }]) {
          const bytes = encodeOtlp("metrics", value);
          const again = encoder.encode(decoder.decode(bytes)).bytes;
          expect(normalPoints(decodeOtlp("metrics", again))).toEqual(normalPoints(decodeOtlp("metrics", bytes)));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("an unopened segment is decoded once, when it is opened", () => {
    const { decoder } = setup();
    const request = openRequest("metrics", encodeOtlp("metrics", requestOf("s", gauge("m", [1, 2, 3]))));
    const segment = metricsSegment(request, decoder);
    expect([segment.from, segment.to]).toEqual([0, 3]);
    expect(segment.open()).toBe(segment.open());
    expect(segment.open()[0]?.to).toBe(3);
  });
});

describe("MetricsEncoder", () => {
  test("kinds of a resource come together under one head", () => {
    const { decode } = setup();
    const bytes = encodeOtlp(
      "metrics",
      requestOf("s", gauge("m", [1]), {
        name: "h",
        histogram: { aggregationTemporality: 2, dataPoints: [{ count: "1", bucketCounts: ["1"] }] },
      }),
    );
    const encoded = new MetricsEncoder().encode(setup().decoder.decode(bytes));
    const { resourceMetrics } = decodeOtlp("metrics", encoded.bytes) as {
      resourceMetrics: { scopeMetrics: { metrics: unknown[] }[] }[];
    };
    expect(resourceMetrics.map(({ scopeMetrics }) => scopeMetrics.map(({ metrics }) => metrics.length))).toEqual([[2]]);
    expect(decode({})).toEqual([]);
  });

  test("rows of a part of a layout are written, and no empty heads", () => {
    const { decode } = setup();
    const segment = numbers(decode(requestOf("s", gauge("m", [1, 2, 3]), gauge("n", [4, 5]))));
    const part: NumberPoints = {
      ...segment,
      from: 1,
      to: 3,
      doubles: segment.doubles.subarray(1, 3),
      ints: segment.ints.subarray(1, 3),
      timeUnixNano: segment.timeUnixNano.subarray(1, 3),
      startTimeUnixNano: segment.startTimeUnixNano.subarray(1, 3),
      flags: segment.flags.subarray(1, 3),
    };
    const encoded = new MetricsEncoder().encode([part]);
    expect(encoded.items).toBe(2);
    const expected = encodeOtlp("metrics", requestOf("s", gauge("m", [2, 3], ["p1", "p2"])));
    expect(normalPoints(decodeOtlp("metrics", encoded.bytes))).toEqual(normalPoints(decodeOtlp("metrics", expected)));
  });

  test("unopened segments are joined as the bytes they are", () => {
    const { decoder, decode } = setup();
    const request = openRequest("metrics", encodeOtlp("metrics", requestOf("s", gauge("m", [1]))));
    const encoder = new MetricsEncoder();
    expect(encoder.encode([metricsSegment(request, decoder)])).toBe(request);
    const both = encoder.encode([metricsSegment(request, decoder), ...decode(requestOf("t", gauge("m", [2])))]);
    expect(both.items).toBe(2);
    expect(list(decodeOtlp("metrics", both.bytes))).toHaveLength(2);
  });

  test("attributes whose bytes look like NaNs are copied exactly", () => {
    const { decoder } = setup();
    const attributes = [
      { key: "d", value: { doubleValue: Number.NaN } },
      { key: "e", value: { doubleValue: Number.POSITIVE_INFINITY } },
      { key: "f", value: { bytesValue: Buffer.alloc(40, 0xff).toString("base64") } },
    ];
    const bytes = encodeOtlp(
      "metrics",
      requestOf("s", { name: "m", gauge: { dataPoints: [{ asInt: "1", attributes }] } }),
    );
    const encoded = new MetricsEncoder().encode(decoder.decode(bytes));
    // The request ends with the attributes.
    expect(Buffer.from(encoded.bytes).includes(Buffer.from(bytes.subarray(-90)))).toBe(true);
  });
});

function list(request: object): object[] {
  return (request as { resourceMetrics?: object[] }).resourceMetrics ?? [];
}
