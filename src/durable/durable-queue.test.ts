import { describe, expect, test } from "vitest";
import type { Damage } from "./recover-queue.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { drainLane, itemsPerRecord, openTestQueue, takeNext, testDirectory } from "./test-queue-kit.ts";

const item = (id: number, size = 100, shape = 0) => ({ id, size, shape });
const many = (lane: number, from: number, count: number, size = 100) =>
  Array.from({ length: count }, (_, i) => ({ lane, item: item(from + i, size) }));
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe("a queue on disk", () => {
  test("hands out each lane in the order of the appends", async () => {
    const queue = await openTestQueue(new ForgetfulFiles());
    await queue.append([...many(0, 1, 3), ...many(1, 10, 2)]);
    await queue.append(many(0, 4, 2));
    expect(await drainLane(queue, 0)).toEqual([1, 2, 3, 4, 5]);
    expect(await drainLane(queue, 1)).toEqual([10, 11]);
    expect(queue.stats()).toMatchObject({ records: 0, items: 0, bytes: 0, memoryBytes: 0 });
    await queue.close();
  });

  test("keeps what is not in memory on disk and reads it in its turn", async () => {
    const queue = await openTestQueue(new ForgetfulFiles(), { memoryBytes: 1000 });
    for (let i = 0; i < 200; i++) await queue.append(many(i % 3, i, 1));
    expect(queue.stats()).toMatchObject({ records: 200, items: 200 * itemsPerRecord });
    expect(queue.stats().memoryBytes).toBeLessThanOrEqual(2000);
    const ids = [...(await drainLane(queue, 0)), ...(await drainLane(queue, 1)), ...(await drainLane(queue, 2))];
    expect(ids.sort((a, b) => a - b)).toEqual(numbers(0, 200));
  });

  test("goes on behind the last acknowledged record after a kill, with what was handed out", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files);
    await queue.append(many(0, 1, 100));
    for (let i = 1; i <= 60; i++) {
      const handed = await takeNext(queue, 0);
      if (i <= 40) await queue.acknowledge([[0, { sequence: handed?.sequence ?? 0, done: 0 }]]);
    }
    files.kill();
    const again = await openTestQueue(files);
    expect(again.stats()).toMatchObject({ records: 60, items: 60 * itemsPerRecord });
    expect(await drainLane(again, 0)).toEqual(numbers(41, 60));
  });

  test("hands everything that is not acknowledged out again to a reader that begins anew", async () => {
    const queue = await openTestQueue(new ForgetfulFiles());
    for (let i = 0; i < 100; i++) await queue.append(many(0, i, 1));
    for (let i = 0; i < 30; i++) {
      const handed = await takeNext(queue, 0);
      if (i < 20) await queue.acknowledge([[0, { sequence: handed?.sequence ?? 0, done: 0 }]]);
    }
    const rewound = queue.rewind();
    await queue.append(many(0, 100, 5));
    await rewound;
    await queue.append(many(0, 105, 5));
    queue.begin(() => {});
    expect(queue.stats().records).toBe(90);
    expect(await drainLane(queue, 0)).toEqual(numbers(20, 90));
    expect(queue.stats()).toMatchObject({ records: 0, items: 0, bytes: 0, memoryBytes: 0 });
  });

  test("remembers how much of a record was delivered", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files);
    await queue.append(many(0, 1, 3));
    await takeNext(queue, 0);
    const second = await takeNext(queue, 0);
    await queue.acknowledge([[0, { sequence: (second?.sequence ?? 0) - 1, done: 2 }]]);
    files.kill();
    const again = await openTestQueue(files);
    expect(await takeNext(again, 0)).toMatchObject({ item: { id: 2 }, done: 2 });
    expect(await takeNext(again, 0)).toMatchObject({ item: { id: 3 }, done: 0 });
  });

  test("many appends at a time share a sync", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files, { fsync: true, segmentBytes: 1 << 20 });
    await queue.append(many(0, 0, 1));
    const before = files.syncs;
    await Promise.all(numbers(1, 500).map((id) => queue.append(many(0, id, 1))));
    expect(files.syncs - before).toBeLessThan(5);
    expect(await drainLane(queue, 0)).toEqual(numbers(0, 501));
  });

  test("removes segments when all of them is acknowledged, and only then", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files);
    for (let i = 0; i < 200; i++) await queue.append(many(i % 2, i, 1));
    expect(queue.stats().segments).toBeGreaterThan(4);
    await drainLane(queue, 0);
    expect(queue.stats().segments).toBeGreaterThan(4);
    await drainLane(queue, 1);
    expect(queue.stats().segments).toBe(1);
    await queue.close();
    expect(files.names.filter((name) => name.includes("segment"))).toEqual([]);
  });

  test("goes on for many turns of the journal", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files, { segmentBytes: 1 << 20, memoryBytes: 1 << 20 });
    const count = 12_000;
    for (let from = 0; from < count; from += 500) {
      await queue.append(many(0, from, 500, 1));
      for (let i = 0; i < 500; i++) {
        const handed = await takeNext(queue, 0);
        await queue.acknowledge([[0, { sequence: handed?.sequence ?? 0, done: 0 }]]);
      }
    }
    await queue.append(many(0, count, 3));
    files.kill();
    expect(await drainLane(await openTestQueue(files), 0)).toEqual(numbers(count, 3));
  });

  test("starts again after a clean end without reading records", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files);
    await queue.append(many(0, 0, 100));
    await queue.close();
    const damage: Damage[] = [];
    const again = await openTestQueue(files, { damaged: (one) => damage.push(one) });
    expect(damage).toEqual([]);
    expect(await drainLane(again, 0)).toEqual(numbers(0, 100));
  });
});

