/** Runs all scrape jobs of a configuration: discovery, one pool per job, reload, and stale markers of targets that are gone. */

import { metricsBatch } from "../../model/batch.ts";
import type { PrometheusConfig, ScrapeConfig } from "../config/types.ts";
import { DiscoveryManager, type DiscoveryOptions } from "../discovery/manager.ts";
import { staleSegment } from "./report-series.ts";
import type { ScrapeEnvironment } from "./scrape-environment.ts";
import type { ScrapeLoop } from "./scrape-loop.ts";
import { ScrapePool } from "./scrape-pool.ts";
import { SlotSleep } from "./slot-sleep.ts";

/** Intervals after which the series of a target that is gone go stale (Prometheus: two ticks and a tenth). */
const staleAfterIntervals = 2.1;

/** What a target that is gone leaves behind until its markers are written. */
interface EndedTarget {
  readonly loop: ScrapeLoop;
  readonly labelSets: readonly Uint32Array[];
}

export class ScrapeManager {
  readonly #environment: ScrapeEnvironment;
  readonly #discovery: DiscoveryManager;
  readonly #pools = new Map<string, ScrapePool>();
  readonly #kill = new AbortController();
  readonly #slots: SlotSleep;
  readonly #ended = new Set<EndedTarget>();
  readonly #endings = new Set<Promise<void>>();
  readonly #removers: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(environment: Omit<ScrapeEnvironment, "ended">, discovery: Omit<DiscoveryOptions, "onUpdate">) {
    this.#environment = { ...environment, ended: (loop) => this.#end(loop) };
    this.#slots = new SlotSleep(environment.clock);
    this.#discovery = new DiscoveryManager({
      ...discovery,
      onUpdate: (jobName, groups) => {
        this.#pools
          .get(jobName)
          ?.sync(groups)
          .catch(() => {});
      },
    });
    this.whenClosed(environment.identities.addRoots(() => this.#liveLabelSets()));
  }

  /** Pools by job, in the order of their names. */
  get pools(): readonly ScrapePool[] {
    return [...this.#pools.values()].sort((a, b) => (a.jobName < b.jobName ? -1 : 1));
  }

  /** Called at the end of `close`. */
  whenClosed(listener: () => void): void {
    this.#removers.push(listener);
  }

  /** Takes a configuration, the first one or a new one. Jobs that did not change go on undisturbed. */
  async apply(config: Pick<PrometheusConfig, "scrapeConfigs">): Promise<void> {
    const wanted = new Map(config.scrapeConfigs.map((job) => [job.jobName, job]));
    const work: Promise<void>[] = [];
    for (const [name, pool] of this.#pools) {
      if (wanted.has(name)) continue;
      this.#pools.delete(name);
      work.push(pool.stop());
    }
    for (const [name, job] of wanted) work.push(this.#applyJob(name, job));
    this.#discovery.apply(new Map(config.scrapeConfigs.map((job) => [job.jobName, job.sdConfigs])));
    await Promise.all(work);
  }

  async #applyJob(name: string, job: ScrapeConfig): Promise<void> {
    const pool = this.#pools.get(name);
    if (pool === undefined) {
      this.#pools.set(name, new ScrapePool(job, this.#environment, this.#kill.signal, this.#slots));
    } else if (pool.config.fingerprint !== job.fingerprint) await pool.reconfigure(job);
  }

  /** Stops discovery and all loops; scrapes under way are finished until the deadline. Works twice. */
  close(deadline: AbortSignal): Promise<void> {
    this.#closed ??= this.#close(deadline);
    return this.#closed;
  }

  async #close(deadline: AbortSignal): Promise<void> {
    const kill = () => this.#kill.abort();
    if (deadline.aborted) kill();
    deadline.addEventListener("abort", kill, { once: true });
    await this.#discovery.close();
    await Promise.all([...this.#pools.values()].map((pool) => pool.stop(true)));
    this.#kill.abort();
    await Promise.all(this.#endings);
    deadline.removeEventListener("abort", kill);
    for (const remove of this.#removers.splice(0)) remove();
  }

  *#liveLabelSets(): Iterable<Uint32Array> {
    for (const pool of this.#pools.values()) {
      yield* pool.liveLabelSets();
      yield* pool.rememberedLabelSets();
    }
    for (const { labelSets } of this.#ended) yield* labelSets;
  }

  /** Owes the series of a target that is gone their markers, written when its second next scrape would have been over. */
  #end(loop: ScrapeLoop): void {
    const labelSets = loop.liveLabelSets.filter((sets) => sets.length > 0);
    if (labelSets.length === 0) return;
    const ended = { loop, labelSets };
    this.#ended.add(ended);
    const ending = this.#writeMarkers(ended).finally(() => {
      this.#ended.delete(ended);
      this.#endings.delete(ending);
    });
    this.#endings.add(ending);
  }

  async #writeMarkers({ loop, labelSets }: EndedTarget): Promise<void> {
    const { clock, marks, identities } = this.#environment;
    await clock.sleep(loop.target.intervalMs * staleAfterIntervals, this.#kill.signal);
    const pool = this.#pools.get(loop.target.jobName);
    if (this.#kill.signal.aborted || pool === undefined) return;
    // Series that live on through another loop are not stale.
    marks.clear();
    for (const other of this.#pools.values()) {
      for (const sets of other.liveLabelSets()) for (const id of sets) marks.add(id);
    }
    const gone = Uint32Array.from(labelSets.flatMap((sets) => [...sets]).filter((id) => !marks.has(id)));
    if (gone.length === 0) return;
    try {
      await this.#environment.deliver(metricsBatch([staleSegment(identities, loop.origin, gone, loop.nextDueMs)]));
    } catch (error) {
      this.#environment.metrics.samplesDropped("refused", gone.length);
      this.#environment.batchRefused(loop.target, error instanceof Error ? error : new Error(String(error)));
    }
  }
}
