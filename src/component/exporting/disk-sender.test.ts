/** An exporter's queue on disk: order, restarts, refusals, limits, hand-over. */

import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Answer, createStorage, startExporter } from "../../../test/support/disk-exporter.ts";
import { ForgetfulFiles } from "../../durable/test-forgetful-files.ts";
import type { QueueStorage } from "../queue-storage.ts";

const turns = async () => {
  for (let i = 0; i < 50; i++) await turn();
};
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));

test("what was accepted goes out in its order", async () => {
  const out = await startExporter(createStorage(new ForgetfulFiles()), () => "take");
  for (let i = 0; i < 20; i++) await out.offer(i);
  await out.until(() => out.delivered.length === 20);
  expect(out.delivered).toEqual(numbers(0, 20));
  await out.until(() => out.metric("millrace_storage_records") === 0);
  expect(out.metric("otelcol_exporter_sent_spans")).toBe(20);
  await out.stop();
});

test("what was not delivered when the process ended comes after the next start, before what is new", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail");
  for (let i = 0; i < 30; i++) await before.offer(i);
  await before.until(() => before.attempts() > 1);
  expect(before.metric("millrace_storage_items")).toBe(30);
  await before.stop();
  expect(before.metric("otelcol_exporter_dropped_items")).toBe(0);
  const after = await startExporter(createStorage(files), () => "take");
  await after.offer(30);
  await after.until(() => after.delivered.length === 31);
  expect(after.delivered).toEqual(numbers(0, 31));
  await after.stop();
});

test("resources keep their lanes over a restart", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail");
  for (let i = 0; i < 40; i++) await before.offer(i * 100, i * 100 + 1, `service-${i % 20}`);
  await before.stop();
  const after = await startExporter(createStorage(files), () => "take");
  for (let i = 40; i < 80; i++) await after.offer(i * 100, i * 100 + 1, `service-${i % 20}`);
  await after.until(() => after.delivered.length === 80);
  const order = new Map<number, number>();
  for (const name of after.delivered) {
    const index = Number(name) / 100;
    expect(index).toBeGreaterThan(order.get(index % 20) ?? -1);
    order.set(index % 20, index);
  }
  await after.stop();
});

test("what is scraped keeps its place also when its target changed over the restart", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail", {}, { signal: "metrics" });
  await before.offerScraped(0, 30, 7);
  await before.stop();
  let isDown = true;
  const section = { sending_queue: { batch: { min_size: 1, max_size: 3 } } };
  const answer = (): Answer => (isDown ? "fail" : "take");
  const after = await startExporter(createStorage(files), answer, section, { signal: "metrics" });
  await after.offerScraped(30, 40, 8);
  isDown = false;
  await after.clock.advance(60_000);
  await after.until(() => after.delivered.length === 40);
  expect(after.delivered).toEqual(numbers(0, 40));
  await after.stop();
});

test("one that is replaced before the one before it has ended leaves the queue to the next", async () => {
  const storage = createStorage(new ForgetfulFiles());
  const answer = Promise.withResolvers<Answer>();
  const first = await startExporter(storage, () => answer.promise);
  for (let i = 0; i < 5; i++) await first.offer(i);
  await first.until(() => first.attempts() > 0);
  const firstEnded = Promise.withResolvers<void>();
  const second = await startExporter(storage, () => "take", {}, { after: firstEnded.promise });
  const firstStopped = first.stop().then(firstEnded.resolve);
  await second.offer(5);
  const secondStopped = second.stop();
  // As the graph says it.
  const ended = Promise.all([firstEnded.promise, secondStopped]).then(() => {});
  const third = await startExporter(storage, () => "take", {}, { after: ended });
  await secondStopped;
  await third.offer(6);
  expect([...first.delivered, ...second.delivered, ...third.delivered]).toEqual([]);
  answer.resolve("take");
  await firstStopped;
  await third.until(() => third.metric("millrace_storage_records") === 0);
  expect(second.delivered).toEqual([]);
  expect([...first.delivered, ...third.delivered]).toEqual(numbers(0, 7));
  await third.stop();
  expect(storage.users()).toBe(0);
});

test("a successor waits for the end of the one before and takes over what it left", async () => {
  const storage = createStorage(new ForgetfulFiles());
  let answer: Answer = "fail";
  const before = await startExporter(storage, () => answer);
  for (let i = 0; i < 5; i++) await before.offer(i);
  await before.until(() => before.attempts() > 0);
  const ended = Promise.withResolvers<void>();
  const after = await startExporter(storage, () => "take", {}, { after: ended.promise });
  expect(storage.users()).toBe(2);
  await after.offer(5);
  await turn();
  expect(after.delivered).toEqual([]);
  answer = "take";
  await before.stop();
  ended.resolve();
  await after.until(() => before.delivered.length + after.delivered.length >= 6);
  expect([...before.delivered, ...after.delivered]).toEqual(numbers(0, 6));
  await after.stop();
  expect(storage.users()).toBe(0);
});

