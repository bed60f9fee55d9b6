/** What waits for an answer keeps the bytes that it made, not those that came in. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Consumers } from "../../component/consumer.ts";
import type { Processor } from "../../component/define.ts";
import type { AnyBatch } from "../../model/any-batch.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import attributes from "./attributes.ts";

let collect: () => void = () => {};

beforeAll(() => {
  setFlagsFromString("--expose-gc");
  collect = runInNewContext("gc");
});

afterAll(() => setFlagsFromString("--no-expose-gc"));

test.each(["traces", "logs"] as const)("%s that were edited are not kept as they came", async (signal) => {
  const section = { actions: [{ key: "env", value: "prod", action: "insert" }] };
  const { context } = createTestContext(parseConfig(attributes, section) as never);
  const processor = attributes.create({ ...context, signals: [signal] });
  const answer = Promise.withResolvers<void>();
  let edited = 0;
  const take = (batch: AnyBatch) => {
    edited += batch.signal === "metrics" ? 0 : batch.requests.length;
    return answer.promise;
  };
  const bytes: WeakRef<Uint8Array>[] = [];
  const taken = hand(processor, { metrics: take, traces: take, logs: take }, signal, bytes);
  await new Promise(setImmediate);
  collect();
  expect([edited, bytes.map((reference) => reference.deref())]).toEqual([1, [undefined]]);
  answer.resolve();
  await taken;
});

/** In a function of its own, so that no variable keeps the batch. */
function hand(
  processor: Processor,
  next: Consumers,
  signal: "traces" | "logs",
  bytes: WeakRef<Uint8Array>[],
): Promise<void> | undefined {
  const batch = signal === "traces" ? buildTraces([{ name: "a" }]) : buildLogs([{ body: "a" }]);
  bytes.push(...batch.requests.map((request) => new WeakRef(request.bytes)));
  return batch.signal === "traces" ? processor.traces?.(batch, next) : processor.logs?.(batch, next);
}
