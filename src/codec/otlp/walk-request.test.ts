import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requestArbitrary, signals } from "../../../test/kit/otlp-arbitrary.ts";
import { encodeOtlp, requestType } from "../../../test/kit/otlp-proto.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { DecodeError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import { MetricsDecoder } from "./decode-metrics.ts";
import { decodeLogs } from "./logs-data.ts";
import { decodeTraces } from "./traces-data.ts";
import { openRequest, walkRequest } from "./walk-request.ts";

/** A field with a length. */
function field(number: number, ...content: (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(content.map((part) => Uint8Array.from(part)));
  const length: number[] = [];
  let rest = body.length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) length.push((rest % 0x80) | 0x80);
  return Buffer.concat([Uint8Array.from([(number << 3) | 2, ...length, rest]), body]);
}

/** A metrics request with one gauge whose only point has this content. */
const gauge = (...point: (Uint8Array | readonly number[])[]) =>
  field(1, field(2, field(2, field(1, Buffer.from("m")), field(5, field(1, ...point)))));
/** A point with an attribute of this AnyValue. */
const attribute = (...value: (Uint8Array | readonly number[])[]) => gauge(field(7, field(2, ...value)));
const span = (...content: (Uint8Array | readonly number[])[]) => field(1, field(2, field(2, ...content)));
const eight = [0, 0, 0, 0, 0, 0, 0, 0];

describe("walkRequest", () => {
  test("groups in attribute values are passed over by the walk and by what opens them", () => {
    const bytes = attribute([0x7b, 0x7b, 0x08, 0x01, 0x7c, 0x7c]);
    expect(walkRequest("metrics", bytes)).toBe(1);
    expect(new MetricsDecoder(new Identities()).decode(bytes)).toHaveLength(1);
  });

  test.each([
    ["an empty request", "metrics", Buffer.alloc(0), 0],
    ["an empty point", "metrics", gauge(), 1],
    [
      "unknown fields of every wire type",
      "metrics",
      gauge([0xf8, 0x07, 0x01, 0xf9, 0x07, ...eight, 0xfa, 0x07, 0x00, 0xfd, 0x07, 0, 0, 0, 0]),
      1,
    ],
    ["an unknown group with its end", "metrics", gauge([0x7b, 0x08, 0x01, 0x7b, 0x7c, 0x7c]), 1],
    ["the strindex fields of profiles", "metrics", gauge(field(7, [0x18, 0x05], field(2, [0x40, 0x05]))), 1],
    [
      "unpacked bucket counts",
      "metrics",
      field(1, field(2, field(2, field(9, field(1, [0x31, ...eight, 0x39, ...eight]))))),
      1,
    ],
    ["a varint of ten bytes", "metrics", gauge([0x40, ...new Array(9).fill(0xff), 0x01]), 1],
    [
      "a span with ids and flags",
      "traces",
      span(field(1, new Uint8Array(16)), field(2, new Uint8Array(8)), [0x85, 0x01, 1, 0, 0, 0]),
      1,
    ],
    ["a log record", "logs", span(field(5, field(1, Buffer.from([0xff])))), 1],
  ] as const)("accepts %s", (_name, signal, bytes, items) => {
    expect(walkRequest(signal, bytes)).toBe(items);
  });

  test.each([
    ["a cut tag", Buffer.from([0x80]), "invalid field tag"],
    ["a field number of 0", Buffer.from([0x02, 0x00]), "invalid field tag"],
    ["wire types 6 and 7", gauge([0x7e]), "invalid field tag"],
    ["a field number above 29 bits", gauge([0x80, 0x80, 0x80, 0x80, 0x10, 0x00]), "invalid field tag"],
    ["a length beyond the end", Buffer.from([0x0a, 0x05, 0x00]), "length beyond the end"],
    ["a declared size of 4 GB", Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "length beyond the end"],
    ["a declared size of 2^63", Buffer.from([0x0a, ...new Array(9).fill(0xff), 0x01]), "length beyond the end"],
    ["a length without an end", Buffer.from([0x0a, 0x80, 0x80]), "varint"],
    ["a varint of eleven bytes", gauge([0x40, ...new Array(10).fill(0xff), 0x01]), "varint"],
    ["a fixed64 that leaves its point", gauge([0x19, 0, 0]), "length beyond the end"],
    ["a known field of another wire type", gauge([0x18, 0x01]), "wrong wire type"],
    ["a resource that is a number", Buffer.from([0x08, 0x01]), "wrong wire type"],
    ["an attribute that leaves its point", gauge([0x3a, 0x04, 0x0a, 0x00]), "length beyond the end"],
    ["a key that leaves its attribute", gauge(field(7, [0x0a, 0x05, 0x61])), "length beyond the end"],
    [
      "a packed field with a rest",
      field(1, field(2, field(2, field(9, field(1, field(6, [1, 2, 3])))))),
      "packed field with a rest",
    ],
    [
      "a cut packed varint",
      field(1, field(2, field(2, field(10, field(1, field(8, field(2, [0x80]))))))),
      "packed field with a rest",
    ],
    ["an end of a group that did not begin", gauge([0x7c]), "group without its end"],
    ["a group without its end", gauge([0x7b, 0x08, 0x01]), "group without its end"],
    ["a group that ends as another", gauge([0x7b, 0x74]), "group without its end"],
    ["groups nested too deeply", gauge(new Array(200).fill(0x7b)), "nested too deeply"],
    ["a metric with two kinds of data", field(1, field(2, field(2, field(5), field(7)))), "two kinds of data"],
    ["an exemplar with a trace id of 15 bytes", gauge(field(5, field(5, new Uint8Array(15)))), "wrong length"],
  ] as const)("refuses %s", (_name, bytes, message) => {
    expect(() => walkRequest("metrics", bytes)).toThrow(DecodeError);
    expect(() => walkRequest("metrics", bytes)).toThrow(message);
  });

  test("says where the fault is", () => {
    const good = gauge([0x19, ...eight]);
    const faulty = Buffer.concat([good, Buffer.from([0x0a, 0x7f])]);
    expect(() => walkRequest("metrics", faulty)).toThrow(
      expect.objectContaining({ format: "otlp", offset: good.length }),
    );
  });

  test("refuses attribute values that nest deeper than 64, however they nest", () => {
    const nested = (depth: number, wrap: (inner: Uint8Array) => Buffer) => {
      let value: Buffer = Buffer.alloc(0);
      for (let i = 0; i < depth; i++) value = wrap(value);
      return attribute(value);
    };
    const array = (inner: Uint8Array) => field(5, field(1, inner));
    const map = (inner: Uint8Array) => field(6, field(1, field(2, inner)));
    for (const wrap of [array, map]) {
      const deepest = nested(64, wrap);
      expect(walkRequest("metrics", deepest)).toBe(1);
      expect(new MetricsDecoder(new Identities()).decode(deepest)).toHaveLength(1);
      expect(() => walkRequest("metrics", nested(65, wrap))).toThrow("nested too deeply");
      expect(() => walkRequest("metrics", nested(5000, wrap))).toThrow("nested too deeply");
    }
  });
});

