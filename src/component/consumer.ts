/** How data is handed on: push, and await until somebody has taken responsibility. */

import type { AnyBatch } from "../model/any-batch.ts";
import type { MetricsBatch } from "../model/batch.ts";
import type { LogsBatch, Signal, TracesBatch } from "../model/otlp-request.ts";

/**
 * Takes batches. The promise resolves when the consumer has taken responsibility for all of the batch; it rejects with a
 * ConsumeError when nothing of it was taken, or, with `rejectedItems`, not all. A batch is immutable from the moment it is handed on.
 */
export interface MetricsConsumer {
  metrics(batch: MetricsBatch): Promise<void>;
}

/** The same for spans. */
export interface TracesConsumer {
  traces(batch: TracesBatch): Promise<void>;
}

/** The same for log records. */
export interface LogsConsumer {
  logs(batch: LogsBatch): Promise<void>;
}

/** Takes batches of every signal. */
export interface Consumers extends MetricsConsumer, TracesConsumer, LogsConsumer {}

/** What follows a receiver or a connector. Batches of a signal that nobody takes are refused. */
export interface Output extends Consumers {
  /** Whether a pipeline takes this signal from here. A reload may change it. */
  takes(signal: Signal): boolean;
}

/** Consumers that give batches of all signals to one function. */
export function consumeWith(take: (batch: AnyBatch) => Promise<void>): Consumers {
  return { metrics: take, traces: take, logs: take };
}

/** Hands a batch to the function for its signal. */
export function handOn(consumer: Consumers, batch: AnyBatch): Promise<void> {
  switch (batch.signal) {
    case "metrics":
      return consumer.metrics(batch);
    case "traces":
      return consumer.traces(batch);
    case "logs":
      return consumer.logs(batch);
  }
}
