/** What the prometheus receiver counts of itself, under the Collector's names where it has them. */

import type { Meter } from "../../component/telemetry.ts";
import type { ScrapeMetrics } from "../../prometheus/scrape/scrape-metrics.ts";

export interface ReceiverMetrics extends ScrapeMetrics {
  accepted(rows: number): void;
  refused(rows: number): void;
}

export function createReceiverMetrics(meter: Meter, id: string): ReceiverMetrics {
  const labels = { receiver: id };
  const counter = (name: string, help: string, extra = {}) =>
    meter.counter(name, { help }).with({ ...labels, ...extra });
  const accepted = counter(
    "otelcol_receiver_accepted_metric_points",
    "Number of metric points successfully pushed into the pipeline.",
    {
      transport: "http",
    },
  );
  const refused = counter(
    "otelcol_receiver_refused_metric_points",
    "Number of metric points that could not be pushed into the pipeline.",
    {
      transport: "http",
    },
  );
  const dropped = meter.counter("receiver_prometheus_dropped_samples_total", {
    help: "Samples of scrapes that were dropped, by reason.",
  });
  const failed = meter.counter("receiver_prometheus_failed_pages_total", {
    help: "Scrapes that failed as a whole, by reason.",
  });
  const scrapes = counter("receiver_prometheus_scrapes_total", "Scrapes made.");
  const missed = counter(
    "receiver_prometheus_missed_scrapes_total",
    "Scrapes left out because an earlier one took too long.",
  );
  return {
    accepted: (rows) => accepted.add(rows),
    refused: (rows) => refused.add(rows),
    scraped: () => scrapes.add(1),
    intervalLength: () => {},
    missedScrapes: (count) => missed.add(count),
    samplesDropped: (reason, count) => dropped.with({ ...labels, reason }).add(count),
    limitExceeded: (reason) => {
      if (reason !== "target_limit") failed.with({ ...labels, reason }).add(1);
    },
    pageMissing: (reason) => failed.with({ ...labels, reason }).add(1),
  };
}
