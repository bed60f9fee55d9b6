import { expect, test } from "vitest";
import { releaseChunk } from "./release-chunk.ts";

test("memory of a chunk's own is given back", () => {
  const chunk = Buffer.from(new ArrayBuffer(100));
  releaseChunk(chunk);
  expect([chunk.length, chunk.buffer.byteLength]).toEqual([0, 0]);
});

test("memory that a chunk shares stays", () => {
  const whole = Buffer.from(new ArrayBuffer(100));
  releaseChunk(whole.subarray(0, 50));
  releaseChunk(Buffer.alloc(0));
  expect(whole.length).toBe(100);
});
