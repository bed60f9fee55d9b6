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
import { FailureLog, type ScrapeLog } from "./failure-log.ts";
import { LabelSetMarks } from "./label-set-marks.ts";
import { PageError } from "./page-content.ts";
import { HttpPageFetcher, PageBuffers } from "./page-fetcher.ts";
import { PageTurns } from "./page-turns.ts";
import type { OwnLimits, ScrapeClock } from "./scrape-environment.ts";
import { ScrapeManager } from "./scrape-manager.ts";
import type { ScrapeMetrics } from "./scrape-metrics.ts";
import { FetchError } from "./scrape-target.ts";

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
