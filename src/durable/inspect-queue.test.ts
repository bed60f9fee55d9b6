import { expect, test } from "vitest";
import type { FileLayer } from "./file-layer.ts";
import { findQueues, inspectQueue } from "./inspect-queue.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { openTestQueue, takeNext, testDirectory } from "./test-queue-kit.ts";

async function filled() {
  const files = new ForgetfulFiles();
  const queue = await openTestQueue(files);
  for (let id = 0; id < 100; id++) await queue.append([{ lane: id % 2, item: { id, size: 100, shape: 0 } }]);
  for (let i = 0; i < 10; i++) {
    const handed = await takeNext(queue, 0);
    await queue.acknowledge([[0, { sequence: handed?.sequence ?? 0, done: 0 }]]);
  }
  await queue.close();
  return files;
}

test("tells what waits and changes nothing", async () => {
  const files = await filled();
  const before = files.names.map((name) => Buffer.from(files.content(name)));
  expect(await findQueues(files.process(), testDirectory)).toEqual([testDirectory]);
  const { segments, damage, id } = await inspectQueue(files.process(), testDirectory, false);
  expect(damage).toEqual([]);
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(segments.reduce((sum, { waiting }) => sum + waiting, 0)).toBe(90);
  expect(segments.reduce((sum, { items }) => sum + items, 0)).toBe(300);
  expect(files.names.map((name) => files.content(name))).toEqual(before);
});

test("directories that cannot be looked into are named, but for what is none or belongs to the file system", async () => {
  const refusals: Record<string, string> = { "/d/closed": "EACCES", "/d/file": "ENOTDIR", "/d/lost+found": "EACCES" };
  const files: FileLayer = {
    ...new ForgetfulFiles().process(),
    list: async (path) => {
      const code = refusals[path];
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      return path === "/d" ? ["closed", "file", "lost+found", "queue"] : ["positions-0"];
    },
  };
  const unreadable: string[] = [];
  expect(await findQueues(files, "/d", 3, (path) => unreadable.push(path))).toEqual(["/d/queue"]);
  expect(unreadable).toEqual(["/d/closed"]);
});

test("a thorough look finds a flipped bit in a list of records", async () => {
  const files = await filled();
  const [name = ""] = files.names.filter((one) => one.includes("segment-"));
  const content = files.content(name);
  const listsEnd = content.readUInt32LE(content.length - 36);
  content[listsEnd - 8] = (content[listsEnd - 8] ?? 0) ^ 1;
  const { damage } = await inspectQueue(files.process(), testDirectory, true);
  expect(damage).toMatchObject([{ file: name, kind: "index" }]);
});

test("only a thorough look finds a flipped bit", async () => {
  const files = await filled();
  const [name = ""] = files.names.filter((one) => one.includes("segment-"));
  const content = files.content(name);
  content[500] = (content[500] ?? 0) ^ 1;
  expect((await inspectQueue(files.process(), testDirectory, false)).damage).toEqual([]);
  const { damage } = await inspectQueue(files.process(), testDirectory, true);
  expect(damage).toMatchObject([{ file: name, kind: "record" }]);
  expect(damage[0]?.offset).toBeLessThanOrEqual(500);
});

test("a segment that its process removes meanwhile is no damage", async () => {
  const files = await filled();
  const queue = await openTestQueue(files);
  const process = files.process();
  let reads = 0;
  const removing: FileLayer = {
    ...process,
    open: async (path, mode) => {
      if (path.includes("segment") && ++reads % 5 === 0) {
        for (const lane of [0, 1]) {
          for (let i = 0; i < 10; i++) {
            const handed = await takeNext(queue, lane);
            if (handed !== undefined) await queue.acknowledge([[lane, { sequence: handed.sequence, done: 0 }]]);
          }
        }
      }
      return await process.open(path, mode);
    },
  };
  const before = files.names.length;
  const { damage } = await inspectQueue(removing, testDirectory, true);
  expect(damage).toEqual([]);
  expect(files.names.length).toBeLessThan(before);
  await queue.close();
});
