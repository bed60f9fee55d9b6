/** Frames of zstd: they come back as they were, one after another, and what they claim is not trusted. */

import { randomBytes } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { compress, compressAll, contentBytes, decompress } from "./zstd.ts";

const most = 1 << 30;
const texts = (length: number) =>
  Buffer.from("a metric of some name, ".repeat(Math.ceil(length / 23))).subarray(0, length);
/** Around what a head of a frame says in 1, 2 and 4 bytes, and around the sizes of buffers. */
const lengths = [1, 63, 64, 255, 256, 257, 65_791, 65_792, 131_071, 131_072, 131_073, 262_144, 262_145, 3_000_000];

describe("frames", () => {
  test.each(lengths)("of %i bytes come back, and say how long they are", (length) => {
    for (const bytes of [texts(length), randomBytes(length)]) {
      const frame = compressAll(bytes);
      expect(contentBytes(frame)).toBe(length);
      expect(zstdDecompressSync(frame).equals(bytes)).toBe(true);
      expect(decompress(frame, most).equals(bytes)).toBe(true);
    }
  });

  test("that were made before stay as they are while others are made", () => {
    const all = Array.from({ length: 500 }, (_, i) => Buffer.concat([randomBytes(i), texts(i * 7)]));
    const frames = all.map((bytes) => compressAll(bytes));
    for (const [i, frame] of frames.entries()) expect(decompress(frame, most).equals(all[i] as Buffer)).toBe(true);
  });

  test("in one buffer without room to spare", () => {
    expect(decompress(compressAll(texts(2_000_000)), most).buffer.byteLength).toBe(2_000_001);
  });

  test("are kept where they are smaller only", () => {
    expect(compress(randomBytes(1000))).toBeUndefined();
    expect(compress(texts(1000))?.length).toBeLessThan(100);
  });
});

describe("a frame", () => {
  test("that holds more than is allowed is refused, whatever it claims", () => {
    const frame = compressAll(texts(100_000));
    expect(() => decompress(frame, 99_999)).toThrow();
    const lie = Buffer.from(frame);
    lie.writeUInt32LE(10, 5);
    expect(() => decompress(lie, most)).toThrow();
    lie.writeUInt32LE(0xffff_ffff, 5);
    expect(() => decompress(lie, most)).toThrow();
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["other bytes", Buffer.from("no frame at all")],
    ["a head that is cut", compressAll(texts(1000)).subarray(0, 6)],
  ])("that is %s says nothing and is refused", (_title, bytes) => {
    expect(contentBytes(bytes)).toBeUndefined();
    expect(() => decompress(bytes, most)).toThrow();
  });

  test("that does not say how long it is comes back all the same", () => {
    // As a stream writes them: no single segment, no size.
    const frame = zstdCompressSync(texts(5000));
    expect(decompress(frame, most).equals(texts(5000))).toBe(true);
  });
});