test("requests are repeated for ever, unless max_elapsed_time is written", async () => {
  let isDown = true;
  const out = await startExporter(createStorage(new ForgetfulFiles()), () => (isDown ? "fail" : "take"));
  await out.offer(0);
  await out.until(() => out.attempts() > 0);
  for (let minute = 0; minute < 60; minute++) {
    await out.clock.advance(60_000);
    await turn();
  }
  isDown = false;
  await out.clock.advance(60_000);
  await out.until(() => out.delivered.length === 1);
  await out.stop();

  const section = { retry_on_failure: { max_elapsed_time: "60s" } };
  const short = await startExporter(createStorage(new ForgetfulFiles()), () => "fail", section);
  await short.offer(0);
  await short.until(() => short.attempts() > 0);
  for (let i = 0; i < 10; i++) {
    await short.clock.advance(30_000);
    await turn();
  }
  await short.until(() => short.metric("otelcol_exporter_dropped_items") === 1);
  await short.until(() => short.metric("millrace_storage_records") === 0);
  await short.stop();
});

test("what is new waits behind the backlog of its own resource only", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail");
  for (let i = 0; i < 300; i++) await before.offer(i, i + 1, "late");
  await before.stop();
  const section = { sending_queue: { batch: { min_size: 1, max_size: 3 } } };
  const after = await startExporter(createStorage(files), () => "take", section);
  await after.offer(300, 301, "fresh");
  await after.offer(301, 302, "late");
  await after.until(() => after.delivered.length === 302);
  expect(after.delivered.indexOf("300")).toBeLessThan(100);
  expect(after.delivered.filter((name) => name !== "300")).toEqual([...numbers(0, 300), "301"]);
  await after.stop();
});

test("after an outage that ended with a refusal, the end delivers what waits", async () => {
  let answer: Answer | Promise<Answer> = "fail";
  const out = await startExporter(createStorage(new ForgetfulFiles()), () => answer);
  await out.offer(0);
  await out.until(() => out.attempts() > 1);
  answer = "reject";
  await out.clock.advance(60_000);
  await out.until(() => out.metric("millrace_storage_records") === 0);
  const last = Promise.withResolvers<Answer>();
  answer = last.promise;
  const attempts = out.attempts();
  await out.offer(1);
  await out.until(() => out.attempts() > attempts);
  for (let i = 2; i < 30; i++) await out.offer(i);
  const stopped = out.stop();
  await turns();
  last.resolve("take");
  await stopped;
  expect(out.delivered).toEqual(numbers(1, 30));
});

test("what is refused for good is dropped alone, counted", async () => {
  const out = await startExporter(createStorage(new ForgetfulFiles()), (names) =>
    names.includes("item-1.") ? "reject" : "take",
  );
  for (let i = 0; i < 3; i++) await out.offer(i);
  await out.until(() => out.metric("millrace_storage_records") === 0);
  expect(out.delivered).toEqual(["0", "2"]);
  expect(out.metric("otelcol_exporter_dropped_items")).toBe(1);
  await out.stop();
});

test("at the limit of the disk senders are refused, and wait where block_on_overflow says so", async () => {
  let isDown = true;
  const answer = (): Answer => (isDown ? "fail" : "take");
  const refusing = await startExporter(createStorage(new ForgetfulFiles(), { maxBytes: 3000 }), answer);
  let accepted = 0;
  const fill = async () => {
    for (; accepted < 200; accepted++) await refusing.offer(accepted, accepted + 1);
  };
  await expect(fill()).rejects.toMatchObject({ code: "CONSUME_QUEUE_FULL", permanent: false, retryAfterMs: 1000 });
  expect(accepted).toBeGreaterThan(3);
  expect(refusing.metric("otelcol_exporter_enqueue_failed_spans")).toBe(1);
  // Whoever sent it is told, and has it.
  expect(refusing.metric("otelcol_exporter_dropped_items")).toBe(0);
  isDown = false;
  await refusing.clock.advance(60_000);
  await refusing.until(() => refusing.delivered.length === accepted);
  await refusing.offer(1000);
  await refusing.until(() => refusing.delivered.length === accepted + 1);
  await refusing.stop();

  isDown = true;
  const section = { sending_queue: { block_on_overflow: true } };
  const blocking = await startExporter(createStorage(new ForgetfulFiles(), { maxBytes: 3000 }), answer, section);
  const offers = Array.from({ length: 60 }, (_, i) => blocking.offer(i));
  await blocking.until(() => blocking.attempts() > 0);
  isDown = false;
  await blocking.clock.advance(60_000);
  await blocking.until(() => blocking.delivered.length === 60);
  await Promise.all(offers);
  await blocking.stop();
});

