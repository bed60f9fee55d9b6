import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../model/errors.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import { decompressGzip } from "./gunzip.ts";

const page = Buffer.from('http_requests_total{code="200"} 1027\n'.repeat(10_000));

test("unpacks a page", () => {
  expect(Buffer.compare(Buffer.from(decompressGzip(gzipSync(page), { maxBytes: 1e6 })), page)).toBe(0);
});

test("unpacks several members as one", () => {
  const packed = Buffer.concat([gzipSync(page), gzipSync("and more\n"), gzipSync("")]);
  const unpacked = decompressGzip(packed, { maxBytes: 1e6 });
  expect(String(unpacked)).toBe(`${page}and more\n`);
});

test("unpacks into a buffer that is used again", () => {
  const into = new GrowableBuffer(1);
  decompressGzip(gzipSync("longer text"), { maxBytes: 100, into });
  expect(String(decompressGzip(gzipSync("text"), { maxBytes: 100, into }))).toBe("text");
});

test.each([
  { title: "exactly the limit", maxBytes: page.length, expected: page.length },
  { title: "one byte over the limit", maxBytes: page.length - 1, expected: "too-large" },
  { title: "a limit of nothing", maxBytes: 0, expected: "too-large" },
])("keeps to the limit: $title", ({ maxBytes, expected }) => {
  const unpacked = decompressGzip(gzipSync(page), { maxBytes });
  expect(typeof unpacked === "string" ? unpacked : unpacked.length).toBe(expected);
});

const largeBomb = gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: 1 });

test.each([
  { title: "as it is", told: undefined },
  { title: "with a trailer that tells a small size", told: 10 },
  { title: "with a trailer that tells four gigabytes", told: 0xffffffff },
])("stops a bomb before it takes more memory than the limit allows: $title", ({ told }) => {
  const bomb = Buffer.from(largeBomb);
  if (told !== undefined) {
    bomb.writeUInt32LE(told, bomb.length - 4);
  }
  const before = process.memoryUsage().arrayBuffers;
  expect(decompressGzip(bomb, { maxBytes: 4 * 1024 * 1024 })).toBe("too-large");
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(9 * 1024 * 1024);
});

test.each([
  { title: "nothing", packed: Buffer.alloc(0) },
  { title: "text", packed: Buffer.from("go_goroutines 5\n") },
  { title: "half a page", packed: gzipSync(page).subarray(0, 100) },
  { title: "a page without its trailer", packed: gzipSync(page).subarray(0, -8) },
  { title: "garbage after the end", packed: Buffer.concat([gzipSync("a"), Buffer.from("garbage")]) },
])("refuses $title", ({ packed }) => {
  expect(() => decompressGzip(packed, { maxBytes: 1e6 })).toThrow(DecodeError);
});

describe("properties", () => {
  test("unpacks what was packed", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 4 }), (members) => {
        const packed = Buffer.concat(members.map((member) => gzipSync(member)));
        const unpacked = decompressGzip(packed, { maxBytes: 100_000 });
        expect(Buffer.from(unpacked).equals(Buffer.concat(members))).toBe(true);
      }),
    );
  });

  test("throws nothing but DecodeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(40), (noise, at) => {
        const packed = gzipSync("some text that is packed");
        packed.set(noise.subarray(0, packed.length - at), at);
        try {
          decompressGzip(packed, { maxBytes: 1000 });
        } catch (caught) {
          expect(caught).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });
});
