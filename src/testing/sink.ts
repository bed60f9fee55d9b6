/** Consumers that keep what they get, or refuse it as told. */

import { consumeWith, type Output } from "../component/consumer.ts";
import { type AnyBatch, countItems } from "../model/any-batch.ts";
import { type MetricsBatch, type OpenMetricsBatch, openBatch } from "../model/batch.ts";
import { ConsumeError } from "../model/errors.ts";
import type { LogsBatch, Signal, TracesBatch } from "../model/otlp-request.ts";

/** accept: takes everything. retryable, permanent: refuses everything. mixed: takes, refuses for now, refuses for good, in turn. */
export type SinkMode = "accept" | "retryable" | "permanent" | "mixed";

export interface Sink extends Output {
  /** What was taken of each signal, in order; metrics opened. */
  readonly batches: readonly OpenMetricsBatch[];
  readonly tracesBatches: readonly TracesBatch[];
  readonly logsBatches: readonly LogsBatch[];
  /** What was taken of all signals, in order, as it came. */
  readonly taken: readonly AnyBatch[];
  /** What was refused, in order. */
  readonly refused: readonly AnyBatch[];
  /** May be changed at any time. */
  mode: SinkMode;
  /** Items of all batches that were taken. */
  rows(): number;
  /** Forgets what was taken and refused. */
  clear(): void;
}

export interface SinkOptions {
  /** Signals that it says it takes; all unless given. */
  readonly signals?: readonly Signal[];
}

const turns = ["accept", "retryable", "accept", "permanent"] as const;

/** A consumer of all signals for tests. */
export function createSink(mode: SinkMode = "accept", options: SinkOptions = {}): Sink {
  const taken: AnyBatch[] = [];
  const refused: AnyBatch[] = [];
  let calls = 0;
  const ofSignal = <B extends AnyBatch>(signal: Signal) => taken.filter((batch) => batch.signal === signal) as B[];
  const sink: Sink = {
    taken,
    refused,
    mode,
    get batches() {
      return ofSignal<MetricsBatch>("metrics").map(openBatch);
    },
    get tracesBatches() {
      return ofSignal<TracesBatch>("traces");
    },
    get logsBatches() {
      return ofSignal<LogsBatch>("logs");
    },
    takes: (signal: Signal) => options.signals?.includes(signal) ?? true,
    rows: () => taken.reduce((sum, batch) => sum + countItems(batch), 0),
    clear() {
      taken.length = 0;
      refused.length = 0;
    },
    ...consumeWith(async (batch) => {
      const answer = sink.mode === "mixed" ? turns[calls++ % turns.length] : sink.mode;
      if (answer === "accept") taken.push(batch);
      else {
        refused.push(batch);
        throw new ConsumeError("CONSUME_REFUSED", `the sink refuses (${answer})`, {
          permanent: answer === "permanent",
        });
      }
    }),
  };
  return sink;
}

/** The same, by the name from when there were only metrics. */
export const createMetricsSink: (mode?: SinkMode) => Sink = createSink;
export type MetricsSink = Sink;
