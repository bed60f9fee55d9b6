/** Which rows of a layout make which OTLP point, worked out once per layout. */

import { none } from "../../model/intern-table.ts";
import { PointsLayout, rowPart, type SamplesLayout } from "../../model/layout.ts";
import { parseBound } from "./parse-bound.ts";

/** Stands for "no such row". */
export const noRow = -1;

/** Histograms or summaries of a layout; arrays have one element per point unless said otherwise. */
export interface GroupPlan {
  readonly layout: PointsLayout;
  readonly counts: Int32Array;
  readonly sums: Int32Array;
  readonly created: Int32Array;
  /** Row of the `+Inf` bucket, which says nothing that the count does not. */
  readonly infinite: Int32Array;
  /** Buckets or quantiles of point i are [memberOffsets[i], memberOffsets[i + 1]), by bound, `+Inf` buckets left out. */
  readonly memberOffsets: Uint32Array;
  readonly memberRows: Uint32Array;
  readonly memberBounds: Float64Array;
  /** First and last row of the point. */
  readonly first: Uint32Array;
  readonly last: Uint32Array;
}

export interface PointPlan {
  /** Gauge and sum points, by row. */
  readonly numbers: { readonly layout: PointsLayout; readonly rows: Uint32Array };
  readonly histograms: GroupPlan;
  readonly summaries: GroupPlan;
  /** For sums that have one, the row of the start time by the row of the value. */
  readonly numberCreated: ReadonlyMap<number, number>;
  /** Rows that repeat a part which their point has already. */
  readonly duplicates: Uint32Array;
  /** Rows that can be no part of a point: a bucket or quantile without a usable bound. */
  readonly malformed: Uint32Array;
  /** Rows that other rows of their family took the place of. */
  readonly replaced: Uint32Array;
}

interface Member {
  readonly row: number;
  readonly bound: number;
}

interface Group {
  readonly series: number;
  count: number;
  sum: number;
  created: number;
  infinite: number;
  first: number;
  last: number;
  readonly members: Member[];
  /** The bounds of `members`. */
  readonly bounds: Set<number>;
}

const plans = new WeakMap<SamplesLayout, PointPlan>();

/** The plan of a layout, remembered as long as the layout lives. */
export function pointPlan(layout: SamplesLayout): PointPlan {
  let plan = plans.get(layout);
  if (plan === undefined) {
    plan = new Planner(layout).plan();
    plans.set(layout, plan);
  }
  return plan;
}

class Planner {
  readonly #layout: SamplesLayout;
  readonly #bounds = new Map<number, number>();
  readonly #open = { histogram: new Map<number, Group>(), summary: new Map<number, Group>() };
  readonly #groups: { histogram: Group[]; summary: Group[] } = { histogram: [], summary: [] };
  readonly #created = new Map<number, number>();
  readonly #metricTypes = new Map<number, "histogram" | "summary" | undefined>();
  readonly #numberRows: number[] = [];
  readonly #duplicates: number[] = [];
  readonly #malformed: number[] = [];
  readonly #replaced: number[] = [];

  constructor(layout: SamplesLayout) {
    this.#layout = layout;
  }

