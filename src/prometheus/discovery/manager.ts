/** Runs the discovery of all jobs and hands each job its target groups. */

import { toError } from "../../model/errors.ts";
import type { HttpClientConfig } from "../../transport/http-client-config.ts";
import { createDnsProvider, type DnsSource } from "./dns.ts";
import { createFileProvider } from "./file.ts";
import { createHttpProvider, type HttpGetClient } from "./http.ts";
import type { DiscoveryLog, DiscoveryMetrics, Provider } from "./provider.ts";
import { RunningProvider } from "./running-provider.ts";
import type { SdConfig } from "./sd-config.ts";
import { createStaticProvider } from "./static.ts";
import type { TargetGroup } from "./target-group.ts";
import { Throttle } from "./throttle.ts";

export interface DiscoveryOptions {
  /**
   * Receives all groups of a job, whenever they have changed: at once, then after 100 ms, doubling up to 5 s while
   * changes keep coming. Called once for a job without any discovery, with no groups.
   */
  onUpdate(jobName: string, groups: readonly TargetGroup[]): void;
  /** Makes the client of an `http_sd_configs` entry; it adds user agent and credentials. */
  createHttpClient(config: HttpClientConfig): HttpGetClient;
  readonly log: DiscoveryLog;
  readonly metrics?: DiscoveryMetrics | undefined;
  /** Default: the name servers of this machine. */
  readonly dns?: DnsSource | undefined;
}

/** Groups of a provider that a reload took away, shown until its successor of the same kind has answered. */
interface Retained {
  readonly kind: SdConfig["kind"];
  readonly groups: readonly TargetGroup[];
}

interface Job {
  readonly throttle: Throttle;
  /** Keys of its providers, in the order of the configuration. */
  keys: readonly string[];
  retained: readonly Retained[];
}

/** Shares one provider among equal configurations, and keeps those that a reload leaves unchanged running. */
export class DiscoveryManager {
  readonly #options: DiscoveryOptions;
  readonly #metrics: DiscoveryMetrics;
  readonly #providers = new Map<string, RunningProvider>();
  readonly #jobs = new Map<string, Job>();
  readonly #stopping = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? {};
  }

  /**
   * Makes these the jobs. Jobs and providers that are the same go on undisturbed; a job whose discovery changed keeps
   * the targets of what went until what came in its place has answered once. Every job that has something to show is
   * told so again, because whoever receives it may have been configured anew.
   */
  apply(jobs: ReadonlyMap<string, readonly SdConfig[]>): void {
    if (this.#isClosed) return;
    const users = new Map<string, Set<string>>();
    const fresh: RunningProvider[] = [];
    const keysOfJobs = new Map<string, string[]>();
    for (const [jobName, configs] of jobs) {
      const keys = new Set<string>();
      for (const config of configs) {
        if (config.kind === "later") continue;
        const key = canonicalText(config);
        keys.add(key);
        users.set(key, (users.get(key) ?? new Set()).add(jobName));
        if (!this.#providers.has(key)) fresh.push(this.#addProvider(key, config, jobName));
      }
      keysOfJobs.set(jobName, [...keys]);
    }
    for (const [key, provider] of this.#providers) provider.jobs = users.get(key) ?? new Set();
    for (const [jobName, keys] of keysOfJobs) this.#setJob(jobName, keys);
    for (const jobName of this.#jobs.keys()) if (!jobs.has(jobName)) this.#removeJob(jobName);
    for (const [key, provider] of this.#providers) if (provider.jobs.size === 0) this.#removeProvider(key, provider);
    for (const provider of fresh) provider.start();
    for (const job of this.#jobs.values()) if (this.#hasSomethingToShow(job)) job.throttle.flush();
  }

  /** All groups of a job as they are now; empty for an unknown job. */
  groupsOf(jobName: string): readonly TargetGroup[] {
    const job = this.#jobs.get(jobName);
    return job === undefined ? [] : this.#collect(job);
  }

  /** Stops everything; resolves when it is released. No update happens after the call. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const jobName of [...this.#jobs.keys()]) this.#removeJob(jobName);
    for (const [key, provider] of [...this.#providers]) this.#removeProvider(key, provider);
    await Promise.all(this.#stopping);
  }

  #addProvider(key: string, config: SdConfig, jobName: string): RunningProvider {
    const provider = new RunningProvider(this.#createProvider(config), {
      kind: config.kind,
      config: jobName,
      log: this.#options.log,
      metrics: this.#metrics,
      onChange: (running) => this.#onChange(running),
    });
    this.#providers.set(key, provider);
    return provider;
  }

  #createProvider(config: SdConfig): Provider {
    switch (config.kind) {
      case "static":
        return createStaticProvider(config);
      case "file":
        return createFileProvider(config);
      case "http":
        return createHttpProvider(config, () => this.#options.createHttpClient(config.http));
      case "dns":
        return createDnsProvider(config, this.#options.dns);
      case "later":
        return () => Promise.resolve();
    }
  }

  #removeProvider(key: string, provider: RunningProvider): void {
    this.#providers.delete(key);
    const stopping: Promise<void> = provider.stop().finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }

  #setJob(jobName: string, keys: readonly string[]): void {
    const job = this.#jobs.get(jobName);
    if (job === undefined) {
      const throttle = new Throttle(() => this.#deliver(jobName));
      this.#jobs.set(jobName, { throttle, keys, retained: [] });
      return;
    }
    const gone = job.keys.filter((key) => !keys.includes(key)).flatMap((key) => this.#providers.get(key) ?? []);
    job.retained = [...job.retained, ...gone.map(({ kind, groups }) => ({ kind, groups }))];
    job.keys = keys;
    this.#releaseRetained(job);
  }

  #removeJob(jobName: string): void {
    this.#jobs.get(jobName)?.throttle.close();
    this.#jobs.delete(jobName);
    this.#metrics.forgetJob?.(jobName);
  }

  #onChange(running: RunningProvider): void {
    for (const jobName of running.jobs) {
      const job = this.#jobs.get(jobName);
      if (job === undefined) continue;
      this.#releaseRetained(job);
      job.throttle.trigger();
    }
  }

  /** Lets go of groups whose kind has no provider left that has yet to answer. */
  #releaseRetained(job: Job): void {
    if (job.retained.length === 0) return;
    const awaited = new Set(this.#providersOf(job).flatMap(({ isReady, kind }) => (isReady ? [] : [kind])));
    job.retained = job.retained.filter(({ kind }) => awaited.has(kind));
  }

  #providersOf(job: Job): RunningProvider[] {
    return job.keys.flatMap((key) => this.#providers.get(key) ?? []);
  }

  #hasSomethingToShow(job: Job): boolean {
    const providers = this.#providersOf(job);
    return providers.length === 0 || job.retained.length > 0 || providers.some(({ isReady }) => isReady);
  }

  #collect(job: Job): TargetGroup[] {
    return [...this.#providersOf(job), ...job.retained].flatMap(({ groups }) => groups);
  }

  #deliver(jobName: string): void {
    const groups = this.groupsOf(jobName);
    this.#metrics.updates?.();
    this.#metrics.discoveredTargets?.(
      jobName,
      groups.reduce((count, group) => count + group.targets.length, 0),
    );
    try {
      this.#options.onUpdate(jobName, groups);
    } catch (error) {
      this.#options.log.error("targets were not accepted", { job: jobName, error: toError(error).message });
    }
  }
}

/** A text that two configurations have in common exactly when they are deeply equal. It holds secrets: never logged. */
function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
