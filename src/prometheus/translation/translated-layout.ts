/** A samples layout as remote write sends it: which rows leave, under which labels, worked out once per layout. */

import { formatGoFloat } from "../../codec/exposition/format-float.ts";
import { none } from "../../model/intern-table.ts";
import { type Origin, rowPart, SamplesLayout } from "../../model/layout.ts";
import type { DropReason } from "./drop-reason.ts";
import {
  distinctMetadata,
  type MetricMetadata,
  type RowSuffix,
  type TranslatedMetric,
  translateMetric,
} from "./metric-families.ts";
import { type GroupPlan, noRow, type PointPlan, pointPlan } from "./point-plan.ts";
import { type PairLabel, type SeriesLabelOptions, SeriesLabels } from "./series-labels.ts";

/** A resource of a layout and the labels of its `target_info` (`none` when it has none). */
export interface LayoutResource {
  readonly resource: number;
  readonly targetInfo: number;
  /** First and last row of the source layout that belongs to it. */
  readonly first: number;
  readonly last: number;
}

/** Histograms or summaries of a layout with the places of what they make. */
export interface TranslatedGroups {
  readonly plan: GroupPlan;
  readonly isHistogram: boolean;
  /** The row made of the count: the `+Inf` bucket of a histogram, the missing sum of a summary; -1 where none is. */
  readonly extraRows: Int32Array;
}

export interface TranslatedLayout {
  readonly layout: SamplesLayout;
  /** The source row of every row, ascending. */
  readonly sourceRows: Uint32Array;
  /** The row that shows a source row as it is, or -1. */
  readonly outRows: Int32Array;
  readonly groups: readonly TranslatedGroups[];
  /** Source rows that never leave, one list for each reason. */
  readonly dropped: ReadonlyMap<DropReason, Uint32Array>;
  readonly resources: readonly LayoutResource[];
  /** More than one resource, or none: their rows have to be looked at to know which of them a part of the layout has. */
  readonly metadata: readonly MetricMetadata[];
}

/** The origin of rows that were made for remote write: they have no OTLP reading any more. */
export function translatedOrigin(lane: number): Origin {
  return {
    lane,
    read: (layout) => ({
      series: new Uint32Array(layout.length),
      part: new Uint8Array(layout.length),
      bound: new Uint32Array(layout.length),
    }),
    points: () => [],
  };
}

/** The text of a bound in a label: shortest decimal without an exponent, as otelcol-contrib writes it. */
export function boundText(bound: number): string {
  return formatGoFloat(bound, "f");
}

export function translateLayout(
  source: SamplesLayout,
  options: SeriesLabelOptions,
  withTargetInfo: boolean,
): TranslatedLayout {
  return new LayoutTranslator(source, options).translate(withTargetInfo);
}

type DroppedMetric = Extract<DropReason, "temporality" | "name" | "unsupported">;

class LayoutTranslator {
  readonly #source: SamplesLayout;
  readonly #options: SeriesLabelOptions;
  readonly #plan: PointPlan;
  readonly #labels: SeriesLabels;
  readonly #metrics = new Map<number, TranslatedMetric | DroppedMetric>();
  /** Of groups, whose rows come one after another. */
  readonly #bases = new Map<number, PairLabel[] | undefined>();
  readonly #outLabels: number[] = [];
  readonly #outFamilies: number[] = [];
  readonly #outSources: number[] = [];
  readonly #taken = new Set<number>();
  readonly #dropped = new Map<DropReason, number[]>();
  readonly #outRows: Int32Array;

  constructor(source: SamplesLayout, options: SeriesLabelOptions) {
    this.#source = source;
    this.#options = options;
    this.#plan = pointPlan(source);
    this.#labels = new SeriesLabels(source.identities, options);
    this.#outRows = new Int32Array(source.length).fill(noRow);
  }

