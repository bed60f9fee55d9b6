import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTempFolder, type TempFolder } from "../../../test/kit/temp.ts";
import { nodeFromValue } from "../../codec/yaml/parse-yaml.ts";
import type { QueueStorage } from "../../component/queue-storage.ts";
import { RequestCodec } from "../../durable/request-codec.ts";
import { ConfigError } from "../../model/errors.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { createFakeClock } from "../../testing/fake-clock.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import fileStorage from "./file_storage.ts";
import { queueFolder } from "./queue-folder.ts";

let folder: TempFolder;
beforeEach(() => {
  folder = createTempFolder("file-storage");
});
afterEach(() => folder[Symbol.dispose]());

async function start(section: object, id = "file_storage") {
  const clock = createFakeClock();
  const config = parseConfig(fileStorage, section) as Parameters<typeof fileStorage.create>[0]["config"];
  const { context, log, startLoops, stopLoops } = createTestContext(config, { id, clock });
  const extension = fileStorage.create(context) as ReturnType<typeof fileStorage.create> & QueueStorage;
  await extension.start?.();
  const open = (name: string) =>
    extension.openQueue<OtlpRequest>({ name, codec: new RequestCodec(), damaged: () => {}, gaveUp: () => {} });
  return { open, clock, log, startLoops, stopLoops };
}

const request: OtlpRequest = { signal: "traces", bytes: new Uint8Array(100), items: 1 };

