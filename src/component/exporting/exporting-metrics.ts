/** What an exporter with a queue says about itself, by the Collector's names. */

import type { Signal } from "../../model/otlp-request.ts";
import type { HistogramCell, Meter, MetricCell } from "../telemetry.ts";
import type { DropReason } from "./retry.ts";

const itemNames: Readonly<Record<Signal, readonly [name: string, text: string]>> = {
  metrics: ["metric_points", "metric points"],
  traces: ["spans", "spans"],
  logs: ["log_records", "log records"],
};

/** Bounds of the histogram of items in a request, the Collector's. */
const itemBounds = [
  10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 20_000, 30_000,
  50_000, 100_000,
];
const byteBounds = [
  10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 20_000, 30_000,
  50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 900_000, 1_000_000, 2_000_000,
  3_000_000, 4_000_000, 5_000_000, 6_000_000, 7_000_000, 8_000_000, 9_000_000,
];

/** Read whenever somebody asks for the page. */
export interface QueueState {
  readonly size: number;
  readonly capacity: number;
  readonly bytes: number;
  readonly inFlight: number;
}

export interface ExportingMetrics {
  readonly sent: MetricCell;
  readonly sendFailed: MetricCell;
  readonly enqueueFailed: MetricCell;
  readonly batchItems: HistogramCell;
  readonly batchBytes: HistogramCell;
  dropped(reason: DropReason, items: number): void;
}

/** The metrics of one signal of an exporter. */
export function exportingMetrics(meter: Meter, exporter: string, signal: Signal, state: QueueState): ExportingMetrics {
  const [name, text] = itemNames[signal];
  const counter = (what: string, help: string) =>
    meter.counter(`otelcol_exporter_${what}_${name}`, { help: `Number of ${text} ${help}` }).with({ exporter });
  const labels = { data_type: signal, exporter };
  const gauge = (what: string, help: string, read: () => number) =>
    meter.observe(`otelcol_exporter_${what}`, { help, type: "gauge" }, () => [{ labels, value: read() }]);
  gauge("queue_size", "Current size of the retry queue (in batches)", () => state.size);
  gauge("queue_capacity", "Fixed capacity of the retry queue (in batches)", () => state.capacity);
  gauge("queue_bytes", "Bytes that are accepted and not yet delivered", () => state.bytes);
  gauge("in_flight_requests", "Number of requests under way", () => state.inFlight);
  const histogram = (what: string, help: string, buckets: readonly number[]) =>
    meter.histogram(`otelcol_exporter_${what}`, { help, level: "detailed", buckets }).with(labels);
  const drops = meter.counter("otelcol_exporter_dropped_items", { help: "Items that were dropped, by the reason" });
  return {
    sent: counter("sent", "successfully sent to destination."),
    sendFailed: counter("send_failed", "in failed attempts to send to destination."),
    enqueueFailed: counter("enqueue_failed", "failed to be added to the sending queue."),
    batchItems: histogram("queue_batch_send_size", "Number of units in the batch", itemBounds),
    batchBytes: histogram("queue_batch_send_size_bytes", "Number of bytes in batch that was sent", byteBounds),
    dropped: (reason, items) => drops.with({ data_type: signal, exporter, reason }).add(items),
  };
}
