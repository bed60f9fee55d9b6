/** Scrapes one target at its interval and hands every scrape on as one batch: page, stale markers, report. */

import { createOpenMetricsParser, createTextParser, type ExpositionParser } from "../../codec/exposition/parser.ts";
import {
  countRows,
  type MetricsBatch,
  type MetricsSegment,
  metricsBatch,
  type SamplesSegment,
} from "../../model/batch.ts";
import { toError } from "../../model/errors.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { selectSamples } from "../../model/select-rows.ts";
import type { ScrapeProtocol } from "../config/types.ts";
import type { ScrapeOrigin } from "../translation/scrape-origin.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import { type PageContent, PageError, pageSegment } from "./page-content.ts";
import { PageFormat } from "./page-format.ts";
import type { PageTurns } from "./page-turns.ts";
import { ReportSeries, staleSegment } from "./report-series.ts";
import { SampleTimes } from "./sample-times.ts";
import { type Attempt, emptyAttempt, failedAttempt, nothing, readAttempt, refusedPage } from "./scrape-attempt.ts";
import type { ScrapeMetrics } from "./scrape-metrics.ts";
import {
  FetchError,
  type FetchedPage,
  type PageFetcher,
  type ScrapeTarget,
  type TargetStatus,
} from "./scrape-target.ts";
import { slotOf } from "./slot-sleep.ts";
import type { TargetPage } from "./target-page.ts";

/** How a target is scraped; may be replaced while the loop runs. */
export interface ScrapeSettings {
  readonly honorTimestamps: boolean;
  readonly trackTimestampsStaleness: boolean;
  readonly fallbackProtocol: ScrapeProtocol | undefined;
  readonly sampleLimit: number;
  readonly extraScrapeMetrics: boolean;
  /** Set on every report series, over the target's labels. */
  readonly externalLabels: readonly Label[];
  /** Added to the first due time (the Collector's `initial_scrape_offset`); 0 unless given. */
  readonly initialOffsetMs?: number | undefined;
}

export interface ScrapeLoopParts {
  readonly identities: Identities;
  readonly target: ScrapeTarget;
  readonly settings: ScrapeSettings;
  readonly fetcher: PageFetcher;
  readonly page: TargetPage;
  readonly origin: ScrapeOrigin;
  /** Whether rows are read the OTLP way downstream. */
  readonly readsOtlp: boolean;
  readonly marks: LabelSetMarks;
  /** Shared by the targets of a process. */
  readonly turns: PageTurns;
  readonly metrics: ScrapeMetrics;
  readonly now: () => number;
  readonly monotonic: () => number;
  /** Resolves at this time of the wall clock, or when the signal aborts. */
  readonly sleepUntil: (dueMs: number, signal: AbortSignal) => Promise<void>;
  /** Where batches go. Throws or rejects when the batch was not taken; undefined when it was taken at once. */
  readonly deliver: (batch: MetricsBatch) => Promise<void> | undefined;
  /** Hears of every failed scrape; the caller limits how often it is logged. */
  readonly failed: (target: ScrapeTarget, error: Error) => void;
  /** Hears of a batch that nobody took. */
  readonly refused: (target: ScrapeTarget, error: Error) => void;
  /** What an earlier loop of the same target knew. */
  readonly state: ScrapeLoopState | undefined;
}

/** What outlives a loop when its target goes on under changed settings. */
export interface ScrapeLoopState {
  readonly page: TargetPage;
  readonly times: SampleTimes;
  readonly tracked: Uint32Array;
  readonly reported: boolean;
  readonly status: TargetStatus;
}

/** A scrape this near to its due time carries the due time (Prometheus: 2 ms, at most 1 % of the interval). */
const timestampToleranceMs = 2;

/** Reading a page holds the process up no longer than this at a time. */
const longestStepMs = 10;

const noBytes = Buffer.alloc(0);

