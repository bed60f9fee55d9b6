/** What a queue on disk takes of memory at a start, whatever is in it: below 50 million bytes. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { fillQueue, openRequestQueue } from "../../bench/durable/samples-queue.ts";

const mebibyte = 1 << 20;
const mostMillions = 50;
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-memory-"));
  folders.push(path);
  return path;
}

/** In millions of bytes, in a process of its own. */
async function taken(directory: string, content: "samples" | "requests") {
  const args = ["--expose-gc", "bench/durable/open-queue.ts", directory, content];
  // As the launcher has it: freed buffers go back to the system.
  const env = { ...process.env, MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "262144" };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return JSON.parse(stdout) as { most: number; live: number; items: number };
}

test.each([
  ["500,000 series, 5,000 in a lane", { targets: 100, series: 5000 }],
  ["500,000 series in all lanes there are", { targets: 256, series: 2000 }],
  ["1,600,000 series in large records", { targets: 200, series: 8000 }],
])("%s: it stays well below the bound at rest", async (_title, shape) => {
  const directory = folder();
  await fillQueue(directory, 3 * shape.targets * shape.series * 8, new AbortController().signal, shape);
  const { most, live, items } = await taken(directory, "samples");
  // In 8 MiB it reads ahead as far as identities allow.
  expect(items).toBeGreaterThan(4);
  // Resident memory: what the allocator keeps differs by a few millions from run to run.
  expect(live).toBeLessThan(0.8 * mostMillions);
  expect(most).toBeLessThan(mostMillions);
});

/** Digits: half of them is what zstd leaves of them. */
const digits = (length: number) => Buffer.from(randomBytes(length / 2).toString("hex"));

test.each([
  ["small ones", 64 * 200, (i: number) => Buffer.alloc(2000, i)],
  ["4 MiB that zstd makes almost nothing of", 128, (i: number) => Buffer.alloc(4 * mebibyte, i)],
  ["4 MiB that it makes half of", 24, () => digits(4 * mebibyte)],
  ["4 MiB that it makes nothing smaller", 24, () => randomBytes(4 * mebibyte)],
  ["20 MiB that it makes nothing smaller", 6, () => randomBytes(20 * mebibyte)],
])("requests in many lanes, %s", async (_title, count, make) => {
  const directory = folder();
  const queue = await openRequestQueue(directory);
  for (let i = 0; i < count; i++) {
    const request = { signal: "logs", bytes: make(i), items: 100 } as const;
    await queue.append([{ lane: i % 64, item: request }]);
  }
  await queue.close();
  const { most, live, items } = await taken(directory, "requests");
  expect(items).toBeGreaterThan(4);
  expect(live).toBeLessThan(mostMillions);
  expect(most).toBeLessThan(mostMillions);
});