/** Opens what the walk accepted, by whatever means there is. */
function open(signal: "metrics" | "traces" | "logs", bytes: Uint8Array): void {
  if (signal === "metrics") new MetricsDecoder(new Identities()).decode(bytes);
  else if (signal === "traces") decodeTraces(bytes);
  else decodeLogs(bytes);
}

describe.each(signals)("walkRequest of %s", (signal) => {
  test("accepts what protobufjs encodes and counts its items", () => {
    const itemsOf = (value: unknown): number => {
      if (typeof value !== "object" || value === null) return 0;
      return Object.entries(value).reduce((sum, [key, inner]) => {
        if (!Array.isArray(inner)) return sum + itemsOf(inner);
        if (["dataPoints", "spans", "logRecords"].includes(key)) return sum + inner.length;
        return inner.reduce((rest, item) => rest + itemsOf(item), sum);
      }, 0);
    };
    fc.assert(
      fc.property(requestArbitrary(signal), (value) => {
        expect(walkRequest(signal, encodeOtlp(signal, value))).toBe(itemsOf(value));
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  test("refuses what is cut inside a resource, as protobufjs does", () => {
    fc.assert(
      fc.property(requestArbitrary(signal), fc.double({ min: 0, max: 1, noNaN: true }), (value, part) => {
        const bytes = encodeOtlp(signal, value);
        const cut = bytes.subarray(0, Math.floor(bytes.length * part));
        let isWell = true;
        try {
          requestType(signal).decode(cut);
        } catch {
          isWell = false;
        }
        if (isWell) expect(() => walkRequest(signal, cut)).not.toThrow();
        else expect(() => walkRequest(signal, cut)).toThrow(DecodeError);
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  test("changed bytes are refused with DecodeError, or they can be opened", () => {
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), byte: fc.nat(255) });
    fc.assert(
      fc.property(requestArbitrary(signal), fc.array(change, { minLength: 1, maxLength: 4 }), (value, changes) => {
        const bytes = Buffer.from(encodeOtlp(signal, value));
        for (const { at, byte } of changes) bytes[Math.floor(at * bytes.length)] = byte;
        try {
          openRequest(signal, bytes);
        } catch (caught) {
          expect(caught).toBeInstanceOf(DecodeError);
          return;
        }
        open(signal, bytes);
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  test("random bytes are refused with DecodeError, or they can be opened", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          openRequest(signal, bytes);
        } catch (caught) {
          expect(caught).toBeInstanceOf(DecodeError);
          return;
        }
        open(signal, bytes);
      }),
      { numRuns: propertyRuns(1000) },
    );
  });
});
