/** Assembles the OTLP points of a samples segment from the plan of its layout. */

import {
  type HistogramPoints,
  isStale,
  type NumberPoints,
  noRecordedValue,
  type PointColumns,
  type PointExemplar,
  type PointsSegment,
  type SamplesSegment,
  type SummaryPoints,
} from "../../model/batch.ts";
import { PointsLayout } from "../../model/layout.ts";
import type { DropReason } from "./drop-reason.ts";
import { toPointExemplar } from "./exemplars.ts";
import { type GroupPlan, noRow, type PointPlan, pointPlan } from "./point-plan.ts";
import { nanosOfMs, nanosOfSeconds } from "./times.ts";
import { wholeCount } from "./whole-count.ts";

/** Hears how many points were left out, and why. */
export type Dropped = (reason: DropReason, points: number) => void;

/** A cursor over the rows of a segment by their number in the layout. */
class Rows {
  readonly segment: SamplesSegment;

  constructor(segment: SamplesSegment) {
    this.segment = segment;
  }

  has(row: number): boolean {
    return row >= this.segment.from && row < this.segment.to;
  }

  value(row: number): number {
    return this.segment.values[row - this.segment.from] as number;
  }

  stale(row: number): boolean {
    return isStale(this.segment, row - this.segment.from);
  }

  timeMs(row: number): number {
    const { timestampsMs, timestampMs, from } = this.segment;
    return timestampsMs === undefined ? timestampMs : (timestampsMs[row - from] as number);
  }
}

/** The points of a segment, at most one segment of each kind. */
export function assemblePoints(segment: SamplesSegment, dropped: Dropped): PointsSegment[] {
  const plan = pointPlan(segment.layout);
  const rows = new Rows(segment);
  countRows(plan.duplicates, rows, "duplicate", dropped);
  countRows(plan.malformed, rows, "malformed", dropped);
  countRows(plan.replaced, rows, "replaced", dropped);
  const exemplars = groupExemplars(segment);
  const segments: PointsSegment[] = [
    assembleNumbers(plan, rows, exemplars),
    assembleHistograms(plan.histograms, rows, exemplars, dropped),
    assembleSummaries(plan.summaries, rows, dropped),
  ];
  return segments.filter(({ from, to }) => to > from);
}

function countRows(list: Uint32Array, rows: Rows, reason: DropReason, dropped: Dropped): void {
  let count = 0;
  for (const row of list) if (rows.has(row)) count++;
  if (count > 0) dropped(reason, count);
}

/** Exemplars by row of the layout. */
function groupExemplars(segment: SamplesSegment): Map<number, PointExemplar[]> {
  const result = new Map<number, PointExemplar[]>();
  for (const exemplar of segment.exemplars ?? []) {
    const row = segment.from + exemplar.row;
    const time = segment.timestampsMs?.[exemplar.row] ?? segment.timestampMs;
    const list = result.get(row) ?? [];
    result.set(row, list);
    list.push(toPointExemplar(exemplar, 0, time));
  }
  return result;
}

/** The first index of a sorted list whose element is not below `row`. */
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

function assembleNumbers(plan: PointPlan, rows: Rows, exemplars: Map<number, PointExemplar[]>): NumberPoints {
  const { segment } = rows;
  const { layout, rows: numberRows } = plan.numbers;
  const from = lowerBound(numberRows, segment.from);
  const to = lowerBound(numberRows, segment.to);
  const columns = newColumns(layout, from, to);
  if (segment.timestampsMs === undefined) columns.timeUnixNano.fill(nanosOfMs(segment.timestampMs));
  const doubles = new Float64Array(to - from);
  const kept: PointExemplar[] = [];
  const plain = segment.stale === false && segment.timestampsMs === undefined && plan.numberCreated.size === 0;
  for (let i = 0; i < doubles.length; i++) {
    const row = numberRows[from + i] as number;
    if (plain) doubles[i] = rows.value(row);
    else fillNumber(i, row, rows, plan, columns, doubles);
    if (exemplars.size > 0) for (const exemplar of exemplars.get(row) ?? []) kept.push({ ...exemplar, row: i });
  }
  return {
    ...columns,
    exemplars: kept.length === 0 ? undefined : kept,
    kind: "number",
    doubles,
    ints: new BigInt64Array(doubles.buffer),
  };
}

