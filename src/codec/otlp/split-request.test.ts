import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary, signals } from "../../../test/kit/otlp-arbitrary.ts";
import { normalPoints } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { createHashKey } from "../../kernels/hash-bytes.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import { joinRequests } from "./join-requests.ts";
import { divideRequest } from "./request-resources.ts";
import { splitRequest } from "./split-request.ts";
import { openRequest, walkRequest } from "./walk-request.ts";

const levels = {
  metrics: ["resourceMetrics", "scopeMetrics"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
} as const;

/** Every point, span or log record with the headers around it, sorted. */
function flat(signal: Signal, bytes: Uint8Array): string[] {
  const request = decodeOtlp(signal, bytes);
  if (signal === "metrics") return normalPoints(request);
  const [resources, scopes, items] = levels[signal];
  type Node = Record<string, unknown>;
  const list = (node: Node, key: string) => (node[key] ?? []) as Node[];
  return list(request as Node, resources)
    .flatMap((resource) =>
      list(resource, scopes).flatMap((scope) =>
        list(scope, items).map((item) =>
          JSON.stringify([resource.resource, resource.schemaUrl, scope.scope, scope.schemaUrl, item]),
        ),
      ),
    )
    .sort();
}

function joined(signal: Signal, parts: readonly OtlpRequest[]): Uint8Array {
  return joinRequests(signal, parts).bytes;
}

const request = (signal: Signal, value: object) => openRequest(signal, encodeOtlp(signal, value));

describe.each(signals)("requests of %s", (signal) => {
  test("joined requests hold what was in each, in order", () => {
    fc.assert(
      fc.property(fc.array(requestArbitrary(signal, 2), { maxLength: 4 }), (values) => {
        const parts = values.map((value) => request(signal, value));
        const whole = joinRequests(signal, parts);
        expect(walkRequest(signal, whole.bytes)).toBe(whole.items);
        expect(flat(signal, whole.bytes)).toEqual(parts.flatMap((part) => flat(signal, part.bytes)).sort());
      }),
      { numRuns: propertyRuns(50) },
    );
  });

  test("parts keep the limit of items and lose nothing", () => {
    fc.assert(
      fc.property(requestArbitrary(signal), fc.integer({ min: 1, max: 12 }), (value, maxItems) => {
        const whole = request(signal, value);
        const parts = splitRequest(whole, { maxItems });
        for (const part of parts) {
          expect(part.items).toBeLessThanOrEqual(maxItems);
          expect(walkRequest(signal, part.bytes)).toBe(part.items);
        }
        expect(flat(signal, joined(signal, parts))).toEqual(flat(signal, whole.bytes));
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test("parts keep the limit of bytes unless they are one item, and lose nothing", () => {
    fc.assert(
      fc.property(requestArbitrary(signal), fc.integer({ min: 50, max: 4000 }), (value, maxBytes) => {
        const whole = request(signal, value);
        const parts = splitRequest(whole, { maxBytes });
        for (const part of parts) {
          if (part.items > 1) expect(part.bytes.length).toBeLessThanOrEqual(maxBytes);
          expect(walkRequest(signal, part.bytes)).toBe(part.items);
        }
        expect(flat(signal, joined(signal, parts))).toEqual(flat(signal, whole.bytes));
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test("lanes lose nothing, and a resource is always in the same lane", () => {
    const key = createHashKey(new Uint8Array(12).fill(7));
    fc.assert(
      fc.property(requestArbitrary(signal), fc.integer({ min: 1, max: 5 }), (value, lanes) => {
        const whole = request(signal, value);
        const parts = divideRequest(whole, lanes, key);
        expect(parts).toHaveLength(lanes);
        const present = parts.filter((part) => part !== undefined);
        expect(flat(signal, joined(signal, present))).toEqual(flat(signal, whole.bytes));
        for (const [lane, part] of parts.entries()) {
          if (part !== undefined)
            expect(divideRequest(part, lanes, key).findIndex((again) => again !== undefined)).toBe(lane);
        }
      }),
      { numRuns: propertyRuns(100) },
    );
  });
});

describe("splitRequest", () => {
  const point = (i: number) => ({ timeUnixNano: "1", asInt: String(i) });
  const resource = (name: string, points: number) => ({
    resource: { attributes: [{ key: "service.name", value: { stringValue: name } }] },
    schemaUrl: "https://example.test/r",
    scopeMetrics: [
      {
        scope: { name: "lib" },
        metrics: [
          {
            name: "m",
            unit: "1",
            sum: {
              aggregationTemporality: 2,
              isMonotonic: true,
              dataPoints: Array.from({ length: points }, (_, i) => point(i)),
            },
          },
        ],
      },
    ],
  });

  test("cuts between resources where that is enough", () => {
    const whole = request("metrics", {
      resourceMetrics: [resource("a", 3), resource("b", 3), resource("c", 2), resource("d", 5)],
    });
    expect(splitRequest(whole, { maxItems: 5 }).map((part) => part.items)).toEqual([3, 5, 5]);
  });

  test("cuts a large resource inside and repeats its headers", () => {
    const whole = request("metrics", { resourceMetrics: [resource("a", 10), resource("b", 1)] });
    const parts = splitRequest(whole, { maxItems: 4 });
    expect(parts.map((part) => part.items)).toEqual([4, 4, 3]);
    const [, second] = parts;
    expect(decodeOtlp("metrics", second?.bytes ?? new Uint8Array())).toEqual({
      resourceMetrics: [
        {
          ...resource("a", 0),
          scopeMetrics: [
            {
              scope: { name: "lib" },
              metrics: [
                {
                  name: "m",
                  unit: "1",
                  sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [4, 5, 6, 7].map(point) },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  test("returns a request within the limits as it is", () => {
    const whole = request("metrics", { resourceMetrics: [resource("a", 10)] });
    expect(splitRequest(whole, { maxItems: 10, maxBytes: whole.bytes.length })).toEqual([whole]);
    expect(splitRequest(whole, {})[0]).toBe(whole);
  });
});