export class ScrapeLoop {
  readonly target: ScrapeTarget;
  readonly #parts: ScrapeLoopParts;
  #report: ReportSeries;
  #learnt: SamplesLayout | undefined;
  readonly #textParser: ExpositionParser = createTextParser(noBytes, 0);
  readonly #openMetricsParser: ExpositionParser = createOpenMetricsParser(noBytes, 0);
  /** Label sets that a marker is owed to when they are not seen again. */
  #tracked: Uint32Array = nothing;
  /** What will be tracked when the batch under way is taken. */
  #pending: Uint32Array = nothing;
  #reported = false;
  readonly #times: SampleTimes;
  #status: TargetStatus = { health: "unknown", lastError: "", lastScrapeMs: 0, lastDurationSeconds: 0 };
  readonly #format: PageFormat;
  #nextDueMs = 0;
  /** Set by the pool: why targets of the job are not scraped at all. */
  blockedBy: string | undefined;

  constructor(parts: ScrapeLoopParts) {
    this.#parts = parts;
    this.target = parts.target;
    const { state } = parts;
    this.#format = new PageFormat(parts.settings.fallbackProtocol);
    // The Collector's receiver hands on what comes; the agent's storage refuses what does not move forward.
    this.#times = state?.times ?? new SampleTimes(!parts.readsOtlp);
    if (state !== undefined) {
      this.#tracked = state.tracked;
      this.#reported = state.reported;
      this.#status = state.status;
    }
    this.#report = this.#createReport();
  }

