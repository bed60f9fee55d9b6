/** Says whether a target lost scrapes, from the `up` samples that arrived. */

import { numberOf, type RecordedSeries, type SinkPath } from "./recording-sink.ts";
import { staleBits } from "./remote-write-message.ts";

/** The one series of `up` with these labels. */
export function upOf(sink: SinkPath, labels: Readonly<Record<string, string>>): RecordedSeries | undefined {
  return sink.find({ __name__: "up", ...labels })[0];
}

/** Values of `up` in order of time; a stale marker is NaN. */
export function upValues(sink: SinkPath, labels: Readonly<Record<string, string>>): number[] {
  const samples = upOf(sink, labels)?.samples ?? [];
  return [...samples]
    .sort((a, b) => a.timestampMs - b.timestampMs)
    .map(({ bits }) => (bits === staleBits ? Number.NaN : numberOf(bits)));
}

/**
 * What is wrong with the scrapes of a target that was up all the time: failed ones, stale markers, and gaps of two intervals
 * or more. One interval more than the fixed grid is let pass: a scrape that is late is made up for, not lost.
 */
export function scrapeFaults(sink: SinkPath, labels: Readonly<Record<string, string>>, intervalMs: number): string[] {
  const name = JSON.stringify(labels);
  const series = upOf(sink, labels);
  if (series === undefined) return [`${name}: no scrape at all`];
  const faults: string[] = [];
  const times = series.samples.map(({ timestampMs }) => timestampMs).sort((a, b) => a - b);
  for (const [i, timeMs] of times.entries()) {
    const before = times[i - 1];
    if (before !== undefined && timeMs - before >= 2 * intervalMs) {
      faults.push(`${name}: no scrape for ${timeMs - before} ms`);
    }
    if (before === timeMs) faults.push(`${name}: two scrapes at ${timeMs}`);
  }
  for (const [i, value] of upValues(sink, labels).entries()) {
    if (value !== 1) faults.push(`${name}: up of scrape ${i} is ${value}`);
  }
  return faults;
}
