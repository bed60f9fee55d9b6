/** Runs a processor over batches, from configuration to what comes out. */

import { setImmediate as turn } from "node:timers/promises";
import type { Consumers } from "../component/consumer.ts";
import type { Processor, ProcessorDefinition } from "../component/define.ts";
import type { AnyBatch } from "../model/any-batch.ts";
import type { MetricsBatch, OpenMetricsBatch } from "../model/batch.ts";
import { createSink } from "./sink.ts";
import { createTestContext, parseConfig, type TestContextOptions } from "./test-context.ts";

/**
 * Starts the processor with the section as written, hands it the batches, shuts it down, and returns the batches that
 * came out, metrics opened. Rejects with the schema's or the processor's error.
 */
export async function runProcessor<C>(
  definition: ProcessorDefinition<C>,
  section: unknown,
  batches: MetricsBatch | readonly MetricsBatch[],
  options?: TestContextOptions,
): Promise<readonly OpenMetricsBatch[]>;
export async function runProcessor<C, B extends AnyBatch>(
  definition: ProcessorDefinition<C>,
  section: unknown,
  batches: B | readonly B[],
  options?: TestContextOptions,
): Promise<readonly B[]>;
export async function runProcessor<C>(
  definition: ProcessorDefinition<C>,
  section: unknown,
  batches: AnyBatch | readonly AnyBatch[],
  options: TestContextOptions = {},
): Promise<readonly AnyBatch[]> {
  const list = "signal" in batches ? [batches] : batches;
  const signal = list[0]?.signal ?? "metrics";
  const test = createTestContext(parseConfig(definition, section) as C, options);
  const processor = definition.create({ ...test.context, signals: [signal] });
  const sink = createSink();
  await processor.start?.();
  test.startLoops();
  const calls = Promise.allSettled(list.map((batch) => process(processor, batch, sink)));
  await turn();
  await test.stopLoops();
  await processor.shutdown?.(new AbortController().signal);
  for (const call of await calls) if (call.status === "rejected") throw call.reason;
  return signal === "metrics" ? sink.batches : sink.taken;
}

/** Hands a batch to the processor's function for its signal; throws where it has none. */
export async function process(processor: Processor, batch: AnyBatch, next: Consumers): Promise<void> {
  const absent = () => {
    throw new Error(`the processor takes no ${batch.signal}`);
  };
  if (batch.signal === "metrics") return await (processor.metrics?.(batch, next) ?? absent());
  if (batch.signal === "traces") return await (processor.traces?.(batch, next) ?? absent());
  return await (processor.logs?.(batch, next) ?? absent());
}