  plan(): PointPlan {
    const { series, part } = this.#layout.reading();
    for (let row = 0; row < series.length; row++) {
      const id = series[row] as number;
      if (id !== none) this.#take(row, id, part[row] as number);
    }
    const rows = this.#uniqueNumbers(series);
    const numberCreated = new Map<number, number>();
    for (const row of this.#created.size === 0 ? [] : rows) {
      const created = this.#created.get(series[row] as number);
      if (created !== undefined) numberCreated.set(row, created);
    }
    return {
      numbers: { layout: this.#pointsLayout(rows.map((row) => series[row] as number)), rows },
      histograms: this.#pack(this.#groups.histogram),
      summaries: this.#pack(this.#groups.summary),
      numberCreated,
      duplicates: Uint32Array.from(this.#duplicates).sort(),
      malformed: Uint32Array.from(this.#malformed),
      replaced: Uint32Array.from(this.#replaced),
    };
  }

  /** Scraped rows are unique: what metric relabeling made equal is a fault of the page. Processors may merge series. */
  get #isScraped(): boolean {
    return this.#layout.labels !== undefined;
  }

  #take(row: number, series: number, part: number): void {
    if (part === rowPart.value) this.#numberRows.push(row);
    else if (part === rowPart.none) this.#malformed.push(row);
    else if (part === rowPart.replaced) this.#replaced.push(row);
    else if (part === rowPart.repeated) this.#duplicates.push(row);
    else if (part === rowPart.created && this.#groupType(series) === undefined) this.#created.set(series, row);
    else this.#takeGroupRow(row, series, part);
  }

  #groupType(series: number): "histogram" | "summary" | undefined {
    const { identities } = this.#layout;
    const metric = identities.series.view(series)[2] as number;
    if (!this.#metricTypes.has(metric)) {
      const { type } = identities.metrics.get(metric);
      this.#metricTypes.set(metric, type === "histogram" || type === "summary" ? type : undefined);
    }
    return this.#metricTypes.get(metric);
  }

  #takeGroupRow(row: number, series: number, part: number): void {
    const type = this.#groupType(series);
    if (type === undefined) {
      this.#malformed.push(row);
      return;
    }
    const bound = part === rowPart.bucket || part === rowPart.quantile ? this.#bound(row) : Number.NaN;
    let group = this.#open[type].get(series);
    if (group !== undefined && hasPart(group, part, bound)) {
      if (this.#isScraped) {
        this.#duplicates.push(row);
        return;
      }
      group = undefined;
    }
    if (group === undefined) {
      group = newGroup(series, row);
      this.#open[type].set(series, group);
      this.#groups[type].push(group);
    }
    group.last = row;
    if (part === rowPart.count) group.count = row;
    else if (part === rowPart.sum) group.sum = row;
    else if (part === rowPart.created) group.created = row;
    else if (part === rowPart.bucket && bound === Number.POSITIVE_INFINITY) group.infinite = row;
    else {
      group.members.push({ row, bound });
      group.bounds.add(bound);
    }
  }

  #bound(row: number): number {
    const text = this.#layout.reading().bound[row] as number;
    let bound = this.#bounds.get(text);
    if (bound === undefined) {
      bound = parseBound(this.#layout.identities.text(text)) ?? Number.POSITIVE_INFINITY;
      this.#bounds.set(text, bound);
    }
    return bound;
  }

  #uniqueNumbers(series: Uint32Array): Uint32Array {
    if (!this.#isScraped) return Uint32Array.from(this.#numberRows);
    const seen = new Set<number>();
    const rows: number[] = [];
    for (const row of this.#numberRows) {
      const before = seen.size;
      if (seen.add(series[row] as number).size > before) rows.push(row);
      else this.#duplicates.push(row);
    }
    return Uint32Array.from(rows);
  }

  #pointsLayout(series: Uint32Array): PointsLayout {
    return new PointsLayout(this.#layout.identities, series, this.#layout.origin.lane);
  }

  #pack(groups: readonly Group[]): GroupPlan {
    const memberOffsets = new Uint32Array(groups.length + 1);
    for (const [i, { members }] of groups.entries())
      memberOffsets[i + 1] = (memberOffsets[i] as number) + members.length;
    const memberRows = new Uint32Array(memberOffsets[groups.length] as number);
    const memberBounds = new Float64Array(memberRows.length);
    for (const [i, { members }] of groups.entries()) {
      sortByBound(members);
      for (const [j, { row, bound }] of members.entries()) {
        memberRows[(memberOffsets[i] as number) + j] = row;
        memberBounds[(memberOffsets[i] as number) + j] = bound;
      }
    }
    return {
      layout: this.#pointsLayout(Uint32Array.from(groups, (group) => group.series)),
      counts: Int32Array.from(groups, (group) => group.count),
      sums: Int32Array.from(groups, (group) => group.sum),
      created: Int32Array.from(groups, (group) => group.created),
      infinite: Int32Array.from(groups, (group) => group.infinite),
      memberOffsets,
      memberRows,
      memberBounds,
      first: Uint32Array.from(groups, (group) => group.first),
      last: Uint32Array.from(groups, (group) => group.last),
    };
  }
}

/** Lists up to this length are sorted by insertion in Go, which puts nothing across a bound that is NaN. */
const insertionLength = 12;

/** Sorts as otelcol-contrib does; longer lists than above have NaN at their end. */
function sortByBound(members: Member[]): void {
  const hasNaN = members.some(({ bound }) => Number.isNaN(bound));
  if (!hasNaN || members.length > insertionLength) {
    members.sort((a, b) => a.bound - b.bound || Number(Number.isNaN(a.bound)) - Number(Number.isNaN(b.bound)));
    return;
  }
  for (let i = 1; i < members.length; i++) {
    const moved = members[i] as Member;
    let at = i;
    while (at > 0 && moved.bound < (members[at - 1] as Member).bound) at--;
    members.splice(i, 1);
    members.splice(at, 0, moved);
  }
}

function newGroup(series: number, row: number): Group {
  const absent = { count: noRow, sum: noRow, created: noRow, infinite: noRow };
  return { series, ...absent, first: row, last: row, members: [], bounds: new Set() };
}

function hasPart(group: Group, part: number, bound: number): boolean {
  if (part === rowPart.count) return group.count !== noRow;
  if (part === rowPart.sum) return group.sum !== noRow;
  if (part === rowPart.created) return group.created !== noRow;
  if (part === rowPart.bucket && bound === Number.POSITIVE_INFINITY) return group.infinite !== noRow;
  return group.bounds.has(bound);
}
