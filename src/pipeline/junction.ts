/** A place where a running component's output can be led elsewhere. */

import type { MetricsConsumer } from "../component/consumer.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { ConsumeError } from "../model/errors.ts";

const nowhere: MetricsConsumer = {
  metrics: () =>
    Promise.reject(new ConsumeError("CONSUME_SHUTDOWN", "the pipeline is not running", { permanent: false })),
};

/** What a component holds as its next consumer for life; a reload changes where it leads, between two batches. */
export class Junction implements MetricsConsumer {
  #target: MetricsConsumer = nowhere;

  get target(): MetricsConsumer {
    return this.#target;
  }

  switchTo(target: MetricsConsumer): void {
    this.#target = target;
  }

  metrics(batch: MetricsBatch): Promise<void> {
    return this.#target.metrics(batch);
  }
}