  #createReport(): ReportSeries {
    const { identities, target, settings, origin } = this.#parts;
    const extra = { timeoutSeconds: target.timeoutMs / 1000, sampleLimit: settings.sampleLimit };
    const labels: Label[] = [...new Map<string, string>([...target.labels, ...settings.externalLabels])];
    return new ReportSeries(identities, origin, labels, settings.extraScrapeMetrics ? extra : undefined);
  }

  get state(): ScrapeLoopState {
    return {
      page: this.#parts.page,
      times: this.#times,
      tracked: this.#tracked,
      reported: this.#reported,
      status: this.#status,
    };
  }

  get status(): TargetStatus {
    return this.#status;
  }

  get page(): TargetPage {
    return this.#parts.page;
  }

  /** Label sets that live through this loop: its series and its report. */
  get liveLabelSets(): readonly Uint32Array[] {
    return [this.#tracked, this.#pending, this.#reported ? (this.#report.layout.labels ?? nothing) : nothing];
  }

  /** Label sets that are remembered though they may not be live. */
  get rememberedLabelSets(): readonly Uint32Array[] {
    return [this.#times.labelSets, this.#parts.page.pendingLabelSets];
  }

  /** Layouts that the loop will use again; the sweep of the tables keeps them. */
  get liveLayouts(): readonly SamplesLayout[] {
    return [this.#parts.page.layout, this.#report.layout];
  }

  get nextDueMs(): number {
    return this.#nextDueMs;
  }

  get origin(): ScrapeOrigin {
    return this.#parts.origin;
  }

  /** Scrapes at every due time until `stop` aborts; a scrape under way is finished, unless `kill` aborts it. */
  async run(stop: AbortSignal, kill: AbortSignal): Promise<void> {
    const { intervalMs, hash } = this.target;
    const offsetMs = slotOf(hash % intervalMs, intervalMs);
    const start = this.#parts.now();
    let due = start - (start % intervalMs) + offsetMs;
    // A loop that goes on for another may have had this tick already.
    if (due < start || due <= this.#status.lastScrapeMs) due += intervalMs;
    due += this.#parts.settings.initialOffsetMs ?? 0;
    while (!stop.aborted) {
      this.#nextDueMs = due;
      if (due > this.#parts.now()) await this.#parts.sleepUntil(due, stop);
      if (stop.aborted) return;
      const now = this.#parts.now();
      this.#parts.metrics.intervalLength(intervalMs, due, now);
      await this.scrape(due, kill);
      // Like a ticker with room for one: of several missed ticks one is made up for.
      due += intervalMs;
      this.#nextDueMs = due;
      const late = this.#parts.now() - due;
      if (late >= intervalMs) {
        const missed = Math.floor(late / intervalMs);
        this.#parts.metrics.missedScrapes(missed);
        due += missed * intervalMs;
      }
    }
  }

  /** One scrape that was due at `dueMs`. Never throws. */
  async scrape(dueMs: number, signal: AbortSignal): Promise<void> {
    const { now, monotonic } = this.#parts;
    const startMs = now();
    const tolerance = Math.min(timestampToleranceMs, this.target.intervalMs / 100);
    const timestampMs = Math.abs(startMs - dueMs) <= tolerance ? dueMs : startMs;
    const started = monotonic();
    // One async function for all of a scrape: with small pages each more is a few per cent of the whole.
    let attempt: Attempt;
    try {
      if (this.blockedBy !== undefined) throw new FetchError("target_limit", this.blockedBy);
      const fetched = await this.#parts.fetcher.fetch(this.target, signal);
      try {
        const read = this.#readPage(fetched);
        attempt = "then" in read ? await read : read;
      } finally {
        fetched.release();
      }
    } catch (caught) {
      attempt = this.#missingPage(toError(caught));
    }
    const durationSeconds = (monotonic() - started) / 1000;
    // A shutdown cut the scrape off: there is nothing to say about the target.
    if (signal.aborted && attempt.error instanceof FetchError) return;
    const up = attempt.error === undefined;
    if (attempt.error !== undefined) this.#parts.failed(this.target, attempt.error);
    this.#status = {
      health: up ? "up" : "down",
      lastError: attempt.error?.message ?? "",
      lastScrapeMs: startMs,
      lastDurationSeconds: durationSeconds,
    };
    this.#parts.metrics.scraped(durationSeconds);
    const { segments, tracked, markers } = this.#segmentsOf(attempt, timestampMs, up, durationSeconds);
    // What is owed stale markers changes only when somebody took the batch.
    this.#pending = tracked;
    try {
      const taken = this.#parts.deliver(metricsBatch(segments));
      if (taken !== undefined) await taken;
      this.#tracked = tracked;
      this.#reported = true;
      this.#times.commit();
    } catch (caught) {
      // Stale markers are not lost: they go with the next batch.
      this.#parts.metrics.samplesDropped("refused", countRows(metricsBatch(segments)) - markers);
      this.#parts.refused(this.target, toError(caught));
    } finally {
      this.#pending = nothing;
    }
  }

  #missingPage(error: Error): Attempt {
    const kind = error instanceof FetchError ? error.kind : undefined;
    const isTooLarge = kind === "body_size";
    if (isTooLarge) this.#parts.metrics.limitExceeded("body_size_limit");
    else if (kind === "own_limit") this.#parts.metrics.limitExceeded(kind);
    return this.#withoutPage(failedAttempt(error, isTooLarge ? -1 : 0));
  }

  #withoutPage(attempt: Attempt): Attempt {
    this.#parts.page.metadata.countMissing();
    return attempt;
  }

  /** Reads a page at once where it is known. */
  #readPage({ page, length, contentType }: FetchedPage): Attempt | Promise<Attempt> {
    // An empty page is a success whatever its type says.
    if (length === 0) return this.#withoutPage(emptyAttempt);
    const format = this.#format.of(contentType);
    if (typeof format === "object") return this.#withoutPage(failedAttempt(new Error(format.error), length));
    const isOpenMetrics = format === "openmetrics";
    const parser = isOpenMetrics ? this.#openMetricsParser : this.#textParser;
    try {
      const begun = this.#parts.page.begin(page, length, parser, isOpenMetrics);
      if ("layout" in begun) return this.#readWhole(begun, length);
      return this.#readChanged(begun, parser, page, length);
    } catch (caught) {
      return this.#failedPage(caught, length);
    }
  }

  async #readChanged(
    steps: Generator<void, PageContent>,
    parser: ExpositionParser,
    page: Buffer,
    length: number,
  ): Promise<Attempt> {
    parser.reset(page, length);
    try {
      return this.#readWhole(await this.#inSteps(steps), length);
    } catch (caught) {
      return this.#failedPage(caught, length);
    } finally {
      parser.reset(noBytes, 0);
    }
  }

  #readWhole(content: PageContent, length: number): Attempt {
    const problem = this.#learn(content.layout);
    if (problem !== undefined) return failedAttempt(new Error(problem), length);
    if (content.duplicates > 0) this.#parts.metrics.samplesDropped("duplicate_timestamp", content.duplicates);
    return readAttempt(content, length);
  }

  /** Runs the steps of reading a page, and lets everything else in the process go on between them. */
  async #inSteps(steps: Generator<void, PageContent>): Promise<PageContent> {
    const { monotonic, turns } = this.#parts;
    if (turns.isBusy) await turns.next();
    let since = monotonic();
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      if (monotonic() - since < longestStepMs) continue;
      await turns.next();
      since = monotonic();
    }
  }

  /** Teaches the origin a new layout; returns why its rows cannot be read the OTLP way. */
  #learn(layout: SamplesLayout): string | undefined {
    const { origin, readsOtlp } = this.#parts;
    if (!readsOtlp) return undefined;
    if (layout !== this.#learnt) {
      if (origin.learn(layout)) this.#report = this.#createReport();
      this.#learnt = layout;
    }
    return origin.problem(layout);
  }

  #failedPage(caught: unknown, length: number): Attempt {
    if (!(caught instanceof PageError)) return failedAttempt(toError(caught), length);
    this.#parts.metrics.limitExceeded(caught.reason);
    return refusedPage(caught, length, this.#tracksTimedSeries);
  }

  /** What a scrape hands on, how many of its rows are stale markers, and the label sets that are tracked from then on. */
  #segmentsOf(
    attempt: Attempt,
    timestampMs: number,
    up: boolean,
    durationSeconds: number,
  ): { segments: MetricsSegment[]; tracked: Uint32Array; markers: number } {
    const segments: MetricsSegment[] = [];
    let tracked: Uint32Array = attempt.seen;
    if (attempt.content !== undefined) {
      const segment = this.#taken(
        pageSegment(attempt.content, timestampMs, this.#parts.settings.honorTimestamps),
        timestampMs,
      );
      if (segment.to > segment.from) segments.push(segment);
      tracked = this.#trackedOf(attempt.content, segment);
    }
    const gone = this.#gone(tracked);
    if (gone.length > 0) segments.push(staleSegment(this.#parts.identities, this.#parts.origin, gone, timestampMs));
    segments.push(this.#report.segment(attempt.report, up, durationSeconds, timestampMs));
    return { segments, tracked, markers: gone.length };
  }

  /** Whether series with a timestamp of their own go stale too. */
  get #tracksTimedSeries(): boolean {
    const { honorTimestamps, trackTimestampsStaleness } = this.#parts.settings;
    return !honorTimestamps || trackTimestampsStaleness;
  }

  /** A sample that was refused does not count as seen. */
  #trackedOf(content: PageContent, taken: SamplesSegment): Uint32Array {
    const { timestamps } = content;
    if (timestamps === undefined || this.#tracksTimedSeries) return taken.layout.labels ?? nothing;
    return (content.layout.labels ?? nothing).filter((_, row) => Number.isNaN(timestamps[row]));
  }

  /** Tracked label sets that are not among the new ones. */
  #gone(now: Uint32Array): Uint32Array {
    if (this.#tracked === now || this.#tracked.length === 0) return nothing;
    const { marks } = this.#parts;
    marks.clear();
    for (const id of now) marks.add(id);
    return this.#tracked.filter((id) => !marks.has(id));
  }

  /** The rows of a page that are taken: without those whose own timestamp is out of bounds or out of order. */
  #taken(segment: SamplesSegment, nowMs: number): SamplesSegment {
    const { rows, outOfBounds, outOfOrder, duplicates } = this.#times.check(segment, nowMs);
    if (rows === undefined) return segment;
    const { identities, origin, metrics } = this.#parts;
    if (outOfBounds > 0) metrics.samplesDropped("out_of_bounds", outOfBounds);
    if (outOfOrder > 0) metrics.samplesDropped("out_of_order", outOfOrder);
    if (duplicates > 0) metrics.samplesDropped("duplicate_timestamp", duplicates);
    const labels = Uint32Array.from(rows, (row) => segment.layout.labels?.[row] as number);
    const families = Uint32Array.from(rows, (row) => segment.layout.families[row] as number);
    return selectSamples(segment, new SamplesLayout(identities, { labels, families }, origin), rows);
  }
}
