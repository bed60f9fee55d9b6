/** Consumers that keep what they get, or refuse it as told. */

import type { MetricsConsumer } from "../component/consumer.ts";
import { countRows, type MetricsBatch } from "../model/batch.ts";
import { ConsumeError } from "../model/errors.ts";

/** accept: takes everything. retryable, permanent: refuses everything. mixed: takes, refuses for now, refuses for good, in turn. */
export type SinkMode = "accept" | "retryable" | "permanent" | "mixed";

export interface MetricsSink extends MetricsConsumer {
  /** What was taken, in order. */
  readonly batches: readonly MetricsBatch[];
  /** What was refused, in order. */
  readonly refused: readonly MetricsBatch[];
  /** May be changed at any time. */
  mode: SinkMode;
  /** Rows of all batches that were taken. */
  rows(): number;
  /** Forgets what was taken and refused. */
  clear(): void;
}

const turns = ["accept", "retryable", "accept", "permanent"] as const;

/** A consumer for tests. */
export function createMetricsSink(mode: SinkMode = "accept"): MetricsSink {
  const batches: MetricsBatch[] = [];
  const refused: MetricsBatch[] = [];
  let calls = 0;
  return {
    batches,
    refused,
    mode,
    rows: () => batches.reduce((sum, batch) => sum + countRows(batch), 0),
    clear() {
      batches.length = 0;
      refused.length = 0;
    },
    async metrics(batch) {
      const answer = this.mode === "mixed" ? turns[calls++ % turns.length] : this.mode;
      if (answer === "accept") batches.push(batch);
      else {
        refused.push(batch);
        throw new ConsumeError("CONSUME_REFUSED", `the sink refuses (${answer})`, {
          permanent: answer === "permanent",
        });
      }
    },
  };
}
