/** What a component says about itself: log lines and metrics. */

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured log. debug helps a developer; info: an action of the operator took effect; warn: recovered, nothing lost;
 * error: data was lost or a human is needed. Never one line per item, never a secret.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

/** Labels of an own metric. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One series of an own counter or gauge; `value` may be read and written directly on a hot path. */
export interface MetricCell {
  value: number;
  add(count: number): void;
}

/** One series of an own histogram. */
export interface HistogramCell {
  record(value: number): void;
}

export interface MetricOptions {
  readonly help: string;
  /** From which level of `service::telemetry::metrics::level` on it is shown. Default: basic. */
  readonly level?: "basic" | "normal" | "detailed";
}

export interface Family<Cell> {
  /** The series with these labels, created at 0 when it is new. */
  with(labels: MetricLabels): Cell;
  /** Forgets the series with these labels. */
  remove(labels: MetricLabels): void;
}

/** An observed value: read when somebody asks for the page. */
export interface Observation {
  readonly labels: MetricLabels;
  readonly value: number;
}

/**
 * Millrace's own metrics. Names are full names as they appear on the page (`otelcol_exporter_sent_metric_points`,
 * `prometheus_remote_storage_samples_total`); asking twice for a name gives the same family.
 */
export interface Meter {
  counter(name: string, options: MetricOptions): Family<MetricCell>;
  gauge(name: string, options: MetricOptions): Family<MetricCell>;
  histogram(name: string, options: MetricOptions & { buckets: readonly number[] }): Family<HistogramCell>;
  /** Registers a callback that is asked at every read; the returned function takes it away again. */
  observe(
    name: string,
    options: MetricOptions & { type: "counter" | "gauge" },
    read: () => Iterable<Observation>,
  ): () => void;
}

/** The time, and waiting for it; tests pass a clock of their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds that only ever grow, for durations. */
  monotonic(): number;
  /** Resolves after `ms`; resolves early (never rejects) when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
