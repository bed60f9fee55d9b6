import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary } from "../../../test/kit/otlp-arbitrary.ts";
import { normalRequest } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { requestToJson } from "../otlp-json/request-to-json.ts";
import { decodeLogs, encodeLogs } from "./logs-data.ts";
import { decodeMessage, encodeMessage } from "./message-objects.ts";
import { decodeTraces, encodeTraces } from "./traces-data.ts";
import { openRequest } from "./walk-request.ts";

describe("OTLP messages as objects", () => {
  test.each([
    ["traces", (bytes: Uint8Array) => encodeTraces(decodeTraces(bytes))],
    ["logs", (bytes: Uint8Array) => encodeLogs(decodeLogs(bytes))],
    [
      "metrics",
      (bytes: Uint8Array) =>
        encodeMessage("ExportMetricsServiceRequest", decodeMessage("ExportMetricsServiceRequest", bytes)),
    ],
  ] as const)("random %s come out equal, judged by protobufjs", (signal, roundTrip) => {
    fc.assert(
      fc.property(requestArbitrary(signal), (value) => {
        const bytes = encodeOtlp(signal, value);
        expect(normalRequest(decodeOtlp(signal, roundTrip(bytes)))).toEqual(normalRequest(decodeOtlp(signal, bytes)));
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test("a span has every field, and defaults where the request has none", () => {
    const traceId = Buffer.alloc(16, 1).toString("base64");
    const bytes = encodeOtlp("traces", {
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                {
                  traceId,
                  name: "get",
                  kind: 2,
                  startTimeUnixNano: "5",
                  attributes: [{ key: "n", value: { intValue: "-1" } }],
                },
              ],
            },
          ],
        },
      ],
    });
    const [resource] = decodeTraces(bytes);
    expect(resource).toEqual({
      resource: undefined,
      schemaUrl: "",
      scopeSpans: [
        {
          scope: undefined,
          schemaUrl: "",
          spans: [
            {
              traceId: new Uint8Array(16).fill(1),
              spanId: new Uint8Array(),
              traceState: "",
              parentSpanId: new Uint8Array(),
              flags: 0,
              name: "get",
              kind: 2,
              startTimeUnixNano: 5n,
              endTimeUnixNano: 0n,
              attributes: new Map([["n", -1n]]),
              droppedAttributesCount: 0,
              events: [],
              droppedEventsCount: 0,
              links: [],
              droppedLinksCount: 0,
              status: undefined,
            },
          ],
        },
      ],
    });
  });

  test("a message that comes twice is one with the fields of both, in objects and in JSON", () => {
    // Two Resource fields in one ResourceLogs: an attribute, and a count with an unknown group.
    const resource = [0x0a, 0x03, 0x0a, 0x01, 0x61];
    const bytes = Uint8Array.from([0x0a, 13, 0x0a, 5, ...resource, 0x0a, 4, 0x10, 2, 0x7b, 0x7c]);
    expect(decodeLogs(bytes)[0]?.resource).toMatchObject({
      attributes: new Map([["a", null]]),
      droppedAttributesCount: 2,
    });
    expect(requestToJson(openRequest("logs", bytes))).toBe(
      '{"resourceLogs":[{"resource":{"attributes":[{"key":"a"}],"droppedAttributesCount":2}}]}',
    );
  });

  test("a log record without a body has the empty value", () => {
    const bytes = encodeOtlp("logs", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ severityNumber: 9 }, { body: { stringValue: "x" } }] }] }],
    });
    const records = decodeLogs(bytes)[0]?.scopeLogs[0]?.logRecords;
    expect(records?.map(({ body, severityNumber }) => [body, severityNumber])).toEqual([
      [null, 9],
      ["x", 0],
    ]);
  });
});
