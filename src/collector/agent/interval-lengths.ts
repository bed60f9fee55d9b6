/** The quantiles of the time between scrapes, as alerts on slow scraping compare them. */

import type { Meter } from "../../component/telemetry.ts";

const quantiles = [0.01, 0.05, 0.5, 0.9, 0.99];
/** Scrapes that are remembered of each interval. */
const remembered = 1000;

/** The last lengths of one interval. */
class Lengths {
  readonly #seconds = new Float64Array(remembered);
  #count = 0;

  record(seconds: number): void {
    this.#seconds[this.#count++ % remembered] = seconds;
  }

  /** In the order of `quantiles`. */
  quantiles(): number[] {
    const known = this.#seconds.slice(0, Math.min(this.#count, remembered)).sort();
    return quantiles.map((part) => known[Math.ceil(part * known.length) - 1] ?? Number.NaN);
  }
}

/** Shows `prometheus_target_interval_length_seconds`; returns what is to be told of every scrape. */
export function observeIntervalLengths(meter: Meter): (intervalMs: number, seconds: number) => void {
  const byInterval = new Map<number, Lengths>();
  const help = "Actual time between scrapes: quantiles of the last ones.";
  meter.observe("prometheus_target_interval_length_seconds", { help, type: "gauge" }, () =>
    [...byInterval].flatMap(([intervalMs, lengths]) =>
      lengths.quantiles().map((value, i) => ({
        labels: { interval: `${intervalMs / 1000}s`, quantile: String(quantiles[i]) },
        value,
      })),
    ),
  );
  return (intervalMs, seconds) => {
    let lengths = byInterval.get(intervalMs);
    if (lengths === undefined) {
      lengths = new Lengths();
      byInterval.set(intervalMs, lengths);
    }
    lengths.record(seconds);
  };
}
