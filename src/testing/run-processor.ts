/** Runs a processor over batches, from configuration to what comes out. */

import { setImmediate as turn } from "node:timers/promises";
import type { ProcessorDefinition } from "../component/define.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { createMetricsSink } from "./metrics-sink.ts";
import { createTestContext, parseConfig, type TestContextOptions } from "./test-context.ts";

/**
 * Starts the processor with the section as written, hands it the batches, shuts it down, and returns the batches that
 * came out. Rejects with the schema's or the processor's error.
 */
export async function runProcessor<C>(
  definition: ProcessorDefinition<C>,
  section: unknown,
  batches: MetricsBatch | readonly MetricsBatch[],
  options: TestContextOptions = {},
): Promise<readonly MetricsBatch[]> {
  const test = createTestContext(parseConfig(definition, section) as C, options);
  const processor = definition.create(test.context);
  const sink = createMetricsSink();
  await processor.start?.();
  test.startLoops();
  const list = "segments" in batches ? [batches] : batches;
  const calls = Promise.allSettled(list.map((batch) => processor.metrics?.(batch, sink)));
  await turn();
  await test.stopLoops();
  await processor.shutdown?.(new AbortController().signal);
  for (const call of await calls) if (call.status === "rejected") throw call.reason;
  return sink.batches;
}
