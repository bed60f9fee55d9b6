/** Cuts a segment in two without touching its layout; columns are shared. */

import {
  type OpenSegment,
  type PointColumns,
  type PointsSegment,
  type SamplesSegment,
  sliceSamples,
} from "../../model/batch.ts";
import { none } from "../../model/intern-table.ts";
import type { FamilyType } from "../../model/series.ts";

/**
 * The first rows of a segment, at most `maxRows`, and the rest. Samples are cut only between metric families, so that
 * no histogram or summary is torn; a first family that is larger is given whole when `mustTake` is set, else nothing.
 */
export function splitSegment(
  segment: OpenSegment,
  maxRows: number,
  mustTake: boolean,
): [head: OpenSegment | undefined, tail: OpenSegment | undefined] {
  const length = segment.to - segment.from;
  if (segment.form === "samples") {
    const cut = familyBorder(segment, maxRows, mustTake);
    if (cut === 0) return [undefined, segment];
    if (cut >= length) return [segment, undefined];
    return [sliceSamples(segment, 0, cut), sliceSamples(segment, cut, length)];
  }
  const cut = mustTake ? Math.max(1, maxRows) : maxRows;
  if (cut <= 0) return [undefined, segment];
  return [slicePoints(segment, 0, cut), slicePoints(segment, cut, length)];
}

/** Rows before the last border between families that is not behind `maxRows`; else the first border, or 0. */
function familyBorder(segment: SamplesSegment, maxRows: number, mustTake: boolean): number {
  const length = segment.to - segment.from;
  for (let cut = Math.min(maxRows, length); cut > 0; cut--) if (isBorder(segment, cut)) return cut;
  if (!mustTake) return 0;
  let cut = Math.max(1, maxRows);
  while (cut < length && !isBorder(segment, cut)) cut++;
  return cut;
}

/** Whether rows `at - 1` and `at` belong to different families, or to one in which every row is a point of its own. */
function isBorder({ layout, from, to }: SamplesSegment, at: number): boolean {
  if (from + at >= to) return true;
  const before = layout.families[from + at - 1] as number;
  const after = layout.families[from + at] as number;
  if (before === none || after === none) return true;
  const { families } = layout.identities;
  const family = families.get(before);
  return singleRowTypes.has(family.type) || family.name !== families.get(after).name;
}

/** Counters are not among them: the rows of a counter may come with `_created` rows. */
const singleRowTypes: ReadonlySet<FamilyType> = new Set(["gauge", "info", "stateset", "unknown"]);

/** Rows [from, to) of a points segment, counted from its first row. */
export function slicePoints(segment: PointsSegment, from: number, to: number): PointsSegment {
  const base = sliceColumns(segment, from, to);
  switch (segment.kind) {
    case "number":
      return {
        ...base,
        kind: "number",
        doubles: segment.doubles.subarray(from, to),
        ints: segment.ints.subarray(from, to),
        isInt: segment.isInt?.subarray(from, to),
      };
    case "histogram":
      return {
        ...segment,
        ...base,
        ...sliceStatistics(segment, from, to),
        // The offsets point into the whole columns, which are shared.
        bucketOffsets: segment.bucketOffsets.subarray(from, to + 1),
        boundOffsets: segment.boundOffsets.subarray(from, to + 1),
      };
    case "exponential_histogram":
      return {
        ...segment,
        ...base,
        ...sliceStatistics(segment, from, to),
        scales: segment.scales.subarray(from, to),
        zeroCounts: segment.zeroCounts.subarray(from, to),
        zeroThresholds: segment.zeroThresholds.subarray(from, to),
        positive: segment.positive.slice(from, to),
        negative: segment.negative.slice(from, to),
      };
    case "summary":
      return {
        ...segment,
        ...base,
        counts: segment.counts.subarray(from, to),
        sums: segment.sums.subarray(from, to),
        quantileOffsets: segment.quantileOffsets.subarray(from, to + 1),
      };
  }
}

function sliceColumns(segment: PointsSegment, from: number, to: number): PointColumns {
  return {
    form: "points",
    layout: segment.layout,
    from: segment.from + from,
    to: segment.from + to,
    timeUnixNano: segment.timeUnixNano.subarray(from, to),
    startTimeUnixNano: segment.startTimeUnixNano.subarray(from, to),
    flags: segment.flags.subarray(from, to),
    exemplars: segment.exemplars
      ?.filter((exemplar) => exemplar.row >= from && exemplar.row < to)
      .map((exemplar) => ({ ...exemplar, row: exemplar.row - from })),
  };
}

function sliceStatistics(
  segment: Extract<PointsSegment, { kind: "histogram" | "exponential_histogram" }>,
  from: number,
  to: number,
) {
  return {
    counts: segment.counts.subarray(from, to),
    sums: segment.sums.subarray(from, to),
    hasSum: segment.hasSum.subarray(from, to),
    mins: segment.mins.subarray(from, to),
    maxs: segment.maxs.subarray(from, to),
    hasMin: segment.hasMin.subarray(from, to),
    hasMax: segment.hasMax.subarray(from, to),
  };
}
