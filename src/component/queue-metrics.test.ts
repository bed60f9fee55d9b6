/** What queues on disk say of themselves: whole and by lane, damage, and what was given up. */

import { expect, test } from "vitest";
import type { DurableQueue } from "../durable/durable-queue.ts";
import { ForgetfulFiles } from "../durable/test-forgetful-files.ts";
import { openTestQueue, takeNext } from "../durable/test-queue-kit.ts";
import { createFakeClock, createTestContext } from "../testing/index.ts";
import { observeQueues, queueEvents } from "./queue-metrics.ts";

const labels = { exporter: "out", data_type: "logs" };

async function shown() {
  const kit = createTestContext({}, { id: "out", clock: createFakeClock() });
  const { clock, meter } = kit.context;
  const start = clock.now();
  const queue = await openTestQueue(new ForgetfulFiles(), { now: clock.now });
  const item = (id: number) => ({ id, size: 500, shape: 0 });
  const append = (lane: number, id: number) => queue.append([{ lane, item: item(id) }]);
  const stop = observeQueues(meter, clock, () => [[labels, queue as unknown as DurableQueue<unknown>]]);
  const values = (name: string) =>
    Object.fromEntries(
      kit.meter
        .collect()
        .filter((one) => one.name === name)
        .flatMap(({ samples }) => samples.map((one) => [one.labels["lane"] ?? "whole", one.value])),
    );
  return { kit, queue, append, stop, values, start };
}

test("records, items, bytes and the age of the oldest are shown of a queue and of each lane with something", async () => {
  const { kit, queue, append, stop, values } = await shown();
  expect(values("millrace_storage_records")).toEqual({ whole: 0 });
  expect(values("millrace_storage_oldest_age_seconds")).toEqual({ whole: 0 });
  await append(3, 1);
  await kit.clock.advance(60_000);
  await append(5, 2);
  await append(5, 3);
  await kit.clock.advance(30_000);
  expect(values("millrace_storage_records")).toEqual({ whole: 3 });
  expect(values("millrace_storage_items")).toEqual({ whole: 9 });
  expect(values("millrace_storage_bytes")["whole"]).toBeGreaterThan(1500);
  expect(values("millrace_storage_oldest_age_seconds")).toEqual({ whole: 90 });
  expect(values("millrace_storage_lane_records")).toEqual({ 3: 1, 5: 2 });
  expect(values("millrace_storage_lane_oldest_age_seconds")).toEqual({ 3: 90, 5: 30 });
  const bytes = values("millrace_storage_lane_bytes");
  expect(bytes["5"]).toBe(2 * (bytes["3"] ?? 0));
  const first = await takeNext(queue, 3);
  // Until it is acknowledged it counts.
  expect(values("millrace_storage_lane_records")).toEqual({ 3: 1, 5: 2 });
  await queue.acknowledge([[3, { sequence: first?.sequence ?? 0, done: 0 }]]);
  expect(values("millrace_storage_lane_records")).toEqual({ 5: 2 });
  expect(values("millrace_storage_oldest_age_seconds")).toEqual({ whole: 30 });
  stop();
  expect(values("millrace_storage_records")).toEqual({});
  await queue.close();
});

test("damage is counted by kind and logged with its place; what is given up is counted by reason, logged once in a while", async () => {
  const kit = createTestContext({}, { id: "out", clock: createFakeClock() });
  const { damaged, gaveUp } = queueEvents(kit.context, labels);
  damaged({ file: "segment-1", offset: 700, bytes: 44, kind: "record" });
  gaveUp("queue_full", 2, 20);
  gaveUp("queue_full", 1, 10);
  gaveUp("too_old", 1, 5);
  const counts = kit.meter
    .collect()
    .flatMap(({ name, samples }) => samples.map((one) => [name, one.labels, one.value]));
  expect(counts).toContainEqual(["millrace_storage_damage_total", { ...labels, kind: "record" }, 1]);
  expect(counts).toContainEqual(["millrace_storage_dropped_items_total", { ...labels, reason: "queue_full" }, 30]);
  expect(counts).toContainEqual(["millrace_storage_dropped_items_total", { ...labels, reason: "too_old" }, 5]);
  const logged = JSON.stringify(kit.log);
  expect(logged).toContain("segment-1");
  expect(logged.match(/gave data up/g)).toHaveLength(1);
});
