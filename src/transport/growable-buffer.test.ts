import { expect, test } from "vitest";
import { BufferLimitError, GrowableBuffer } from "./growable-buffer.ts";

test("keeps what was appended while it grows", () => {
  const buffer = new GrowableBuffer(2);
  for (const text of ["a", "bcd", "e".repeat(100)]) {
    buffer.append(Buffer.from(text));
  }
  expect([buffer.bytes.toString(), buffer.length]).toEqual([`abcd${"e".repeat(100)}`, 104]);
});

test("keeps its memory at a reset and gives it back at a shrink", () => {
  const buffer = new GrowableBuffer(2);
  buffer.append(Buffer.alloc(1000));
  const { capacity } = buffer;
  buffer.reset();
  expect([buffer.length, buffer.capacity]).toEqual([0, capacity]);
  buffer.shrink(10);
  expect(buffer.capacity).toBe(10);
});

test("starts from no memory at all", () => {
  const buffer = new GrowableBuffer(0);
  buffer.append(Buffer.from("x"));
  expect(buffer.bytes.toString()).toBe("x");
});

test("asks before it grows, and keeps what it has where it may not", () => {
  const asked: number[][] = [];
  const buffer = new GrowableBuffer(4, (from, to) => {
    asked.push([from, to]);
    return to <= 8;
  });
  buffer.append(Buffer.from("abcde"));
  expect(buffer.tryReserve(3)).toBe(true);
  expect(buffer.tryReserve(4)).toBe(false);
  expect(() => buffer.append(Buffer.from("fghi"))).toThrow(BufferLimitError);
  expect([buffer.bytes.toString(), buffer.capacity]).toEqual(["abcde", 8]);
  expect(asked).toEqual([
    [4, 8],
    [8, 16],
    [8, 16],
  ]);
});
