/** Damage that is found while records are read: every place of it is named, once. */

import { expect, test } from "vitest";
import type { Damage } from "./damage.ts";
import { ForgetfulFiles } from "./test-forgetful-files.ts";
import { drainLane, openTestQueue, testDirectory } from "./test-queue-kit.ts";

test("every damaged record of a closed segment is named with its place, whatever its lane", async () => {
  const files = new ForgetfulFiles();
  const queue = await openTestQueue(files, { segmentBytes: 1 << 20 });
  const lanes = [0, 1, 2];
  for (let id = 0; id < 60; id++) await queue.append([{ lane: id % 3, item: { id, size: 100, shape: 0 } }]);
  await queue.close();
  const [name = ""] = files.names.filter((one) => one.includes("segment"));
  const content = files.content(name);
  const hit = [6, 7, 20, 33, 45, 59];
  for (const id of hit) {
    const at = content.indexOf(Buffer.alloc(90, id));
    content.fill(0xff, at + 50, at + 51);
  }
  const damage: Damage[] = [];
  const again = await openTestQueue(files, { damaged: (one) => damage.push(one) });
  const found = await Promise.all(lanes.map((lane) => drainLane(again, lane)));
  expect(found.flat().length).toBe(60 - hit.length);
  // Two beside each other are one place or two.
  expect(damage.length).toBeGreaterThanOrEqual(hit.length - 1);
  expect(damage.length).toBeLessThanOrEqual(hit.length);
  expect(new Set(damage.map(({ offset }) => offset)).size).toBe(damage.length);
  expect(damage.every(({ file, kind }) => file === name && kind === "record")).toBe(true);
});

test("records that stand in a file a second time are damage, and handed out once", async () => {
  const files = new ForgetfulFiles();
  const queue = await openTestQueue(files, { segmentBytes: 1 << 20 });
  for (let id = 0; id < 20; id++) await queue.append([{ lane: 0, item: { id, size: 100, shape: 0 } }]);
  files.kill();
  const [name = ""] = files.names.filter((one) => one.includes("segment"));
  const content = Buffer.from(files.content(name));
  files.replace(name, Buffer.concat([content, content]));
  const damage: Damage[] = [];
  const again = await openTestQueue(files, { damaged: (one) => damage.push(one) });
  expect(await drainLane(again, 0)).toEqual(Array.from({ length: 20 }, (_, id) => id));
  expect(damage.every(({ file, offset }) => file === name && offset >= content.length)).toBe(true);
  expect(damage.length).toBeGreaterThan(0);
});

test("a file that a process made and could not write to before it died is no damage, unless the journal knows it", async () => {
  const files = new ForgetfulFiles();
  const queue = await openTestQueue(files);
  await queue.append([{ lane: 0, item: { id: 7, size: 100, shape: 0 } }]);
  files.kill();
  files.replace(`${testDirectory}/segment-000000000002.mrq`, Buffer.alloc(0));
  const damage: Damage[] = [];
  const damaged = (one: Damage) => damage.push(one);
  await openTestQueue(files, { damaged });
  expect(damage).toEqual([]);
  files.kill();
  files.replace(`${testDirectory}/segment-000000000001.mrq`, Buffer.alloc(0));
  await openTestQueue(files, { damaged });
  expect(damage).toMatchObject([{ file: `${testDirectory}/segment-000000000001.mrq`, kind: "header" }]);
});