describe("limits", () => {
  test("block refuses what is too much and takes it when there is room", async () => {
    const queue = await openTestQueue(new ForgetfulFiles(), { maxBytes: 40_000 });
    let taken = 0;
    await expect(
      (async () => {
        for (; taken < 1000; taken++) await queue.append(many(0, taken, 1));
      })(),
    ).rejects.toMatchObject({ code: "STORAGE_FULL" });
    expect(queue.stats().diskBytes).toBeLessThanOrEqual(40_000);
    expect(await drainLane(queue, 0)).toEqual(numbers(0, taken));
    await queue.append(many(0, taken, 1));
    expect(await drainLane(queue, 0)).toEqual([taken]);
  });

  test("drop_oldest gives the oldest segments up, counted, and keeps the order", async () => {
    const files = new ForgetfulFiles();
    let dropped = 0;
    const queue = await openTestQueue(files, {
      maxBytes: 40_000,
      memoryBytes: 500,
      whenFull: "drop_oldest",
      gaveUp: (reason, records, items) => {
        expect([reason, items]).toEqual(["queue_full", records * itemsPerRecord]);
        dropped += records;
      },
    });
    await Promise.all(numbers(0, 1000).map((id) => queue.append(many(0, id, 1))));
    expect(queue.stats()).toMatchObject({ records: 1000 - dropped, items: (1000 - dropped) * itemsPerRecord });
    expect(queue.stats().diskBytes).toBeLessThanOrEqual(48_000);
    expect(await drainLane(queue, 0)).toEqual(numbers(dropped, 1000 - dropped));
    expect(dropped).toBeGreaterThan(500);
  });

  test("records that are too old are given up, counted", async () => {
    let nowMs = 1_000_000;
    const gaveUp: [string, number, number][] = [];
    const queue = await openTestQueue(new ForgetfulFiles(), {
      now: () => nowMs,
      maxAgeMs: 60_000,
      memoryBytes: 1,
      gaveUp: (...event) => gaveUp.push(event),
    });
    await queue.append(many(0, 0, 100));
    nowMs += 61_000;
    await queue.append(many(0, 100, 5));
    expect(await drainLane(queue, 0)).toEqual(numbers(100, 5));
    expect(gaveUp.reduce((sum, [, records]) => sum + records, 0)).toBe(100);
    expect(gaveUp.reduce((sum, [, , items]) => sum + items, 0)).toBe(100 * itemsPerRecord);
    expect(new Set(gaveUp.map(([reason]) => reason))).toEqual(new Set(["too_old"]));
  });

  test("records in memory grow too old without a restart", async () => {
    const files = new ForgetfulFiles();
    let nowMs = 1_000_000;
    const gaveUp: [string, number, number][] = [];
    const options = { now: () => nowMs, maxAgeMs: 60_000, memoryBytes: 1 << 20 };
    const queue = await openTestQueue(files, { ...options, gaveUp: (...event) => gaveUp.push(event) });
    await queue.append(many(0, 0, 10));
    expect(queue.take(0)).toMatchObject({ item: { id: 0 } });
    nowMs += 40_000;
    await queue.append(many(0, 10, 5));
    nowMs += 21_000;
    await Promise.resolve();
    expect(queue.peek(0)).toMatchObject({ item: { id: 10 } });
    expect(gaveUp).toEqual([["too_old", 9, 9 * itemsPerRecord]]);
    // The first is under way: what comes behind it waits for its answer.
    expect(queue.stats()).toMatchObject({ records: 15 });
    await queue.acknowledge([[0, { sequence: 1, done: 0 }]]);
    expect(queue.stats()).toMatchObject({ records: 5 });
    files.kill();
    expect(await drainLane(await openTestQueue(files, options), 0)).toEqual(numbers(10, 5));
  });

  test("one append gives a bounded number of segments up before it is refused", async () => {
    const files = new ForgetfulFiles();
    let nowMs = 0;
    let free = 1 << 20;
    const queue = await openTestQueue(files, {
      now: () => nowMs,
      minFreeBytes: 10_000,
      whenFull: "drop_oldest",
      files: { ...files.process(), freeBytes: async () => free },
    });
    for (let id = 0; id < 1000; id++) await queue.append(many(0, id, 1));
    free = 0;
    nowMs += 1001;
    // The device is asked in the background.
    await queue.append(many(0, 1000, 1));
    const { segments } = queue.stats();
    await expect(queue.append(many(0, 1001, 1))).rejects.toThrow("too little room");
    expect(segments - queue.stats().segments).toBe(16);
  });

  test("what was under way when its segment was given up is counted unless it was delivered", async () => {
    let dropped = 0;
    const queue = await openTestQueue(new ForgetfulFiles(), {
      maxBytes: 40_000,
      whenFull: "drop_oldest",
      gaveUp: (reason, records, items) => {
        expect([reason, items]).toEqual(["queue_full", records * itemsPerRecord]);
        dropped += records;
      },
    });
    for (let id = 0; id < 10; id++) await queue.append(many(0, id, 1));
    for (let i = 0; i < 10; i++) await takeNext(queue, 0);
    for (let id = 10; id < 1000; id++) await queue.append(many(0, id, 1));
    const before = dropped;
    await queue.acknowledge([[0, { sequence: 4, done: 0 }]]);
    expect(dropped).toBe(before);
    await queue.rewind();
    expect(dropped).toBe(before + 6);
    expect(queue.stats().records).toBe(1000 - 4 - dropped);
    await queue.close();
    expect(dropped).toBe(before + 6);
  });

  test("a full disk refuses, loses nothing that was taken, and goes on when there is room", async () => {
    const files = new ForgetfulFiles();
    let nowMs = 0;
    const queue = await openTestQueue(files, { now: () => nowMs });
    await queue.append(many(0, 0, 10));
    files.capacity = files.usedBytes + 300;
    await expect(queue.append(many(0, 10, 10))).rejects.toMatchObject({ code: "STORAGE_FULL" });
    await expect(queue.append(many(0, 10, 10))).rejects.toMatchObject({ code: "STORAGE_FULL" });
    files.capacity = Number.POSITIVE_INFINITY;
    nowMs += 2000;
    await queue.append(many(0, 20, 10));
    expect(await drainLane(queue, 0)).toEqual([...numbers(0, 10), ...numbers(20, 10)]);
    files.kill();
  });

  test("acknowledging needs no room", async () => {
    const files = new ForgetfulFiles();
    const queue = await openTestQueue(files);
    await queue.append(many(0, 0, 50));
    files.capacity = files.usedBytes;
    expect(await drainLane(queue, 0)).toEqual(numbers(0, 50));
    files.kill();
    expect(await drainLane(await openTestQueue(files), 0)).toEqual([]);
  });

  test("leaves room on the device", async () => {
    const files = new ForgetfulFiles();
    let nowMs = 0;
    const queue = await openTestQueue(files, { now: () => nowMs, minFreeBytes: 10_000 });
    await queue.append(many(0, 0, 10));
    files.capacity = files.usedBytes + 9000;
    nowMs += 1001;
    // The device is asked in the background.
    await queue.append(many(0, 10, 1));
    await expect(queue.append(many(0, 11, 1))).rejects.toThrow("too little room");
  });
});

