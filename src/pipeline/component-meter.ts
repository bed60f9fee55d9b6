/** The meter of one component: what it registered ends with it. */

import type {
  Family,
  HistogramCell,
  Meter,
  MetricCell,
  MetricLabels,
  MetricOptions,
  Observation,
} from "../component/telemetry.ts";

/**
 * Hands on to the meter of the process and remembers observers, so that a component that was replaced is no longer read:
 * its successor has the same labels, and a series may be on the page only once.
 */
export class ComponentMeter implements Meter {
  readonly #meter: Meter;
  readonly #observers = new Set<() => void>();
  readonly #own: { readonly family: Family<MetricCell>; readonly labels: MetricLabels }[] = [];

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  counter(name: string, options: MetricOptions): Family<MetricCell> {
    return this.#meter.counter(name, options);
  }

  gauge(name: string, options: MetricOptions): Family<MetricCell> {
    return this.#meter.gauge(name, options);
  }

  histogram(name: string, options: MetricOptions & { buckets: readonly number[] }): Family<HistogramCell> {
    return this.#meter.histogram(name, options);
  }

  observe(
    name: string,
    options: MetricOptions & { type: "counter" | "gauge" },
    read: () => Iterable<Observation>,
  ): () => void {
    const remove = this.#meter.observe(name, options, read);
    const forget = () => {
      this.#observers.delete(forget);
      remove();
    };
    this.#observers.add(forget);
    return forget;
  }

  /** A counter that the pipeline keeps for the component, taken away by `removeCounters`. */
  pipelineCounter(name: string, help: string, labels: MetricLabels): MetricCell {
    const family = this.#meter.counter(name, { help });
    this.#own.push({ family, labels });
    return family.with(labels);
  }

  /** No observer of the component is read from now on. */
  removeObservers(): void {
    for (const forget of [...this.#observers]) forget();
  }

  /** For a component that is gone for good: its counters leave the page. */
  removeCounters(): void {
    for (const { family, labels } of this.#own) family.remove(labels);
  }
}
