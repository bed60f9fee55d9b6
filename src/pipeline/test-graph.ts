/** Graphs for tests: components that record what happens to them and misbehave as told. */

import { z } from "zod";
import { type Consumers, consumeWith, handOn, type Output } from "../component/consumer.ts";
import type { AnyDefinition, ComponentKind, Lifecycle } from "../component/define.ts";
import { MetricRegistry } from "../component/metric-registry.ts";
import type { PlannedPipeline } from "../config/plan-types.ts";
import { type AnyBatch, signals } from "../model/any-batch.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import type { Signal } from "../model/otlp-request.ts";
import { buildNumbers } from "../testing/build-points.ts";
import { createFakeClock } from "../testing/fake-clock.ts";
import { createMetricsSink } from "../testing/sink.ts";
import { createTestLogger } from "../testing/test-context.ts";
import { type ComponentSetup, type GraphSetup, setupKey } from "./graph-setup.ts";
import { Pipelines } from "./pipelines.ts";

/** What a test component does, and what was done to it. */
export interface Fault {
  /** Version of the section: another one is a changed section. */
  readonly version?: string;
  readonly failStart?: Error;
  readonly crashLoop?: Promise<never>;
  /** A processor that holds what it gets until it ends. */
  readonly holds?: boolean;
  readonly throws?: Error;
  /** Never ends. */
  readonly hangs?: boolean;
  /** Ends behind this. */
  readonly endsAfter?: Promise<void>;
  /** Whether `events` has a line when those before it have ended. */
  readonly notesTurn?: boolean;
  readonly reconfigurable?: boolean;
  readonly failReconfigure?: Error;
  /** The only signal that an exporter has a function for. */
  readonly only?: Signal;
}

export interface TestPipeline {
  readonly receivers?: readonly string[];
  readonly processors?: readonly string[];
  readonly exporters?: readonly string[];
  readonly toConnectors?: readonly string[];
  readonly fromConnectors?: readonly string[];
}

/** A process with test components. `events` lists starts and ends as `start exporter:a`. */
export function createTestProcess() {
  const identities = new Identities();
  const log = createTestLogger();
  const registry = new MetricRegistry();
  const clock = createFakeClock();
  const events: string[] = [];
  const sinks = new Map<string, ReturnType<typeof createMetricsSink>>();
  const outputs = new Map<string, Output>();
  const sink = (name: string) => {
    const known = sinks.get(name) ?? createMetricsSink();
    sinks.set(name, known);
    return known;
  };
  const parts: Parts = { events, sink, outputs };
  const definitions = new Map(kinds.map((kind) => [kind, testDefinition(kind, parts)]));
  const pipelines = new Pipelines({
    identities,
    log,
    meter: registry,
    clock,
    version: "0.0.0-test",
    retireDeadlineMs: 100,
  });

  /** Pipelines in an order in which each stands behind all that it feeds; faults by `kind:id`. */
  const setup = (
    graph: Readonly<Record<string, TestPipeline>>,
    faults: Readonly<Record<string, Fault>> = {},
    extensions: readonly string[] = [],
  ): GraphSetup => {
    const planned = Object.entries(graph).map(([id, pipeline]) => plannedPipeline(id, pipeline));
    const components = new Map<string, ComponentSetup>();
    const add = (kind: ComponentKind, ids: readonly string[]) => {
      for (const id of ids) {
        const key = setupKey(kind, id);
        const definition = definitions.get(kind);
        if (definition === undefined) throw new Error(kind);
        const fault = faults[key] ?? {};
        components.set(key, {
          kind,
          id,
          definition,
          config: fault,
          fingerprint: fault.version ?? "1",
          transport: "test",
          countsItself: false,
        });
      }
    };
    for (const pipeline of planned) {
      add("receiver", pipeline.receivers);
      add("processor", pipeline.processors);
      add("exporter", pipeline.exporters);
      add("connector", pipeline.toConnectors);
    }
    add("extension", extensions);
    const connectors = new Set(planned.flatMap((pipeline) => pipeline.toConnectors));
    const connections = [...connectors]
      .flatMap((connector) => signals.map((signal) => ({ connector, signal })))
      .map(({ connector, signal }) => {
        const ofSignal = planned.filter((one) => one.signal === signal);
        return {
          connector,
          from: signal,
          to: signal,
          fromPipelines: ofSignal.filter((one) => one.toConnectors.includes(connector)).map((one) => one.id),
          toPipelines: ofSignal.filter((one) => one.fromConnectors.includes(connector)).map((one) => one.id),
        };
      })
      .filter(({ fromPipelines, toPipelines }) => fromPipelines.length > 0 && toPipelines.length > 0);
    return {
      plan: {
        pipelines: planned,
        buildOrder: planned.map((one) => one.id),
        connections,
        activeExtensions: extensions,
      },
      components,
    };
  };

  return {
    identities,
    log,
    registry,
    clock,
    events,
    pipelines,
    sink,
    setup,
    /** Hands a batch on as the receiver does. */
    send: (receiver: string, batch: AnyBatch): Promise<void> => {
      const output = outputs.get(receiver);
      if (output === undefined) throw new Error(`no receiver ${receiver}`);
      return handOn(output, batch);
    },
    /** The signals that pipelines take from the receiver. */
    taken: (receiver: string) => signals.filter((signal) => outputs.get(receiver)?.takes(signal)),
    /** A batch with this many points. */
    batch: (rows = 1): MetricsBatch =>
      buildNumbers(
        Array.from({ length: rows }, (_, i) => ({ name: "m", attributes: { row: String(i) }, value: i })),
        { identities },
      ),
    /** Own metrics as `name{labels} value`. */
    counters: (prefix: string): string[] =>
      registry
        .collect()
        .filter(({ name }) => name.startsWith(prefix))
        .flatMap(({ name, samples }) =>
          samples.map(({ labels, value }) => `${name}${JSON.stringify(labels)} ${value}`),
        ),
  };
}

