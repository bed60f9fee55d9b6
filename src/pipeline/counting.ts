/**
 * The Collector's own metrics of receivers, processors and exporters, counted where data passes between them. A sample row
 * counts as one point: a scraped histogram counts its buckets, its sum and its count, since points are not assembled for it.
 */

import { type Consumers, consumeWith, handOn, type Output } from "../component/consumer.ts";
import type { MetricCell } from "../component/telemetry.ts";
import { type AnyBatch, countItems } from "../model/any-batch.ts";
import type { Signal } from "../model/otlp-request.ts";
import type { ComponentMeter } from "./component-meter.ts";
import { isConsumeError } from "./consume-errors.ts";

/** What the items of a signal are called in the names of metrics, and in their texts. */
const itemNames: Readonly<Record<Signal, readonly [name: string, text: string]>> = {
  metrics: ["metric_points", "metric points"],
  traces: ["spans", "spans"],
  logs: ["log_records", "log records"],
};

/** Counts what the pipelines took from a receiver, and what they refused, for the signals that have a pipeline. */
export function countReceived(
  next: Output,
  meter: ComponentMeter,
  { id, transport }: { readonly id: string; readonly transport: string },
  signals: readonly Signal[],
): Output {
  const labels = { receiver: id, transport };
  const cells = cellsBySignal(signals, (signal) => {
    const [name, text] = itemNames[signal];
    const count = (what: string, help: string) =>
      meter.pipelineCounter(`otelcol_receiver_${what}_${name}`, `Number of ${text} ${help}`, labels);
    const taken = count("accepted", "successfully pushed into the pipeline.");
    const refused = count("refused", "that could not be pushed into the pipeline.");
    count("failed", "that failed to be processed by the receiver due to internal errors.");
    return { taken, refused };
  });
  return { ...countAnswers(next, cells), takes: (signal) => next.takes(signal) };
}

/** Counts what went into a processor and what came out of it. */
export function countProcessed(
  meter: ComponentMeter,
  processor: string,
  signal: Signal,
): { incoming: MetricCell; outgoing: MetricCell } {
  const labels = { otel_signal: signal, processor };
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
export function countExported(
  to: Consumers,
  meter: ComponentMeter,
  exporter: string,
  signals: readonly Signal[],
): Consumers {
  const cells = cellsBySignal(signals, (signal) => {
    const [name, text] = itemNames[signal];
    const count = (what: string, help: string) =>
      meter.pipelineCounter(`otelcol_exporter_${what}_${name}`, `Number of ${text} ${help}`, { exporter });
    return {
      taken: count("sent", "successfully sent to destination."),
      refused: count("send_failed", "in failed attempts to send to destination."),
    };
  });
  return countAnswers(to, cells);
}

/** Counts the items of every batch that is handed on, whatever the answer. */
export function countPassing(next: Consumers, cell: MetricCell): Consumers {
  return consumeWith((batch) => {
    cell.add(countItems(batch));
    return handOn(next, batch);
  });
}

interface AnswerCells {
  readonly taken: MetricCell;
  readonly refused: MetricCell;
}

/** Cells for these signals now, and for others when they come: a reload may give a component further pipelines. */
function cellsBySignal(
  signals: readonly Signal[],
  create: (signal: Signal) => AnswerCells,
): (signal: Signal) => AnswerCells {
  const cells = new Map(signals.map((signal) => [signal, create(signal)]));
  return (signal) => {
    const known = cells.get(signal) ?? create(signal);
    cells.set(signal, known);
    return known;
  };
}

function countAnswers(to: Consumers, cellsOf: (signal: Signal) => AnswerCells): Consumers {
  return consumeWith((batch: AnyBatch) => {
    // What waits for the answer does not keep the batch.
    const { signal } = batch;
    const items = countItems(batch);
    return handOnLater(to, batch).then(
      () => void cellsOf(signal).taken.add(items),
      (error: unknown) => {
        const refused = isConsumeError(error) ? Math.min(items, error.rejectedItems ?? items) : items;
        const cells = cellsOf(signal);
        cells.refused.add(refused);
        cells.taken.add(items - refused);
        throw error;
      },
    );
  });
}

/** Makes an error that is thrown at once a rejection. */
async function handOnLater(to: Consumers, batch: AnyBatch): Promise<void> {
  return handOn(to, batch);
}
