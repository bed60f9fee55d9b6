import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary, signals } from "../../../test/kit/otlp-arbitrary.ts";
import { normalRequest } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { DecodeError } from "../../model/errors.ts";
import { openRequest } from "../otlp/walk-request.ts";
import { requestFromJson } from "./request-from-json.ts";
import { requestToJson } from "./request-to-json.ts";

const metricsJson = (point: string) =>
  Buffer.from(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[${point}]}}]}]}]}`);
const logsJson = (record: string) => Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`);

/** The one point that a text makes, as protobufjs reads it. */
function pointOf(text: string): Record<string, unknown> {
  const { bytes } = requestFromJson("metrics", metricsJson(text));
  const { resourceMetrics } = decodeOtlp("metrics", bytes) as {
    resourceMetrics: [{ scopeMetrics: [{ metrics: [{ gauge: { dataPoints: [Record<string, unknown>] } }] }] }];
  };
  return resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0];
}

function recordOf(text: string): Record<string, unknown> {
  const { bytes } = requestFromJson("logs", logsJson(text));
  const { resourceLogs } = decodeOtlp("logs", bytes) as {
    resourceLogs: [{ scopeLogs: [{ logRecords: [Record<string, unknown>] }] }];
  };
  return resourceLogs[0].scopeLogs[0].logRecords[0];
}

describe.each(signals)("OTLP/JSON of %s", (signal) => {
  test("random requests survive protobuf to JSON to protobuf, judged by protobufjs", () => {
    fc.assert(
      fc.property(requestArbitrary(signal), (value) => {
        const request = openRequest(signal, encodeOtlp(signal, value));
        const back = requestFromJson(signal, Buffer.from(requestToJson(request)));
        expect(back.items).toBe(request.items);
        expect(normalRequest(decodeOtlp(signal, back.bytes))).toEqual(normalRequest(decodeOtlp(signal, request.bytes)));
      }),
      { numRuns: propertyRuns(200) },
    );
  });
});

