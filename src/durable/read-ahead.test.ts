/** What is read ahead: how much of it is in memory, that nobody is held up by it, and records of every size. */

import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { DurableQueue } from "./durable-queue.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { drainLane, openTestQueue, type TestItem, takeNext } from "./test-queue-kit.ts";

const lanes = 40;
const perLane = 5;

/** Files with a closed queue: five records in each of 40 lanes, with the numbers of the appends. */
async function filled(sizeOf: (id: number) => number): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles();
  const queue = await openTestQueue(files, { segmentBytes: 1 << 20 });
  for (let id = 0; id < lanes * perLane; id++) {
    await queue.append([{ lane: id % lanes, item: { id, size: sizeOf(id), shape: id % 3 } }]);
  }
  await queue.close();
  return files;
}

/** Nothing more is read. */
async function settled(queue: DurableQueue<TestItem>): Promise<void> {
  for (let quiet = 0, before = -1; quiet < 50; quiet++) {
    await setImmediate();
    const { memoryBytes } = queue.stats();
    if (memoryBytes !== before) quiet = 0;
    before = memoryBytes;
  }
}

const idsOf = (lane: number) => Array.from({ length: perLane }, (_, i) => lane + i * lanes);

describe("what is read ahead", () => {
  test("stays within half of the memory, however many lanes wait", async () => {
    const files = await filled(() => 1000);
    const queue = await openTestQueue(files, { memoryBytes: 16_000 });
    await settled(queue);
    expect(queue.stats().memoryBytes).toBeGreaterThan(6000);
    expect(queue.stats().memoryBytes).toBeLessThan(8000 + 1050);
    await queue.close();
  });

  test("of records that are larger than the memory one is there", async () => {
    const files = await filled(() => 30_000);
    const queue = await openTestQueue(files, { memoryBytes: 16_000 });
    await settled(queue);
    expect(queue.stats().memoryBytes).toBe(30_050);
    await queue.close();
  });

  test.each([
    ["one after another", 1],
    ["many at a time", lanes],
  ])("reaches every lane whose turn comes, %s under way", async (_title, atATime) => {
    const files = await filled(() => 1000);
    const ready: number[] = [];
    const queue = await openTestQueue(files, { memoryBytes: 4000 });
    queue.begin((lane) => void ready.push(lane));
    const taken = new Map<number, number[]>();
    const underWay: (readonly [lane: number, sequence: number])[] = [];
    let most = 0;
    while (queue.stats().records > 0) {
      await setImmediate();
      most = Math.max(most, queue.stats().memoryBytes);
      // As senders do, it takes only what there is, and of a lane nothing while something of it is under way.
      for (const lane of ready.splice(0)) {
        const isBusy = underWay.some(([other]) => other === lane);
        const handed = isBusy || queue.peek(lane) === undefined ? undefined : queue.take(lane);
        if (handed === undefined) continue;
        taken.set(lane, [...(taken.get(lane) ?? []), handed.item.id]);
        underWay.push([lane, handed.sequence]);
      }
      if (underWay.length < Math.min(atATime, queue.stats().records)) continue;
      for (const [lane, sequence] of underWay.splice(0)) {
        await queue.acknowledge([[lane, { sequence, done: 0 }]]);
        ready.push(lane);
      }
    }
    for (let lane = 0; lane < lanes; lane++) expect(taken.get(lane)).toEqual(idsOf(lane));
    expect(most).toBeLessThan(4000);
    await queue.close();
  });

  test("does not keep a lane waiting that somebody asks for, though others stand still", async () => {
    const queue = await openTestQueue(await filled(() => 1000), { memoryBytes: 4000 });
    await settled(queue);
    for (let lane = lanes - 1; lane >= 0; lane--) expect((await takeNext(queue, lane))?.item.id).toBe(lane);
    await queue.close();
  });
});

describe("records of every size", () => {
  // Below and above what is read by blocks, and what a buffer is kept for.
  const sizes = [0, 100, 15_000, 17_000, 66_000, 300_000, 1_100_000];

  test("come back whole, lanes read at the same time", async () => {
    const files = await filled((id) => sizes[(id * 3) % sizes.length] ?? 0);
    const queue = await openTestQueue(files, { memoryBytes: 8_000_000 });
    const all = Array.from({ length: lanes }, (_, lane) => drainLane(queue, lane));
    expect(await Promise.all(all)).toEqual(Array.from({ length: lanes }, (_, lane) => idsOf(lane)));
    await queue.close();
  });

  test("cost what is damaged of them, and nothing else", async () => {
    const files = await filled(() => 20_000);
    const [segment = ""] = files.names.filter((name) => name.includes("segment"));
    // In the middle of the second record.
    const content = files.content(segment);
    content[30_000] = (content[30_000] as number) ^ 1;
    const gaveUp: unknown[] = [];
    const queue = await openTestQueue(files, {
      memoryBytes: 8_000_000,
      gaveUp: (reason, records) => gaveUp.push([reason, records]),
    });
    const all = await Promise.all(Array.from({ length: lanes }, (_, lane) => drainLane(queue, lane)));
    expect(all.flat().sort((a, b) => a - b)).toEqual(
      Array.from({ length: lanes * perLane }, (_, id) => id).filter((id) => id !== 1),
    );
    expect(gaveUp).toEqual([["damaged", 1]]);
    await queue.close();
  });
});
