/** Turns metrics batches into the sample rows of remote write: names, labels and `target_info` as otelcol-contrib's exporter makes them. */

import {
  type MetricsBatch,
  metricsBatch,
  type OpenMetricsBatch,
  type OpenSegment,
  openBatch,
  openSegments,
  type SamplesSegment,
} from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { type PointsLayout, SamplesLayout } from "../../model/layout.ts";
import type { Dropped } from "./assemble-points.ts";
import type { DropReason } from "./drop-reason.ts";
import { withoutFalseMarkers } from "./false-markers.ts";
import { distinctMetadata, type MetricMetadata } from "./metric-families.ts";
import type { TranslationStrategy } from "./metric-name.ts";
import type { SeriesLabelOptions } from "./series-labels.ts";
import { msOfNanos, msOfWords } from "./times.ts";
import { PointsTranslation, translatePoints } from "./translate-points.ts";
import { translateSamples } from "./translate-samples.ts";
import { type LayoutResource, type TranslatedLayout, translatedOrigin, translateLayout } from "./translated-layout.ts";

/** Keys of the exporter's configuration that decide what series are called. */
export interface RemoteWriteTranslatorOptions {
  /** In front of every metric name; empty for none. */
  readonly namespace: string;
  readonly externalLabels: Readonly<Record<string, string>>;
  /** Empty: decided by `addMetricSuffixes`. */
  readonly translationStrategy: TranslationStrategy | "";
  readonly addMetricSuffixes: boolean;
  readonly disableScopeInfo: boolean;
  readonly resourceToTelemetry: { readonly enabled: boolean; readonly excludeServiceAttributes: boolean };
  /** Whether `target_info` is sent for every resource. */
  readonly targetInfo: boolean;
}

/** What a batch has become. */
export interface TranslatedBatch {
  /** Segments with `labels` as they leave; the last ones may hold `target_info`. */
  readonly batch: MetricsBatch & { readonly segments: readonly SamplesSegment[] };
  /** Points that are not sent, by reason. */
  readonly dropped: ReadonlyMap<DropReason, number>;
}

export interface RemoteWriteTranslator {
  translate(batch: MetricsBatch): TranslatedBatch;
  /** Metadata of the metrics of a batch, each once. */
  metadata(batch: MetricsBatch): MetricMetadata[];
  /** To be called after a sweep of the tables: label sets are remembered that no layout may name any more. */
  forget(): void;
}

/** Lanes whose `target_info` is remembered. */
const maxInfoLayouts = 4096;

/** What works for layouts is remembered for as long as they live. */
class Translator implements RemoteWriteTranslator {
  readonly #identities: Identities;
  readonly #options: SeriesLabelOptions;
  readonly #targetInfo: boolean;
  #samples = new WeakMap<SamplesLayout, TranslatedLayout>();
  #points = new WeakMap<PointsLayout, PointsTranslation>();
  /** By lane. */
  readonly #infoLayouts = new Map<number, SamplesLayout>();

  constructor(identities: Identities, options: SeriesLabelOptions, targetInfo: boolean) {
    this.#identities = identities;
    this.#options = options;
    this.#targetInfo = targetInfo;
  }

