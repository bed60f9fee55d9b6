/** Keeps Millrace's own metrics and lists them for the page and for readers. */

import type {
  Family,
  HistogramCell,
  Meter,
  MetricCell,
  MetricLabels,
  MetricOptions,
  Observation,
} from "./telemetry.ts";

export interface MetricSample {
  readonly suffix: "" | "_bucket" | "_sum" | "_count";
  readonly labels: MetricLabels;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly level: "basic" | "normal" | "detailed";
  readonly samples: readonly MetricSample[];
}

interface Registered {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly options: MetricOptions;
  samples(): Iterable<MetricSample>;
}

class Cell implements MetricCell {
  value = 0;
  add(count: number): void {
    this.value += count;
  }
}

class Histogram implements HistogramCell {
  readonly #bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array<number>(bounds.length).fill(0);
  }

  record(value: number): void {
    this.sum += value;
    this.count++;
    for (let i = this.#bounds.length - 1; i >= 0 && value <= (this.#bounds[i] as number); i--) {
      this.counts[i] = (this.counts[i] as number) + 1;
    }
  }
}

class Cells<C> implements Family<C> {
  readonly #cells = new Map<string, { labels: MetricLabels; cell: C }>();
  readonly #create: () => C;

  constructor(create: () => C) {
    this.#create = create;
  }

  with(labels: MetricLabels): C {
    const key = labelsKey(labels);
    let entry = this.#cells.get(key);
    if (entry === undefined) {
      entry = { labels, cell: this.#create() };
      this.#cells.set(key, entry);
    }
    return entry.cell;
  }

  remove(labels: MetricLabels): void {
    this.#cells.delete(labelsKey(labels));
  }

  entries(): Iterable<{ labels: MetricLabels; cell: C }> {
    return this.#cells.values();
  }
}

/** Equal for equal labels, whatever their order. */
function labelsKey(labels: MetricLabels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface Observer {
  readonly options: MetricOptions & { type: "counter" | "gauge" };
  readonly reads: Set<() => Iterable<Observation>>;
}

/** The one registry of a process (or of one reload of it). */
export class MetricRegistry implements Meter {
  readonly #families = new Map<string, Registered & { cells: unknown }>();
  readonly #observers = new Map<string, Observer>();

  counter(name: string, options: MetricOptions): Family<MetricCell> {
    return this.#cells(name, "counter", options);
  }

  gauge(name: string, options: MetricOptions): Family<MetricCell> {
    return this.#cells(name, "gauge", options);
  }

  histogram(name: string, options: MetricOptions & { buckets: readonly number[] }): Family<HistogramCell> {
    const known = this.#families.get(name);
    if (known !== undefined) return known.cells as Cells<Histogram>;
    const cells = new Cells(() => new Histogram(options.buckets));
    this.#families.set(name, {
      name,
      type: "histogram",
      options,
      cells,
      samples: () => histogramSamples(cells, options.buckets),
    });
    return cells;
  }

  observe(
    name: string,
    options: MetricOptions & { type: "counter" | "gauge" },
    read: () => Iterable<Observation>,
  ): () => void {
    const observer = this.#observers.get(name) ?? { options, reads: new Set() };
    observer.reads.add(read);
    this.#observers.set(name, observer);
    return () => {
      observer.reads.delete(read);
      if (observer.reads.size === 0 && this.#observers.get(name) === observer) this.#observers.delete(name);
    };
  }

  /** Every family with its samples as they are now, sorted by name. */
  collect(): MetricFamily[] {
    const families: MetricFamily[] = [];
    for (const family of this.#families.values()) {
      const { name, type, options } = family;
      families.push({
        name,
        type,
        help: options.help,
        level: options.level ?? "basic",
        samples: [...family.samples()],
      });
    }
    for (const [name, { options, reads }] of this.#observers) {
      const samples: MetricSample[] = [];
      for (const read of reads) for (const { labels, value } of read()) samples.push({ suffix: "", labels, value });
      families.push({ name, type: options.type, help: options.help, level: options.level ?? "basic", samples });
    }
    return families.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  #cells(name: string, type: "counter" | "gauge", options: MetricOptions): Cells<Cell> {
    const known = this.#families.get(name);
    if (known !== undefined) return known.cells as Cells<Cell>;
    const cells = new Cells(() => new Cell());
    this.#families.set(name, { name, type, options, cells, samples: () => cellSamples(cells) });
    return cells;
  }
}

function* cellSamples(cells: Cells<Cell>): Iterable<MetricSample> {
  for (const { labels, cell } of cells.entries()) yield { suffix: "", labels, value: cell.value };
}

function* histogramSamples(cells: Cells<Histogram>, bounds: readonly number[]): Iterable<MetricSample> {
  for (const { labels, cell } of cells.entries()) {
    for (const [i, bound] of bounds.entries()) {
      yield { suffix: "_bucket", labels: { ...labels, le: String(bound) }, value: cell.counts[i] as number };
    }
    yield { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: cell.count };
    yield { suffix: "_sum", labels, value: cell.sum };
    yield { suffix: "_count", labels, value: cell.count };
  }
}