  translate(withTargetInfo: boolean): TranslatedLayout {
    const groups = [this.#groups(this.#plan.histograms, true), this.#groups(this.#plan.summaries, false)];
    const planned = planRows(this.#plan, this.#source.length, groups);
    for (let row = 0; row < planned.length; row++) {
      const step = planned[row];
      if (step === "number") this.#outRows[row] = this.#addRow(row, "", undefined);
      else if (step !== undefined) this.#addGroupRow(row, step.group, step.of);
    }
    for (const [reason, rows] of [
      ["duplicate", this.#plan.duplicates],
      ["malformed", this.#plan.malformed],
      ["replaced", this.#plan.replaced],
    ] as const) {
      for (const row of rows) this.#drop(reason, row);
    }
    const { identities, origin } = this.#source;
    const labels = Uint32Array.from(this.#outLabels);
    const families = Uint32Array.from(this.#outFamilies);
    return {
      layout: new SamplesLayout(identities, { labels, families }, translatedOrigin(origin.lane)),
      sourceRows: Uint32Array.from(this.#outSources),
      outRows: this.#outRows,
      groups,
      dropped: new Map(Array.from(this.#dropped, ([reason, rows]) => [reason, Uint32Array.from(rows).sort()])),
      resources: this.#resources(withTargetInfo),
      metadata: this.#metadata(groups),
    };
  }

  /** Of metrics that can leave: a histogram or summary without a count never makes a point. */
  #metadata(groups: readonly TranslatedGroups[]): readonly MetricMetadata[] {
    const { identities } = this.#source;
    const counted = new Set<number>();
    for (const { plan } of groups) {
      for (const [group, series] of plan.layout.series.entries()) {
        if (plan.counts[group] !== noRow) counted.add(identities.series.view(series)[2] as number);
      }
    }
    const found: MetricMetadata[] = [];
    for (const [id, metric] of this.#metrics) {
      if (typeof metric === "string") continue;
      const { type } = identities.metrics.get(id);
      if ((type !== "histogram" && type !== "summary") || counted.has(id)) found.push(metric.metadata);
    }
    return distinctMetadata(found);
  }

  #groups(plan: GroupPlan, isHistogram: boolean): TranslatedGroups {
    return { plan, isHistogram, extraRows: new Int32Array(plan.counts.length).fill(noRow) };
  }

  #drop(reason: DropReason, row: number): void {
    const rows = this.#dropped.get(reason);
    if (rows === undefined) this.#dropped.set(reason, [row]);
    else rows.push(row);
  }

  #metric(series: number): TranslatedMetric | DroppedMetric {
    const { identities } = this.#source;
    const id = identities.series.view(series)[2] as number;
    let translated = this.#metrics.get(id);
    if (translated === undefined) {
      const metric = identities.metrics.get(id);
      translated = metric.type === "exponential_histogram" ? "unsupported" : undefined;
      if (metric.temporality === "delta" || metric.temporality === "unspecified") translated = "temporality";
      translated ??= translateMetric(identities, metric, this.#options) ?? "name";
      this.#metrics.set(id, translated);
    }
    return translated;
  }

  /** Adds a row for a source row and says where it is; -1 when it cannot leave. */
  #addRow(row: number, suffix: RowSuffix, bound: PairLabel | undefined, isGroup = false): number {
    const series = this.#source.reading().series[row] as number;
    const metric = this.#metric(series);
    if (typeof metric === "string") {
      if (!isGroup) this.#drop(metric, row);
      return noRow;
    }
    const base = isGroup ? this.#groupBase(series) : this.#labels.base(series);
    if (base === undefined) {
      if (!isGroup) this.#drop("label", row);
      return noRow;
    }
    const name = this.#labels.pair("__name__", metric.rowName(suffix));
    const set = bound === undefined ? this.#labels.intern(base, name) : this.#labels.intern(base, name, bound);
    if (this.#taken.has(set)) {
      this.#drop("duplicate", row);
      return noRow;
    }
    this.#taken.add(set);
    const out = this.#outLabels.length;
    this.#outLabels.push(set);
    this.#outFamilies.push(metric.family(suffix));
    this.#outSources.push(row);
    return out;
  }

  #groupBase(series: number): PairLabel[] | undefined {
    if (!this.#bases.has(series)) this.#bases.set(series, this.#labels.base(series));
    return this.#bases.get(series);
  }

  #addGroupRow(row: number, group: number, of: TranslatedGroups): void {
    const { part, bound, series } = this.#source.reading();
    const { plan, isHistogram } = of;
    const add = (suffix: RowSuffix, label?: PairLabel) => this.#addRow(row, suffix, label, true);
    if (part[row] === rowPart.sum) this.#outRows[row] = add("_sum");
    else if (part[row] === rowPart.count) {
      const refused = this.#groupRefusal(series[row] as number);
      if (refused !== undefined) this.#drop(refused, row);
      this.#outRows[row] = add("_count");
      if (isHistogram) of.extraRows[group] = add("_bucket", this.#labels.pair("le", "+Inf"));
      else if (plan.sums[group] === noRow) of.extraRows[group] = add("_sum");
    } else if (row !== plan.infinite[group] || plan.counts[group] === noRow) {
      const text = this.#boundText(group, row, of, bound[row] as number);
      this.#outRows[row] = add(isHistogram ? "_bucket" : "", this.#labels.pair(isHistogram ? "le" : "quantile", text));
    }
  }

  /** Why a whole group never leaves. */
  #groupRefusal(series: number): DropReason | undefined {
    const metric = this.#metric(series);
    if (typeof metric === "string") return metric;
    return this.#groupBase(series) === undefined ? "label" : undefined;
  }

  readonly #texts = new Map<number, string>();

  #boundText(group: number, row: number, { plan }: TranslatedGroups, text: number): string {
    let result = this.#texts.get(text);
    if (result === undefined) {
      const end = plan.memberOffsets[group + 1] as number;
      let i = plan.memberOffsets[group] as number;
      while (i < end && plan.memberRows[i] !== row) i++;
      result = i === end ? "+Inf" : boundText(plan.memberBounds[i] as number);
      this.#texts.set(text, result);
    }
    return result;
  }

  #resources(withTargetInfo: boolean): LayoutResource[] {
    const { identities } = this.#source;
    const { series } = this.#source.reading();
    const found = new Map<number, { first: number; last: number }>();
    for (let row = 0; row < series.length; row++) {
      const id = series[row] as number;
      if (id === none) continue;
      const resource = identities.series.items[identities.series.offsets[id] as number] as number;
      const seen = found.get(resource);
      if (seen === undefined) found.set(resource, { first: row, last: row });
      else seen.last = row;
    }
    if (!withTargetInfo) return [];
    return Array.from(found, ([resource, range]) => ({
      resource,
      targetInfo: this.#labels.targetInfo(resource),
      ...range,
    }));
  }
}

type Step = "number" | { readonly group: number; readonly of: TranslatedGroups } | undefined;

/** What becomes of every source row. */
function planRows(plan: PointPlan, length: number, groups: readonly TranslatedGroups[]): Step[] {
  const steps = new Array<Step>(length).fill(undefined);
  for (const row of plan.numbers.rows) steps[row] = "number";
  for (const of of groups) {
    for (let group = 0; group < of.plan.counts.length; group++) {
      const step = { group, of };
      for (const row of [of.plan.counts[group], of.plan.sums[group], of.plan.infinite[group]]) {
        if (row !== undefined && row !== noRow) steps[row] = step;
      }
      for (let i = of.plan.memberOffsets[group] as number; i < (of.plan.memberOffsets[group + 1] as number); i++) {
        steps[of.plan.memberRows[i] as number] = step;
      }
    }
  }
  return steps;
}
