/** Puts a scrape manager together: fetchers, origins, discovery clients, and what is logged of failures. */

import { totalmem } from "node:os";
import type { MetricsBatch } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { collectBody } from "../../transport/collect-body.ts";
import { createHttpClient, type HttpClient } from "../../transport/http-client.ts";
import { createPageClient } from "../../transport/page-client.ts";
import { readBufferBytes } from "../../transport/plain-first.ts";
import { redactUrl } from "../../transport/redact-url.ts";
import type { DiscoveryMetrics } from "../discovery/provider.ts";
import { createScrapeOrigin } from "../translation/scrape-origin.ts";
import { FailureFiles } from "./failure-files.ts";
import { LabelSetMarks } from "./label-set-marks.ts";
import { PageError } from "./page-content.ts";
import { HttpPageFetcher, PageBuffers } from "./page-fetcher.ts";
import { PageTurns } from "./page-turns.ts";
import type { OwnLimits, ScrapeClock } from "./scrape-environment.ts";
import { ScrapeManager } from "./scrape-manager.ts";
import type { ScrapeMetrics } from "./scrape-metrics.ts";
import { FetchError, type ScrapeTarget } from "./scrape-target.ts";

/** Log of the process, as far as scraping uses it. */
export interface ScrapeLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface ScrapeServiceParts {
  readonly identities: Identities;
  readonly clock: ScrapeClock;
  readonly log: ScrapeLog;
  readonly metrics: ScrapeMetrics;
  readonly discoveryMetrics?: DiscoveryMetrics | undefined;
  readonly ownLimits: OwnLimits;
  readonly userAgent: string;
  /** The environment, for `proxy_from_environment`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Set on every series over its own labels; empty in an agent. */
  readonly externalLabels: readonly Label[];
  /** Scope of series that name none. */
  readonly scopeName: string;
  readonly scopeVersion: string;
  readonly trimMetricSuffixes: boolean;
  /** Whether series are read the OTLP way downstream. */
  readonly readsOtlp: boolean;
  readonly initialOffsetMs?: number | undefined;
  readonly scrapeOnShutdown?: boolean | undefined;
  readonly deliver: (batch: MetricsBatch) => Promise<void> | undefined;
}

/** A failing target is logged again after this time, or when its error changes. */
const failureLogIntervalMs = 300_000;

export function createScrapeManager(parts: ScrapeServiceParts): ScrapeManager {
  const { identities, clock, log, metrics, userAgent } = parts;
  const buffers = new PageBuffers(parts.ownLimits.allPagesBytes || quarterOfMemory());
  const readBuffer = Buffer.allocUnsafeSlow(readBufferBytes);
  const failures = new FailureLog(log, clock);
  const failureFiles = new FailureFiles((file, error) =>
    log.error("scrape_failure_log_file cannot be written", { file, err: error.message }),
  );
  const manager = new ScrapeManager(
    {
      identities,
      marks: new LabelSetMarks(),
      turns: new PageTurns(),
      metrics,
      clock,
      ownLimits: parts.ownLimits,
      readsOtlp: parts.readsOtlp,
      initialOffsetMs: parts.initialOffsetMs,
      scrapeOnShutdown: parts.scrapeOnShutdown,
      externalLabels: parts.externalLabels,
      createFetcher: (config) =>
        new HttpPageFetcher({
          config,
          client: createPageClient(config.http, { userAgent, env: parts.env, readBuffer }),
          buffers,
          ownBodyBytes: parts.ownLimits.bodyBytes,
        }),
      createOrigin: (target) =>
        createScrapeOrigin({
          identities,
          lane: target.hash,
          targetLabels: target.labels,
          discoveredLabels: Object.entries(target.discoveredLabels),
          scopeName: parts.scopeName,
          scopeVersion: parts.scopeVersion,
          trimMetricSuffixes: parts.trimMetricSuffixes,
        }),
      deliver: parts.deliver,
      scrapeFailed: (target, error, logFile) => {
        if (logFile !== "") failureFiles.write(logFile, target, error, clock.now());
        if (error instanceof FetchError) {
          if (error.kind !== "body_size" && error.kind !== "own_limit") metrics.pageMissing(error.kind);
        } else if (!(error instanceof PageError)) metrics.pageMissing("content");
        failures.scrapeFailed(target, error);
      },
      batchRefused: (target, error) => failures.batchRefused(target, error),
      targetFailed: (jobName, failure) =>
        log.error("Creating target failed", {
          job: jobName,
          source: failure.source,
          index: failure.index,
          err: failure.message,
        }),
      targetsChanged: () => {},
      loopBroken: (target, error) => log.error("scrape loop ended", { target: redactUrl(target.url), err: error }),
    },
    {
      createHttpClient: (config) => discoveryClient(createHttpClient(config, { userAgent, env: parts.env })),
      log,
      metrics: parts.discoveryMetrics,
    },
  );
  const removers = [
    identities.memory.add("page_templates", () => templateBytesOf(manager)),
    identities.memory.add("page_buffers", () => buffers.freeBytes + buffers.takenBytes),
  ];
  manager.whenClosed(() => {
    for (const remove of removers) remove();
  });
  return manager;
}

