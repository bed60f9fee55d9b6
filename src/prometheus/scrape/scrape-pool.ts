/** The targets of one job: keeps one loop per target as discovery and configuration change. */

import type { Label } from "../../model/identities.ts";
import { formatPromDuration, parsePromDuration } from "../config/prom-duration.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { type ScrapeTarget as ResolvedTarget, resolveTargets, type SortedLabels } from "../discovery/target.ts";
import type { TargetGroup } from "../discovery/target-group.ts";
import { LabelsBuilder } from "../relabel/labels-builder.ts";
import { isValidLabelName, isValidMetricName } from "../relabel/names.ts";
import { compileRelabel, type RelabelProgram } from "../relabel/relabel.ts";
import type { ScrapeOrigin } from "../translation/scrape-origin.ts";
import { SampleLabels } from "./sample-labels.ts";
import type { ScrapeEnvironment } from "./scrape-environment.ts";
import { ScrapeLoop, type ScrapeLoopState } from "./scrape-loop.ts";
import type { PageFetcher, ScrapeTarget } from "./scrape-target.ts";
import type { SlotSleep } from "./slot-sleep.ts";
import { TargetPage } from "./target-page.ts";

interface RunningLoop {
  readonly loop: ScrapeLoop;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Dropped targets that are kept for the API when the configuration sets no number. */
const defaultKeptDropped = 1000;

export class ScrapePool {
  readonly jobName: string;
  readonly #environment: ScrapeEnvironment;
  readonly #kill: AbortSignal;
  readonly #slots: SlotSleep;
  #config: ScrapeConfig;
  #fetcher: PageFetcher;
  #groups: readonly TargetGroup[] = [];
  #loops = new Map<string, RunningLoop>();
  /** Loops that have been stopped and are not over, or not replaced yet. */
  readonly #leaving = new Set<ScrapeLoop>();
  /** Why no target of the job is scraped. */
  #blockedBy: string | undefined;
  #dropped: readonly SortedLabels[] = [];
  #droppedCount = 0;
  #relabel: RelabelProgram;
  #metricRelabel: RelabelProgram | undefined;
  /** Loops are stopped and started one change after the other. */
  #changes: Promise<void> = Promise.resolve();
  #syncs = 0;
  #syncFailures = 0;

  constructor(config: ScrapeConfig, environment: ScrapeEnvironment, kill: AbortSignal, slots: SlotSleep) {
    this.jobName = config.jobName;
    this.#config = config;
    this.#environment = environment;
    this.#kill = kill;
    this.#slots = slots;
    this.#fetcher = environment.createFetcher(config);
    this.#relabel = compileRelabel(config.relabelConfigs, config.metricNameValidationScheme);
    this.#metricRelabel = metricProgram(config);
  }

  get config(): ScrapeConfig {
    return this.#config;
  }

