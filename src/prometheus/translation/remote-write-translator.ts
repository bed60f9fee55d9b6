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
import { distinctMetadata, type MetricMetadata } from "./metric-families.ts";
import type { TranslationStrategy } from "./metric-name.ts";
import type { SeriesLabelOptions } from "./series-labels.ts";
import { msOfNanos } from "./times.ts";
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

/** What works for layouts is remembered for as long as they live. */
class Translator implements RemoteWriteTranslator {
  readonly #identities: Identities;
  readonly #options: SeriesLabelOptions;
  readonly #targetInfo: boolean;
  #samples = new WeakMap<SamplesLayout, TranslatedLayout>();
  #points = new WeakMap<PointsLayout, PointsTranslation>();

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
    if (this.#targetInfo) segments.push(...this.#targetInfoSegments(batch));
    return { batch: { ...metricsBatch(segments), segments }, dropped: drops };
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

  #infoSegment(lane: number, rows: readonly { set: number; timeMs: number }[]): SamplesSegment {
    const labels = Uint32Array.from(rows, ({ set }) => set);
    const name = this.#options.namespace === "" ? "target_info" : `${this.#options.namespace}_target_info`;
    const family = this.#identities.internFamily({
      name,
      exposedName: name,
      type: "gauge",
      help: "Target metadata",
      unit: "",
    });
    const families = new Uint32Array(rows.length).fill(family);
    const timestampMs = rows[0]?.timeMs ?? 0;
    return {
      form: "samples",
      layout: new SamplesLayout(this.#identities, { labels, families }, translatedOrigin(lane)),
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

/** The newest time of a resource's rows in a segment; 0 when it has none there. */
function newestTime(segment: OpenSegment, resource: number, resources: readonly LayoutResource[]): number {
  const isWhole = segment.from === 0 && segment.to === segment.layout.length;
  const isOnly = resources.length === 1;
  if (segment.form === "samples" && segment.timestampsMs === undefined && (isOnly || isWhole)) {
    return segment.timestampMs;
  }
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
