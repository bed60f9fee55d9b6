/** The queue on files of the system: a second process, directories that cannot be used, and a restart. */

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Damage } from "./damage.ts";
import type { DurableQueueOptions } from "./durable-options.ts";
import { DurableQueue } from "./durable-queue.ts";
import { systemFiles } from "./file-layer.ts";
import { drainLane, type TestItem, testCodec } from "./test-queue-kit.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-queue-"));
  folders.push(path);
  return path;
}

async function open(directory: string, options: Partial<DurableQueueOptions<TestItem>> = {}) {
  const queue = await DurableQueue.open<TestItem>({
    directory,
    codec: testCodec,
    segmentBytes: 1 << 16,
    now: Date.now,
    sleep: async () => await setImmediate(),
    ...options,
  });
  queue.begin(() => {});
  return queue;
}

function makePipe(path: string): void {
  execFileSync("mkfifo", [path]);
}

/** Left behind by a process that ended. */
function makeSocket(path: string): void {
  const script = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  spawnSync(process.execPath, ["-e", script, path]);
}

const items = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ lane: 0, item: { id: from + i, size: 500, shape: 0 } }));

describe("files of the system", () => {
  for (const fsync of [false, true]) {
    test(`keep the queue over a restart, fsync ${fsync}`, async () => {
      const directory = join(folder(), "made", "for", "it");
      const queue = await open(directory, { fsync });
      await Promise.all(Array.from({ length: 50 }, (_, i) => queue.append(items(i * 10, 10))));
      await queue.close();
      const again = await open(directory, { fsync });
      expect(await drainLane(again, 0)).toEqual(Array.from({ length: 500 }, (_, i) => i));
      await again.close();
    });
  }

  test("have the permissions of directories without the right to search, whichever file it is", async () => {
    const directory = join(folder(), "queue");
    const queue = await open(directory, { directoryPermissions: 0o700 });
    for (let i = 0; i < 5; i++) await queue.append(items(i * 40, 40));
    const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777] as const);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(modes.length).toBeGreaterThan(4);
    for (const [name, mode] of modes) expect([name, mode]).toEqual([name, 0o600]);
    await queue.close();
  });

  test("two queues in one directory: the second is refused, and the first goes on", async () => {
    const directory = folder();
    const queue = await open(directory);
    await expect(open(directory)).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await queue.append(items(0, 1));
    await queue.close();
    const again = await open(directory);
    expect(await drainLane(again, 0)).toEqual([0]);
    await again.close();
  });

  test("another process is named, and its lock ends with it", async () => {
    const directory = folder();
    const script = join(directory, "hold.mjs");
    const lock = new URL("./directory-lock.ts", import.meta.url).href;
    writeFileSync(
      script,
      `const { lockDirectory } = await import(${JSON.stringify(lock)}); await lockDirectory(${JSON.stringify(directory)});
       process.stdout.write("held"); setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await expect(open(directory)).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      message: expect.stringContaining(`process ${child.pid}`),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    await (await open(directory)).close();
  });

  test("a directory that is a file, or that must be there and is not, is named", async () => {
    const directory = folder();
    const file = join(directory, "file");
    writeFileSync(file, "");
    const none = join(directory, "none");
    for (const [path, options] of [
      [file, {}],
      [none, { createDirectory: false }],
    ] as const) {
      await expect(open(path, options)).rejects.toMatchObject({
        code: "STORAGE_UNUSABLE",
        message: expect.stringContaining(path),
      });
    }
    expect(readFileSync(file, "utf8")).toBe("");
  });

  test.skipIf(process.getuid?.() === 0)("a directory without the right to write is named", async () => {
    const directory = folder();
    chmodSync(directory, 0o500);
    await expect(open(directory)).rejects.toMatchObject({ code: "STORAGE_UNUSABLE" });
    chmodSync(directory, 0o700);
  });

  test.each([
    ["a directory", "positions-0", (path: string) => mkdirSync(path)],
    ["a directory", "positions-1", (path: string) => mkdirSync(path)],
    [
      "a directory with something in it",
      "positions-0",
      (path: string) => mkdirSync(join(path, "kept"), { recursive: true }),
    ],
    ["a link to a directory", "positions-0", (path: string) => symlinkSync(tmpdir(), path)],
    ["a link to nothing", "positions-0", (path: string) => symlinkSync(join(path, "../none"), path)],
    ["a directory", "segment-000000000009.mrq", (path: string) => mkdirSync(path)],
    ["a pipe that nobody writes to", "positions-0", makePipe],
    ["a pipe that nobody writes to", "positions-1", makePipe],
    ["a pipe that nobody writes to", "segment-000000000009.mrq", makePipe],
    ["a socket", "positions-1", makeSocket],
    ["a socket", "segment-000000000009.mrq", makeSocket],
    ["a link to a device", "positions-0", (path: string) => symlinkSync("/dev/zero", path)],
    ["a link to a device", "segment-000000000009.mrq", (path: string) => symlinkSync("/dev/zero", path)],
  ])("%s in the place of %s does not stop a start, and stays", async (_what, name, put) => {
    const directory = folder();
    const queue = await open(directory);
    await queue.append(items(0, 10));
    await queue.close();
    const path = join(directory, name);
    rmSync(path, { force: true });
    put(path);
    const damage: Damage[] = [];
    const again = await open(directory, { damaged: (one) => damage.push(one) });
    expect(damage.map(({ file }) => file.startsWith(path))).toContain(true);
    const reported = damage.length;
    await again.append(items(10, 200));
    expect(await drainLane(again, 0)).toEqual(Array.from({ length: 210 }, (_, i) => i));
    await again.close();
    expect(
      readdirSync(directory).filter((one) => one.startsWith(name) && !lstatSync(join(directory, one)).isFile()),
    ).toHaveLength(1);
    const last = await open(directory, { damaged: (one) => damage.push(one) });
    expect(damage).toHaveLength(name.startsWith("positions") ? reported : reported * 2);
    expect(await drainLane(last, 0)).toEqual([]);
    await last.close();
  });

  test.each([
    ["junk", (path: string) => writeFileSync(path, Buffer.alloc(5000, 7))],
    ["a block of zeros", (path: string) => writeFileSync(path, Buffer.alloc(4096))],
    ["an empty directory", (path: string) => mkdirSync(path)],
  ])("%s in the place of the lock does not stop a start, and the lock holds", async (_what, put) => {
    const directory = folder();
    put(join(directory, "lock"));
    const queue = await open(directory);
    await expect(open(directory)).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await queue.close();
  });

  test.each([
    ["lock.owner", "STORAGE_LOCKED"],
    ["lock", "STORAGE_UNUSABLE"],
  ])("a pipe in the place of %s holds nobody up", async (name, code) => {
    const directory = folder();
    makePipe(join(directory, name));
    const queue = name === "lock" ? undefined : await open(directory);
    await expect(open(directory)).rejects.toMatchObject({ code });
    await queue?.close();
  });

  test("a lock that is held is not cleared, whatever is written over it", async () => {
    const directory = folder();
    const queue = await open(directory);
    writeFileSync(join(directory, "lock"), Buffer.alloc(4096, 7));
    await expect(open(directory)).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    expect(statSync(join(directory, "lock")).size).toBe(4096);
    await queue.close();
    await (await open(directory)).close();
  });

  test("both files of positions gone for directories cost only that everything is repeated", async () => {
    const directory = folder();
    const queue = await open(directory);
    await queue.append(items(0, 10));
    await queue.close();
    for (const name of ["positions-0", "positions-1"]) {
      rmSync(join(directory, name));
      mkdirSync(join(directory, name));
    }
    const again = await open(directory);
    expect(await drainLane(again, 0)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    await again.close();
  });

  test("make directories with all above them, and say where that cannot be", async () => {
    const directory = folder();
    const path = join(directory, "a/b/c");
    await systemFiles.makeDirectory(path, 0o700);
    await systemFiles.makeDirectory(`${path}/`, 0o700);
    expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o700);
    writeFileSync(join(directory, "file"), "");
    await expect(systemFiles.makeDirectory(join(directory, "file"), 0o700)).rejects.toThrow("EEXIST");
    await expect(systemFiles.makeDirectory(join(directory, "file/a"), 0o700)).rejects.toThrow("ENOTDIR");
  });

  test.runIf(process.platform === "linux")(
    "make no directory where the system answers that it is not there for ever",
    async () => {
      await expect(systemFiles.makeDirectory("/proc/none/a", 0o700)).rejects.toThrow("cannot be made");
    },
  );
});