function fillNumber(
  i: number,
  row: number,
  rows: Rows,
  plan: PointPlan,
  columns: PointColumns,
  doubles: Float64Array,
): void {
  if (rows.stale(row)) columns.flags[i] = noRecordedValue;
  else doubles[i] = rows.value(row);
  if (rows.segment.timestampsMs !== undefined) columns.timeUnixNano[i] = nanosOfMs(rows.timeMs(row));
  const created = plan.numberCreated.get(row);
  if (created !== undefined) columns.startTimeUnixNano[i] = startTime(created, rows);
}

function startTime(row: number, rows: Rows): bigint {
  return row === noRow || !rows.has(row) || rows.stale(row) ? 0n : nanosOfSeconds(rows.value(row));
}

function newColumns(layout: PointsLayout, from: number, to: number): PointColumns {
  return {
    form: "points",
    layout,
    from,
    to,
    timeUnixNano: new BigUint64Array(to - from),
    startTimeUnixNano: new BigUint64Array(to - from),
    flags: new Uint32Array(to - from),
  };
}

/** A group as a segment has it. */
interface Assembled {
  readonly group: number;
  readonly stale: boolean;
  /** Time of the first row; rows with another time are refused, as in otelcol-contrib. */
  readonly timeMs: number;
  readonly hasSum: boolean;
  /** Members in order of their bounds, without those that are stale while the point is not. */
  readonly members: readonly number[];
}

/** The groups that have a row in the segment and make a point. */
function validGroups(plan: GroupPlan, rows: Rows, dropped: Dropped): Assembled[] {
  const result: Assembled[] = [];
  const drops = new Map<DropReason, number>();
  const { from, to } = rows.segment;
  for (let group = 0; group < plan.counts.length; group++) {
    if ((plan.last[group] as number) < from || (plan.first[group] as number) >= to) continue;
    const assembled = assembleGroup(plan, group, rows);
    if (typeof assembled === "string") drops.set(assembled, (drops.get(assembled) ?? 0) + 1);
    else result.push(assembled);
  }
  for (const [reason, count] of drops) dropped(reason, count);
  return result;
}

/** The time of the first row of a group that the segment has. */
function groupTime(plan: GroupPlan, group: number, rows: Rows): number {
  const { timestampsMs, timestampMs } = rows.segment;
  if (timestampsMs === undefined) return timestampMs;
  let first = Number.POSITIVE_INFINITY;
  for (const row of groupRows(plan, group)) if (row < first && rows.has(row)) first = row;
  return first === Number.POSITIVE_INFINITY ? timestampMs : rows.timeMs(first);
}

/** All rows of a group but the one of its start time, in no order. */
export function groupRows(plan: GroupPlan, group: number): number[] {
  const single = [plan.counts[group], plan.sums[group], plan.infinite[group]] as number[];
  const start = plan.memberOffsets[group] as number;
  const members = plan.memberRows.subarray(start, plan.memberOffsets[group + 1] as number);
  return [...single.filter((row) => row !== noRow), ...members];
}

function assembleGroup(plan: GroupPlan, group: number, rows: Rows): Assembled | DropReason {
  const timeMs = groupTime(plan, group, rows);
  const usable = (row: number) => row !== noRow && rows.has(row) && rows.timeMs(row) === timeMs;
  const count = plan.counts[group] as number;
  const sum = plan.sums[group] as number;
  if (!usable(count)) return "incomplete";
  const hasSum = usable(sum);
  const stale = rows.stale(count) || (hasSum && rows.stale(sum));
  const members: number[] = [];
  for (let i = plan.memberOffsets[group] as number; i < (plan.memberOffsets[group + 1] as number); i++) {
    const row = plan.memberRows[i] as number;
    if (usable(row) && (stale || !rows.stale(row))) members.push(i);
  }
  return { group, stale, timeMs, hasSum, members };
}