/** Of the control group's memory limit, or of the machine's memory where there is none. */
function quarterOfMemory(): number {
  const limit = process.constrainedMemory();
  return Math.floor((limit > 0 && limit < totalmem() ? limit : totalmem()) / 4);
}

/** Bytes of what is remembered of the pages of all targets. */
function templateBytesOf(manager: ScrapeManager): number {
  let bytes = 0;
  for (const { loops } of manager.pools) for (const { page } of loops) bytes += page.templateBytes;
  return bytes;
}

function discoveryClient(client: HttpClient) {
  return {
    get: async (url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal, maxBytes: number) => {
      const response = await client.request({ method: "GET", url: new URL(url), headers, signal });
      const body = await collectBody(response, { maxBytes });
      if (body === "too-large") throw new Error(`the answer is larger than ${maxBytes} bytes`);
      return { status: response.status, headers: response.headers, body };
    },
    close: () => client.close(),
  };
}

/** Logs a failing target when it begins to fail, when its error changes, and now and then. */
class FailureLog {
  readonly #log: ScrapeLog;
  readonly #clock: ScrapeClock;
  readonly #last = new Map<string, { message: string; atMs: number }>();

  constructor(log: ScrapeLog, clock: ScrapeClock) {
    this.#log = log;
    this.#clock = clock;
  }

  scrapeFailed(target: ScrapeTarget, error: Error): void {
    if (!this.#isNews(`scrape ${target.identity}`, error.message)) return;
    this.#log.warn("Failed to scrape Prometheus endpoint", {
      job: target.jobName,
      target: redactUrl(target.url),
      ...placeOf(error),
      err: error.message,
    });
  }

  batchRefused(target: ScrapeTarget, error: Error): void {
    if (!this.#isNews(`refused ${target.jobName}`, error.message.replace(/\d+/g, "n"))) return;
    this.#log.error("Scraped samples were not taken", {
      job: target.jobName,
      target: redactUrl(target.url),
      err: error.message,
    });
  }

  #isNews(key: string, message: string): boolean {
    const now = this.#clock.monotonic();
    const last = this.#last.get(key);
    if (last !== undefined && last.message === message && now - last.atMs < failureLogIntervalMs) return false;
    if (this.#last.size > 10_000) this.#last.clear();
    this.#last.set(key, { message, atMs: now });
    return true;
  }
}

/** The reason under which the failure is counted, and where in the page it is. */
function placeOf(error: Error): Readonly<Record<string, unknown>> {
  if (error instanceof PageError) return { reason: error.reason, offset: error.offset };
  if (error instanceof FetchError) return { reason: error.kind === "body_size" ? "body_size_limit" : error.kind };
  return { reason: "content" };
}
