/** Rules 8 to 14: what happens to the data. */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { MetricsConsumer } from "../component/consumer.ts";
import type { AnyDefinition } from "../component/define.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import { buildNumbers } from "./build-points.ts";
import { buildSamples } from "./build-samples.ts";
import type { ContractOptions } from "./contract.ts";
import { createSubject, noDeadline, type Subject } from "./contract-life.ts";
import { createMetricsSink, type MetricsSink, type SinkMode } from "./metrics-sink.ts";

const callCount = 12;
const rowsPerCall = 3;
/** Above 0 and 1, which exporters write of their own accord (target_info, up). */
const firstValue = 1001;

/** Batches of both forms; every row has a value of its own, by which it is known again. */
function testBatches(): MetricsBatch[] {
  const identities = new Identities();
  return Array.from({ length: callCount }, (_, call) => {
    const rows = Array.from({ length: rowsPerCall }, (_, row) => ({
      name: `metric_${row}`,
      type: "gauge" as const,
      value: firstValue + call * rowsPerCall + row,
    }));
    return call % 2 === 0 ? buildNumbers(rows, { identities }) : buildSamples(rows, { identities });
  });
}

function valuesOf(batch: MetricsBatch): number[] {
  return batch.segments.flatMap((segment) => {
    if (segment.form === "samples") return Array.from(segment.values);
    return segment.kind === "number" ? Array.from(segment.doubles) : [];
  });
}

interface Delivery {
  readonly batches: readonly MetricsBatch[];
  readonly results: readonly PromiseSettledResult<void>[];
  readonly sink: MetricsSink;
}

/** One life of the component: all batches at once, then shutdown. */
async function deliver(definition: AnyDefinition, options: ContractOptions, mode: SinkMode): Promise<Delivery> {
  const sink = createMetricsSink(mode);
  const { component, test } = createSubject(definition, options, sink);
  await component.start?.();
  test.startLoops();
  const batches = testBatches();
  const calls = Promise.allSettled(batches.map((batch) => handOn({ component, test }, batch, sink)));
  await turn();
  await test.stopLoops();
  await component.shutdown?.(noDeadline());
  return { batches, results: await calls, sink };
}

function handOn({ component }: Subject, batch: MetricsBatch, next: MetricsConsumer): Promise<void> {
  if (component.metrics === undefined) throw new Error("the component takes no metrics");
  return component.metrics(batch as never, next as never);
}

/** Rules 8 to 11, by what the next component does. */
export function checkAnswers(mode: SinkMode) {
  return async (definition: AnyDefinition, options: ContractOptions): Promise<void> => {
    const { batches, results, sink } = await deliver(definition, options, mode);
    const arrived = await arrivals(definition, options, sink);
    for (const [index, result] of results.entries()) {
      const wanted = valuesOf(batches[index] as MetricsBatch);
      if (result.status === "rejected") checkRefusal(result.reason, mode);
      else if (mode === "retryable" || mode === "permanent") expectDropped(wanted, options);
      if (arrived !== undefined) checkArrival(wanted, arrived, result.status === "fulfilled", options);
    }
  };
}

/** How often every value arrived; undefined when that cannot be known. */
async function arrivals(
  definition: AnyDefinition,
  options: ContractOptions,
  sink: MetricsSink,
): Promise<Map<number, number> | undefined> {
  if (definition.kind === "exporter" && options.delivered === undefined) return undefined;
  const values =
    definition.kind === "exporter" ? ((await options.delivered?.()) ?? []) : sink.batches.flatMap(valuesOf);
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function checkRefusal(reason: unknown, mode: SinkMode): void {
  const { permanent, message } = reason as { permanent?: unknown; message?: unknown };
  if (typeof permanent !== "boolean") throw new Error(`refused with an error that is no ConsumeError: ${message}`);
  if (mode === "accept") throw new Error(`refused although the next component accepts: ${message}`);
  if (mode === "retryable" && permanent) throw new Error("a refusal for now became one for good");
  if (mode === "permanent" && !permanent) throw new Error("a refusal for good became one for now");
}

/** A call may only succeed although everything is refused when its rows were dropped by design. */
function expectDropped(values: readonly number[], options: ContractOptions): void {
  if (options.keepsRows ?? true) throw new Error(`lost without an error: ${values.join(", ")}`);
}

function checkArrival(
  values: readonly number[],
  arrived: ReadonlyMap<number, number>,
  wasAccepted: boolean,
  options: ContractOptions,
): void {
  for (const value of values) {
    const count = arrived.get(value) ?? 0;
    if (count > 1) throw new Error(`the row with the value ${value} arrived ${count} times`);
    if (wasAccepted && count === 0 && (options.keepsRows ?? true)) {
      throw new Error(`the row with the value ${value} was accepted and did not arrive`);
    }
  }
}

export async function checkImmutable(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const before = testBatches().map(describeColumns);
  const { batches } = await deliver(definition, options, "accept");
  for (const [index, batch] of batches.entries()) {
    if (describeColumns(batch) !== before[index]) throw new Error("a batch was changed after it was handed on");
  }
}

/** The content of a batch as text: columns, and the names and labels or attributes of its rows. */
function describeColumns(batch: MetricsBatch): string {
  return JSON.stringify(
    batch.segments.map(({ layout, ...columns }) => {
      const { identities } = layout;
      const rows =
        layout.form === "points"
          ? Array.from(layout.series, (id) => identities.seriesView(id))
          : Array.from(layout.labels ?? [], (id) => identities.labels(id));
      return [columns, rows];
    }),
    (_key, value: unknown) => {
      if (typeof value === "bigint") return `${value}n`;
      if (value instanceof Map) return [...value];
      return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>, String) : value;
    },
  );
}

export async function checkPendingCalls(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const { results } = await deliver(definition, options, "accept");
  if (results.length !== callCount) throw new Error("a call was not answered");
}

/** Real time that a shutdown may take after its deadline. */
const graceMs = 1000;

export async function checkDeadline(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const release = Promise.withResolvers<void>();
  const hanging: MetricsConsumer = { metrics: () => release.promise };
  const sink = createMetricsSink();
  sink.metrics = hanging.metrics;
  const { component, test } = createSubject(definition, options, sink);
  await component.start?.();
  test.startLoops();
  const calls = Promise.allSettled(testBatches().map((batch) => handOn({ component, test }, batch, hanging)));
  await turn();
  const ended = test
    .stopLoops()
    .then(() => component.shutdown?.(AbortSignal.abort()))
    .then(() => true);
  const timer = new AbortController();
  const isLate = sleep(graceMs, false, { signal: timer.signal }).catch(() => false);
  const isInTime = await Promise.race([ended, isLate]);
  timer.abort();
  release.resolve();
  await Promise.all([ended, calls]);
  if (!isInTime) throw new Error(`shutdown went on for ${graceMs} ms after its deadline`);
}
