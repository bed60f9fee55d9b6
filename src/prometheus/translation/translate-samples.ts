/** Gathers the rows of a samples segment as remote write sends them; counts of histograms and summaries become whole on the way. */

import type { SampleExemplar, SamplesSegment } from "../../model/batch.ts";
import { SamplesLayout } from "../../model/layout.ts";
import { selectSamples } from "../../model/select-rows.ts";
import type { Dropped } from "./assemble-points.ts";
import type { DropReason } from "./drop-reason.ts";
import { toPointExemplar, toSampleExemplar } from "./exemplars.ts";
import { noRow } from "./point-plan.ts";
import { type TranslatedGroups, type TranslatedLayout, translatedOrigin } from "./translated-layout.ts";
import { wholeCount } from "./whole-count.ts";

/** Columns on their way out; index 0 is row `first` of the translated layout. */
interface Columns {
  readonly first: number;
  readonly values: Float64Array;
  stale: boolean | Uint8Array;
  /** 1 for rows that do not leave this time; made when the first one is found. */
  gone: Uint8Array | undefined;
}

/** The index of the first source row not below `row`. */
function lowerBound(list: Uint32Array, row: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as number) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The segment as remote write sends it; it may be empty. */
export function translateSamples(
  source: SamplesSegment,
  translated: TranslatedLayout,
  dropped: Dropped,
): SamplesSegment {
  const { sourceRows, layout } = translated;
  const whole = source.from === 0 && source.to === source.layout.length;
  const first = whole ? 0 : lowerBound(sourceRows, source.from);
  const end = whole ? sourceRows.length : lowerBound(sourceRows, source.to);
  const count = end - first;
  const values = new Float64Array(count);
  const offset = source.from;
  for (let i = 0; i < count; i++) values[i] = source.values[(sourceRows[first + i] as number) - offset] as number;
  const gather = <T extends Float64Array | Uint8Array>(column: T, result: T): T => {
    for (let i = 0; i < count; i++) result[i] = column[(sourceRows[first + i] as number) - offset] as number;
    return result;
  };
  const columns: Columns = {
    first,
    values,
    stale: typeof source.stale === "boolean" ? source.stale : gather(source.stale, new Uint8Array(count)),
    gone: undefined,
  };
  const check = new GroupCheck(source, translated, columns, dropped);
  for (const groups of translated.groups) check.all(groups);
  check.report();
  countStatic(source, translated, dropped);
  const segment: SamplesSegment = {
    form: "samples",
    layout,
    from: first,
    to: end,
    values,
    stale: columns.stale,
    timestampMs: source.timestampMs,
    timestampsMs: source.timestampsMs && gather(source.timestampsMs, new Float64Array(count)),
    exemplars: moveExemplars(source, translated, columns),
  };
  return columns.gone === undefined ? segment : withoutRows(segment, columns.gone);
}

function countStatic(source: SamplesSegment, translated: TranslatedLayout, dropped: Dropped): void {
  for (const [reason, rows] of translated.dropped) {
    const count = lowerBound(rows, source.to) - lowerBound(rows, source.from);
    if (count > 0) dropped(reason, count);
  }
}

/** The segment without the rows that `gone` has 1 for. A layout without some rows is made anew each time: that it is needed is rare, and which rows it lacks may change. */
export function withoutRows(segment: SamplesSegment, gone: Uint8Array): SamplesSegment {
  const { layout, from } = segment;
  const kept: number[] = [];
  for (let i = 0; i < gone.length; i++) if (gone[i] === 0) kept.push(from + i);
  const rows = Uint32Array.from(kept);
  const pick = (column: Uint32Array) => rows.map((row) => column[row] as number);
  const smaller = new SamplesLayout(
    layout.identities,
    { labels: pick(layout.labels ?? new Uint32Array(0)), families: pick(layout.families) },
    translatedOrigin(layout.origin.lane),
  );
  return selectSamples(segment, smaller, rows);
}

/** Goes over the points of several rows: what otelcol-contrib would drop is dropped, counts become the whole numbers of OTLP. */
class GroupCheck {
  readonly #source: SamplesSegment;
  readonly #outRows: Int32Array;
  readonly #columns: Columns;
  readonly #dropped: Dropped;
  readonly #drops = new Map<DropReason, number>();
  /** Nothing but values can be wrong: one time for all, nothing stale, the layout is whole. */
  readonly #plain: boolean;

  constructor(source: SamplesSegment, translated: TranslatedLayout, columns: Columns, dropped: Dropped) {
    this.#source = source;
    this.#outRows = translated.outRows;
    this.#columns = columns;
    this.#dropped = dropped;
    const whole = source.from === 0 && source.to === source.layout.length;
    this.#plain = whole && source.stale === false && source.timestampsMs === undefined;
  }

