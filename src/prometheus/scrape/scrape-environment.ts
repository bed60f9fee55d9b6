/** What scraping needs of the process around it; one object for all jobs. */

import type { MetricsBatch } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import type { ScrapeConfig } from "../config/types.ts";
import type { ScrapeTarget as ResolvedTarget, TargetFailure } from "../discovery/target.ts";
import type { ScrapeOrigin } from "../translation/scrape-origin.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import type { PageTurns } from "./page-turns.ts";
import type { ScrapeLoop } from "./scrape-loop.ts";
import type { ScrapeMetrics } from "./scrape-metrics.ts";
import type { PageFetcher, ScrapeTarget } from "./scrape-target.ts";

/** Millrace's own bounds on what a target may send; all finite, all configuration keys. */
export interface OwnLimits {
  /** Bytes of a page, after decompression, where no `body_size_limit` is set. */
  readonly bodyBytes: number;
  /** Bytes of memory for the pages of all targets that are under way at a time; 0 means a quarter of the memory there is. */
  readonly allPagesBytes: number;
  readonly lineBytes: number;
  readonly seriesPerTarget: number;
  readonly labelsPerSeries: number;
}

/** Generous for every real exporter, and small enough that one hostile target cannot take the process down. */
export const defaultOwnLimits: OwnLimits = {
  bodyBytes: 256 * 1024 * 1024,
  allPagesBytes: 0,
  lineBytes: 1024 * 1024,
  seriesPerTarget: 1_000_000,
  labelsPerSeries: 512,
};

/** The parts of a clock that scraping uses. */
export interface ScrapeClock {
  now(): number;
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface ScrapeEnvironment {
  readonly identities: Identities;
  readonly marks: LabelSetMarks;
  readonly turns: PageTurns;
  readonly metrics: ScrapeMetrics;
  readonly clock: ScrapeClock;
  readonly ownLimits: OwnLimits;
  /** Set on every series over its own labels (the Collector's receiver); empty in an agent, which adds them on egress. */
  readonly externalLabels: readonly Label[];
  /** How much later than its place in the interval every target begins. */
  readonly initialOffsetMs?: number | undefined;
  /** Scrape every target once more when the process ends. */
  readonly scrapeOnShutdown?: boolean | undefined;
  createFetcher(config: ScrapeConfig): PageFetcher;
  createOrigin(target: ScrapeTarget, resolved: ResolvedTarget): ScrapeOrigin;
  /** Whether somebody downstream reads series the OTLP way, so that every row needs a job and an instance. */
  readonly readsOtlp: boolean;
  /** Throws or rejects when the batch was not taken; undefined when it was taken at once. */
  deliver(batch: MetricsBatch): Promise<void> | undefined;
  /** `logFile` is the job's `scrape_failure_log_file`, empty for none. */
  scrapeFailed(target: ScrapeTarget, error: Error, logFile: string): void;
  batchRefused(target: ScrapeTarget, error: Error): void;
  targetFailed(jobName: string, failure: TargetFailure): void;
  targetsChanged(jobName: string, count: number): void;
  loopBroken(target: ScrapeTarget, error: unknown): void;
  /** A target is gone: its series are owed stale markers. */
  ended(loop: ScrapeLoop): void;
}
