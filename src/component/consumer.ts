/** How data is handed on: push, and await until somebody has taken responsibility. */

import type { MetricsBatch } from "../model/batch.ts";

/**
 * Takes batches. The promise resolves when the consumer has taken responsibility for all of the batch; it rejects with a
 * ConsumeError when nothing of it was taken. A batch is immutable from the moment it is handed on.
 */
export interface MetricsConsumer {
  metrics(batch: MetricsBatch): Promise<void>;
}
