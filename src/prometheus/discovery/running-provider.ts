/** A provider at work: what it knows, and for which jobs. */

import { toError } from "../../model/errors.ts";
import type { DiscoveryLog, DiscoveryMetrics, Provider } from "./provider.ts";
import type { SdConfig } from "./sd-config.ts";
import { sameGroup, type TargetGroup } from "./target-group.ts";

/** What a running provider tells its owner. */
export interface RunningProviderOptions {
  readonly kind: SdConfig["kind"];
  readonly config: string;
  readonly log: DiscoveryLog;
  readonly metrics: DiscoveryMetrics;
  /** The groups have changed, or the first attempt has ended. */
  onChange(running: RunningProvider): void;
}

/** Starts with the constructor's provider when `start` is called; `stop` ends it for good. */
export class RunningProvider {
  readonly kind: SdConfig["kind"];
  /** The jobs that it serves. */
  jobs: ReadonlySet<string> = new Set();
  readonly #groups = new Map<string, TargetGroup>();
  readonly #controller = new AbortController();
  readonly #provider: Provider;
  readonly #options: RunningProviderOptions;
  #done: Promise<void> = Promise.resolve();
  #isReady = false;

  constructor(provider: Provider, options: RunningProviderOptions) {
    this.kind = options.kind;
    this.#provider = provider;
    this.#options = options;
  }

  /** True once the first attempt has ended, well or not. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Groups that have targets, in the order in which their sources appeared. */
  get groups(): readonly TargetGroup[] {
    return [...this.#groups.values()];
  }

  start(): void {
    const { config, log, metrics, kind } = this.#options;
    const { signal } = this.#controller;
    const update = (groups: readonly TargetGroup[]) => this.#update(groups);
    this.#done = this.#provider({ config, signal, update, log, metrics }).catch((error: unknown) => {
      if (signal.aborted) return;
      log.error("discovery has ended, its targets stay", {
        mechanism: kind,
        job: config,
        error: toError(error).message,
      });
      this.#update([]);
    });
  }

  /** Resolves when everything is released. */
  stop(): Promise<void> {
    this.#controller.abort();
    return this.#done;
  }

  #update(groups: readonly TargetGroup[]): void {
    if (this.#controller.signal.aborted) return;
    this.#options.metrics.receivedUpdates?.();
    let hasChanged = !this.#isReady;
    this.#isReady = true;
    for (const group of groups) {
      const known = this.#groups.get(group.source);
      if (group.targets.length === 0) {
        hasChanged = this.#groups.delete(group.source) || hasChanged;
      } else if (known === undefined || !sameGroup(known, group)) {
        this.#groups.set(group.source, group);
        hasChanged = true;
      }
    }
    if (hasChanged) this.#options.onChange(this);
  }
}
