/** A reader of scraped pages without any cleverness: parses every page from scratch and keeps what it knows in plain maps. */

import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";

export interface NaiveRow {
  readonly labels: string;
  readonly value: number;
  readonly timestampMs: number | undefined;
  readonly family: string;
  readonly exemplars: readonly string[];
}

export interface NaiveContent {
  readonly rows: NaiveRow[];
  readonly samples: number;
  readonly samplesAfterRelabel: number;
  readonly seriesAdded: number;
  readonly duplicates: number;
}

/** What is known of a page that failed. */
export interface NaiveFailure {
  readonly failed: true;
  readonly samples: number;
  readonly samplesAfterRelabel: number;
  readonly seriesAdded: number;
  readonly seen: string[];
}

interface Metadata {
  type: string;
  help: string;
  unit: string;
}

interface Line {
  readonly series: string;
  readonly labels: string | undefined;
  /** What stood above the first line with this name, or was known before. */
  readonly family: string;
  readonly value: number;
  readonly timestampMs: number | undefined;
  readonly exemplar: string | undefined;
}

const suffixes = ["_bucket", "_count", "_sum", "_total", "_info", "_created", "_gcount", "_gsum"];
/** Metrics that the relabel rule of the tests drops. */
export const droppedName = /^drop_/;

/** Labels of a line with those of the target (honor_labels: false); undefined when relabeling drops the series. Throws when it is invalid. */
function resolve(labels: readonly [string, string][], target: readonly (readonly [string, string])[]) {
  const all = new Map<string, string>();
  for (const [name, value] of labels) {
    if (all.has(name)) throw new Error("label twice");
    all.set(name, value);
  }
  for (const [name, value] of target) {
    const old = all.get(name) ?? "";
    if (old !== "") {
      let exported = `exported_${name}`;
      while ((all.get(exported) ?? "") !== "") exported = `exported_${exported}`;
      all.set(exported, old);
    }
    all.set(name, value);
  }
  if (droppedName.test(all.get("__name__") ?? "")) return undefined;
  if ((all.get("__name__") ?? "") === "") throw new Error("no name");
  return labelKey([...all]);
}

