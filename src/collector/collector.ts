/** `millrace run`: a whole collector process, from its configuration to its end. */

import { randomUUID } from "node:crypto";
import { formatGoDuration } from "../codec/yaml/go-duration.ts";
import { MetricRegistry } from "../component/metric-registry.ts";
import type { Clock } from "../component/telemetry.ts";
import type { TelemetrySettings } from "../config/telemetry-config.ts";
import { describeKernels } from "../kernels/kernels.ts";
import { ConfigError, type ConfigIssue, formatConfigIssue, toError } from "../model/errors.ts";
import { Identities } from "../model/identities.ts";
import { Pipelines } from "../pipeline/pipelines.ts";
import { eventLoopDelayVariable, observeEventLoopDelay } from "./event-loop-delay.ts";
import { type ConfigSources, type LoadedConfig, loadConfig } from "./load-config.ts";
import { locateIssues } from "./locate-issues.ts";
import { labelName, OwnMetrics, type ResourceLabels } from "./own-metrics.ts";
import { observeProcess } from "./self-metrics.ts";
import type { SwitchableLogger } from "./switchable-logger.ts";
import { productVersion } from "./version.ts";

/** Identities that nothing names any more are looked for this often. */
const sweepIntervalMs = 60_000;

export interface CollectorOptions extends ConfigSources {
  /** Time for the whole end of the process; what has not drained by then is lost, and logged. */
  readonly shutdownTimeoutMs: number;
}

/** Time for an end unless told otherwise. */
export const defaultShutdownTimeoutMs = 30_000;