test("queue_size holds where it is written", async () => {
  const section = { sending_queue: { queue_size: 5, sizer: "items" } };
  const out = await startExporter(createStorage(new ForgetfulFiles()), () => "fail", section);
  await out.offer(0, 5);
  await expect(out.offer(5)).rejects.toMatchObject({ code: "CONSUME_QUEUE_FULL" });
  await out.stop();
});

test("small requests that come within 20 ms of the last go together, what waited longer goes at once", async () => {
  let now = () => 1_700_000_000_000;
  const files = new ForgetfulFiles();
  const storage = createStorage(files, { now: () => now() });
  const out = await startExporter(storage, () => "take");
  ({ now } = out.clock);
  await out.offer(0);
  await turns();
  expect(out.delivered).toEqual(["0"]);
  for (let i = 1; i < 4; i++) await out.offer(i);
  await out.clock.advance(19);
  await turns();
  expect(out.attempts()).toBe(1);
  await out.clock.advance(1);
  await turns();
  expect(out.delivered).toEqual(numbers(0, 4));
  expect(out.attempts()).toBe(2);
  // As after a restart: it waited on disk.
  now = () => out.clock.now() - 20;
  await out.offer(4);
  await turns();
  expect(out.attempts()).toBe(3);
  await out.stop();
});

test("records from before the clock was set back wait no longer than others for more", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail");
  await before.offer(0);
  await before.stop();
  // The clock of the exporter stands years before that of the files.
  const section = { sending_queue: { batch: { min_size: 100, flush_timeout: "200ms" } } };
  const after = await startExporter(createStorage(files), () => "take", section);
  await after.clock.advance(200);
  await after.until(() => after.delivered.length === 1);
  await after.stop();
});

test("what a full queue refuses is logged", async () => {
  const out = await startExporter(createStorage(new ForgetfulFiles(), { maxBytes: 3000 }), () => "fail");
  const fill = async () => {
    for (let i = 0; i < 200; i++) await out.offer(i);
  };
  await expect(fill()).rejects.toMatchObject({ code: "CONSUME_QUEUE_FULL" });
  await expect(fill()).rejects.toMatchObject({ code: "CONSUME_QUEUE_FULL" });
  const message = "The queue on disk takes nothing more for now";
  const error = expect.stringMatching(/^the queue in \/queue is full/);
  expect(out.log.entries.filter((entry) => entry.message === message)).toMatchObject([
    { level: "warn", fields: { error } },
  ]);
  await out.stop();
});

test("what is left when it ends is logged with its place", async () => {
  const out = await startExporter(createStorage(new ForgetfulFiles()), () => "fail");
  await out.offer(0, 3);
  await out.stop();
  expect(out.log.entries).toContainEqual(
    expect.objectContaining({
      message: "What is not delivered stays on disk",
      fields: expect.objectContaining({ directory: "/queue", records: 1, items: 3 }),
    }),
  );
});

test("a record above the largest request is cut, also one that was written before", async () => {
  const files = new ForgetfulFiles();
  const before = await startExporter(createStorage(files), () => "fail");
  await before.offer(0, 10);
  await before.stop();
  const section = { sending_queue: { batch: { min_size: 1, max_size: 3 } } };
  const after = await startExporter(createStorage(files), () => "take", section);
  await after.until(() => after.delivered.length === 10);
  expect(after.delivered).toEqual(numbers(0, 10));
  expect(after.attempts()).toBeGreaterThanOrEqual(4);
  await after.stop();
});

test.each([
  ["an extension that does not run", undefined, /sending_queue::storage: no extension "file_storage" is active/],
  ["one that keeps no queues", {}, /sending_queue::storage: "file_storage" keeps no queues/],
  [
    "a directory that cannot be used",
    {
      openQueue: async () => {
        throw new Error("/queue cannot be used");
      },
    },
    /sending_queue::storage: \/queue cannot be used/,
  ],
])("does not start with %s", async (_name, storage, message) => {
  await expect(startExporter(storage as QueueStorage, () => "take")).rejects.toThrow(message);
});
