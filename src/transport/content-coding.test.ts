import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { crc32c } from "../kernels/crc32c.ts";
import { DecodeError } from "../model/errors.ts";
import { type ContentCoding, pack, unpack } from "./content-coding.ts";

const codings: readonly ContentCoding[] = ["gzip", "zstd", "zlib", "snappy", "snappy-framed"];
const text = Buffer.from("a line that comes again and again\n".repeat(20_000));

describe.each(codings)("%s", (coding) => {
  test.each([0, 1, 65_536, 65_537, text.length])("packs and unpacks %i bytes", (size) => {
    const plain = text.subarray(0, size);
    expect(plain.equals(unpack(coding, pack(coding, plain), text.length) as Uint8Array)).toBe(true);
  });

  test("takes exactly the limit and nothing more", () => {
    const packed = pack(coding, text);
    expect((unpack(coding, packed, text.length) as Uint8Array).length).toBe(text.length);
    expect(unpack(coding, packed, text.length - 1)).toBe("too-large");
  });

  test("stops at the limit of a bomb", () => {
    const bomb = pack(coding, Buffer.alloc(100 * 1024 * 1024), coding === "zlib" || coding === "gzip" ? 9 : undefined);
    const before = process.memoryUsage().rss;
    expect(unpack(coding, bomb, 1_000_000)).toBe("too-large");
    expect(process.memoryUsage().rss - before).toBeLessThan(60 * 1024 * 1024);
  });

  test("refuses a cut body", () => {
    const packed = pack(coding, text);
    for (const cut of [1, 5, packed.length >> 1, packed.length - 1]) {
      // Nothing but an identifier is a whole stream of no chunks.
      expect(() => unpack(coding, packed.subarray(0, cut), text.length)).toThrow(DecodeError);
    }
  });

  test("keeps no more memory than its result is worth", () => {
    const small = unpack(coding, pack(coding, text.subarray(0, 100)), 50_000_000) as Uint8Array;
    expect(small.buffer.byteLength).toBeLessThan(66_000);
  });
});

test("unpacks several members and frames in one body", () => {
  const parts = [Buffer.from("one "), Buffer.from("two")];
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const zstd = Buffer.concat([zstdCompressSync(parts[0] as Buffer), skippable, zstdCompressSync(parts[1] as Buffer)]);
  const framed = Buffer.concat([pack("snappy-framed", parts[0] as Buffer), pack("snappy-framed", parts[1] as Buffer)]);
  expect(String(Buffer.from(unpack("zstd", zstd, 100) as Uint8Array))).toBe("one two");
  expect(unpack("zstd", zstd, 6)).toBe("too-large");
  expect(
    String(Buffer.from(unpack("gzip", Buffer.concat(parts.map((part) => gzipSync(part))), 100) as Uint8Array)),
  ).toBe("one two");
  expect(String(Buffer.from(unpack("snappy-framed", framed, 100) as Uint8Array))).toBe("one two");
});

test("reads snappy in both forms", () => {
  for (const coding of ["snappy", "snappy-framed"] as const) {
    expect(text.equals(unpack("snappy", pack(coding, text), text.length) as Uint8Array)).toBe(true);
  }
});

test.each([
  ["a block that declares 4 GB", "snappy", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00])],
  ["a block that declares more than it can hold", "snappy", Buffer.from([0xc0, 0x84, 0x3d, 0x00, 0x61])],
  ["a length of six bytes", "snappy", Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
  [
    "a chunk of an unknown kind",
    "snappy-framed",
    Buffer.concat([pack("snappy-framed", Buffer.alloc(0)), Buffer.from([2, 0, 0, 0])]),
  ],
  [
    "a wrong checksum",
    "snappy-framed",
    Buffer.concat([pack("snappy-framed", Buffer.alloc(0)), Buffer.from([1, 5, 0, 0, 0, 0, 0, 0, 97])]),
  ],
  ["text", "zstd", Buffer.from("not zstd at all")],
] as const)("refuses %s", (_title, coding, packed) => {
  expect(() => unpack(coding, packed, 10_000_000)).toThrow(DecodeError);
});

test("a zstd frame may not ask for a window of gigabytes", () => {
  const packed = Buffer.from(zstdCompressSync(text));
  // Single-segment off, window descriptor at its largest, no content size.
  const huge = Buffer.concat([packed.subarray(0, 4), Buffer.from([0x00, 0xff]), packed.subarray(9)]);
  expect(() => unpack("zstd", huge, text.length)).toThrow(DecodeError);
});

test("computes CRC-32C", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

describe("properties", () => {
  test("unpacking throws DecodeError and nothing else", () => {
    const seeds = codings.map((coding) => pack(coding, text.subarray(0, 3000)));
    const mutated = fc.record({
      of: fc.integer({ min: 0, max: codings.length - 1 }),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
      cut: fc.nat(),
    });
    fc.assert(
      fc.property(mutated, fc.nat(codings.length - 1), ({ of, changes, cut }, as) => {
        const bytes = Buffer.from(seeds[of] as Buffer).subarray(0, cut % 2 === 0 ? undefined : cut % 4000);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        try {
          const result = unpack(codings[as] as ContentCoding, bytes, 10_000);
          expect(result === "too-large" || result.length <= 10_000).toBe(true);
        } catch (caught) {
          expect(caught).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: propertyRuns(2000) },
    );
  });

  test("the checksum is that of one bit at a time", () => {
    const naive = (bytes: Uint8Array): number => {
      let crc = 0xffff_ffff;
      for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
      }
      return ~crc >>> 0;
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => crc32c(bytes) === naive(bytes)));
  });
});
