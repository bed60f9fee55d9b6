/** Graphs for tests: components that record what happens to them and misbehave as told. */

import { z } from "zod";
import type { MetricsConsumer } from "../component/consumer.ts";
import type { AnyDefinition, ComponentKind, Lifecycle } from "../component/define.ts";
import { MetricRegistry } from "../component/metric-registry.ts";
import type { PlannedPipeline } from "../config/plan-types.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import { buildNumbers } from "../testing/build-points.ts";
import { createFakeClock } from "../testing/fake-clock.ts";
import { createMetricsSink } from "../testing/metrics-sink.ts";
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
  readonly reconfigurable?: boolean;
  readonly failReconfigure?: Error;
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
  const outputs = new Map<string, MetricsConsumer>();
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
    const connections = [...connectors].map((connector) => ({
      connector,
      from: "metrics" as const,
      to: "metrics" as const,
      fromPipelines: planned.filter((one) => one.toConnectors.includes(connector)).map((one) => one.id),
      toPipelines: planned.filter((one) => one.fromConnectors.includes(connector)).map((one) => one.id),
    }));
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
    send: (receiver: string, batch: MetricsBatch): Promise<void> => {
      const output = outputs.get(receiver);
      if (output === undefined) throw new Error(`no receiver ${receiver}`);
      return output.metrics(batch);
    },
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
  readonly outputs: Map<string, MetricsConsumer>;
}

function plannedPipeline(id: string, pipeline: TestPipeline): PlannedPipeline {
  const { receivers = [], processors = [], exporters = [], toConnectors = [], fromConnectors = [] } = pipeline;
  const name = id.split("/")[1] ?? "";
  return { id, signal: "metrics", name, receivers, processors, exporters, toConnectors, fromConnectors, at: undefined };
}

/** One definition for each kind; the configuration says how an instance misbehaves. */
function testDefinition(kind: ComponentKind, parts: Parts): AnyDefinition {
  const base = { kind, type: "test", config: z.unknown(), stability: { metrics: "alpha" } };
  const create = (context: {
    readonly id: string;
    readonly config: Fault;
    readonly next?: MetricsConsumer;
    spawn(name: string, loop: (signal: AbortSignal) => Promise<void>): void;
  }) => {
    const { id, config, next, spawn } = context;
    const name = `${kind}:${id}${config.version === undefined ? "" : `@${config.version}`}`;
    if (config.crashLoop !== undefined) spawn("loop", () => config.crashLoop ?? Promise.resolve());
    const flushes: (() => Promise<void>)[] = [];
    const life: Lifecycle = {
      async start() {
        parts.events.push(`start ${name}`);
        if (config.failStart !== undefined) throw config.failStart;
        if (kind === "receiver" && next !== undefined) parts.outputs.set(id, next);
      },
      async shutdown() {
        if (config.hangs === true) await new Promise(() => {});
        for (const flush of flushes.splice(0)) await flush();
        parts.events.push(`end ${name}`);
      },
    };
    const pass = async (batch: MetricsBatch, to: MetricsConsumer | undefined): Promise<void> => {
      if (config.throws !== undefined) throw config.throws;
      if (config.holds !== true) return await to?.metrics(batch);
      await new Promise<void>((resolve, reject) => {
        flushes.push(async () => to?.metrics(batch).then(resolve, reject));
      });
    };
    const reconfigure = async (wanted: Fault): Promise<void> => {
      if (wanted.failReconfigure !== undefined) throw wanted.failReconfigure;
      parts.events.push(`reconfigure ${kind}:${id}@${wanted.version ?? "1"}`);
    };
    switch (kind) {
      case "receiver":
        return config.reconfigurable === true ? { ...life, reconfigure } : life;
      case "processor":
        return { ...life, metrics: pass };
      case "connector":
        return { ...life, metrics: (batch: MetricsBatch) => pass(batch, next) };
      case "exporter":
        return { ...life, metrics: (batch: MetricsBatch) => pass(batch, parts.sink(name.slice("exporter:".length))) };
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
