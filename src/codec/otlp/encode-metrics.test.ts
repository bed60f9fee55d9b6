import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary } from "../../../test/kit/otlp-arbitrary.ts";
import { normalPoints } from "../../../test/kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { Identities } from "../../model/identities.ts";
import { MetricsDecoder } from "./decode-metrics.ts";
import { MetricsEncoder } from "./encode-metrics.ts";
import { walkRequest } from "./walk-request.ts";

describe("decoding and encoding metrics", () => {
  test("random requests come out semantically equal, judged by protobufjs", () => {
    const decoder = new MetricsDecoder(new Identities());
    const encoder = new MetricsEncoder();
    fc.assert(
      fc.property(requestArbitrary("metrics"), (request) => {
        const bytes = encodeOtlp("metrics", request);
        const segments = decoder.decode(bytes);
        const encoded = encoder.encode(segments);
        expect(encoded.items).toBe(walkRequest("metrics", bytes));
        expect(walkRequest("metrics", encoded.bytes)).toBe(encoded.items);
        expect(normalPoints(decodeOtlp("metrics", encoded.bytes))).toEqual(normalPoints(decodeOtlp("metrics", bytes)));
      }),
      { numRuns: propertyRuns(300) },
    );
  });
});