/** One text for a label set. */
export function labelKey(labels: readonly (readonly [string, string])[]): string {
  const kept = labels.filter(([, value]) => value !== "");
  return JSON.stringify(kept.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

export class NaiveTarget {
  /** Labels by the text of the series, of the last page that was read whole. */
  #cache = new Map<string, string | undefined>();
  #families = new Map<string, Metadata>();
  /** The whole page that declared a family last. */
  #declared = new Map<string, number>();
  #pages = 0;
  /** The last whole page. */
  #accepted = 0;
  /** What the last page, when it failed, had added. */
  #addedByFailed = new Set<string>();
  readonly #target: readonly (readonly [string, string])[];

  constructor(target: readonly (readonly [string, string])[]) {
    this.#target = target;
  }

  read(page: Buffer, isOpenMetrics: boolean): NaiveContent | NaiveFailure {
    const lines: Line[] = [];
    const families = new Map([...this.#families].map(([name, entry]) => [name, { ...entry }]));
    const declared = new Map(this.#declared);
    const used = new UsedFamilies(families);
    const texts = new Map(this.#cache);
    let samples = 0;
    let isWhole = false;
    try {
      const parser = isOpenMetrics ? createOpenMetricsParser(page) : createTextParser(page);
      for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
        if (kind === "comment") continue;
        if (kind !== "series") {
          const entry = families.get(parser.metricName) ?? { type: "unknown", help: "", unit: "" };
          entry[kind] = kind === "type" && parser.text === "untyped" ? "unknown" : parser.text;
          families.set(parser.metricName, entry);
          declared.set(parser.metricName, this.#pages + 1);
          continue;
        }
        samples++;
        const series = page.toString("latin1", parser.seriesStart, parser.seriesEnd);
        const own = parser.labels();
        const labels = texts.has(series) ? texts.get(series) : resolve(own, this.#target);
        texts.set(series, labels);
        lines.push({
          series,
          labels,
          family: used.of(own[0]?.[1] ?? ""),
          value: parser.value,
          timestampMs: parser.timestampMs,
          exemplar: parser.exemplar === undefined ? undefined : JSON.stringify(parser.exemplar),
        });
      }
      isWhole = true;
    } catch {
      // What was read so far is reported below.
    }
    this.#pages++;
    if (!isWhole) {
      // What it declared of families that were gone counts.
      for (const [name, seen] of this.#declared) {
        if (seen < this.#accepted && declared.get(name) === this.#pages) this.#declared.set(name, this.#pages);
      }
      return this.#failed(lines, samples);
    }
    this.#accepted = this.#pages;
    for (const [name, seen] of declared) {
      if (this.#pages - seen <= 10) continue;
      declared.delete(name);
      families.delete(name);
    }
    this.#declared = declared;
    return this.#whole(lines, families);
  }

  #whole(lines: readonly Line[], families: Map<string, Metadata>): NaiveContent {
    const rows: NaiveRow[] = [];
    const present = new Set<string>();
    let after = 0;
    let duplicates = 0;
    let seriesAdded = 0;
    const texts = new Set<string>();
    for (const line of lines) {
      const isNewText = !texts.has(line.series) && !this.#cache.has(line.series);
      texts.add(line.series);
      if (line.labels === undefined) continue;
      after++;
      if (isNewText && !this.#addedByFailed.has(line.labels)) seriesAdded++;
      if (present.has(line.labels) && line.timestampMs === undefined) {
        duplicates++;
        continue;
      }
      present.add(line.labels);
      rows.push({
        labels: line.labels,
        value: line.value,
        timestampMs: line.timestampMs,
        family: line.family,
        exemplars: line.exemplar === undefined ? [] : [line.exemplar],
      });
    }
    this.#cache = new Map(lines.map(({ series, labels }) => [series, labels]));
    this.#families = families;
    this.#addedByFailed.clear();
    return { rows, samples: lines.length, samplesAfterRelabel: after, seriesAdded, duplicates };
  }

  #failed(lines: readonly Line[], samples: number): NaiveFailure {
    const kept = lines.filter(({ labels }) => labels !== undefined);
    const added = new Set<string>();
    const present = new Set<string>();
    let seriesAdded = 0;
    for (const { series, labels = "" } of kept) {
      const isNew = !this.#cache.has(series);
      if (isNew && !present.has(labels) && !this.#addedByFailed.has(labels)) seriesAdded++;
      if (isNew) added.add(labels);
      present.add(labels);
    }
    this.#addedByFailed = added;
    const seen = [...new Set(kept.map(({ labels = "" }) => labels))];
    return { failed: true, samples, samplesAfterRelabel: kept.length, seriesAdded, seen };
  }
}

/** The families of the rows of a page: the first row of a name, and of a family, decides for those that follow. */
class UsedFamilies {
  readonly #families: ReadonlyMap<string, Metadata>;
  readonly #byName = new Map<string, string>();
  readonly #byFamily = new Map<string, Metadata>();

  constructor(families: ReadonlyMap<string, Metadata>) {
    this.#families = families;
  }

  of(exposedName: string): string {
    const known = this.#byName.get(exposedName) ?? this.#find(exposedName);
    this.#byName.set(exposedName, known);
    return known;
  }

  #find(exposedName: string): string {
    const suffix = suffixes.find((end) => exposedName.endsWith(end)) ?? "";
    for (const name of [exposedName, exposedName.slice(0, exposedName.length - suffix.length)]) {
      const family = this.#byFamily.get(name) ?? this.#families.get(name);
      if (family === undefined) continue;
      this.#byFamily.set(name, { ...family });
      return JSON.stringify({ name, exposedName, ...this.#byFamily.get(name) });
    }
    return "";
  }
}