describe("requestFromJson", () => {
  test.each([
    ['{"timeUnixNano":"1700000000000000001"}', { timeUnixNano: "1700000000000000001" }],
    ['{"timeUnixNano":1700000000000000001}', { timeUnixNano: "1700000000000000001" }],
    ['{"timeUnixNano":18446744073709551615}', { timeUnixNano: "18446744073709551615" }],
    ['{"timeUnixNano":1.5e3}', { timeUnixNano: "1500" }],
    ['{"asInt":-9223372036854775808}', { asInt: "-9223372036854775808" }],
    ['{"asInt":"9007199254740993"}', { asInt: "9007199254740993" }],
    ['{"asDouble":"NaN"}', { asDouble: Number.NaN }],
    ['{"asDouble":"-Infinity"}', { asDouble: Number.NEGATIVE_INFINITY }],
    ['{"asDouble":"1.5"}', { asDouble: 1.5 }],
    ['{"asDouble":-0}', { asDouble: -0 }],
    ['{"asDouble":null,"flags":null}', {}],
    ['{"as_double":1,"unknown":{"a":[1,{"b":null}]},"flags":1}', { flags: 1 }],
    [
      '{"attributes":[{"key":"\\u00e9\\n","value":{"bytesValue":"AQI="}}]}',
      { attributes: [{ key: "\u00e9\n", value: { bytesValue: Buffer.from([1, 2]).toString("base64") } }] },
    ],
    [
      '{"exemplars":[{"traceId":"0102030405060708090A0b0c0d0e0f10","asInt":1}]}',
      {
        exemplars: [{ asInt: "1", traceId: Buffer.from("0102030405060708090a0b0c0d0e0f10", "hex").toString("base64") }],
      },
    ],
  ])("reads %s", (text, point) => {
    expect(pointOf(text)).toEqual(point);
  });

  test("reads enums as integers only", () => {
    expect(recordOf('{"severityNumber":9}')).toEqual({ severityNumber: 9 });
    expect(() => recordOf('{"severityNumber":"SEVERITY_NUMBER_INFO"}')).toThrow(/integer for the enum severityNumber/);
  });

  test.each([
    ["[]", "expected an object"],
    ["", "unexpected end"],
    ["{", "expected a key"],
    ["{} x", "behind the value"],
    ['{"a":1,}', "expected a key"],
    ['{"a":[1,]}', "unexpected character"],
    ['{"a":01}', "invalid number"],
    ['{"a":"\u0001"}', "control character"],
    ['{"a":"\\x"}', "invalid escape"],
    ['{"a":"', "without its end"],
    ['{"resourceMetrics":{}}', "expected an array"],
    ['{"resourceMetrics":[null]}', "expected an object"],
    [metricsJson('{"timeUnixNano":-1}').toString(), "timeUnixNano is no fixed64"],
    [metricsJson('{"timeUnixNano":18446744073709551616}').toString(), "timeUnixNano is no fixed64"],
    [metricsJson('{"timeUnixNano":1.5}').toString(), "timeUnixNano is no fixed64"],
    [metricsJson('{"timeUnixNano":""}').toString(), "timeUnixNano is no fixed64"],
    [metricsJson('{"flags":"0x10"}').toString(), "flags is no uint32"],
    [metricsJson('{"asDouble":"infinity"}').toString(), "asDouble is no double"],
    [metricsJson('{"exemplars":[{"traceId":"0102"}]}').toString(), "32 hexadecimal digits"],
    [metricsJson('{"attributes":[{"value":{"bytesValue":"a"}}]}').toString(), "invalid base64"],
    [`{"a":${"[".repeat(100_000)}`, "nested too deeply"],
    [
      metricsJson(`{"attributes":[{"value":${'{"arrayValue":{"values":['.repeat(1000)}`).toString(),
      "nested too deeply",
    ],
    ['{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{},"sum":{}}]}]}]}', "two kinds of data"],
  ])("refuses %.60s", (text, message) => {
    expect(() => requestFromJson("metrics", Buffer.from(text))).toThrow(DecodeError);
    expect(() => requestFromJson("metrics", Buffer.from(text))).toThrow(message);
  });

  test.each([
    ['{"asInt":"2","asDouble":1}', '{"asDouble":1}'],
    ['{"asDouble":1,"asInt":"2"}', '{"asInt":"2"}'],
    ['{"exemplars":[{"asInt":"2","asDouble":1}]}', '{"exemplars":[{"asDouble":1}]}'],
    [
      '{"attributes":[{"key":"a","value":{"arrayValue":{},"intValue":"1","kvlistValue":{},"stringValue":"b"}}]}',
      '{"attributes":[{"key":"a","value":{"stringValue":"b"}}]}',
    ],
    [
      '{"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"}]},"boolValue":true,"arrayValue":{}}}]}',
      '{"attributes":[{"key":"a","value":{"arrayValue":{}}}]}',
    ],
  ])("of %s the last member of a oneof is there", (point, kept) => {
    const request = requestFromJson("metrics", metricsJson(point));
    expect(requestToJson(request)).toBe(metricsJson(kept).toString());
  });

  test("refuses bytes that are no UTF-8", () => {
    expect(() => requestFromJson("logs", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toThrow("invalid UTF-8");
  });

  test("cut and changed texts end in DecodeError or a request", () => {
    const text = Buffer.from(
      requestToJson(
        openRequest(
          "traces",
          encodeOtlp("traces", fc.sample(requestArbitrary("traces"), { numRuns: 1, seed: 7 })[0] ?? {}),
        ),
      ),
    );
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(255), fc.boolean(), (at, byte, isCut) => {
        const changed = Buffer.from(isCut ? text.subarray(0, at) : text);
        if (!isCut && at < changed.length) changed[at] = byte;
        try {
          requestFromJson("traces", changed);
        } catch (caught) {
          expect(caught).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: propertyRuns(500) },
    );
  });
});

const examples = new URL("../../../../shared/conformance/otlp-examples/", import.meta.url);

describe("the examples of the protocol's authors", () => {
  test.skipIf(!existsSync(examples)).each([
    ["metrics", "metrics.json", 4],
    ["traces", "trace.json", 1],
    ["logs", "logs.json", 1],
    ["logs", "events.json", 1],
  ] as const)("%s: %s", (signal, file, items) => {
    const text = readFileSync(new URL(file, examples));
    const request = requestFromJson(signal, text);
    expect(request.items).toBe(items);
    const written = requestToJson(request);
    expect(requestToJson(requestFromJson(signal, Buffer.from(written)))).toBe(written);
  });
});
