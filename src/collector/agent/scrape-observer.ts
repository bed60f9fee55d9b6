/** Turns what scraping counts into the `prometheus_target_*` metrics that people's alerts use. */

import type { HistogramCell, Meter } from "../../component/telemetry.ts";
import type { ScrapeManager } from "../../prometheus/scrape/scrape-manager.ts";
import type { ScrapeMetrics } from "../../prometheus/scrape/scrape-metrics.ts";
import { observeIntervalLengths } from "./interval-lengths.ts";

const prefix = "prometheus_target_";
const scrapeBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createScrapeMetrics(meter: Meter): ScrapeMetrics {
  const counter = (name: string, help: string) => meter.counter(`${prefix}${name}`, { help }).with({});
  const duplicate = counter(
    "scrapes_sample_duplicate_timestamp_total",
    "Samples dropped because their series was in the page before.",
  );
  const outOfBounds = counter(
    "scrapes_sample_out_of_bounds_total",
    "Samples dropped because their time is too far in the future.",
  );
  const outOfOrderHelp = "Samples dropped because their time does not move forward.";
  const outOfOrder = [
    counter("scrapes_sample_out_of_order_total", outOfOrderHelp),
    meter.counter("prometheus_agent_out_of_order_samples_total", { help: outOfOrderHelp }).with({}),
  ];
  const limits = {
    sample_limit: counter(
      "scrapes_exceeded_sample_limit_total",
      "Scrapes that hit the sample limit and were rejected.",
    ),
    body_size_limit: counter("scrapes_exceeded_body_size_limit_total", "Scrapes that hit the body size limit."),
    label_limit: counter("scrape_pool_exceeded_label_limits_total", "Scrapes that hit one of the label limits."),
    target_limit: counter("scrape_pool_exceeded_target_limit_total", "Times a job had more targets than its limit."),
  };
  const dropped = meter.counter("millrace_scrape_samples_dropped_total", {
    help: "Samples of scrapes that were dropped, by reason.",
  });
  const failed = meter.counter("millrace_scrape_pages_failed_total", {
    help: "Scrapes that failed as a whole, by reason.",
  });
  const missed = meter
    .counter("millrace_scrapes_missed_total", { help: "Scrapes left out because an earlier one took too long." })
    .with({});
  const seconds = meter
    .histogram(`${prefix}scrape_duration_seconds`, { help: "How long scrapes took.", buckets: scrapeBuckets })
    .with({});
  const intervals = meter.histogram(`${prefix}interval_length_histogram_seconds`, {
    help: "Actual time between scrapes.",
    buckets: [0.01, 0.1, 1, 10, 30, 60, 120],
  });
  // Looked up by number: labels are put together and sorted for every look-up.
  const intervalCells = new Map<number, HistogramCell>();
  const intervalCell = (intervalMs: number): HistogramCell => {
    let cell = intervalCells.get(intervalMs);
    if (cell === undefined) {
      cell = intervals.with({ interval: `${intervalMs / 1000}s` });
      intervalCells.set(intervalMs, cell);
    }
    return cell;
  };
  const recordLength = observeIntervalLengths(meter);
  return {
    scraped: (elapsed) => seconds.record(elapsed),
    intervalLength: (intervalMs, dueMs, nowMs) => {
      const length = (intervalMs + nowMs - dueMs) / 1000;
      intervalCell(intervalMs).record(length);
      recordLength(intervalMs, length);
    },
    missedScrapes: (count) => missed.add(count),
    samplesDropped: (reason, count) => {
      if (reason === "duplicate_timestamp") duplicate.add(count);
      if (reason === "out_of_bounds") outOfBounds.add(count);
      if (reason === "out_of_order") for (const cell of outOfOrder) cell.add(count);
      dropped.with({ reason }).add(count);
    },
    limitExceeded: (reason) => {
      if (reason in limits) limits[reason as keyof typeof limits].add(1);
      if (reason !== "target_limit") failed.with({ reason }).add(1);
    },
    pageMissing: (reason) => failed.with({ reason }).add(1),
  };
}

/** Registers what is read from the scrape manager when the page is asked for. Returns a function that takes it away. */
export function observePools(meter: Meter, manager: () => ScrapeManager | undefined): () => void {
  const perJob = (
    name: string,
    help: string,
    type: "gauge" | "counter",
    read: (pool: ScrapeManager["pools"][number]) => number,
  ) =>
    meter.observe(`${prefix}${name}`, { help, type }, () =>
      (manager()?.pools ?? []).map((pool) => ({ labels: { scrape_job: pool.jobName }, value: read(pool) })),
    );
  const removers = [
    perJob(
      "scrape_pool_targets",
      "Current number of targets in this scrape pool.",
      "gauge",
      (pool) => pool.loops.length,
    ),
    perJob(
      "scrape_pool_target_limit",
      "Maximum number of targets allowed in this scrape pool.",
      "gauge",
      (pool) => pool.config.targetLimit,
    ),
    perJob(
      "scrape_pool_sync_total",
      "Total number of syncs that were executed on a scrape pool.",
      "counter",
      (pool) => pool.syncs,
    ),
    perJob("sync_failed_total", "Total number of target sync failures.", "counter", (pool) => pool.syncFailures),
    perJob("metadata_cache_entries", "Total number of metric metadata entries in the cache.", "gauge", (pool) => {
      let count = 0;
      for (const loop of pool.loops) count += loop.page.metadata.families.size;
      return count;
    }),
    meter.observe("prometheus_agent_active_series", { help: "Series of the last scrapes.", type: "gauge" }, () => {
      let count = 0;
      for (const pool of manager()?.pools ?? []) for (const loop of pool.loops) count += loop.page.layout.length;
      return [{ labels: {}, value: count }];
    }),
  ];
  return () => {
    for (const remove of removers) remove();
  };
}