  translate(received: MetricsBatch): TranslatedBatch {
    const batch = openBatch(received);
    const drops = new Map<DropReason, number>();
    const dropped: Dropped = (reason, points) => drops.set(reason, (drops.get(reason) ?? 0) + points);
    const segments: SamplesSegment[] = [];
    for (const segment of batch.segments) {
      const translated =
        segment.form === "samples"
          ? translateSamples(segment, this.#samplesOf(segment.layout), dropped)
          : translatePoints(segment, this.#pointsOf(segment.layout), dropped);
      if (translated !== undefined && translated.to > translated.from) segments.push(translated);
    }
    const kept = withoutFalseMarkers(segments, dropped);
    if (this.#targetInfo) kept.push(...this.#targetInfoSegments(batch));
    return { batch: { ...metricsBatch(kept), segments: kept }, dropped: drops };
  }

  metadata(batch: MetricsBatch): MetricMetadata[] {
    return distinctMetadata(
      openSegments(batch).flatMap((segment) =>
        segment.form === "samples" ? this.#samplesOf(segment.layout).metadata : this.#pointsOf(segment.layout).metadata,
      ),
    );
  }

  forget(): void {
    this.#samples = new WeakMap();
    this.#points = new WeakMap();
    this.#infoLayouts.clear();
  }

  #samplesOf(layout: SamplesLayout): TranslatedLayout {
    let translated = this.#samples.get(layout);
    if (translated === undefined) {
      translated = translateLayout(layout, this.#options, this.#targetInfo);
      this.#samples.set(layout, translated);
    }
    return translated;
  }

  #pointsOf(layout: PointsLayout): PointsTranslation {
    let translated = this.#points.get(layout);
    if (translated === undefined) {
      translated = new PointsTranslation(layout, this.#options);
      this.#points.set(layout, translated);
    }
    return translated;
  }

  /** One sample for each resource of the batch, at the newest time of its points; one segment per lane. */
  #targetInfoSegments(batch: OpenMetricsBatch): SamplesSegment[] {
    const found = new Map<number, { set: number; timeMs: number; lane: number }>();
    for (const segment of batch.segments) {
      const resources =
        segment.form === "samples"
          ? this.#samplesOf(segment.layout).resources
          : this.#pointsOf(segment.layout).resources;
      for (const { resource, targetInfo, first, last } of resources) {
        if (targetInfo === none || last < segment.from || first >= segment.to) continue;
        const timeMs = newestTime(segment, resource, resources);
        if (timeMs <= 0) continue;
        const lane = segment.form === "samples" ? segment.layout.origin.lane : segment.layout.lane;
        const known = found.get(targetInfo);
        if (known === undefined) found.set(targetInfo, { set: targetInfo, timeMs, lane });
        else known.timeMs = Math.max(known.timeMs, timeMs);
      }
    }
    const lanes = new Map<number, { set: number; timeMs: number }[]>();
    for (const { lane, ...row } of found.values()) lanes.set(lane, [...(lanes.get(lane) ?? []), row]);
    return Array.from(lanes, ([lane, rows]) => this.#infoSegment(lane, rows));
  }

  /** The layout of `target_info` rows with these label sets: the one of last time when the lane had the same. */
  #infoLayout(lane: number, labels: Uint32Array): SamplesLayout {
    const last = this.#infoLayouts.get(lane);
    if (last !== undefined && isSameList(last.labels, labels)) return last;
    const name = this.#options.namespace === "" ? "target_info" : `${this.#options.namespace}_target_info`;
    const help = "Target metadata";
    const family = this.#identities.internFamily({ name, exposedName: name, type: "gauge", help, unit: "" });
    const families = new Uint32Array(labels.length).fill(family);
    const layout = new SamplesLayout(this.#identities, { labels, families }, translatedOrigin(lane));
    if (this.#infoLayouts.size >= maxInfoLayouts) this.#infoLayouts.clear();
    this.#infoLayouts.set(lane, layout);
    return layout;
  }

  #infoSegment(lane: number, rows: readonly { set: number; timeMs: number }[]): SamplesSegment {
    const labels = Uint32Array.from(rows, ({ set }) => set);
    const timestampMs = rows[0]?.timeMs ?? 0;
    return {
      form: "samples",
      layout: this.#infoLayout(lane, labels),
      from: 0,
      to: rows.length,
      values: new Float64Array(rows.length).fill(1),
      stale: false,
      timestampMs,
      timestampsMs: rows.every(({ timeMs }) => timeMs === timestampMs)
        ? undefined
        : Float64Array.from(rows, ({ timeMs }) => timeMs),
    };
  }
}

function isSameList(a: Uint32Array | undefined, b: Uint32Array): boolean {
  return a?.length === b.length && b.every((item, i) => a[i] === item);
}

/** The newest time of points after 1970; 0 when there are none. */
function newestOf(nanos: BigUint64Array): number {
  const words = new Int32Array(nanos.buffer, nanos.byteOffset, nanos.length * 2);
  let newest = 0;
  for (let i = 0; i < words.length; i += 2) {
    newest = Math.max(newest, msOfWords(words[i] as number, words[i + 1] as number));
  }
  return newest;
}

/** The newest time of a resource's rows in a segment; 0 when it has none there. */
function newestTime(segment: OpenSegment, resource: number, resources: readonly LayoutResource[]): number {
  const isWhole = segment.from === 0 && segment.to === segment.layout.length;
  const isOnly = resources.length === 1;
  if (segment.form === "samples" && segment.timestampsMs === undefined && (isOnly || isWhole)) {
    return segment.timestampMs;
  }
  if (segment.form === "points" && isOnly) return newestOf(segment.timeUnixNano);
  const { identities } = segment.layout;
  const series = segment.form === "samples" ? segment.layout.reading().series : segment.layout.series;
  let newest = 0;
  for (let row = segment.from; row < segment.to; row++) {
    const id = series[row] as number;
    if (id === none || identities.series.items[identities.series.offsets[id] as number] !== resource) continue;
    const i = row - segment.from;
    const time =
      segment.form === "samples"
        ? (segment.timestampsMs?.[i] ?? segment.timestampMs)
        : msOfNanos(segment.timeUnixNano[i] as bigint);
    if (time > newest) newest = time;
  }
  return newest;
}

export function createRemoteWriteTranslator(
  options: RemoteWriteTranslatorOptions,
  identities: Identities,
): RemoteWriteTranslator {
  const { translationStrategy, addMetricSuffixes, targetInfo, ...rest } = options;
  const byKey = addMetricSuffixes ? "UnderscoreEscapingWithSuffixes" : "UnderscoreEscapingWithoutSuffixes";
  const strategy = translationStrategy === "" ? byKey : translationStrategy;
  return new Translator(identities, { ...rest, translationStrategy: strategy }, targetInfo);
}
