/** The surroundings of a component in a test: recorded logs, a registry, a fake clock and loops under control. */

import { nodeFromValue } from "../codec/yaml/parse-yaml.ts";
import type { AnyDefinition, ComponentStatus, CreateContext, Host } from "../component/define.ts";
import { MetricRegistry } from "../component/metric-registry.ts";
import type { LogFields, Logger } from "../component/telemetry.ts";
import { toError } from "../model/errors.ts";
import { Identities } from "../model/identities.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";

export interface LogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestLogger extends Logger {
  /** Everything logged, also through children. */
  readonly entries: readonly LogEntry[];
}

/** A logger that keeps its lines. */
export function createTestLogger(): TestLogger {
  const entries: LogEntry[] = [];
  const withFields = (own: LogFields): TestLogger => {
    const write = (level: LogEntry["level"]) => (message: string, fields?: LogFields) => {
      entries.push({ level, message, fields: { ...own, ...fields } });
    };
    return {
      entries,
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      child: (fields) => withFields({ ...own, ...fields }),
    };
  };
  return withFields({});
}

export interface TestHost extends Host {
  /** What the component reported, in order. */
  readonly reported: readonly ComponentStatus[];
  /** What `isReady` answers; true at first. */
  ready: boolean;
  readonly extensions: Map<string, unknown>;
}

export interface TestContext<C> {
  /** Hand this to `create`. */
  readonly context: CreateContext<C>;
  readonly identities: Identities;
  readonly log: TestLogger;
  readonly meter: MetricRegistry;
  readonly clock: FakeClock;
  readonly host: TestHost;
  /** Starts the loops that the component spawned, as the host does behind `start`. */
  startLoops(): void;
  /** Aborts the loops and waits for their end, as the host does before `shutdown`. */
  stopLoops(): Promise<void>;
}

export interface TestContextOptions {
  readonly id?: string;
  readonly identities?: Identities;
  readonly clock?: FakeClock;
}

/** A context with this configuration, which must be a parsed one (see `parseConfig`). */
export function createTestContext<C>(config: C, options: TestContextOptions = {}): TestContext<C> {
  const { identities = new Identities(), clock = createFakeClock() } = options;
  const log = createTestLogger();
  const meter = new MetricRegistry();
  const host = createTestHost();
  const loops: { loop: (signal: AbortSignal) => Promise<void>; running: boolean }[] = [];
  const stop = new AbortController();
  const running: Promise<void>[] = [];

  const runLoop = async (loop: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      await loop(stop.signal);
    } catch (caught) {
      host.reportStatus({ state: "permanent", message: toError(caught).message });
    }
  };
  const startLoops = () => {
    for (const entry of loops) {
      if (entry.running) continue;
      entry.running = true;
      running.push(runLoop(entry.loop));
    }
  };
  const context: CreateContext<C> = {
    id: options.id ?? "test",
    config,
    identities,
    log,
    meter,
    clock,
    host,
    spawn: (_name, loop) => void loops.push({ loop, running: false }),
  };
  const stopLoops = async () => {
    stop.abort();
    await Promise.all(running);
  };
  return { context, identities, log, meter, clock, host, startLoops, stopLoops };
}

function createTestHost(): TestHost {
  const reported: ComponentStatus[] = [];
  const extensions = new Map<string, unknown>();
  return {
    version: "0.0.0-test",
    reported,
    extensions,
    ready: true,
    extension: (id) => extensions.get(id),
    reportStatus: (status) => void reported.push(status),
    isReady() {
      return this.ready;
    },
    statuses: () => new Map(),
  };
}

/**
 * The configuration that `create` gets for a section as written: parsed by the schema and completed.
 * Throws with every issue when the section is refused.
 */
export function parseConfig(definition: AnyDefinition, section: unknown): unknown {
  const parsed: unknown = definition.config.parse(section ?? {});
  if (definition.complete === undefined) return parsed;
  const issues: string[] = [];
  const completed: unknown = definition.complete(parsed, {
    node: nodeFromValue(section ?? {}),
    path: [`${definition.kind}s`, definition.type],
    env: {},
    issue: (issue) => void issues.push(`${issue.path}: ${issue.message}`),
    notice: () => {},
  });
  if (issues.length > 0) throw new Error(issues.join("\n"));
  return completed;
}