/** Columns of the groups that stay, on the planned layout when those are neighbours in it. */
function groupColumns(plan: GroupPlan, groups: readonly Assembled[], rows: Rows): PointColumns {
  const first = groups[0]?.group ?? 0;
  const adjacent = groups.every(({ group }, i) => group === first + i);
  const series = plan.layout.series;
  const columns = adjacent
    ? newColumns(plan.layout, first, first + groups.length)
    : newColumns(
        new PointsLayout(
          plan.layout.identities,
          Uint32Array.from(groups, ({ group }) => series[group] as number),
          plan.layout.lane,
        ),
        0,
        groups.length,
      );
  for (const [i, { group, stale, timeMs }] of groups.entries()) {
    columns.timeUnixNano[i] = nanosOfMs(timeMs);
    columns.startTimeUnixNano[i] = startTime(plan.created[group] as number, rows);
    if (stale) columns.flags[i] = noRecordedValue;
  }
  return columns;
}

function memberOffsets(groups: readonly Assembled[], extra: number): Uint32Array {
  const offsets = new Uint32Array(groups.length + 1);
  for (const [i, { members }] of groups.entries()) offsets[i + 1] = (offsets[i] as number) + members.length + extra;
  return offsets;
}

function assembleHistograms(
  plan: GroupPlan,
  rows: Rows,
  exemplars: Map<number, PointExemplar[]>,
  dropped: Dropped,
): HistogramPoints {
  const groups = validGroups(plan, rows, dropped);
  const columns = groupColumns(plan, groups, rows);
  const boundOffsets = memberOffsets(groups, 0);
  const bucketOffsets = memberOffsets(groups, 1);
  const bounds = new Float64Array(boundOffsets[groups.length] as number);
  const bucketCounts = new BigUint64Array(bucketOffsets[groups.length] as number);
  const counts = new BigUint64Array(groups.length);
  const sums = new Float64Array(groups.length).fill(Number.NaN);
  const hasSum = new Uint8Array(groups.length);
  const kept: PointExemplar[] = [];
  for (const [i, { group, stale, members, hasSum: withSum }] of groups.entries()) {
    const boundAt = boundOffsets[i] as number;
    const bucketAt = bucketOffsets[i] as number;
    for (const [j, member] of members.entries()) bounds[boundAt + j] = plan.memberBounds[member] as number;
    if (!stale) {
      const count = rows.value(plan.counts[group] as number);
      let previous = 0;
      for (const [j, member] of members.entries()) {
        const value = rows.value(plan.memberRows[member] as number);
        bucketCounts[bucketAt + j] = wholeCount(value - previous);
        previous = value;
      }
      bucketCounts[bucketAt + members.length] = wholeCount(count - previous);
      counts[i] = wholeCount(count);
      if (withSum) {
        sums[i] = rows.value(plan.sums[group] as number);
        hasSum[i] = 1;
      }
    }
    if (exemplars.size === 0) continue;
    for (const row of groupRows(plan, group).sort((a, b) => a - b)) {
      for (const exemplar of exemplars.get(row) ?? []) kept.push({ ...exemplar, row: i });
    }
  }
  const absent = new Float64Array(groups.length).fill(Number.NaN);
  return {
    ...columns,
    exemplars: kept.length === 0 ? undefined : kept,
    kind: "histogram",
    counts,
    sums,
    hasSum,
    mins: absent,
    maxs: absent,
    hasMin: new Uint8Array(groups.length),
    hasMax: new Uint8Array(groups.length),
    bucketOffsets,
    bucketCounts,
    boundOffsets,
    bounds,
  };
}

function assembleSummaries(plan: GroupPlan, rows: Rows, dropped: Dropped): SummaryPoints {
  const groups = validGroups(plan, rows, dropped);
  const columns = groupColumns(plan, groups, rows);
  const quantileOffsets = memberOffsets(groups, 0);
  const quantiles = new Float64Array(quantileOffsets[groups.length] as number);
  const quantileValues = new Float64Array(quantiles.length);
  const counts = new BigUint64Array(groups.length);
  const sums = new Float64Array(groups.length);
  for (const [i, { group, stale, members, hasSum }] of groups.entries()) {
    const at = quantileOffsets[i] as number;
    for (const [j, member] of members.entries()) {
      quantiles[at + j] = plan.memberBounds[member] as number;
      if (!stale) quantileValues[at + j] = rows.value(plan.memberRows[member] as number);
    }
    if (stale) continue;
    counts[i] = wholeCount(rows.value(plan.counts[group] as number));
    if (hasSum) sums[i] = rows.value(plan.sums[group] as number);
  }
  return { ...columns, kind: "summary", counts, sums, quantileOffsets, quantiles, quantileValues };
}
