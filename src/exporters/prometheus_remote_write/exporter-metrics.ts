/** What the prometheus_remote_write exporter counts and logs, under the Collector's names where it has them. */

import { DropTally } from "../../component/drop-tally.ts";
import { LimitedWarning } from "../../component/exporting/limited-warning.ts";
import type { Clock, Logger, Meter } from "../../component/telemetry.ts";
import type { RemoteWriteSender, SenderObserver } from "../../prometheus/remote-write/sender.ts";
import type { DropReason } from "../../prometheus/translation/drop-reason.ts";

/** A repeated warning is logged at most this often. */
const logIntervalMs = 60_000;

export interface QueueBounds {
  /** Batches that the queue may hold. */
  readonly capacity: number;
  /** Requests that may be under way at the same time. */
  readonly consumers: number;
}

/** `expired`: no attempt succeeded in time. `queue_full`: too much metadata waited before it. */
export type MetadataDropReason = "rejected" | "expired" | "queue_full" | "shutdown";

export interface ExporterMetrics {
  readonly observer: SenderObserver;
  /** Counts entries of metadata that the server will not get. */
  metadataDropped(reason: MetadataDropReason, entries: number, message: string): void;
  /** Counts the series that a batch became. */
  translated(series: number): void;
  /** Counts points that no series could be made of. */
  untranslated(dropped: ReadonlyMap<DropReason, number>): void;
  /** Shows the queue; the returned function takes the gauges away. `batches` is how many are in it. */
  observeQueue(sender: RemoteWriteSender, bounds: QueueBounds, batches: () => number): () => void;
}

export function createExporterMetrics(meter: Meter, log: Logger, clock: Clock, id: string): ExporterMetrics {
  const labels = { exporter: id };
  const counter = (name: string, help: string) => meter.counter(name, { help }).with(labels);
  const sent = counter(
    "otelcol_exporter_sent_metric_points",
    "Number of metric points successfully sent to destination.",
  );
  const sendFailed = counter(
    "otelcol_exporter_send_failed_metric_points",
    "Number of metric points in failed attempts to send to destination.",
  );
  const enqueueFailed = counter(
    "otelcol_exporter_enqueue_failed_metric_points",
    "Number of metric points that the queue did not take.",
  );
  const batches = counter(
    "otelcol_exporter_prometheusremotewrite_sent_batches",
    "Number of remote write requests sent.",
  );
  const written = counter("otelcol_exporter_prometheusremotewrite_written_samples", "Number of samples written.");
  const exemplars = counter("otelcol_exporter_prometheusremotewrite_written_exemplars", "Number of exemplars written.");
  const failedTranslations = counter(
    "otelcol_exporter_prometheusremotewrite_failed_translations",
    "Number of points that no series could be made of.",
  );
  const translated = counter(
    "otelcol_exporter_prometheusremotewrite_translated_time_series",
    "Number of Prometheus time series that were translated from OTel metrics.",
  );
  const retried = counter(
    "exporter_prometheus_remote_write_retried_samples_total",
    "Samples sent again after a failure.",
  );
  const bytes = counter(
    "exporter_prometheus_remote_write_bytes_total",
    "Bytes of requests that are over, after compression.",
  );
  const dropped = meter.counter("exporter_prometheus_remote_write_dropped_samples_total", {
    help: "Samples that were dropped, by reason.",
  });
  const droppedMetadata = meter.counter("exporter_prometheus_remote_write_dropped_metadata_total", {
    help: "Entries of metadata that were dropped, by reason.",
  });
  const metadataWarning = new LimitedWarning(log, clock);
  const fullWarning = new LimitedWarning(log, clock);
  const tally = new DropTally(clock);
  const seen = new Set<string>();
  let lastWarningMs = Number.NEGATIVE_INFINITY;
  return {
    observer: {
      queued: () => {},
      attempted: (samples, _exemplars, isRetry) => {
        batches.add(1);
        if (isRetry) retried.add(samples);
      },
      delivered: (samples, sentExemplars) => {
        sent.add(samples);
        written.add(samples);
        exemplars.add(sentExemplars);
      },
      dropped: (reason, samples, _exemplars, message) => {
        if (reason === "queue_full") {
          // Refused, not dropped: whoever gave it is told, and may give it again.
          enqueueFailed.add(samples);
          fullWarning.warn("Exporting failed. Rejecting data.", { rejected_items: samples, reason, error: message });
          return;
        }
        sendFailed.add(samples);
        dropped.with({ ...labels, reason }).add(samples);
        const items = tally.add(reason, samples);
        if (items !== undefined) {
          log.error("Exporting failed. Dropping data.", { dropped_items: items, reason, error: message });
        }
      },
      retrying: (message, waitMs, attempt) => {
        const now = clock.now();
        if (now - lastWarningMs < logIntervalMs) return;
        lastWarningMs = now;
        log.warn("Exporting failed. Will retry the request after interval.", {
          error: message,
          interval: `${Math.round(waitMs)}ms`,
          attempt,
        });
      },
      finished: (_seconds, size) => bytes.add(size),
    },
    metadataDropped: (reason, entries, message) => {
      droppedMetadata.with({ ...labels, reason }).add(entries);
      metadataWarning.warn("Exporting metadata failed. Dropping it.", {
        dropped_items: entries,
        reason,
        error: message,
      });
    },
    translated: (series) => translated.add(series),
    untranslated: (reasons) => {
      for (const [reason, count] of reasons) {
        failedTranslations.add(count);
        dropped.with({ ...labels, reason }).add(count);
        if (seen.has(reason)) continue;
        seen.add(reason);
        const hint = reason === "temporality" ? "; delta metrics need the deltatocumulative processor" : "";
        log.warn(`points cannot be sent by remote write${hint}`, { reason, count });
      }
    },
    observeQueue: (sender, { capacity, consumers }, batches) => {
      const gauge = (name: string, help: string, read: () => number) =>
        meter.observe(name, { help, type: "gauge" }, () => [{ labels, value: read() }]);
      const removers = [
        gauge("otelcol_exporter_queue_size", "Current size of the queue, in batches; on disk, in records.", batches),
        gauge("otelcol_exporter_queue_capacity", "Fixed capacity of the queue, in batches.", () => capacity),
        gauge(
          "exporter_prometheus_remote_write_queue_bytes",
          "Bytes of samples in the queue.",
          () => sender.queuedBytes,
        ),
        gauge(
          "otelcol_exporter_prometheusremotewrite_consumers",
          "Number of requests that may be under way at the same time.",
          () => consumers,
        ),
        gauge("otelcol_exporter_in_flight_requests", "Requests under way.", () => sender.inFlight),
      ];
      return () => {
        for (const remove of removers) remove();
      };
    },
  };
}
