/** Rules 5 to 7 and 15: life and traces of a component. */

import { createHook } from "node:async_hooks";
import { setImmediate as turn } from "node:timers/promises";
import type { Output } from "../component/consumer.ts";
import type { AnyDefinition, Exporter, Processor } from "../component/define.ts";
import type { Signal } from "../model/otlp-request.ts";
import type { ContractOptions } from "./contract.ts";
import { createSink } from "./sink.ts";
import { createTestContext, parseConfig, type TestContext } from "./test-context.ts";

export type AnyComponent = Processor | Exporter;

export interface Subject {
  readonly component: AnyComponent;
  readonly test: TestContext<unknown>;
}

/** Creates the component with the configuration of the options, for a signal that it takes (the first unless given). */
export function createSubject(
  definition: AnyDefinition,
  options: ContractOptions,
  next: Output = createSink(),
  signal: Signal = firstSignal(definition),
): Subject {
  const config = parseConfig(definition, options.config ?? options.example);
  const test = createTestContext(config, { id: definition.type });
  const pair = definition.kind === "connector" ? definition.pairs.find(({ from }) => from === signal) : undefined;
  const component: AnyComponent = definition.create({
    ...test.context,
    signals: [signal],
    next,
    from: signal,
    to: pair?.to ?? signal,
  });
  return { component, test };
}

function firstSignal(definition: AnyDefinition): Signal {
  if (definition.kind === "connector") return definition.pairs[0]?.from ?? "metrics";
  return (Object.keys(definition.stability ?? {})[0] as Signal | undefined) ?? "metrics";
}

/** A signal that never aborts. */
export function noDeadline(): AbortSignal {
  return new AbortController().signal;
}

/** Kinds of asynchronous resources that every program makes without doing I/O. */
const harmless = new Set(["PROMISE", "TickObject", "Microtask", "Immediate", "RANDOMBYTESREQUEST", "HASHREQUEST"]);

export function checkCreate(definition: AnyDefinition, options: ContractOptions): void {
  const made = new Set<string>();
  const hook = createHook({ init: (_id, type) => void (harmless.has(type) || made.add(type)) });
  hook.enable();
  try {
    createSubject(definition, options);
  } finally {
    hook.disable();
  }
  if (made.size > 0) throw new Error(`create made asynchronous resources: ${[...made].join(", ")}`);
}

export async function checkShutdownBeforeStart(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const { component } = createSubject(definition, options);
  await component.shutdown?.(noDeadline());
  await component.shutdown?.(noDeadline());
}

export async function checkLives(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const before = openResources();
  for (let life = 1; life <= 2; life++) {
    const { component, test } = createSubject(definition, options);
    await component.start?.();
    test.startLoops();
    await turn();
    await test.stopLoops();
    await component.shutdown?.(noDeadline());
    await component.shutdown?.(noDeadline());
    const failed = test.host.reported.find((status) => status.state === "permanent");
    if (failed !== undefined) throw new Error(`the component failed: ${failed.message}`);
    if (test.clock.sleepers > 0) throw new Error(`${test.clock.sleepers} sleepers were left behind`);
  }
  await expectNothingOpen(before);
}

/** Resources that keep a process alive, or hold files and sockets. */
const telling = /^(?:TCP|UDP|Pipe|FSEvent|StatWatcher|Timeout|ChildProcess|FSReq|Worker|TLS|HTTP)/;
/** Closing takes a few turns of the event loop. */
const turnsToClose = 200;

function openResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (telling.test(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

async function expectNothingOpen(before: ReadonlyMap<string, number>): Promise<void> {
  let left: string[] = [];
  for (let i = 0; i < turnsToClose; i++) {
    left = [...openResources()].filter(([type, count]) => count > (before.get(type) ?? 0)).map(([type]) => type);
    if (left.length === 0) return;
    await turn();
  }
  throw new Error(`left open after shutdown: ${left.join(", ")}`);
}

const metricName = /^[a-z][a-z0-9_]*$/;
/** Names that people know from the Collector and from Prometheus. */
const knownPrefixes = ["otelcol_", "prometheus_"];

export async function checkMetricNames(definition: AnyDefinition, options: ContractOptions): Promise<void> {
  const { component, test } = createSubject(definition, options);
  await component.shutdown?.(noDeadline());
  const prefixes = [...knownPrefixes, `${definition.kind}_${definition.type}_`];
  for (const { name, help } of test.meter.collect()) {
    const isKnown = metricName.test(name) && prefixes.some((prefix) => name.startsWith(prefix));
    if (!isKnown) throw new Error(`the metric ${name} begins with none of ${prefixes.join(", ")}`);
    if (help === "") throw new Error(`the metric ${name} has no help text`);
  }
}
