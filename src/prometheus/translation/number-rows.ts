/** Lays number points out as samples without looking at a series again: what a whole layout becomes is worked out once. */

import type { NumberPoints, SamplesSegment } from "../../model/batch.ts";
import { noRecordedValue } from "../../model/batch.ts";
import { none } from "../../model/intern-table.ts";
import type { SamplesLayout } from "../../model/layout.ts";
import { msOfWords } from "./times.ts";

/** Whether every row has a label set of its own: then none is a duplicate, whatever the times are. */
export function areDistinct(labels: Uint32Array): boolean {
  return !labels.includes(none) && new Set(labels).size === labels.length;
}

/** The points as rows of `layout`, which has one row for each of their layout's. They have no exemplars. */
export function numberRows(segment: NumberPoints, layout: SamplesLayout): SamplesSegment {
  const { doubles, ints, isInt, flags, from, to } = segment;
  const rows = to - from;
  let values = doubles;
  if (isInt?.includes(1) === true) {
    values = Float64Array.from(doubles);
    for (let row = 0; row < rows; row++) if (isInt[row] === 1) values[row] = Number(ints[row]);
  }
  let staleRows = 0;
  for (let row = 0; row < rows; row++) staleRows += (flags[row] as number) & noRecordedValue;
  let stale: boolean | Uint8Array = staleRows === rows;
  if (staleRows > 0) {
    stale = staleRows === rows || Uint8Array.from(flags, (flag) => flag & noRecordedValue);
    values = values.map((value, row) => (((flags[row] as number) & noRecordedValue) === 0 ? value : 0));
  }
  const timesMs = timesOf(segment.timeUnixNano);
  const timestampMs = timesMs[0] as number;
  return {
    form: "samples",
    layout,
    from,
    to,
    values,
    stale,
    timestampMs,
    timestampsMs: timesMs.every((time) => time === timestampMs) ? undefined : timesMs,
    exemplars: undefined,
    histograms: undefined,
  };
}

function timesOf(nanos: BigUint64Array): Float64Array {
  const words = new Int32Array(nanos.buffer, nanos.byteOffset, nanos.length * 2);
  const times = new Float64Array(nanos.length);
  for (let row = 0; row < times.length; row++) {
    times[row] = msOfWords(words[row * 2] as number, words[row * 2 + 1] as number);
  }
  return times;
}
