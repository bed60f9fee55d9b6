/** The queue on disk where calls of the system fail, and where its journal or its indexes are damaged. */

import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Damage } from "./damage.ts";
import type { DurableQueueOptions } from "./durable-options.ts";
import type { FileLayer } from "./file-layer.ts";
import { inspectQueue } from "./inspect-queue.ts";
import { journalBytes } from "./journal-format.ts";
import { ForgetfulFiles, systemError } from "./test-forgetful-files.ts";
import { drainLane, itemsPerRecord, openTestQueue, type TestItem, takeNext, testDirectory } from "./test-queue-kit.ts";

const many = (lane: number, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ lane, item: { id: from + i, size: 100, shape: 0 } }));
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const segmentsOf = (files: ForgetfulFiles) => files.names.filter((name) => name.includes("segment"));
const positions = (n: number) => `${testDirectory}/positions-${n}`;

async function open(files: ForgetfulFiles, options: Partial<DurableQueueOptions<TestItem>> = {}) {
  const damage: Damage[] = [];
  const gaveUp: [string, number, number][] = [];
  const queue = await openTestQueue(files, {
    damaged: (one) => damage.push(one),
    gaveUp: (...event) => gaveUp.push(event),
    ...options,
  });
  return { queue, damage, gaveUp };
}

/** The files, of which a read may fail. */
function withReads(
  files: ForgetfulFiles,
  before: (path: string, position: number, length: number) => Error | undefined,
): FileLayer {
  const process = files.process();
  return {
    ...process,
    open: async (path, mode, permissions) => {
      const file = await process.open(path, mode, permissions);
      return {
        ...file,
        read: async (target, position) => {
          const error = before(path, position, target.length);
          if (error !== undefined) throw error;
          return await file.read(target, position);
        },
      };
    },
  };
}

/** A queue that ended as it should. */
async function filled(count: number, lanes = 1): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles();
  const { queue } = await open(files);
  for (let id = 0; id < count; id++) await queue.append(many(id % lanes, id, 1));
  await queue.close();
  return files;
}

/** Where the records' lists begin, and where they end. */
function listsOf(content: Buffer, records: number): { from: number; to: number } {
  const to = content.readUInt32LE(content.length - 36);
  return { from: to - records * 12, to };
}

