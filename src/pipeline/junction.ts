/** A place where a running component's output can be led elsewhere. */

import type { Consumers, Output } from "../component/consumer.ts";
import type { MetricsBatch } from "../model/batch.ts";
import { ConsumeError } from "../model/errors.ts";
import type { LogsBatch, Signal, TracesBatch } from "../model/otlp-request.ts";

/** Where the batches of each signal go; absent, nobody takes them. */
export type Targets = Readonly<Partial<Record<Signal, Consumers>>>;

/** What a component holds as its output for life; a reload changes where it leads, between two batches. */
export class Junction implements Output {
  #targets: Targets = {};

  get targets(): Targets {
    return this.#targets;
  }

  switchTo(targets: Targets): void {
    this.#targets = targets;
  }

  takes(signal: Signal): boolean {
    return this.#targets[signal] !== undefined;
  }

  metrics(batch: MetricsBatch): Promise<void> {
    return this.#targets.metrics?.metrics(batch) ?? nowhere("metrics");
  }

  traces(batch: TracesBatch): Promise<void> {
    return this.#targets.traces?.traces(batch) ?? nowhere("traces");
  }

  logs(batch: LogsBatch): Promise<void> {
    return this.#targets.logs?.logs(batch) ?? nowhere("logs");
  }
}

function nowhere(signal: Signal): Promise<never> {
  const message = `no running pipeline takes ${signal} from here`;
  return Promise.reject(new ConsumeError("CONSUME_SHUTDOWN", message, { permanent: false }));
}
