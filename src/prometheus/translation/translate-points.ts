/** Lays OTLP points out as the sample rows that remote write sends. */

import type {
  ExponentialHistogramPoints,
  HistogramPoints,
  NumberPoints,
  PointExemplar,
  PointsSegment,
  SampleExemplar,
  SamplesSegment,
  SummaryPoints,
} from "../../model/batch.ts";
import { none } from "../../model/intern-table.ts";
import { type PointsLayout, SamplesLayout } from "../../model/layout.ts";
import type { Dropped } from "./assemble-points.ts";
import type { DropReason } from "./drop-reason.ts";
import { toSampleExemplar } from "./exemplars.ts";
import {
  distinctMetadata,
  type MetricMetadata,
  type RowSuffix,
  type TranslatedMetric,
  translateMetric,
} from "./metric-families.ts";
import { nativeHistogram } from "./native-histogram.ts";
import { areDistinct, numberRows } from "./number-rows.ts";
import { type PairLabel, type SeriesLabelOptions, SeriesLabels } from "./series-labels.ts";
import { msOfNanos } from "./times.ts";
import { boundText, type LayoutResource, translatedOrigin } from "./translated-layout.ts";

type Refusal = Extract<DropReason, "temporality" | "name" | "label">;

interface TranslatedSeries {
  readonly metric: TranslatedMetric;
  readonly base: readonly PairLabel[];
  /** Label sets by suffix and bound. */
  readonly sets: Map<string, number>;
}

/** Label sets kept for one series; more bounds than that are worked out again each time. */
const maxKeptSets = 4096;

/** What is known of a points layout; remembered by whoever translates. */
export class PointsTranslation {
  readonly layout: PointsLayout;
  readonly #labels: SeriesLabels;
  readonly #options: SeriesLabelOptions;
  readonly #metrics = new Map<number, TranslatedMetric | Refusal>();
  readonly #series = new Map<number, TranslatedSeries | Refusal>();
  #resources: readonly LayoutResource[] | undefined;
  #last: SamplesLayout | undefined;
  #numbers: SamplesLayout | "rows" | undefined;

  constructor(layout: PointsLayout, options: SeriesLabelOptions) {
    this.layout = layout;
    this.#options = options;
    this.#labels = new SeriesLabels(layout.identities, options);
  }

  get metadata(): readonly MetricMetadata[] {
    const metrics = [...this.layout.series].map((series) => this.#metric(series));
    return distinctMetadata(metrics.flatMap((metric) => (typeof metric === "string" ? [] : [metric.metadata])));
  }

  /** The resources of the layout. */
  get resources(): readonly LayoutResource[] {
    if (this.#resources === undefined) {
      const { identities, series } = this.layout;
      const found = new Map<number, { first: number; last: number }>();
      for (const [row, id] of series.entries()) {
        const resource = identities.series.view(id)[0] as number;
        const seen = found.get(resource);
        if (seen === undefined) found.set(resource, { first: row, last: row });
        else seen.last = row;
      }
      this.#resources = Array.from(found, ([resource, range]) => ({
        resource,
        targetInfo: this.#labels.targetInfo(resource),
        ...range,
      }));
    }
    return this.#resources;
  }

  #metric(series: number): TranslatedMetric | Refusal {
    const { identities } = this.layout;
    const id = identities.series.view(series)[2] as number;
    let translated = this.#metrics.get(id);
    if (translated === undefined) {
      const metric = identities.metrics.get(id);
      translated =
        metric.temporality === "delta" || (metric.temporality === "unspecified" && hasTemporality(metric.type))
          ? "temporality"
          : (translateMetric(identities, metric, this.#options) ?? "name");
      this.#metrics.set(id, translated);
    }
    return translated;
  }

  /** A series under its labels, or why it has none. */
  series(id: number): TranslatedSeries | Refusal {
    let translated = this.#series.get(id);
    if (translated === undefined) {
      const metric = this.#metric(id);
      const base = typeof metric === "string" ? undefined : this.#labels.base(id);
      if (typeof metric === "string") translated = metric;
      else translated = base === undefined ? "label" : { metric, base, sets: new Map() };
      this.#series.set(id, translated);
    }
    return translated;
  }

  labelSet(
    { metric, base, sets }: TranslatedSeries,
    suffix: RowSuffix,
    boundName: "le" | "quantile" | "",
    bound: string,
  ): number {
    const key = `${suffix} ${bound}`;
    let set = sets.get(key);
    if (set === undefined) {
      const name = this.#labels.pair("__name__", metric.rowName(suffix));
      set =
        boundName === ""
          ? this.#labels.intern(base, name)
          : this.#labels.intern(base, name, this.#labels.pair(boundName, bound));
      if (sets.size < maxKeptSets) sets.set(key, set);
    }
    return set;
  }

  /** Of a layout of number points: the samples layout with a row for each of them; undefined where some make none of their own. */
  get numbers(): SamplesLayout | undefined {
    this.#numbers ??= this.#numberLayout() ?? "rows";
    return this.#numbers === "rows" ? undefined : this.#numbers;
  }

  #numberLayout(): SamplesLayout | undefined {
    const { series, identities, lane } = this.layout;
    const labels = new Uint32Array(series.length);
    const families = new Uint32Array(series.length);
    for (const [row, id] of series.entries()) {
      const translated = this.series(id);
      if (typeof translated === "string") return undefined;
      labels[row] = this.labelSet(translated, "", "", "");
      families[row] = translated.metric.family("");
    }
    if (!areDistinct(labels)) return undefined;
    return new SamplesLayout(identities, { labels, families }, translatedOrigin(lane));
  }

  /** The layout of rows with these label sets: the one of last time when it had the same. */
  samplesLayout(labels: Uint32Array, families: Uint32Array): SamplesLayout {
    const last = this.#last;
    if (last === undefined || !equal(last.labels, labels) || !equal(last.families, families)) {
      this.#last = new SamplesLayout(this.layout.identities, { labels, families }, translatedOrigin(this.layout.lane));
    }
    return this.#last as SamplesLayout;
  }
}