const kinds: readonly ComponentKind[] = ["receiver", "processor", "exporter", "connector", "extension"];

interface Parts {
  readonly events: string[];
  sink(name: string): ReturnType<typeof createMetricsSink>;
  readonly outputs: Map<string, Output>;
}

function plannedPipeline(id: string, pipeline: TestPipeline): PlannedPipeline {
  const { receivers = [], processors = [], exporters = [], toConnectors = [], fromConnectors = [] } = pipeline;
  const [type = "", name = ""] = id.split("/");
  const signal = signals.find((one) => one === type) ?? "metrics";
  return { id, signal, name, receivers, processors, exporters, toConnectors, fromConnectors, at: undefined };
}

/** One definition for each kind; the configuration says how an instance misbehaves. */
function testDefinition(kind: ComponentKind, parts: Parts): AnyDefinition {
  const base = {
    kind,
    type: "test",
    config: z.unknown(),
    stability: { metrics: "alpha", traces: "alpha", logs: "alpha" },
  };
  const create = (context: {
    readonly id: string;
    readonly config: Fault;
    readonly next?: Output;
    readonly after?: Promise<void>;
    spawn(name: string, loop: (signal: AbortSignal) => Promise<void>): void;
  }) => {
    const { id, config, next, after, spawn } = context;
    const name = `${kind}:${id}${config.version === undefined ? "" : `@${config.version}`}`;
    if (config.crashLoop !== undefined) spawn("loop", () => config.crashLoop ?? Promise.resolve());
    if (config.notesTurn === true) void (after ?? Promise.resolve()).then(() => parts.events.push(`turn ${name}`));
    const flushes: (() => Promise<void>)[] = [];
    const life: Lifecycle = {
      async start() {
        parts.events.push(`start ${name}`);
        if (config.failStart !== undefined) throw config.failStart;
        if (kind === "receiver" && next !== undefined) parts.outputs.set(id, next);
      },
      async shutdown() {
        if (config.hangs === true) await new Promise(() => {});
        await config.endsAfter;
        for (const flush of flushes.splice(0)) await flush();
        parts.events.push(`end ${name}`);
      },
    };
    const pass = async (batch: AnyBatch, to: Consumers | undefined): Promise<void> => {
      if (config.throws !== undefined) throw config.throws;
      if (to === undefined) return;
      if (config.holds !== true) return await handOn(to, batch);
      await new Promise<void>((resolve, reject) => {
        flushes.push(async () => handOn(to, batch).then(resolve, reject));
      });
    };
    const functions = (to: Consumers | undefined) =>
      config.only === undefined
        ? consumeWith((batch) => pass(batch, to))
        : { [config.only]: (batch: AnyBatch) => pass(batch, to) };
    const reconfigure = async (wanted: Fault): Promise<void> => {
      if (wanted.failReconfigure !== undefined) throw wanted.failReconfigure;
      parts.events.push(`reconfigure ${kind}:${id}@${wanted.version ?? "1"}`);
    };
    switch (kind) {
      case "receiver":
        return config.reconfigurable === true ? { ...life, reconfigure } : life;
      case "processor":
        return { ...life, metrics: pass, traces: pass, logs: pass };
      case "connector":
        return { ...life, ...functions(next) };
      case "exporter":
        return { ...life, ...functions(parts.sink(name.slice("exporter:".length))) };
      case "extension":
        return life;
    }
  };
  return {
    ...base,
    pairs: [{ from: "metrics", to: "metrics", stability: "alpha" }],
    create,
  } as unknown as AnyDefinition;
}