describe("damage", () => {
  const filled = async (files: ForgetfulFiles, count = 100) => {
    const queue = await openTestQueue(files);
    for (let i = 0; i < count; i++) await queue.append(many(0, i, 1));
    files.kill();
    return files.names.filter((name) => name.includes("segment"));
  };
  const reopened = async (files: ForgetfulFiles) => {
    const damage: Damage[] = [];
    const queue = await openTestQueue(files, { damaged: (one) => damage.push(one) });
    return { ids: await drainLane(queue, 0), damage, queue };
  };

  test("a torn tail costs what was torn", async () => {
    const files = new ForgetfulFiles();
    const last = (await filled(files)).at(-1) ?? "";
    files.replace(last, Buffer.from(files.content(last).subarray(0, -50)));
    const { ids, damage } = await reopened(files);
    expect(ids).toEqual(numbers(0, 99));
    expect(damage).toMatchObject([{ file: last, kind: "tail" }]);
  });

  test("a flipped bit costs one record", async () => {
    const files = new ForgetfulFiles();
    const [first = ""] = await filled(files);
    const content = files.content(first);
    // In the payload of the second record.
    const at = content.indexOf(Buffer.alloc(50, 1)) + 10;
    content[at] = (content[at] ?? 0) ^ 4;
    const { ids, damage } = await reopened(files);
    expect(ids).toEqual([0, ...numbers(2, 98)]);
    expect(damage).toMatchObject([{ file: first, kind: "record" }]);
  });

  test("a zeroed block costs the records in it, also where a segment begins", async () => {
    const files = new ForgetfulFiles();
    const names = await filled(files);
    files.content(names.at(-1) ?? "").fill(0, 0, 512);
    const { ids, damage } = await reopened(files);
    expect(ids.length).toBeLessThan(100);
    expect(ids).toEqual(numbers(0, 100).filter((id) => ids.includes(id)));
    expect(damage.length).toBeGreaterThan(0);
  });

  test("a definition that is lost is found in another segment", async () => {
    const files = new ForgetfulFiles();
    const [first = ""] = await filled(files);
    const content = files.content(first);
    content.fill(0, content.indexOf("definition of"), content.indexOf("definition of") + 4);
    expect((await reopened(files)).ids).toEqual(numbers(0, 100));
  });

  test("a missing segment costs its records and is named", async () => {
    const files = new ForgetfulFiles();
    const [, second = ""] = await filled(files);
    files.replace(second, undefined);
    const { ids, damage } = await reopened(files);
    expect(damage).toMatchObject([{ file: second, kind: "missing" }]);
    expect(ids.length).toBeLessThan(100);
    expect(ids.at(-1)).toBe(99);
  });

  test("a segment of another queue stays untouched", async () => {
    const files = new ForgetfulFiles();
    const other = new ForgetfulFiles();
    const [theirs = ""] = await filled(other);
    await filled(files);
    const name = `${testDirectory}/segment-000000000999.mrq`;
    files.replace(name, Buffer.from(other.content(theirs)));
    const { ids, damage } = await reopened(files);
    expect(ids).toEqual(numbers(0, 100));
    expect(damage).toMatchObject([{ file: name, kind: "foreign" }]);
    expect(files.content(name)).toEqual(other.content(theirs));
  });

  test.each([12, 13, 15])(
    "what is written beside a foreign file with a number of %i nines is found again",
    async (digits) => {
      const files = new ForgetfulFiles();
      files.replace(`${testDirectory}/segment-${"9".repeat(digits)}.mrq`, Buffer.from("not ours"));
      await filled(files);
      expect((await reopened(files)).ids).toEqual(numbers(0, 100));
    },
  );

  test("a lost journal means that everything is delivered again", async () => {
    const files = new ForgetfulFiles();
    await filled(files);
    for (const name of files.names.filter((one) => one.includes("positions"))) files.content(name).fill(1, 0, 100);
    const { ids, damage } = await reopened(files);
    expect(ids).toEqual(numbers(0, 100));
    expect(damage).toEqual(
      [0, 1].map((n) => ({ file: `${testDirectory}/positions-${n}`, offset: 0, bytes: 64, kind: "journal" })),
    );
  });

  test("a version from the future is refused and not touched", async () => {
    const files = new ForgetfulFiles();
    const [first = ""] = await filled(files);
    const content = files.content(first);
    content.writeUInt16LE(2, 8);
    const { crc32 } = await import("node:zlib");
    content.writeUInt32LE(crc32(content.subarray(0, 60)), 60);
    const before = files.names.map((name) => Buffer.from(files.content(name)));
    await expect(openTestQueue(files)).rejects.toMatchObject({
      code: "STORAGE_VERSION",
      message: expect.stringContaining("version 2"),
    });
    expect(files.names.map((name) => files.content(name))).toEqual(before);
  });
});
