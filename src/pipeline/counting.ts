/**
 * The Collector's own metrics of receivers, processors and exporters, counted where data passes between them. A sample row
 * counts as one point: a scraped histogram counts its buckets, its sum and its count, since points are not assembled for it.
 */

import type { MetricsConsumer } from "../component/consumer.ts";
import type { MetricCell } from "../component/telemetry.ts";
import { countRows } from "../model/batch.ts";
import type { ComponentMeter } from "./component-meter.ts";

/** Counts what the pipelines took from a receiver, and what they refused. */
export function countReceived(
  next: MetricsConsumer,
  meter: ComponentMeter,
  receiver: string,
  transport: string,
): MetricsConsumer {
  const labels = { receiver, transport };
  const count = (name: string, help: string) =>
    meter.pipelineCounter(`otelcol_receiver_${name}_metric_points`, help, labels);
  const accepted = count("accepted", "Number of metric points successfully pushed into the pipeline.");
  const refused = count("refused", "Number of metric points that could not be pushed into the pipeline.");
  count("failed", "Number of metric points that failed to be processed by the receiver due to internal errors.");
  return countAnswers(next, accepted, refused);
}

/** Counts what went into a processor; `incoming` is called with every batch. */
export function countProcessed(
  meter: ComponentMeter,
  processor: string,
): { incoming: MetricCell; outgoing: MetricCell } {
  const labels = { otel_signal: "metrics", processor };
  return {
    incoming: meter.pipelineCounter(
      "otelcol_processor_incoming_items",
      "Number of items passed to the processor.",
      labels,
    ),
    outgoing: meter.pipelineCounter(
      "otelcol_processor_outgoing_items",
      "Number of items emitted from the processor.",
      labels,
    ),
  };
}

/** Counts what an exporter without a queue of its own took, and what it refused. */
export function countExported(to: MetricsConsumer, meter: ComponentMeter, exporter: string): MetricsConsumer {
  const count = (name: string, help: string) =>
    meter.pipelineCounter(`otelcol_exporter_${name}_metric_points`, help, { exporter });
  const sent = count("sent", "Number of metric points successfully sent to destination.");
  const failed = count("send_failed", "Number of metric points in failed attempts to send to destination.");
  return countAnswers(to, sent, failed);
}

/** Counts the rows of every batch that is handed on, whatever the answer. */
export function countPassing(next: MetricsConsumer, cell: MetricCell): MetricsConsumer {
  return {
    metrics(batch) {
      cell.add(countRows(batch));
      return next.metrics(batch);
    },
  };
}

function countAnswers(to: MetricsConsumer, taken: MetricCell, refused: MetricCell): MetricsConsumer {
  return {
    async metrics(batch) {
      try {
        await to.metrics(batch);
      } catch (error) {
        refused.add(countRows(batch));
        throw error;
      }
      taken.add(countRows(batch));
    },
  };
}