describe("directories", () => {
  test("one is made where create_directory says so, with the permissions", async () => {
    const directory = folder.file("a/b");
    await start({ directory, create_directory: true, directory_permissions: "0700" });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test.each([
    [
      "is not there",
      "absent",
      /extensions::file_storage::directory: .*absent does not exist, and create_directory is false/,
    ],
    ["is a file", "file", /extensions::file_storage::directory: .*file is not a directory/],
  ])("one that %s is an error", async (_name, name, message) => {
    writeFileSync(folder.file("file"), "");
    const failure = start({ directory: folder.file(name) });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(ConfigError);
  });

  test("each queue has its own, whatever its name is", async () => {
    const { open } = await start({ directory: folder.path });
    for (const name of ["otlp_grpc/a.traces", "otlp_grpc.traces", `otlp_http/${"x".repeat(500)}.logs`]) {
      await (await open(name)).release();
    }
    expect(readdirSync(folder.path).sort()).toEqual(
      ["otlp_grpc%2Fa.traces", "otlp_grpc.traces", queueFolder(`otlp_http/${"x".repeat(500)}.logs`)].sort(),
    );
  });

  test.skipIf(process.getuid?.() === 0)("one that may not be written is an error", async () => {
    mkdirSync(folder.file("closed"));
    chmodSync(folder.file("closed"), 0o500);
    const { open } = await start({ directory: folder.file("closed") });
    await expect(open("a.traces")).rejects.toMatchObject({ code: "STORAGE_UNUSABLE" });
    chmodSync(folder.file("closed"), 0o700);
  });
});

describe("queues", () => {
  test("two users share one, and the last to leave closes it", async () => {
    const { open } = await start({ directory: folder.path });
    const first = await open("a.traces");
    const second = await open("a.traces");
    expect(second.queue).toBe(first.queue);
    expect(first.isShared()).toBe(true);
    await first.release();
    await first.release();
    expect(second.isShared()).toBe(false);
    await second.queue.append([{ lane: 0, item: request }]);
    await second.release();
    const third = await open("a.traces");
    expect(third.queue).not.toBe(first.queue);
    expect(third.queue.stats().records).toBe(1);
    await third.release();
  });

  test("one that is opened while it is closed is opened when that is over", async () => {
    const { open } = await start({ directory: folder.path });
    const first = await open("a.traces");
    const closed = first.release();
    const [second] = await Promise.all([open("a.traces"), closed]);
    await second.queue.append([{ lane: 0, item: request }]);
    await second.release();
  });

  test("another fsync counts after a restart for a queue that is open, and that is said once", async () => {
    const { open, log } = await start({ directory: folder.path });
    const held = await open("a.traces");
    expect(log.entries).toEqual([]);
    const message = "extensions::file_storage::fsync: counts after a restart for the queues that are open";
    const changed = await start({ directory: folder.path, fsync: true });
    expect(changed.log.entries).toMatchObject([
      { level: "warn", message, fields: { queues: [folder.file("a.traces")] } },
    ]);
    expect((await start({ directory: folder.path })).log.entries).toEqual([]);
    await held.release();
    expect((await start({ directory: folder.path, fsync: true })).log.entries).toEqual([]);
  });

  test("other limits count at once, also for a queue that is open", async () => {
    const { open } = await start({ directory: folder.path, max_size: "1KiB", min_free_space: 0 });
    const { queue, release } = await open("a.traces");
    const fill = async (records: number) => {
      for (let i = 0; i < records; i++) await queue.append([{ lane: 0, item: request }]);
    };
    await expect(fill(20)).rejects.toMatchObject({ code: "STORAGE_FULL" });
    const changed = await start({ directory: folder.path, max_size: "1MiB", min_free_space: 0 });
    expect(changed.log.entries).toEqual([]);
    await fill(20);
    await start({ directory: folder.path, max_size: "1KiB", min_free_space: 0, when_full: "drop_oldest" });
    await fill(20);
    expect(queue.stats().records).toBeLessThan(20);
    await release();
  });

  test("an extension that takes the place of another gives open queues its limits, now and at later reloads", async () => {
    const { open } = await start({ directory: folder.path, max_size: "1MiB", min_free_space: 0 });
    const first = await open("a.traces");
    const fill = async () => {
      for (let i = 0; i < 20; i++) await first.queue.append([{ lane: 0, item: request }]);
    };
    await fill();
    const renamed = await start(
      { directory: folder.path, max_size: "1KiB", min_free_space: 0, fsync: true },
      "file_storage/new",
    );
    const second = await renamed.open("a.traces");
    const message = "extensions::file_storage/new::fsync: counts after a restart for the queues that are open";
    expect(renamed.log.entries).toMatchObject([{ message, fields: { queues: [folder.file("a.traces")] } }]);
    await expect(fill()).rejects.toMatchObject({ code: "STORAGE_FULL" });
    await start({ directory: folder.path, max_size: "1MiB", min_free_space: 0, fsync: true }, "file_storage/new");
    await fill();
    await Promise.all([first.release(), second.release()]);
  });

  test("another directory counts after a restart for a queue that is open, and that is said", async () => {
    const { open } = await start({ directory: folder.file("a"), create_directory: true });
    const held = await open("a.traces");
    const changed = await start({ directory: folder.file("b"), create_directory: true });
    const message = "extensions::file_storage::directory: counts after a restart for the queues that are open";
    expect(changed.log.entries).toMatchObject([
      { level: "warn", message, fields: { queues: [folder.file("a/a.traces")] } },
    ]);
    await held.release();
  });

  test("the limit holds for each", async () => {
    const { open } = await start({ directory: folder.path, max_size: "1KiB", min_free_space: 0 });
    const { queue, release } = await open("a.traces");
    queue.begin(() => {});
    const fill = async () => {
      for (let i = 0; i < 20; i++) await queue.append([{ lane: 0, item: request }]);
    };
    await expect(fill()).rejects.toMatchObject({ code: "STORAGE_FULL" });
    await release();
  });

  test("one with data that no exporter uses is named when all have started", async () => {
    const before = await start({ directory: folder.path });
    for (const name of ["gone.traces", "used.traces", "empty.traces"]) {
      const { queue, release } = await before.open(name);
      if (name !== "empty.traces") await queue.append([{ lane: 0, item: request }]);
      await release();
    }
    const { open, clock, log, startLoops, stopLoops } = await start({ directory: folder.path });
    startLoops();
    const used = await open("used.traces");
    while (log.entries.length === 0) await clock.advance(1000);
    await stopLoops();
    const directory = folder.file("gone.traces");
    expect(log.entries).toMatchObject([
      { level: "warn", message: "No exporter uses this queue", fields: { directory, records: 1 } },
    ]);
    await used.release();
  });

  test("a queue that is locked is waited for as long as timeout says", async () => {
    const { open, clock } = await start({ directory: folder.path, timeout: "1s" });
    const held = await holdElsewhere(join(folder.path, "a.traces"));
    const pass = async (isOver: () => boolean) => {
      while (!isOver()) await clock.advance(50);
    };
    let failure: unknown;
    open("a.traces").catch((caught: unknown) => {
      failure = caught;
    });
    const startMs = clock.monotonic();
    await pass(() => failure !== undefined);
    expect(failure).toMatchObject({ code: "STORAGE_LOCKED" });
    expect(clock.monotonic() - startMs).toBeGreaterThanOrEqual(1000);
    let isOpen = false;
    const opening = open("a.traces").finally(() => {
      isOpen = true;
    });
    await pass(() => clock.sleepers > 0);
    held.release();
    await pass(() => isOpen);
    await (await opening).release();
  });
});

/** As another process has it. */
async function holdElsewhere(directory: string) {
  mkdirSync(directory, { recursive: true });
  const { lockDirectory } = await import("../../durable/directory-lock.ts");
  return await lockDirectory(directory);
}

test("keys of the Collector without effect are explained with their place", () => {
  const notices: string[] = [];
  const section = { recreate: true, compaction: { on_start: true, directory: "/tmp" } };
  const parsed = parseConfig(fileStorage, section) as Parameters<NonNullable<typeof fileStorage.complete>>[0];
  fileStorage.complete?.(parsed, {
    node: nodeFromValue(section),
    path: ["extensions", "file_storage"],
    env: {},
    issue: () => {},
    notice: ({ path, message }) => void notices.push(`${path}: ${message}`),
  });
  expect(notices).toEqual([
    expect.stringMatching(/^extensions::file_storage::compaction: has no effect: .* there is nothing to compact$/),
    expect.stringMatching(/^extensions::file_storage::recreate: has no effect: damage costs/),
  ]);
});
