/** `millrace agent`: scrapes what a prometheus.yml names and writes it to its remote_write endpoints. */

import { MetricRegistry } from "../../component/metric-registry.ts";
import type { Clock, Logger } from "../../component/telemetry.ts";
import type { DurableQueue } from "../../durable/durable-queue.ts";
import { describeKernels } from "../../kernels/kernels.ts";
import type { MetricsBatch, SamplesSegment } from "../../model/batch.ts";
import { type ConfigIssue, ConsumeError, formatConfigIssue, toError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import type { PrometheusConfig, RemoteWriteConfig } from "../../prometheus/config/types.ts";
import type { MetadataEntry } from "../../prometheus/remote-write/encode-request.ts";
import type { ScrapeManager } from "../../prometheus/scrape/scrape-manager.ts";
import { createScrapeManager } from "../../prometheus/scrape/scrape-service.ts";
import { createDiscoveryMetrics } from "../discovery-metrics.ts";
import { eventLoopDelayVariable, observeEventLoopDelay } from "../event-loop-delay.ts";
import { observeProcess } from "../self-metrics.ts";
import { productVersion, userAgent } from "../version.ts";
import type { AgentOptions } from "./agent-options.ts";
import { AgentServer } from "./agent-server.ts";
import { AgentStorage } from "./agent-storage.ts";
import { checkRemoteWrites } from "./check-remote-write.ts";
import { readAgentConfig } from "./read-agent-config.ts";
import { RemoteWriteEndpoint } from "./remote-write-endpoint.ts";
import { createScrapeMetrics, observePools } from "./scrape-observer.ts";

/** Identities that nothing names any more are looked for this often. */
const sweepIntervalMs = 60_000;

export class Agent {
  readonly registry = new MetricRegistry();
  readonly identities = new Identities();
  readonly startedMs: number;
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly #clock: Clock;
  readonly #scrapes: ScrapeManager;
  readonly #server: AgentServer;
  readonly #noticed = new Set<string>();
  readonly #storage: AgentStorage | undefined;
  #endpoints: RemoteWriteEndpoint[] = [];
  /** By URL: settles when the queues of entries that reloads changed or took away are emptied. */
  readonly #ending = new Map<string, Promise<void>>();
  #config: PrometheusConfig | undefined;
  #configText = "";
  #state: "starting" | "ready" | "stopping" = "starting";
  #sweeper: NodeJS.Timeout | undefined;
  #reloading: Promise<boolean> = Promise.resolve(true);
  #reloadSuccessful = false;
  #lastReloadMs = 0;

  constructor(options: AgentOptions, log: Logger, clock: Clock) {
    this.options = options;
    this.log = log;
    this.#clock = clock;
    this.startedMs = clock.now();
    const scrapeMetrics = createScrapeMetrics(this.registry);
    this.#scrapes = createScrapeManager({
      identities: this.identities,
      clock,
      log,
      metrics: scrapeMetrics,
      discoveryMetrics: createDiscoveryMetrics(this.registry),
      ownLimits: {
        bodyBytes: options.maxBodyBytes,
        allPagesBytes: options.maxAllPagesBytes ?? 0,
        lineBytes: options.maxLineBytes,
        seriesPerTarget: options.maxSeriesPerTarget,
        labelsPerSeries: options.maxLabels,
      },
      userAgent: userAgent(),
      env: options.env,
      externalLabels: [],
      scopeName: "millrace",
      scopeVersion: productVersion(),
      trimMetricSuffixes: false,
      readsOtlp: false,
      deliver: (batch) => this.#deliver(batch),
    });
    this.#server = new AgentServer(this);
    this.#storage = this.#createStorage();
    this.#observeAgent();
  }

  #createStorage(): AgentStorage | undefined {
    const { storagePath: path, maxStorageBytes: maxBytes = 10 * 2 ** 30, syncsStorage: fsync = false } = this.options;
    const { whenStorageFull: whenFull = "drop_oldest", maxStorageAgeMs: maxAgeMs = 0, minFreeBytes } = this.options;
    if (path === undefined) return undefined;
    const limits = { maxBytes, maxAgeMs, minFreeBytes, whenFull };
    const log = this.log.child({ component: "storage" });
    const { identities, registry: meter } = this;
    return new AgentStorage({ path, limits, fsync, identities, clock: this.#clock, log, meter });
  }

  get scrapes(): ScrapeManager {
    return this.#scrapes;
  }

  get state(): "starting" | "ready" | "stopping" {
    return this.#state;
  }

  get configText(): string {
    return this.#configText;
  }

  get reloadSuccessful(): boolean {
    return this.#reloadSuccessful;
  }

  get lastReloadMs(): number {
    return this.#lastReloadMs;
  }

  get endpoints(): readonly RemoteWriteEndpoint[] {
    return this.#endpoints;
  }

  /** `http://host:port` that the agent listens on, after `start`. */
  get url(): string {
    return this.#server.url;
  }

  /** Throws ConfigError when the configuration is bad or the port cannot be had. */
  start(): Promise<void> {
    const started = this.#start();
    // A reload that is asked for meanwhile, as sidecars do, waits: two at a time would want the same queues.
    this.#reloading = started.then(
      () => true,
      () => false,
    );
    return started;
  }

  async #start(): Promise<void> {
    const read = readAgentConfig(this.options.configFile, this.options.env);
    await this.#server.start();
    await this.#apply(read.config, read.text, read.notices);
    await this.#storage?.warnOfUnused(this.#disks);
    this.#state = "ready";
    this.#sweeper = setInterval(() => this.identities.sweep(), sweepIntervalMs);
    if (this.options.env[eventLoopDelayVariable]) observeEventLoopDelay(this.registry, this.#clock.monotonic);
    this.log.info("Server is ready to receive web requests.", {
      url: this.url,
      jobs: read.config.scrapeConfigs.length,
      kernels: describeKernels(),
    });
  }

  /** Reads the file again. A bad one is refused with its errors, and the old configuration goes on. */
  reload(): Promise<boolean> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<boolean> {
    if (this.#state !== "ready") return false;
    const { configFile } = this.options;
    try {
      const read = readAgentConfig(configFile, this.options.env);
      await this.#apply(read.config, read.text, read.notices);
      this.log.info("Completed loading of configuration file", { filename: configFile });
      return true;
    } catch (caught) {
      this.#reloadSuccessful = false;
      this.log.error("Error reloading config", { file: configFile, err: toError(caught).message });
      return false;
    }
  }

  async #apply(config: PrometheusConfig, text: string, notices: readonly ConfigIssue[]): Promise<void> {
    for (const notice of notices) {
      const line = formatConfigIssue(notice);
      if (!this.#noticed.has(line)) this.log.warn(line);
      this.#noticed.add(line);
    }
    await checkRemoteWrites(config.remoteWrite, this.options.env);
    await this.#applyRemoteWrite(config);
    await this.#scrapes.apply(config);
    this.#config = config;
    this.#configText = text;
    this.#reloadSuccessful = true;
    this.#lastReloadMs = this.#clock.now();
  }

  /** Unchanged entries go on; changed ones deliver what they have while their successors begin. */
  async #applyRemoteWrite(config: PrometheusConfig): Promise<void> {
    const labelsChanged =
      JSON.stringify(this.#config?.global.externalLabels ?? []) !== JSON.stringify(config.global.externalLabels);
    const old = [...this.#endpoints];
    const kept = new Map<RemoteWriteConfig, RemoteWriteEndpoint>();
    for (const entry of config.remoteWrite) {
      const same = labelsChanged ? -1 : old.findIndex((endpoint) => endpoint.config.fingerprint === entry.fingerprint);
      const [endpoint] = same < 0 ? [] : old.splice(same, 1);
      if (endpoint === undefined) continue;
      endpoint.renewClient(entry);
      kept.set(entry, endpoint);
    }
    const disks = await this.#openDisks(config, kept);
    for (const endpoint of old) {
      this.#endEndpoint(endpoint, endpoint.disk !== undefined && [...disks.values()].includes(endpoint.disk));
    }
    this.#endpoints = config.remoteWrite.map((entry) => {
      const known = kept.get(entry);
      if (known !== undefined) return known;
      // What old queues hold is older, also those of earlier reloads: it goes first, so that series stay in order.
      const endpoint = this.#createEndpoint(entry, config, this.#ending.get(entry.url), disks.get(entry));
      endpoint.start();
      return endpoint;
    });
  }

  get #disks(): ReadonlySet<DurableQueue<SamplesSegment>> {
    return new Set(this.#endpoints.flatMap(({ disk }) => disk ?? []));
  }

  /** The queues on disk of entries that begin; one that an entry of the same folder had is taken over. */
  async #openDisks(
    config: PrometheusConfig,
    kept: ReadonlyMap<RemoteWriteConfig, RemoteWriteEndpoint>,
  ): Promise<Map<RemoteWriteConfig, DurableQueue<SamplesSegment>>> {
    const disks = new Map<RemoteWriteConfig, DurableQueue<SamplesSegment>>();
    if (this.#storage === undefined) return disks;
    const inUse = new Set([...kept.values()].flatMap(({ disk }) => disk ?? []));
    for (const entry of config.remoteWrite) {
      if (kept.has(entry)) continue;
      const disk = await this.#storage.open(entry, inUse);
      inUse.add(disk);
      disks.set(entry, disk);
    }
    return disks;
  }

  /** Delivers what a queue holds, until the flush deadline. */
  #endEndpoint(endpoint: RemoteWriteEndpoint, isHandover: boolean): void {
    const { url } = endpoint.config;
    const own = endpoint
      .shutdown(this.#flushDeadline(), isHandover)
      .catch((error: unknown) => this.log.error("remote write did not shut down", { err: toError(error) }));
    const ended = Promise.all([this.#ending.get(url), own]).then(async () => {
      if (this.#ending.get(url) === ended) this.#ending.delete(url);
      if (!isHandover) await this.#storage?.warnOfUnused(this.#disks);
    });
    this.#ending.set(url, ended);
  }

  #flushDeadline(): AbortSignal {
    return AbortSignal.timeout(this.options.flushDeadlineMs);
  }

  #createEndpoint(
    entry: RemoteWriteConfig,
    config: PrometheusConfig,
    startAfter: Promise<void> | undefined,
    disk: DurableQueue<SamplesSegment> | undefined,
  ): RemoteWriteEndpoint {
    return new RemoteWriteEndpoint({
      config: entry,
      externalLabels: config.global.externalLabels,
      nameScheme: config.global.metricNameValidationScheme,
      identities: this.identities,
      clock: this.#clock,
      log: this.log.child({ component: "remote" }),
      meter: this.registry,
      userAgent: userAgent(),
      env: this.options.env,
      maxQueuedBytes: this.options.maxQueuedBytes,
      startAfter,
      disk,
      metadata: () => this.#metadata(),
    });
  }

  /** Offers a batch to every endpoint. One whose queue is full counts its loss; the scrape counts as taken when any took it. */
  #deliver(batch: MetricsBatch): Promise<void> | undefined {
    let taken = this.#endpoints.length === 0;
    let refusal: unknown;
    const written: Promise<void>[] = [];
    for (const endpoint of this.#endpoints) {
      try {
        const pending = endpoint.offer(batch);
        if (pending === undefined) taken = true;
        else written.push(pending);
      } catch (caught) {
        if (!(caught instanceof ConsumeError)) throw caught;
        refusal = caught;
      }
    }
    if (written.length > 0) return takenByAny(written, taken, refusal);
    if (!taken) throw refusal;
    return undefined;
  }

  *#metadata(): Iterable<MetadataEntry> {
    for (const pool of this.#scrapes.pools) {
      for (const loop of pool.loops) {
        for (const [name, { type, help, unit }] of loop.page.metadata.declared()) yield { name, type, help, unit };
      }
    }
  }

  /** Finishes scrapes, delivers what is queued until the flush deadline, closes everything. Works twice. */
  async shutdown(): Promise<void> {
    if (this.#state === "stopping") return;
    const wasReady = this.#state === "ready";
    this.#state = "stopping";
    clearInterval(this.#sweeper);
    const deadline = this.#flushDeadline();
    await this.#reloading;
    await this.#scrapes.close(deadline);
    await Promise.all([...this.#ending.values(), ...this.#endpoints.map((endpoint) => endpoint.shutdown(deadline))]);
    await this.#storage?.close();
    await this.#server.close();
    if (wasReady) this.log.info("See you next time!");
  }

  #observeAgent(): void {
    observeProcess(this.registry, this.identities, this.startedMs, "prometheus");
    observePools(this.registry, () => this.#scrapes);
    const gauge = (name: string, help: string, read: () => number, labels = {}) =>
      this.registry.observe(name, { help, type: "gauge" }, () => [{ labels, value: read() }]);
    gauge("prometheus_ready", "Whether startup was completed.", () => (this.#state === "ready" ? 1 : 0));
    gauge(
      "prometheus_config_last_reload_successful",
      "Whether the last configuration reload attempt was successful.",
      () => (this.#reloadSuccessful ? 1 : 0),
    );
    gauge(
      "prometheus_config_last_reload_success_timestamp_seconds",
      "Timestamp of the last successful configuration reload.",
      () => this.#lastReloadMs / 1000,
    );
    gauge("millrace_build_info", "Version of Millrace and of its runtime.", () => 1, {
      version: productVersion(),
      node: process.versions.node,
    });
    gauge(
      "prometheus_remote_storage_highest_timestamp_in_seconds",
      "Highest timestamp that has come into the remote storage.",
      () => {
        let highest = 0;
        for (const endpoint of this.#endpoints) highest = Math.max(highest, endpoint.highestQueuedMs);
        return Math.floor(highest / 1000);
      },
    );
  }
}

/** Waits for queues on disk; throws why nothing was taken, where nothing was. */
async function takenByAny(written: readonly Promise<void>[], takenInMemory: boolean, refused: unknown): Promise<void> {
  let taken = takenInMemory;
  let refusal = refused;
  for (const result of await Promise.allSettled(written)) {
    if (result.status === "fulfilled") taken = true;
    else if (result.reason instanceof ConsumeError) refusal = result.reason;
    else throw result.reason;
  }
  if (!taken) throw refusal;
}
