/** What a discovery mechanism is to the manager, and what all of them share. */

import { performance } from "node:perf_hooks";
import { toError } from "../../model/errors.ts";
import type { TargetGroup } from "./target-group.ts";

/** The part of a logger that discovery uses. */
export interface DiscoveryLog {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Counters of discovery, all optional. `config` is the job for whose sake the provider was started. */
export interface DiscoveryMetrics {
  /** A refresh ended, well or not, after this many seconds (`prometheus_sd_refresh_duration_seconds`). */
  refreshed?(mechanism: string, config: string, seconds: number): void;
  /** A refresh failed; its old targets stay (`prometheus_sd_refresh_failures_total`). */
  refreshFailures?(mechanism: string, config: string): void;
  /** How many targets a job has at present, duplicates included (`prometheus_sd_discovered_targets`). */
  discoveredTargets?(job: string, count: number): void;
  /** A job is gone, and with it every series that names it. */
  forgetJob?(job: string): void;
  /** A file could not be read or was not valid (`prometheus_sd_file_read_errors_total`). */
  fileReadErrors?(): void;
  /** A name was looked up (`prometheus_sd_dns_lookups_total`), without success (`..._lookup_failures_total`). */
  dnsLookups?(hasFailed: boolean): void;
  /** A provider sent groups (`prometheus_sd_received_updates_total`). */
  receivedUpdates?(): void;
  /** Groups were handed to a job (`prometheus_sd_updates_total`). */
  updates?(): void;
}

/** What a provider gets to work with. */
export interface ProviderContext {
  /** The job for whose sake it runs. */
  readonly config: string;
  /** Aborted when nobody needs it any longer; it must then release everything and resolve soon. */
  readonly signal: AbortSignal;
  /**
   * Takes groups: each replaces what was known of its source, one without targets deletes it, sources not named stay.
   * Must be called after the first attempt whatever came of it, with no groups when it failed.
   */
  update(groups: readonly TargetGroup[]): void;
  readonly log: DiscoveryLog;
  readonly metrics: DiscoveryMetrics;
}

/** Runs until it is aborted or has nothing more to tell. Faults are logged and retried, they never end it. */
export type Provider = (context: ProviderContext) => Promise<void>;

/** Resolves after a time, or at once when aborted. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}

/**
 * Runs a task under a signal that aborts with the given one or when the time is up. Rejects then with the reason at once,
 * also when the task takes no notice.
 */
export async function withTimeout<T>(
  timeoutMs: number,
  signal: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = (reason: unknown) => {
    aborted.reject(toError(reason));
    controller.abort(reason);
  };
  const follow = () => abort(signal.reason);
  const timer = setTimeout(() => abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  signal.addEventListener("abort", follow);
  if (signal.aborted) follow();
  try {
    return await Promise.race([aborted.promise, task(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", follow);
  }
}

/** Logs a lasting fault when it begins, when it changes, and ever more rarely while it lasts. */
export class FaultLog {
  readonly #log: DiscoveryLog;
  readonly #faults = new Map<string, { error: string; count: number }>();

  constructor(log: DiscoveryLog) {
    this.#log = log;
  }

  /** Notes one more occurrence of a fault of one thing, e.g. a file. */
  report(key: string, message: string, cause: unknown, fields: Readonly<Record<string, unknown>>): void {
    const error = toError(cause).message;
    const last = this.#faults.get(key);
    const count = last?.error === error ? last.count + 1 : 1;
    this.#faults.set(key, { error, count });
    if ((count & (count - 1)) !== 0) return;
    this.#log.warn(message, count === 1 ? { ...fields, error } : { ...fields, error, occurrences: count });
  }

  /** Says that a thing is well again. */
  clear(key: string): void {
    this.#faults.delete(key);
  }

  /** Forgets all things but these. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#faults.keys()) if (!keys.has(key)) this.#faults.delete(key);
  }
}

/** How a provider refreshes: at once, then once per interval; a refresh that fails changes nothing. */
export interface RefreshPlan {
  /** The name of the mechanism in metrics and logs. */
  readonly mechanism: string;
  readonly intervalMs: number;
  refresh(signal: AbortSignal): Promise<readonly TargetGroup[]>;
}

/** Refreshes by a plan until the provider is aborted. A refresh that outlasts the interval is followed at once. */
export async function refreshRepeatedly(context: ProviderContext, plan: RefreshPlan): Promise<void> {
  const { config, signal, metrics } = context;
  const { mechanism, intervalMs } = plan;
  const faults = new FaultLog(context.log);
  while (!signal.aborted) {
    const startedMs = performance.now();
    let groups: readonly TargetGroup[] = [];
    try {
      groups = await plan.refresh(signal);
      faults.clear("");
    } catch (error) {
      if (signal.aborted) return;
      metrics.refreshFailures?.(mechanism, config);
      faults.report("", "refresh of targets failed, the old ones stay", error, { mechanism, job: config });
    }
    if (signal.aborted) return;
    const elapsedMs = performance.now() - startedMs;
    metrics.refreshed?.(mechanism, config, elapsedMs / 1000);
    context.update(groups);
    await pause(Math.max(0, intervalMs - elapsedMs), signal);
  }
}