function hasTemporality(type: string): boolean {
  return type !== "gauge" && type !== "summary";
}

function equal(a: Uint32Array | undefined, b: Uint32Array): boolean {
  if (a?.length !== b.length) return false;
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Collects rows; a second sample of the same labels and time is dropped. */
class RowWriter {
  readonly labels: number[] = [];
  readonly families: number[] = [];
  readonly values: number[] = [];
  readonly stale: number[] = [];
  readonly times: number[] = [];
  readonly exemplars: SampleExemplar[] = [];
  /** Of each row, when the rows are native histograms. */
  readonly histograms: Uint8Array[] = [];
  /** Times that a label set has been written with; a list only for the few that have several. */
  readonly #seen = new Map<number, number | Set<number>>();
  duplicates = 0;

  /** Returns the number of the row, or -1 for a duplicate. */
  add(set: number, family: number, value: number, isStale: boolean, timeMs: number): number {
    const seen = this.#seen.get(set);
    if (seen === undefined) this.#seen.set(set, timeMs);
    else {
      const times = typeof seen === "number" ? new Set([seen]) : seen;
      if (times.has(timeMs)) {
        this.duplicates++;
        return -1;
      }
      this.#seen.set(set, times.add(timeMs));
    }
    this.labels.push(set);
    this.families.push(family);
    this.values.push(isStale ? 0 : value);
    this.stale.push(isStale ? 1 : 0);
    return this.times.push(timeMs) - 1;
  }
}

/** The points as sample rows, or undefined when none of them can be sent. */
export function translatePoints(
  segment: PointsSegment,
  translation: PointsTranslation,
  dropped: Dropped,
): SamplesSegment | undefined {
  if (segment.kind === "number" && segment.exemplars === undefined) {
    const layout = translation.numbers;
    if (layout !== undefined) return numberRows(segment, layout);
  }
  const writer = new RowWriter();
  const drops = new Map<DropReason, number>();
  const rows = segment.to - segment.from;
  const exemplars = exemplarsByRow(segment);
  for (let row = 0; row < rows; row++) {
    const translated = translation.series(segment.layout.series[segment.from + row] as number);
    const drop = (reason: DropReason) => drops.set(reason, (drops.get(reason) ?? 0) + 1);
    if (typeof translated === "string") drop(translated);
    else {
      const place = new PointPlace(segment, row, translation, translated, writer);
      if (segment.kind === "number") writeNumber(segment, place, exemplars.get(row));
      else if (segment.kind === "histogram") writeHistogram(segment, place, exemplars.get(row));
      else if (segment.kind === "summary") writeSummary(segment, place);
      else if (!writeExponential(segment, place, exemplars.get(row))) drop("unsupported");
    }
  }
  if (writer.duplicates > 0) drops.set("duplicate", writer.duplicates);
  for (const [reason, count] of drops) dropped(reason, count);
  return writer.labels.length === 0 ? undefined : toSegment(writer, translation);
}

function exemplarsByRow(segment: PointsSegment): Map<number, PointExemplar[]> {
  const result = new Map<number, PointExemplar[]>();
  for (const exemplar of segment.exemplars ?? []) {
    const list = result.get(exemplar.row) ?? [];
    result.set(exemplar.row, list);
    list.push(exemplar);
  }
  return result;
}

/** One point and where its rows go. */
class PointPlace {
  readonly row: number;
  readonly isStale: boolean;
  readonly type: string;
  readonly #timeMs: number;
  readonly #translation: PointsTranslation;
  readonly #series: TranslatedSeries;
  readonly #writer: RowWriter;

  constructor(
    segment: PointsSegment,
    row: number,
    translation: PointsTranslation,
    series: TranslatedSeries,
    writer: RowWriter,
  ) {
    this.row = row;
    this.isStale = ((segment.flags[row] as number) & 1) === 1;
    this.type = series.metric.metric.type;
    this.#timeMs = msOfNanos(segment.timeUnixNano[row] as bigint);
    this.#translation = translation;
    this.#series = series;
    this.#writer = writer;
  }

  add(suffix: RowSuffix, value: number, boundName: "le" | "quantile" | "" = "", bound = ""): number {
    const set = this.#translation.labelSet(this.#series, suffix, boundName, bound);
    if (set === none) return -1;
    return this.#writer.add(set, this.#series.metric.family(suffix), value, this.isStale, this.#timeMs);
  }

  /** Adds a native histogram; undefined when the point cannot be one. */
  histogram(points: ExponentialHistogramPoints): number | undefined {
    const encoded = nativeHistogram(points, this.row, this.isStale, this.#timeMs);
    if (encoded === undefined) return undefined;
    const out = this.add("", 0);
    if (out >= 0) this.#writer.histograms.push(encoded);
    return out;
  }

  exemplar(row: number, exemplar: PointExemplar): void {
    if (row >= 0) this.#writer.exemplars.push(toSampleExemplar(exemplar, row));
  }
}

function writeNumber(segment: NumberPoints, place: PointPlace, exemplars: readonly PointExemplar[] = []): void {
  const { row } = place;
  const value = segment.isInt?.[row] === 1 ? Number(segment.ints[row]) : (segment.doubles[row] as number);
  const out = place.add("", value);
  if (place.type === "sum") for (const exemplar of exemplars) place.exemplar(out, exemplar);
}

function writeHistogram(segment: HistogramPoints, place: PointPlace, exemplars: readonly PointExemplar[] = []): void {
  const { row } = place;
  const count = Number(segment.counts[row]);
  // A stale point has no sum to tell whether its series had one: as Prometheus does, all parts are marked.
  if (segment.hasSum[row] === 1 || place.isStale) place.add("_sum", segment.sums[row] as number);
  place.add("_count", count);
  const firstBound = segment.boundOffsets[row] as number;
  const firstBucket = segment.bucketOffsets[row] as number;
  const buckets = Math.min(
    (segment.boundOffsets[row + 1] as number) - firstBound,
    (segment.bucketOffsets[row + 1] as number) - firstBucket,
  );
  const rows: { bound: number; out: number }[] = [];
  let cumulative = 0n;
  for (let i = 0; i < buckets; i++) {
    cumulative += segment.bucketCounts[firstBucket + i] as bigint;
    const bound = segment.bounds[firstBound + i] as number;
    // The last bucket is the count whatever its bound says.
    if (bound === Number.POSITIVE_INFINITY) continue;
    rows.push({ bound, out: place.add("_bucket", Number(BigInt.asUintN(64, cumulative)), "le", boundText(bound)) });
  }
  rows.push({ bound: Number.POSITIVE_INFINITY, out: place.add("_bucket", count, "le", "+Inf") });
  for (const exemplar of exemplars) {
    const value = Number(exemplar.value);
    place.exemplar(rows.find(({ bound }) => value <= bound)?.out ?? -1, exemplar);
  }
}

function writeExponential(
  segment: ExponentialHistogramPoints,
  place: PointPlace,
  exemplars: readonly PointExemplar[] = [],
): boolean {
  const out = place.histogram(segment);
  if (out === undefined) return false;
  for (const exemplar of exemplars) place.exemplar(out, exemplar);
  return true;
}

function writeSummary(segment: SummaryPoints, place: PointPlace): void {
  const { row } = place;
  place.add("_sum", segment.sums[row] as number);
  place.add("_count", Number(segment.counts[row]));
  for (let i = segment.quantileOffsets[row] as number; i < (segment.quantileOffsets[row + 1] as number); i++) {
    place.add("", segment.quantileValues[i] as number, "quantile", boundText(segment.quantiles[i] as number));
  }
}

function toSegment(writer: RowWriter, translation: PointsTranslation): SamplesSegment {
  const times = Float64Array.from(writer.times);
  const timestampMs = times[0] as number;
  const stale = writer.stale.includes(1) ? Uint8Array.from(writer.stale) : false;
  return {
    form: "samples",
    layout: translation.samplesLayout(Uint32Array.from(writer.labels), Uint32Array.from(writer.families)),
    from: 0,
    to: writer.labels.length,
    values: Float64Array.from(writer.values),
    stale: typeof stale !== "boolean" && !writer.stale.includes(0) ? true : stale,
    timestampMs,
    timestampsMs: times.every((time) => time === timestampMs) ? undefined : times,
    exemplars: writer.exemplars.length === 0 ? undefined : writer.exemplars.sort((a, b) => a.row - b.row),
    histograms: writer.histograms.length === 0 ? undefined : writer.histograms,
  };
}