  all(groups: TranslatedGroups): void {
    const { from, to, stale, timestampsMs } = this.#source;
    const { plan } = groups;
    // Markers have no values that could be wrong.
    if (stale === true && timestampsMs === undefined) return;
    const mixed = stale !== false || timestampsMs !== undefined;
    for (let group = 0; group < plan.counts.length; group++) {
      if ((plan.last[group] as number) < from || (plan.first[group] as number) >= to) continue;
      if (mixed && this.#needsCare(groups, group)) {
        this.#careful(groups, group);
        continue;
      }
      const reason = this.#fault(groups, group);
      if (reason !== undefined) this.#removeAll(groups, group, reason);
    }
  }

  report(): void {
    for (const [reason, count] of this.#drops) this.#dropped(reason, count);
  }

  #count(reason: DropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  #has(row: number): boolean {
    return row !== noRow && row >= this.#source.from && row < this.#source.to;
  }

  #isStale(row: number): boolean {
    const { stale, from } = this.#source;
    return typeof stale === "boolean" ? stale : stale[row - from] === 1;
  }

  #time(row: number): number {
    const { timestampsMs, timestampMs, from } = this.#source;
    return timestampsMs === undefined ? timestampMs : (timestampsMs[row - from] as number);
  }

  /** Source rows of a group, the `+Inf` bucket among them, in no order. */
  #rows({ plan }: TranslatedGroups, group: number): number[] {
    const single = [plan.counts[group], plan.sums[group], plan.infinite[group]] as number[];
    const members = plan.memberRows.subarray(plan.memberOffsets[group], plan.memberOffsets[group + 1]);
    return [...single, ...members].filter((row) => this.#has(row));
  }

  /** True when rows of the group are stale, or have times of their own. */
  #needsCare(groups: TranslatedGroups, group: number): boolean {
    const rows = this.#rows(groups, group);
    const time = this.#time(rows[0] ?? this.#source.from);
    return rows.some((row) => this.#isStale(row) || this.#time(row) !== time);
  }

  /** A group with stale rows or several times: rows of another time than the first are refused, as in otelcol-contrib. */
  #careful(groups: TranslatedGroups, group: number): void {
    const { plan } = groups;
    const rows = this.#rows(groups, group);
    const time = this.#time(rows.reduce((first, row) => Math.min(first, row)));
    const usable = new Set(rows.filter((row) => this.#time(row) === time));
    for (const row of rows) {
      if (usable.has(row)) continue;
      this.#remove(this.#outRows[row] as number);
      if (row !== plan.infinite[group]) this.#count("timestamp");
    }
    const count = plan.counts[group] as number;
    const isStaleIn = (row: number) => usable.has(row) && this.#isStale(row);
    if (this.#has(count) && !usable.has(count)) this.#remove(groups.extraRows[group] as number);
    if (usable.has(count) && (isStaleIn(count) || isStaleIn(plan.sums[group] as number))) {
      for (const row of usable) this.#mark(this.#outRows[row] as number);
      this.#mark(groups.extraRows[group] as number);
      return;
    }
    // A marker leaves whatever becomes of the rest: the bucket that it ends may have been sent before.
    const live = new Set([...usable].filter((row) => !this.#isStale(row)));
    const reason = live.size === 0 ? undefined : this.#fault(groups, group, live);
    if (reason === undefined) return;
    this.#count(reason);
    for (const row of live) this.#remove(this.#outRows[row] as number);
    this.#remove(groups.extraRows[group] as number);
  }

  /**
   * Makes the counts of a group whole (of all its rows that the segment has, or of `live` only). A group that the ends of
   * the segment cut through is looked at as far as it is there.
   */
  #fault(groups: TranslatedGroups, group: number, live?: ReadonlySet<number>): DropReason | undefined {
    const { plan, isHistogram } = groups;
    const { values, from } = this.#source;
    const count = plan.counts[group] as number;
    if (count === noRow || (live !== undefined && this.#has(count) && !live.has(count))) return "incomplete";
    const isHere = (row: number) => (live === undefined ? this.#plain || this.#has(row) : live.has(row));
    const end = plan.memberOffsets[group + 1] as number;
    let previous = 0;
    let running: bigint | undefined;
    for (let i = plan.memberOffsets[group] as number; isHistogram && i < end; i++) {
      const row = plan.memberRows[i] as number;
      if (!isHere(row)) continue;
      const value = values[row - from] as number;
      // A bucket of OTLP is a whole number, so what is left of broken counts is the sum of whole differences.
      if (running !== undefined || !(value >= previous) || !Number.isSafeInteger(value)) {
        running = BigInt.asUintN(64, (running ?? BigInt(previous)) + wholeCount(value - previous));
        this.#set(this.#outRows[row] as number, Number(running));
      } else if (value === 0) this.#set(this.#outRows[row] as number, 0);
      previous = value;
    }
    if (!isHere(count)) return undefined;
    const total = values[count - from] as number;
    const whole = total > 0 && Number.isSafeInteger(total) ? total : Number(wholeCount(total));
    if (!Object.is(whole, total)) this.#set(this.#outRows[count] as number, whole);
    this.#set(groups.extraRows[group] as number, isHistogram ? whole : 0);
    return undefined;
  }

  #removeAll(groups: TranslatedGroups, group: number, reason: DropReason): void {
    this.#count(reason);
    for (const row of this.#rows(groups, group)) this.#remove(this.#outRows[row] as number);
    this.#remove(groups.extraRows[group] as number);
  }

  #set(out: number, value: number): void {
    const { values, first } = this.#columns;
    if (out >= first && out < first + values.length) values[out - first] = value;
  }

  #remove(out: number): void {
    const { values, first } = this.#columns;
    if (out < first || out >= first + values.length) return;
    this.#columns.gone ??= new Uint8Array(values.length);
    this.#columns.gone[out - first] = 1;
  }

  #mark(out: number): void {
    const { values, first, stale } = this.#columns;
    if (out < first || out >= first + values.length || stale === true) return;
    const column = stale === false ? new Uint8Array(values.length) : stale;
    column[out - first] = 1;
    this.#columns.stale = column;
  }
}

/** Exemplars of histograms go to the first bucket that holds their value, those of sums stay; others are not sent. */
function moveExemplars(
  source: SamplesSegment,
  translated: TranslatedLayout,
  columns: Columns,
): SampleExemplar[] | undefined {
  if (source.exemplars === undefined || source.exemplars.length === 0) return undefined;
  const { reading, identities } = { reading: source.layout.reading(), identities: source.layout.identities };
  const groupOf = exemplarGroups(translated, new Set(source.exemplars.map(({ row }) => source.from + row)));
  const moved: SampleExemplar[] = [];
  for (const exemplar of source.exemplars) {
    const row = source.from + exemplar.row;
    const series = reading.series[row] as number;
    if (series === 0) continue;
    const metric = identities.metrics.get(identities.series.view(series)[2] as number);
    const out =
      metric.type === "histogram"
        ? bucketOf(groupOf.get(row), exemplar.value, translated.outRows)
        : translated.outRows[row];
    const sendable = metric.type === "histogram" || metric.type === "sum";
    const local = (out ?? noRow) - columns.first;
    if (!sendable || local < 0 || local >= columns.values.length) continue;
    const time = source.timestampsMs?.[exemplar.row] ?? source.timestampMs;
    moved.push(toSampleExemplar(toPointExemplar(exemplar, 0, time), local));
  }
  return moved.length === 0 ? undefined : moved.sort((a, b) => a.row - b.row);
}

interface HistogramRef {
  readonly groups: TranslatedGroups;
  readonly group: number;
}

/** The histograms that the rows belong to. */
function exemplarGroups(translated: TranslatedLayout, rows: ReadonlySet<number>): Map<number, HistogramRef> {
  const result = new Map<number, HistogramRef>();
  for (const groups of translated.groups) {
    if (!groups.isHistogram) continue;
    const { plan } = groups;
    for (let group = 0; group < plan.counts.length; group++) {
      for (const row of [plan.counts[group], plan.sums[group], plan.infinite[group]] as number[]) {
        if (rows.has(row)) result.set(row, { groups, group });
      }
      for (let i = plan.memberOffsets[group] as number; i < (plan.memberOffsets[group + 1] as number); i++) {
        const row = plan.memberRows[i] as number;
        if (rows.has(row)) result.set(row, { groups, group });
      }
    }
  }
  return result;
}

/** The row of the first bucket whose bound is not below the value. */
function bucketOf(ref: HistogramRef | undefined, value: number, outRows: Int32Array): number | undefined {
  if (ref === undefined) return undefined;
  const { plan, extraRows } = ref.groups;
  for (let i = plan.memberOffsets[ref.group] as number; i < (plan.memberOffsets[ref.group + 1] as number); i++) {
    if (value <= (plan.memberBounds[i] as number)) return outRows[plan.memberRows[i] as number];
  }
  return extraRows[ref.group];
}
