/** The line hash: both kernels compute the same, keys matter, and hostile texts do not fill the index. */

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { buildEntryIndex, meanProbes } from "./entry-slots.ts";
import { hashBytes } from "./hash-bytes.ts";
import { createLineKey, hashLine, type LineKey, lineKeyBytes, maxHashedBytes, processLineKey } from "./hash-line.ts";
import { loadWasmScanner } from "./load-kernels.ts";
import { scanPagePlain } from "./scan-page.ts";

function hashText(text: Uint8Array, key: LineKey = processLineKey): bigint {
  const out = new Uint32Array(2);
  hashLine(key, text, new DataView(text.buffer, text.byteOffset, text.byteLength), 0, text.length, out);
  return (BigInt(out[1] as number) << 32n) | BigInt(out[0] as number);
}

const mask = (1n << 64n) - 1n;

/** The definition in exact integers. */
function exactHash({ blockWords, foldWords }: LineKey, text: Uint8Array): bigint {
  const key = Array.from(blockWords, (word) => BigInt(word >>> 0));
  const fold = (i: number) => (BigInt(foldWords[i * 2 + 1] as number) << 32n) | BigInt(foldWords[i * 2] as number);
  const totals: [bigint, bigint] = [0n, 0n];
  const blocks = Math.max(1, Math.ceil(text.length / 1024));
  for (let block = 0; block < blocks; block++) {
    const bytes = text.subarray(block * 1024, block * 1024 + 1024);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 32) * 32);
    padded.set(bytes);
    for (const sum of [0, 1] as const) {
      let total = BigInt(bytes.length);
      for (let word = 0; word < padded.length / 4; word += 8) {
        for (let i = word; i < word + 4; i++) {
          const shift = (at: number) =>
            BigInt.asUintN(32, BigInt(padded.readUInt32LE(at * 4)) + (key[at + 4 * sum] as bigint));
          total += shift(i) * shift(i + 4);
        }
      }
      total &= mask;
      totals[sum] +=
        (total & 0xffff_ffffn) * fold(block * 4 + sum * 2) + (total >> 32n) * fold(block * 4 + sum * 2 + 1);
    }
  }
  return (((totals[1] & mask) >> 32n) << 32n) | ((totals[0] & mask) >> 32n);
}

const texts = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ minLength: 900, maxLength: 2200, size: "max" }),
  fc.nat({ max: maxHashedBytes }).map((length) => new Uint8Array(length).fill(0xff)),
);

describe("the hash of a line", () => {
  const scanner = loadWasmScanner((template, scan) => scanPagePlain(template, scan));

  test("is the same in both kernels", () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(scanner.hash(text)).toBe(hashText(text));
      }),
      { numRuns: propertyRuns(1500) },
    );
  });

  test("is what exact integers give", () => {
    const worst = createLineKey(new Uint8Array(lineKeyBytes).fill(0xff));
    fc.assert(
      fc.property(texts, (text) => {
        expect(hashText(text)).toBe(exactHash(processLineKey, text));
        expect(hashText(text, worst)).toBe(exactHash(worst, text));
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test("does not depend on what stands around the text", () => {
    const bytes = randomBytes(500);
    const out = new Uint32Array(2);
    for (let length = 0; length < 200; length++) {
      const padded = Buffer.concat([Buffer.alloc(7, length), bytes.subarray(0, length), Buffer.alloc(50, 0xee)]);
      const view = new DataView(padded.buffer, padded.byteOffset, padded.byteLength);
      hashLine(processLineKey, padded, view, 7, 7 + length, out);
      expect((BigInt(out[1] as number) << 32n) | BigInt(out[0] as number)).toBe(
        hashText(Uint8Array.from(bytes.subarray(0, length))),
      );
    }
  });

  test("differs by key, by length, and beyond the length of the kernels", () => {
    const other = createLineKey(randomBytes(lineKeyBytes));
    const seen = new Set<bigint>();
    for (const length of [0, 1, 31, 32, 33, 1023, 1024, 1025, maxHashedBytes, maxHashedBytes + 1, 100_000]) {
      seen.add(hashText(new Uint8Array(length)));
      if (length > 0) seen.add(hashText(new Uint8Array(length), other));
    }
    expect(seen.size).toBe(21);
  });

  test("any changed byte changes it", () => {
    const text = Uint8Array.from(randomBytes(1500));
    const before = hashText(text);
    for (let at = 0; at < text.length; at++) {
      for (const bit of [1, 0x80]) {
        text[at] = (text[at] as number) ^ bit;
        expect(hashText(text)).not.toBe(before);
        text[at] = (text[at] as number) ^ bit;
      }
    }
  });
});

/** Texts that an FNV-like hash without a key puts into one slot: found by search, as an attacker would. */
function textsWithOneSlot(count: number): string[] {
  const found: string[] = [];
  for (let i = 0; found.length < count; i++) {
    const text = `http_requests_total{path="/${i.toString(36)}"}`;
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    if ((hash & 0xff) === 0) found.push(text);
  }
  return found;
}

describe("hash flooding", () => {
  const slotsOf = (list: readonly string[]) => {
    const hashes = new Uint32Array(list.length * 2);
    for (const [i, text] of list.entries()) {
      const bytes = new Uint8Array(Buffer.from(text));
      hashLine(processLineKey, bytes, new DataView(bytes.buffer), 0, bytes.length, hashes, i * 2);
    }
    return { hashes, slots: buildEntryIndex({ hashes }) };
  };

  test("texts chosen against a hash without a key take as many probes as any others", () => {
    const count = 2000;
    const normal = slotsOf(Array.from({ length: count }, (_, i) => `http_requests_total{path="/v1/item/${i}"}`));
    const hostile = slotsOf(textsWithOneSlot(count));
    expect(meanProbes(hostile.hashes, hostile.slots)).toBeLessThan(3 * meanProbes(normal.hashes, normal.slots));
    expect(meanProbes(hostile.hashes, hostile.slots)).toBeLessThan(2);
  });

  test("label values that differ in the high bits of neighbouring words do not collide, whatever the key is", () => {
    // Multiplication by an odd number leaves a difference in the top bit there: a weak mix lets the next word undo it.
    const key = { seed: 12345, first: 0x9e3779b1 | 0, second: 0x85ebca6b | 0 };
    const hashes = new Set<number>();
    for (let choice = 0; choice < 1024; choice++) {
      const bytes = new Uint8Array(80).fill(0x41);
      for (let pair = 0; pair < 10; pair++) {
        if (((choice >> pair) & 1) === 0) continue;
        const at = pair * 8;
        bytes[at + 3] = 0x41 ^ 0x80;
        bytes[at + 7] = 0x41 ^ 0x80;
        bytes[at + 6] = 0x41 ^ 0x01;
      }
      hashes.add(hashBytes(key, bytes, 0, bytes.length));
    }
    expect(hashes.size).toBeGreaterThan(1000);
  });
});