describe("the journal", () => {
  test("nothing of a generation that lost its header counts in the next, which has the same number", async () => {
    const files = new ForgetfulFiles();
    await (await open(files)).queue.close();
    const { queue } = await open(files);
    await queue.append(many(0, 0, 100));
    await drainLane(queue, 0);
    await queue.close();
    expect(segmentsOf(files)).toEqual([]);
    const [older = "", newer = ""] = [positions(0), positions(1)].sort(
      (a, b) => files.content(a).readDoubleLE(32) - files.content(b).readDoubleLE(32),
    );
    expect(files.content(older).readDoubleLE(32)).toBeLessThan(files.content(newer).readDoubleLE(32));
    files.content(newer).fill(0, 0, 64);
    const { queue: after } = await open(files);
    for (let id = 200; id < 300; id++) await after.append(many(0, id, 1));
    files.kill();
    const { queue: last, damage } = await open(files);
    expect(await drainLane(last, 0)).toEqual(numbers(200, 100));
    expect(damage).toEqual([]);
  });

  test.each<[string, (files: ForgetfulFiles) => void, Partial<Damage>]>([
    ["a zeroed header", (files) => files.content(positions(0)).fill(0, 0, 64), { offset: 0, bytes: 64 }],
    ["a zeroed file", (files) => files.content(positions(0)).fill(0), { offset: 0, bytes: 64 }],
    [
      "a truncated file",
      (files) => files.replace(positions(0), Buffer.from(files.content(positions(0)).subarray(0, 1000))),
      { offset: 1000, bytes: journalBytes - 1000 },
    ],
    ["a missing file", (files) => files.replace(positions(0), undefined), { offset: 0, bytes: journalBytes }],
    ["a zeroed entry", (files) => files.content(positions(0)).fill(0, 92, 120), { offset: 92, bytes: 28 }],
    ["a flipped entry", (files) => files.content(positions(0)).fill(7, 64, 65), { offset: 64, bytes: 28 }],
  ])("%s is named with file and offset, and loses nothing", async (_name, harm, expected) => {
    const files = await filled(100);
    const { queue } = await open(files);
    for (let i = 0; i < 30; i++) {
      const handed = await takeNext(queue, 0);
      await queue.acknowledge([[0, { sequence: handed?.sequence ?? 0, done: 0 }]]);
    }
    files.kill();
    harm(files);
    const { queue: again, damage } = await open(files);
    expect(damage.filter(({ kind }) => kind !== "missing")).toEqual([
      { file: positions(0), kind: "journal", ...expected },
    ]);
    const ids = await drainLane(again, 0);
    expect(ids.at(-1)).toBe(99);
    expect(ids).toEqual(numbers(ids[0] ?? 0, ids.length));
    expect(ids[0]).toBeLessThanOrEqual(30);
  });

  test("one of another queue is named and does not count", async () => {
    const other = new ForgetfulFiles();
    const { queue: theirs } = await open(other);
    await theirs.append(many(0, 0, 100));
    await drainLane(theirs, 0);
    other.kill();
    const files = await filled(50);
    await (await open(files)).queue.close();
    files.replace(positions(1), Buffer.from(other.content(positions(1))));
    const { queue, damage } = await open(files);
    expect(damage).toEqual([{ file: positions(1), offset: 0, bytes: 64, kind: "foreign" }]);
    expect(await drainLane(queue, 0)).toEqual(numbers(0, 50));
  });

  test("a start that was cut off is no damage", async () => {
    const files = new ForgetfulFiles();
    files.replace(positions(0), Buffer.alloc(1000));
    const { queue, damage } = await open(files);
    await queue.append(many(0, 0, 1));
    expect(await drainLane(queue, 0)).toEqual([0]);
    expect(damage).toEqual([]);
  });

  test("a segment whose removal cannot be written down stays and goes with the next", async () => {
    const files = await filled(60, 2);
    const { queue } = await open(files);
    const before = segmentsOf(files).length;
    files.fault = (call, path) => (call === "write" && path.includes("positions") ? systemError("EIO") : undefined);
    await drainLane(queue, 0);
    await drainLane(queue, 1);
    for (let i = 0; i < 100; i++) await setImmediate();
    expect(segmentsOf(files).length).toBe(before);
    expect(queue.stats().diskBytes).toBeGreaterThan(0);
    files.fault = () => undefined;
    await queue.append(many(0, 100, 1));
    expect(await drainLane(queue, 0)).toEqual([100]);
    await queue.close();
    expect(segmentsOf(files)).toEqual([]);
  });

  test("a segment that could not be begun is not missed later", async () => {
    const files = new ForgetfulFiles();
    const { queue } = await open(files);
    files.fault = (call, path) => (call === "write" && path.includes("positions") ? systemError("EIO") : undefined);
    await expect(queue.append(many(0, 0, 1))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    files.fault = () => undefined;
    await queue.append(many(0, 1, 1));
    files.kill();
    const { queue: again, damage } = await open(files);
    expect(damage).toEqual([]);
    expect(await drainLane(again, 0)).toEqual([1]);
  });

  test("with fsync what is acknowledged is synced after a while, also when nothing comes", async () => {
    const files = new ForgetfulFiles();
    let wake = () => {};
    const sleep = () => new Promise<void>((resolve) => (wake = resolve));
    const { queue } = await open(files, { fsync: true, sleep });
    await queue.append(many(0, 0, 10));
    for (let i = 0; i < 6; i++) await takeNext(queue, 0);
    await queue.acknowledge([[0, { sequence: 6, done: 0 }]]);
    wake();
    for (let i = 0; i < 20; i++) await setImmediate();
    files.cutPower(() => 0);
    expect(await drainLane((await open(files)).queue, 0)).toEqual(numbers(6, 4));
  });
});

describe("lists of records", () => {
  test("one that is damaged where a lane goes on is made anew", async () => {
    const files = await filled(10);
    const { queue } = await open(files);
    for (let i = 0; i < 5; i++) await takeNext(queue, 0);
    await queue.acknowledge([[0, { sequence: 5, done: 0 }]]);
    files.kill();
    const [name = ""] = segmentsOf(files);
    const content = files.content(name);
    // The number of the sixth record becomes that of the second.
    const at = listsOf(content, 10).from + 5 * 12 + 4;
    content[at] = (content[at] ?? 0) ^ 4;
    const { queue: again, damage } = await open(files);
    expect(damage).toMatchObject([{ file: name, kind: "index" }]);
    expect(await drainLane(again, 0)).toEqual(numbers(5, 5));
  });

  test("one that is damaged is made anew when it is read", async () => {
    const files = await filled(10);
    const [name = ""] = segmentsOf(files);
    const content = files.content(name);
    const { from } = listsOf(content, 10);
    content[from + 3 * 12] = (content[from + 3 * 12] ?? 0) ^ 16;
    const { queue, damage } = await open(files);
    expect(await drainLane(queue, 0)).toEqual(numbers(0, 10));
    expect(damage).toMatchObject([{ file: name, offset: from, bytes: 120, kind: "index" }]);
  });

  test("a lane that lost all its records in a segment is through with it, also at the next start", async () => {
    const files = new ForgetfulFiles();
    const { queue } = await open(files);
    await queue.append([...many(0, 0, 5), ...many(1, 50, 2), ...many(0, 5, 5)]);
    await queue.close();
    const [name = ""] = segmentsOf(files);
    const content = files.content(name);
    for (const id of [50, 51])
      content.fill(0, content.indexOf(Buffer.alloc(90, id)) - 60, content.indexOf(Buffer.alloc(90, id)));
    const { queue: again, damage, gaveUp } = await open(files);
    expect(await drainLane(again, 1)).toEqual([]);
    expect(damage.length).toBeGreaterThan(0);
    expect(gaveUp).toEqual([["damaged", 2, 2 * itemsPerRecord]]);
    expect(again.stats()).toMatchObject({ records: 10, items: 10 * itemsPerRecord });
    files.kill();
    const { queue: last, damage: none } = await open(files);
    expect(await drainLane(last, 1)).toEqual([]);
    expect(none).toEqual([]);
    expect(await drainLane(last, 0)).toEqual(numbers(0, 10));
    expect(last.stats()).toMatchObject({ records: 0, segments: 0 });
  });
});

describe("calls that fail", () => {
  test.each(["ENOENT", "EIO"])("%s of a segment costs its records, and the lane goes on", async (code) => {
    const files = await filled(100);
    const [, second = ""] = segmentsOf(files);
    const { queue, damage, gaveUp } = await open(files, { memoryBytes: 1 });
    const broken = new Set<string>();
    files.fault = (call, path) => {
      if (path !== second || (call !== "open" && call !== "read")) return undefined;
      broken.add(call);
      return systemError(code);
    };
    const ids = await drainLane(queue, 0);
    expect(ids.at(-1)).toBe(99);
    expect(ids).toEqual(numbers(0, 100).filter((id) => ids.includes(id)));
    expect(gaveUp.reduce((sum, [, records]) => sum + records, 0)).toBe(100 - ids.length);
    expect(gaveUp.reduce((sum, [, , items]) => sum + items, 0)).toBe((100 - ids.length) * itemsPerRecord);
    expect(damage.length).toBeGreaterThan(0);
    expect(queue.stats()).toMatchObject({ records: 0, items: 0 });
    await queue.close();
  });

  test("one that passes while a list is made anew is repeated after a while", async () => {
    const files = await filled(60);
    const [first = ""] = segmentsOf(files);
    const content = files.content(first);
    const at = content.indexOf(Buffer.alloc(50, 1)) + 10;
    content[at] = (content[at] ?? 0) ^ 4;
    let waits = 0;
    const sleep = async () => {
      waits++;
      await setImmediate();
    };
    let fails = 0;
    // What is read to make a list anew is large.
    const read = withReads(files, (path, _position, length) =>
      path === first && length > 1000 && fails++ < 3 ? systemError("EMFILE") : undefined,
    );
    const { queue } = await open(files, { memoryBytes: 1, sleep, files: read });
    expect(await drainLane(queue, 0)).toEqual([0, ...numbers(2, 58)]);
    expect(waits).toBe(3);
    await queue.rewind();
    await queue.close();
  });

  test("what cannot be read for long is named once in a while and holds no other lane up", async () => {
    const files = await filled(1);
    const [first = ""] = segmentsOf(files);
    let nowMs = 0;
    const refused = (call: string, path: string) =>
      (call === "open" || call === "read") && path === first ? systemError("EACCES") : undefined;
    const { queue, damage } = await open(files, { now: () => nowMs });
    files.fault = refused;
    // What was begun before may have read it.
    await queue.rewind();
    queue.begin(() => {});
    await queue.append(many(1, 10, 5));
    for (let i = 0; i < 200; i++) await setImmediate();
    expect(await drainLane(queue, 1)).toEqual(numbers(10, 5));
    expect(queue.peek(0)).toBeUndefined();
    expect(damage).toMatchObject([{ kind: "unreadable", file: expect.stringContaining(`${first}: EACCES`) }]);
    nowMs += 61_000;
    for (let i = 0; i < 50; i++) await setImmediate();
    expect(damage.length).toBe(2);
    files.fault = () => undefined;
    expect(await drainLane(queue, 0)).toEqual([0]);
    await queue.close();
  });

  test.each([
    ["EIO", "segment"],
    ["EISDIR", "segment"],
    ["EIO", "journal"],
  ])("%s of a %s does not stop a start", async (code, kind) => {
    const files = await filled(100);
    const name = kind === "segment" ? (segmentsOf(files)[1] ?? "") : positions(0);
    const before = Buffer.from(files.content(name));
    files.fault = (call, path) => (call === "read" && path === name ? systemError(code) : undefined);
    const { queue, damage } = await open(files);
    expect(damage.map(({ file }) => file.startsWith(name))).toContain(true);
    const ids = await drainLane(queue, 0);
    expect(ids.at(-1)).toBe(99);
    if (kind === "journal") expect(ids).toEqual(numbers(0, 100));
    else expect(files.content(name)).toEqual(before);
  });

  test("a place that cannot be read costs the record that is there, however many are read at a time", async () => {
    const files = new ForgetfulFiles();
    const { queue: first } = await open(files, { segmentBytes: 1 << 18 });
    await first.append(many(0, 0, 1000));
    await first.close();
    const read = withReads(files, (path, position, length) => {
      const isHit = path.includes("segment") && position <= 100_000 && position + length > 100_000;
      return isHit ? systemError("EIO") : undefined;
    });
    const { queue, gaveUp } = await open(files, { files: read });
    expect((await drainLane(queue, 0)).length).toBe(999);
    expect(gaveUp).toEqual([["damaged", 1, itemsPerRecord]]);
  });

  test("places that cannot be read cost the records in them", async () => {
    const files = await filled(100);
    const [, second = ""] = segmentsOf(files);
    const content = files.content(second);
    // Without an index it is read whole.
    files.replace(second, Buffer.from(content.subarray(0, listsOf(content, 1).to - 1)));
    const brokenAt = 4096 * Math.floor(content.length / 8192);
    const read = withReads(files, (path, position, length) => {
      const isHit = path === second && position <= brokenAt && position + length > brokenAt;
      return isHit ? systemError("EIO") : undefined;
    });
    const { queue, damage } = await open(files, { files: read });
    const ids = await drainLane(queue, 0);
    expect(ids).toEqual(numbers(0, 100).filter((id) => ids.includes(id)));
    expect(damage.length).toBeGreaterThan(0);
  });

  test("the directory above is synced, so that a new queue survives a power cut", async () => {
    const files = new ForgetfulFiles();
    await open(files, { fsync: true });
    expect(files.syncedDirectories[0]).toBe("/");
  });
});

describe("close", () => {
  test("waits for appends that wait for room; nothing is written behind it", async () => {
    const files = new ForgetfulFiles();
    let released = 0;
    const { queue } = await open(files, {
      maxBytes: 40_000,
      whenFull: "drop_oldest",
      lock: async () => ({ release: () => released++ }),
    });
    for (let id = 0; id < 400; id++) await queue.append(many(0, id, 1));
    const outcomes: string[] = [];
    const appends = numbers(1000, 200).map((id) =>
      queue.append(many(1, id, 1)).then(
        () => outcomes.push("kept"),
        () => outcomes.push("refused"),
      ),
    );
    await queue.close();
    const { writes } = files;
    expect(released).toBe(1);
    await Promise.all(appends);
    for (let i = 0; i < 20; i++) await setImmediate();
    expect(files.writes).toBe(writes);
    const { queue: again } = await open(files);
    const kept = outcomes.filter((one) => one === "kept").length;
    expect((await drainLane(again, 1)).length).toBeLessThanOrEqual(kept);
    expect((await inspectQueue(files.process(), testDirectory, true)).damage).toEqual([]);
  });
});