export class Collector {
  readonly registry = new MetricRegistry();
  readonly identities = new Identities();
  readonly log: SwitchableLogger;
  readonly #options: CollectorOptions;
  readonly #pipelines: Pipelines;
  readonly #ownMetrics: OwnMetrics;
  readonly #instanceId = randomUUID();
  readonly #noticed = new Set<string>();
  #resource: ResourceLabels = {};
  #loaded: LoadedConfig | undefined;
  #isStopping = false;
  #stopped: Promise<void> | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  /** Start and reloads, one after another. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: CollectorOptions, log: SwitchableLogger, clock: Clock) {
    this.#options = options;
    this.log = log;
    this.#pipelines = new Pipelines({
      identities: this.identities,
      log,
      meter: this.registry,
      clock,
      version: productVersion(),
      env: options.env,
      retireDeadlineMs: options.shutdownTimeoutMs,
    });
    this.#ownMetrics = new OwnMetrics(this.registry, log);
    observeProcess(this.registry, this.identities, clock.now(), "otelcol");
    if (options.env[eventLoopDelayVariable]) observeEventLoopDelay(this.registry, clock.monotonic);
    this.registry.observe("target_info", { help: "Target metadata", type: "gauge" }, () => [
      {
        labels: Object.fromEntries(Object.entries(this.#resource).map(([name, value]) => [labelName(name), value])),
        value: 1,
      },
    ]);
  }

  /** Where the collector's own metrics can be had, after `start`. */
  get metricsUrls(): string[] {
    return this.#ownMetrics.urls;
  }

  /** Whether everything runs and nothing failed for good. */
  isReady(): boolean {
    return this.#pipelines.isReady();
  }

  /** Throws ConfigError with everything that is wrong with the configuration, or with what could not be had. */
  start(): Promise<void> {
    const started = this.#start();
    this.#work = started.catch(() => {});
    return started;
  }

  async #start(): Promise<void> {
    const loaded = await loadConfig(this.#options);
    try {
      this.#switchLog(loaded.plan.telemetry);
      this.#notice(loaded);
      const kernels = describeKernels();
      this.log.info("Starting Millrace", { version: productVersion(), node: process.versions.node, kernels });
      this.#resource = this.#resourceOf(loaded.plan.telemetry);
      await this.#ownMetrics.apply(loaded.plan.telemetry, this.#resource, loaded.root);
      await this.#pipelines.start(loaded.setup);
    } catch (error) {
      throw locateIssues(error, loaded.root);
    }
    this.#loaded = loaded;
    if (this.#isStopping) return;
    this.#sweeper = setInterval(() => this.identities.sweep(), sweepIntervalMs);
    this.log.info("Everything is ready. Begin running and processing data.");
  }

  /**
   * Reads the configuration again; what did not change goes on undisturbed. A bad one is refused with its errors in the log,
   * and the old one goes on. Resolves with whether the new one runs.
   */
  reload(): Promise<boolean> {
    const reloaded = this.#work.then(() => this.#reload());
    this.#work = reloaded;
    return reloaded;
  }

  async #reload(): Promise<boolean> {
    const before = this.#loaded;
    if (this.#isStopping || before === undefined) return false;
    this.log.info("Reloading configuration");
    let loaded: LoadedConfig | undefined;
    try {
      loaded = await loadConfig(this.#options);
      const resource = this.#resourceOf(loaded.plan.telemetry);
      await this.#ownMetrics.apply(loaded.plan.telemetry, resource, loaded.root);
      await this.#pipelines.reload(loaded.setup);
      this.#switchLog(loaded.plan.telemetry);
      this.#resource = resource;
      this.#notice(loaded);
      this.#loaded = loaded;
    } catch (caught) {
      this.#logRefusal(loaded === undefined ? caught : locateIssues(caught, loaded.root));
      if (loaded !== undefined) await this.#restoreOwnMetrics(before);
      return false;
    }
    this.log.info("Configuration reloaded");
    return true;
  }

  #logRefusal(caught: unknown): void {
    const error = toError(caught);
    const issues = error instanceof ConfigError ? error.issues.map(formatConfigIssue) : [error.message];
    this.log.error("The new configuration is refused, the old one goes on", { errors: issues });
  }

  async #restoreOwnMetrics(before: LoadedConfig): Promise<void> {
    try {
      await this.#ownMetrics.apply(before.plan.telemetry, this.#resource, before.root);
    } catch (error) {
      this.log.error("Own metrics could not be put back after a failed reload", { error: toError(error).message });
    }
  }

  /** Ends everything, receivers first, and lets what is on its way arrive until the shutdown timeout. Works twice. */
  shutdown(): Promise<void> {
    this.#stopped ??= this.#shutdown();
    return this.#stopped;
  }

  async #shutdown(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#sweeper);
    await this.#work;
    const timeout = formatGoDuration(this.#options.shutdownTimeoutMs);
    if (this.#loaded !== undefined) this.log.info("Starting shutdown...", { timeout });
    await this.#pipelines.shutdown(this.#options.shutdownTimeoutMs);
    await this.#ownMetrics.close();
    if (this.#loaded !== undefined) this.log.info("Shutdown complete.");
    this.log.flush();
  }

  #switchLog({ logs }: TelemetrySettings): void {
    try {
      this.log.switchTo({
        level: logs.level === "fatal" ? "error" : logs.level,
        encoding: logs.encoding,
        outputPaths: logs.output_paths,
        initialFields: logs.initial_fields,
      });
    } catch (caught) {
      const message = `cannot write the log: ${toError(caught).message}`;
      throw new ConfigError([{ path: "service::telemetry::logs::output_paths", message }], { cause: caught });
    }
  }

  #notice({ notices }: LoadedConfig): void {
    for (const notice of notices) {
      const line = formatConfigIssue(notice);
      if (!this.#noticed.has(line)) this.log.warn(line);
      this.#noticed.add(line);
    }
  }

  /** The Collector's three attributes, with what the configuration adds, replaces and takes away. */
  #resourceOf({ resource }: TelemetrySettings): ResourceLabels {
    const attributes = new Map<string, string>([
      ["service.instance.id", this.#instanceId],
      ["service.name", "millrace"],
      ["service.version", productVersion()],
    ]);
    for (const { name, value } of resource) {
      if (value === null) attributes.delete(name);
      else attributes.set(name, String(value));
    }
    return Object.fromEntries([...attributes].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/**
 * Checks a configuration as `start` would, without starting anything. Resolves with what is accepted and has no effect;
 * throws ConfigError with everything that is wrong.
 */
export async function validateConfig(
  sources: ConfigSources,
  log: SwitchableLogger,
  clock: Clock,
): Promise<readonly ConfigIssue[]> {
  const loaded = await loadConfig(sources);
  const pipelines = new Pipelines({
    identities: new Identities(),
    log,
    meter: new MetricRegistry(),
    clock,
    version: productVersion(),
    retireDeadlineMs: 0,
  });
  try {
    pipelines.check(loaded.setup);
  } catch (error) {
    throw locateIssues(error, loaded.root);
  }
  return loaded.notices;
}
