import { describe, expect, test } from "vitest";
import { allocateMessage, MessageMemory } from "./message-memory.ts";

const mebibyte = 1024 * 1024;

/** Memory of which a collection frees all but `inUse`, some allocations later, as V8's does. */
class FakeYoung {
  external = 0;
  inUse = 0;
  collections = 0;
  highest = 0;

  externalBytes(): number {
    this.highest = Math.max(this.highest, this.external);
    return this.external;
  }

  collectYoung(): void {
    this.collections++;
    this.external = this.inUse;
  }
}

describe("memory for messages", () => {
  test("has the size that was asked for, and is nobody else's", () => {
    const bytes = allocateMessage(100_000);
    expect(bytes.length).toBe(100_000);
    expect(bytes.buffer.byteLength).toBe(100_000);
    expect(allocateMessage(0).length).toBe(0);
  });

  test("is collected before there is much garbage", () => {
    const young = new FakeYoung();
    const memory = new MessageMemory(young);
    for (let i = 0; i < 1000; i++) {
      const { length } = memory.allocate(mebibyte / 4);
      young.external += length;
    }
    expect(young.highest).toBeLessThan(25 * mebibyte);
    expect(young.collections).toBeGreaterThan(8);
    expect(young.collections).toBeLessThan(20);
  });

  test("is not collected as long as V8 frees it by itself", () => {
    const young = new FakeYoung();
    const memory = new MessageMemory(young);
    for (let i = 0; i < 1000; i++) {
      young.external = ((i % 40) * mebibyte) / 4;
      memory.allocate(mebibyte / 4);
    }
    expect(young.collections).toBe(0);
  });

  test("that stays in use is looked through once for every 16 MiB or more", () => {
    const young = new FakeYoung();
    const memory = new MessageMemory(young);
    for (let i = 0; i < 512; i++) {
      const { length } = memory.allocate(mebibyte);
      young.external += length;
      young.inUse = young.external;
    }
    expect(young.collections).toBeLessThanOrEqual(512 / 16);
  });
});
