/** A disk queue for tests: items with numbers, a definition for each kind of them, files that forget. */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { DecodeError } from "../model/errors.ts";
import type { DurableQueueOptions, Handed } from "./durable-options.ts";
import { DurableQueue } from "./durable-queue.ts";
import type { ItemCodec } from "./item-codec.ts";
import { missingDefinition } from "./lane-loader.ts";
import type { ForgetfulFiles } from "./test-forgetful-files.ts";

export interface TestItem {
  readonly id: number;
  readonly size: number;
  /** Which definition it refers to. */
  readonly shape: number;
}

export const itemsPerRecord = 3;
const headBytes = 24;

export function shapeName(shape: number): string {
  return createHash("sha256").update(`shape ${shape}`).digest("hex").slice(0, 32);
}

/** The payload is number, size, shape, name of the shape, and a pattern of the number. */
export const testCodec: ItemCodec<TestItem> = {
  encode({ id, size, shape }, define) {
    const name = shapeName(shape);
    define(name, () => Buffer.from(`definition of ${shape}`));
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(id, 0);
    head.writeUInt32LE(shape, 4);
    head.write(name, 8, "hex");
    return { kind: 7, items: itemsPerRecord, parts: [head, Buffer.alloc(size, id & 0xff)] };
  },
  async decode(_kind, payload, find) {
    const bytes = Buffer.from(payload);
    const id = bytes.readUInt32LE(0);
    const shape = bytes.readUInt32LE(4);
    const definition = await find(bytes.toString("hex", 8, headBytes));
    if (definition === undefined) throw new DecodeError(missingDefinition, 0, "not found");
    if (Buffer.from(definition).toString() !== `definition of ${shape}`) throw new Error("a wrong definition");
    const rest = bytes.subarray(headBytes);
    if (!rest.equals(Buffer.alloc(rest.length, id & 0xff))) throw new Error("bytes that were changed");
    return { id, size: rest.length, shape };
  },
  memoryBytes: ({ size }) => size + 50,
};

export const testDirectory = "/queue";

export async function openTestQueue(
  files: ForgetfulFiles,
  options: Partial<DurableQueueOptions<TestItem>> = {},
): Promise<DurableQueue<TestItem>> {
  const queue = await DurableQueue.open<TestItem>({
    directory: testDirectory,
    codec: testCodec,
    segmentBytes: 4096,
    memoryBytes: 4000,
    minFreeBytes: 0,
    now: Date.now,
    sleep: async () => await setImmediate(),
    files: files.process(),
    lock: async () => ({ release: () => {} }),
    ...options,
  });
  queue.begin(() => {});
  return queue;
}

/** The next record of a lane, when it is read; undefined when the lane has no more. */
export async function takeNext(queue: DurableQueue<TestItem>, lane: number): Promise<Handed<TestItem> | undefined> {
  while (true) {
    const handed = queue.take(lane);
    if (handed !== undefined || !queue.hasMore(lane)) return handed;
    await setImmediate();
  }
}

/** Numbers of all records of a lane; they are acknowledged. */
export async function drainLane(queue: DurableQueue<TestItem>, lane: number): Promise<number[]> {
  const ids: number[] = [];
  for (let next = await takeNext(queue, lane); next !== undefined; next = await takeNext(queue, lane)) {
    ids.push(next.item.id);
    await queue.acknowledge([[lane, { sequence: next.sequence, done: 0 }]]);
  }
  return ids;
}
