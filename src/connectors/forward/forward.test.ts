import { expect, test } from "vitest";
import { buildNumbers } from "../../testing/build-points.ts";
import { createMetricsSink } from "../../testing/metrics-sink.ts";
import { createTestContext } from "../../testing/test-context.ts";
import forward from "./forward.ts";

test("hands on the very batch and the consumer's answer", async () => {
  const sink = createMetricsSink();
  const connector = forward.create({ ...createTestContext({}).context, next: sink });
  const batch = buildNumbers([{ name: "m", value: 1 }]);
  await connector.metrics?.(batch);
  expect(sink.batches).toEqual([batch]);
  sink.mode = "retryable";
  await expect(connector.metrics?.(batch)).rejects.toMatchObject({ permanent: false });
});
