/** Bodies unpacked with one inflater: what comes out, what is refused, and that one failure leaves no trace. */

import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { DecodeError } from "../model/errors.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import { decompressGzip } from "./gunzip.ts";
import { GzipReader } from "./gzip-reader.ts";

const reader = new GzipReader();
const page = Buffer.from('http_requests_total{code="200"} 1027\n'.repeat(10_000));

function unpack(packed: Uint8Array, maxBytes = 1e6, into = new GrowableBuffer(1)): string {
  const isWhole = reader.unpack(Buffer.from(packed), into, maxBytes);
  return isWhole ? into.bytes.toString("latin1") : "too-large";
}

test("unpacks pages one after the other into the same buffer", () => {
  const into = new GrowableBuffer(1);
  for (const text of [String(page), "short", "", String(page)])
    expect(unpack(gzipSync(text), 1e6, into) === text).toBe(true);
});

test("unpacks several members as one, with zeros after them", () => {
  const packed = Buffer.concat([gzipSync("a 1\n"), gzipSync(""), gzipSync("b 2\n"), Buffer.alloc(20)]);
  expect(unpack(packed)).toBe("a 1\nb 2\n");
});

test("passes over every optional field of the header", () => {
  const packed = gzipSync("a 1\n");
  packed[3] = 0x02 | 0x04 | 0x08 | 0x10;
  const fields = Buffer.concat([Buffer.from([3, 0]), Buffer.from("xyzname\0comment\0"), Buffer.from([1, 2])]);
  expect(unpack(Buffer.concat([packed.subarray(0, 10), fields, packed.subarray(10)]))).toBe("a 1\n");
});

test.each([
  ["exactly the limit", page.length, false],
  ["one byte over the limit", page.length - 1, true],
  ["a limit of nothing", 0, true],
])("keeps to the limit: %s", (_, maxBytes, isTooLarge) => {
  expect(unpack(gzipSync(page), maxBytes) === "too-large").toBe(isTooLarge);
});

test.each([
  ["as it is", undefined],
  ["with a trailer that tells a small size", 10],
  ["with a trailer that tells four gigabytes", 0xffffffff],
])("stops a bomb before it takes more memory than the limit allows: %s", (_, told) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  if (told !== undefined) bomb.writeUInt32LE(told, bomb.length - 4);
  const into = new GrowableBuffer();
  expect(unpack(bomb, 4 * 1024 * 1024, into)).toBe("too-large");
  expect(into.capacity).toBeLessThan(9 * 1024 * 1024);
});

const packed = gzipSync(page);
const changed = (at: number) => {
  const copy = Buffer.from(packed);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 0x55;
  return copy;
};

test.each<[title: string, packed: Uint8Array]>([
  ["nothing", Buffer.alloc(0)],
  ["zeros", Buffer.alloc(30)],
  ["text", Buffer.from("go_goroutines 5\n")],
  ["a header alone", packed.subarray(0, 10)],
  ["half a page", packed.subarray(0, 100)],
  ["a page without its trailer", packed.subarray(0, -8)],
  ["a page without the end of its trailer", packed.subarray(0, -1)],
  ["another method", changed(2)],
  ["a wrong checksum", changed(-8)],
  ["a wrong size", changed(-2)],
  ["garbage after the end", Buffer.concat([packed, Buffer.from("garbage garbage")])],
  ["an extra field beyond the end", Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0, 255, 255, 0])],
  ["a name without end", Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0, 65, 65, 65])],
])("refuses %s, and reads the next page", (_, bad) => {
  expect(() => unpack(bad)).toThrow(DecodeError);
  expect(unpack(packed) === String(page)).toBe(true);
});

describe("properties", () => {
  test("unpacks what was packed, however large the buffer was before", () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 5000 }), (members, capacity) => {
        const all = Buffer.concat(members.map((member) => gzipSync(member)));
        const text = unpack(all, 100_000, new GrowableBuffer(capacity));
        expect(text === Buffer.concat(members).toString("latin1")).toBe(true);
      }),
    );
  });

  test("judges damaged bytes as Node does, but for zeros and what follows a member", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(60), (noise, at) => {
        const damaged = gzipSync("some text that is packed, some text that is packed again");
        damaged.set(noise.subarray(0, Math.max(0, damaged.length - at)), at % damaged.length);
        const outcome = (work: () => unknown) => {
          try {
            return work();
          } catch (caught) {
            expect(caught).toBeInstanceOf(DecodeError);
            return "refused";
          }
        };
        const ours = outcome(() => unpack(damaged, 1000));
        const nodes = outcome(() => {
          const unpacked = decompressGzip(damaged, { maxBytes: 1000 });
          return typeof unpacked === "string" ? unpacked : Buffer.from(unpacked).toString("latin1");
        });
        if (ours !== "refused") expect(ours).toBe(nodes);
      }),
      { numRuns: propertyRuns(1000) },
    );
  });
});
