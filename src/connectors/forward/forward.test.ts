import { expect, test } from "vitest";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createSink } from "../../testing/sink.ts";
import { createTestContext } from "../../testing/test-context.ts";
import forward from "./forward.ts";

test("hands on the very batch and the consumer's answer", async () => {
  const sink = createSink();
  const context = createTestContext({}).context;
  const connector = forward.create({ ...context, next: sink, from: "metrics", to: "metrics" });
  const batch = buildNumbers([{ name: "m", value: 1 }]);
  const traces = buildTraces([{ name: "a" }]);
  const logs = buildLogs([{ body: "b" }]);
  await connector.metrics?.(batch);
  await connector.traces?.(traces);
  await connector.logs?.(logs);
  expect(sink.taken).toEqual([batch, traces, logs]);
  sink.mode = "retryable";
  await expect(connector.metrics?.(batch)).rejects.toMatchObject({ permanent: false });
});
