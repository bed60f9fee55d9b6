/** Rules 8 to 14: what happens to the data. */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type Consumers, consumeWith } from "../component/consumer.ts";
import type { AnyDefinition, Exporter, Processor } from "../component/define.ts";
import { type AnyBatch, signals } from "../model/any-batch.ts";
import { type MetricsBatch, openSegments } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import type { LogsBatch, Signal, TracesBatch } from "../model/otlp-request.ts";
import { buildLogs, buildTraces, unopened } from "./build-otlp.ts";
import { buildNumbers } from "./build-points.ts";
import { buildSamples } from "./build-samples.ts";
import type { ContractOptions } from "./contract.ts";
import { createSubject, noDeadline, type Subject } from "./contract-life.ts";
import { process } from "./run-processor.ts";
import { createSink, type Sink, type SinkMode } from "./sink.ts";

const callCount = 12;
const rowsPerCall = 3;
/** Above 0 and 1, which exporters write of their own accord (target_info, up). */
const firstValue = 1001;

/** The signals that a component takes. */
function signalsTaken(definition: AnyDefinition): Signal[] {
  if (definition.kind === "extension") return [];
  if (definition.kind === "connector") {
    return signals.filter((signal) => definition.pairs.some(({ from }) => from === signal));
  }
  return signals.filter((signal) => definition.stability[signal] !== undefined);
}

/** Batches in which every row has a number of its own, by which it is known again; metrics in all forms. */
function testBatches(signal: Signal): AnyBatch[] {
  const identities = new Identities();
  return Array.from({ length: callCount }, (_, call) => {
    const numbers = Array.from({ length: rowsPerCall }, (_, row) => firstValue + call * rowsPerCall + row);
    if (signal === "traces") return buildTraces(numbers.map((number) => ({ name: `item-${number}.` })));
    if (signal === "logs") return buildLogs(numbers.map((number) => ({ body: `item-${number}.` })));
    const rows = numbers.map((value, row) => ({ name: `metric_${row}`, type: "gauge" as const, value }));
    if (call % 3 === 2) return unopened(buildNumbers(rows, { identities }));
    return call % 3 === 0 ? buildNumbers(rows, { identities }) : buildSamples(rows, { identities });
  });
}

/** The numbers of the rows of a batch. */
function valuesOf(batch: AnyBatch): number[] {
  if (batch.signal !== "metrics") {
    return batch.requests.flatMap(({ bytes }) => numbersIn(Buffer.from(bytes).toString("latin1")));
  }
  return openSegments(batch).flatMap((segment) => {
    if (segment.form === "samples") return Array.from(segment.values);
    return segment.kind === "number" ? Array.from(segment.doubles) : [];
  });
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/item-([0-9]+)\./g)].map((match) => Number(match[1]));
}

interface Delivery {
  readonly batches: readonly AnyBatch[];
  readonly results: readonly PromiseSettledResult<void>[];
  readonly sink: Sink;
}

/** One life of the component: all batches at once, then shutdown. */
async function deliver(
  definition: AnyDefinition,
  options: ContractOptions,
  mode: SinkMode,
  signal: Signal,
): Promise<Delivery> {
  const sink = createSink(mode);
  const { component, test } = createSubject(definition, options, sink, signal);
  await component.start?.();
  test.startLoops();
  const batches = testBatches(signal);
  const calls = Promise.allSettled(batches.map((batch) => handOver(definition, { component, test }, batch, sink)));
  await turn();
  await test.stopLoops();
  await component.shutdown?.(noDeadline());
  return { batches, results: await calls, sink };
}

async function handOver(
  definition: AnyDefinition,
  { component }: Subject,
  batch: AnyBatch,
  next: Consumers,
): Promise<void> {
  if (definition.kind === "processor") return await process(component as Processor, batch, next);
  const exporter = component as Exporter;
  if (exporter[batch.signal] === undefined) throw new Error(`the component takes no ${batch.signal}`);
  if (batch.signal === "metrics") await exporter.metrics?.(batch);
  else if (batch.signal === "traces") await exporter.traces?.(batch);
  else await exporter.logs?.(batch);
}

/** Rules 8 to 11, by what the next component does. */
export function checkAnswers(mode: SinkMode) {
  return async (definition: AnyDefinition, options: ContractOptions): Promise<void> => {
    for (const signal of signalsTaken(definition)) {
      const { batches, results, sink } = await deliver(definition, options, mode, signal);
      const arrived = await arrivals(definition, options, sink, signal);
      for (const [index, result] of results.entries()) {
        const wanted = valuesOf(batches[index] as AnyBatch);
        if (result.status === "rejected") checkRefusal(result.reason, mode);
        else if (mode === "retryable" || mode === "permanent") expectDropped(wanted, options);
        if (arrived !== undefined) checkArrival(wanted, arrived, result.status === "fulfilled", options);
      }
    }
  };
}

/** How often every value arrived; undefined when that cannot be known. */
async function arrivals(
  definition: AnyDefinition,
  options: ContractOptions,
  sink: Sink,
  signal: Signal,
): Promise<Map<number, number> | undefined> {
  if (definition.kind === "exporter" && options.delivered === undefined) return undefined;
  const values =
    definition.kind === "exporter" ? ((await options.delivered?.(signal)) ?? []) : sink.taken.flatMap(valuesOf);
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
  for (const signal of signalsTaken(definition)) {
    const before = testBatches(signal).map(describeColumns);
    const { batches } = await deliver(definition, options, "accept", signal);
    for (const [index, batch] of batches.entries()) {
      if (describeColumns(batch) !== before[index]) throw new Error("a batch was changed after it was handed on");
    }
  }
}

function describeColumns(batch: AnyBatch): string {
  return batch.signal === "metrics" ? describeMetrics(batch) : describeRequests(batch);
}

function describeRequests({ requests }: TracesBatch | LogsBatch): string {
  return JSON.stringify(requests.map(({ bytes, items }) => [Buffer.from(bytes).toString("base64"), items]));
}

/** The content of a batch as text: columns, and the names and labels or attributes of its rows. */
function describeMetrics(batch: MetricsBatch): string {
  return JSON.stringify(
    openSegments(batch).map(({ layout, ...columns }) => {
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
  for (const signal of signalsTaken(definition)) {
    const { results } = await deliver(definition, options, "accept", signal);
    if (results.length !== callCount) throw new Error("a call was not answered");
  }
}

/** Real time that a shutdown may take after its deadline. */
const graceMs = 1000;

export async function checkDeadline(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  for (const signal of signalsTaken(definition)) await checkDeadlineOf(definition, options, signal);
}

async function checkDeadlineOf(definition: AnyDefinition, options: ContractOptions, signal: Signal): Promise<void> {
  const release = Promise.withResolvers<void>();
  const hanging = { ...createSink(), ...consumeWith(() => release.promise) };
  const { component, test } = createSubject(definition, options, hanging, signal);
  await component.start?.();
  test.startLoops();
  const subject = { component, test };
  const calls = Promise.allSettled(testBatches(signal).map((batch) => handOver(definition, subject, batch, hanging)));
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