  get loops(): readonly ScrapeLoop[] {
    return [...this.#loops.values()].map(({ loop }) => loop);
  }

  /** Label sets that live through the loops of the job. */
  *liveLabelSets(): Iterable<Uint32Array> {
    for (const { loop } of this.#loops.values()) yield* loop.liveLabelSets;
    for (const loop of this.#leaving) yield* loop.liveLabelSets;
  }

  /** Label sets that loops remember though they may not be live: their numbers must not be given to others. */
  *rememberedLabelSets(): Iterable<Uint32Array> {
    for (const { loop } of this.#loops.values()) yield* loop.rememberedLabelSets;
    for (const loop of this.#leaving) yield* loop.rememberedLabelSets;
  }

  get dropped(): readonly SortedLabels[] {
    return this.#dropped;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  get syncs(): number {
    return this.#syncs;
  }

  /** Targets of all syncs that could not be made of what discovery found. */
  get syncFailures(): number {
    return this.#syncFailures;
  }

  /** Takes what discovery knows of the job now. */
  sync(groups: readonly TargetGroup[]): Promise<void> {
    this.#groups = groups;
    return this.#change(() => this.#apply(false));
  }

  /** Takes a changed configuration. Caches and staleness survive when only times, `sample_limit` or HTTP settings differ. */
  reconfigure(config: ScrapeConfig): Promise<void> {
    return this.#change(async () => {
      const keep = cacheKey(config) === cacheKey(this.#config);
      this.#config = config;
      this.#relabel = compileRelabel(config.relabelConfigs, config.metricNameValidationScheme);
      this.#metricRelabel = metricProgram(config);
      const old = this.#fetcher;
      this.#fetcher = this.#environment.createFetcher(config);
      await this.#apply(true, keep);
      await old.close();
    });
  }

  /** Stops all loops; scrapes under way are awaited. No stale markers: the job is gone, or the process ends. */
  stop(isShutdown = false): Promise<void> {
    return this.#change(async () => {
      const running = [...this.#loops.values()];
      this.#loops = new Map();
      for (const { stop } of running) stop.abort();
      await Promise.all(running.map(({ done }) => done));
      if (isShutdown && this.#environment.scrapeOnShutdown === true) {
        const nowMs = this.#environment.clock.now();
        await Promise.all(running.map(({ loop }) => loop.scrape(nowMs, this.#kill)));
      }
      await this.#fetcher.close();
    });
  }

  #change(work: () => Promise<void>): Promise<void> {
    const next = this.#changes.then(work);
    this.#changes = next.catch(() => {});
    return next;
  }

  /** Brings the loops in line with groups and configuration. */
  async #apply(restartAll: boolean, keepState = false): Promise<void> {
    this.#syncs++;
    const wanted = this.#resolve();
    const gone = new Map<string, RunningLoop[]>();
    for (const [identity, running] of this.#loops) {
      if (!restartAll && wanted.has(identity)) continue;
      this.#loops.delete(identity);
      this.#leaving.add(running.loop);
      running.stop.abort();
      const key = targetKey(running.loop.target);
      gone.set(key, [...(gone.get(key) ?? []), running]);
    }
    this.#checkTargetLimit(wanted.size);
    const work: Promise<void>[] = [];
    for (const [identity, resolved] of wanted) {
      if (this.#loops.has(identity)) continue;
      const target = toScrapeTarget(this.jobName, resolved);
      const old = gone.get(targetKey(target))?.shift();
      // No target waits for the scrape of another to end.
      if (old === undefined) this.#loops.set(identity, this.#start(target, resolved, undefined));
      else work.push(this.#replace(old, identity, keepState, (state) => this.#start(target, resolved, state)));
    }
    for (const running of [...gone.values()].flat()) work.push(this.#finish(running));
    await Promise.all(work);
    this.#environment.targetsChanged(this.jobName, this.#loops.size);
  }

  async #replace(
    old: RunningLoop,
    identity: string,
    keepState: boolean,
    start: (state: ScrapeLoopState | undefined) => RunningLoop,
  ): Promise<void> {
    await old.done;
    this.#loops.set(identity, start(keepState ? old.loop.state : undefined));
    if (keepState) this.#leaving.delete(old.loop);
    else await this.#finish(old);
  }

  /** A loop that nobody goes on with: its series are owed stale markers. */
  async #finish({ loop, done }: RunningLoop): Promise<void> {
    await done;
    this.#environment.ended(loop);
    this.#leaving.delete(loop);
  }

  #resolve(): ReadonlyMap<string, ResolvedTarget> {
    const config = this.#config;
    const rules = {
      defaults: {
        ...config,
        scrapeIntervalText: formatPromDuration(config.scrapeIntervalMs),
        scrapeTimeoutText: formatPromDuration(config.scrapeTimeoutMs),
      },
      program: this.#relabel,
      parseDuration: parsePromDuration,
    };
    const resolved = resolveTargets(this.#groups, rules, config.keepDroppedTargets || defaultKeptDropped);
    this.#dropped = resolved.dropped;
    this.#droppedCount = resolved.droppedCount;
    this.#syncFailures += resolved.failures.length;
    for (const failure of resolved.failures) this.#environment.targetFailed(this.jobName, failure);
    return resolved.targets;
  }

  #checkTargetLimit(count: number): void {
    const { targetLimit } = this.#config;
    const exceeded = targetLimit > 0 && count > targetLimit;
    if (exceeded) this.#environment.metrics.limitExceeded("target_limit");
    this.#blockedBy = exceeded
      ? `target_limit exceeded (number of targets: ${count}, limit: ${targetLimit})`
      : undefined;
    for (const { loop } of this.#loops.values()) loop.blockedBy = this.#blockedBy;
  }

  #start(target: ScrapeTarget, resolved: ResolvedTarget, state: ScrapeLoopState | undefined): RunningLoop {
    const { identities, marks, turns, metrics, clock, readsOtlp } = this.#environment;
    const origin = state?.page.origin ?? this.#environment.createOrigin(target, resolved);
    const page = state?.page ?? this.#createPage(target, origin);
    page.setSampleLimit(this.#config.sampleLimit);
    const stop = new AbortController();
    const sleeper = this.#slots.sleeper(stop.signal);
    const loop = new ScrapeLoop({
      identities,
      target,
      settings: {
        honorTimestamps: this.#config.honorTimestamps,
        trackTimestampsStaleness: this.#config.trackTimestampsStaleness,
        fallbackProtocol: this.#config.fallbackScrapeProtocol,
        sampleLimit: this.#config.sampleLimit,
        extraScrapeMetrics: this.#config.extraScrapeMetrics,
        externalLabels: this.#environment.externalLabels,
        initialOffsetMs: this.#environment.initialOffsetMs,
      },
      fetcher: this.#fetcher,
      page,
      origin,
      readsOtlp,
      marks,
      turns,
      metrics,
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleepUntil: (dueMs) => sleeper.until(dueMs),
      deliver: (batch) => this.#environment.deliver(batch),
      failed: (failing, error) => this.#environment.scrapeFailed(failing, error, this.#config.scrapeFailureLogFile),
      refused: this.#environment.batchRefused,
      state,
    });
    loop.blockedBy = this.#blockedBy;
    const done = loop.run(stop.signal, this.#kill).catch((error: unknown) => {
      this.#environment.loopBroken(target, error);
    });
    return { loop, stop, done };
  }

  #createPage(target: ScrapeTarget, origin: ScrapeOrigin): TargetPage {
    const { identities, marks, ownLimits, externalLabels } = this.#environment;
    const config = this.#config;
    const labels = new SampleLabels(identities, new LabelsBuilder(), {
      targetLabels: target.labels as readonly Label[],
      honorLabels: config.honorLabels,
      relabel: this.#metricRelabel,
      limits: {
        labels: config.labelLimit,
        nameLength: config.labelNameLengthLimit,
        valueLength: config.labelValueLengthLimit,
      },
      externalLabels,
      isValidMetricName: (name) => isValidMetricName(name, config.metricNameValidationScheme),
      isValidLabelName: (name) => isValidLabelName(name, config.metricNameValidationScheme),
    });
    return new TargetPage({
      identities,
      labels,
      marks,
      origin,
      limits: {
        lineBytes: ownLimits.lineBytes,
        series: ownLimits.seriesPerTarget,
        labels: ownLimits.labelsPerSeries,
        samples: config.sampleLimit,
      },
      ignoresTimestamps: !config.honorTimestamps,
    });
  }
}

function metricProgram(config: ScrapeConfig): RelabelProgram | undefined {
  if (config.metricRelabelConfigs.length === 0) return undefined;
  return compileRelabel(config.metricRelabelConfigs, config.metricNameValidationScheme);
}

/** What must be equal for caches and staleness to survive a reload (Prometheus: all but times, sample_limit, HTTP settings). */
function cacheKey(config: ScrapeConfig): string {
  const { scrapeIntervalMs, scrapeTimeoutMs, sampleLimit, http, fingerprint, at, sdConfigs, ...rest } = config;
  return JSON.stringify(rest, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}

/** Equal for two loops that may inherit from one another. */
function targetKey(target: ScrapeTarget): string {
  return JSON.stringify([target.url, target.labels]);
}

/** The first four bytes of the identity, which is a hash. */
function hashOf(identity: string): number {
  return Buffer.from(identity, "base64url").readUInt32LE(0);
}

function toScrapeTarget(jobName: string, resolved: ResolvedTarget): ScrapeTarget {
  return {
    jobName,
    labels: resolved.labels,
    discoveredLabels: Object.fromEntries(resolved.discoveredLabels),
    url: resolved.url.href,
    socketPath: resolved.unixSocketPath,
    intervalMs: resolved.scrapeIntervalMs,
    timeoutMs: resolved.scrapeTimeoutMs,
    identity: resolved.identity,
    hash: hashOf(resolved.identity),
  };
}
