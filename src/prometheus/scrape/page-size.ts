/** Refuses pages with too many series before anything is remembered of them. */

import { ScrapeError } from "./sample-labels.ts";

/** Lines that the slow path reads before others may go on: about two milliseconds at some microseconds a line. */
export const linesPerStep = 512;

/** A series and its value take this many bytes at least. */
const minLineBytes = 4;
const newline = 0x0a;
const hash = 0x23;

/** Whether a page has more lines with samples than `limit`. Looks only at pages that are long enough for that. */
export function hasMoreLines(page: Buffer, length: number, limit: number): boolean {
  if (length < limit * minLineBytes) return false;
  let lines = 0;
  for (let start = 0; start < length; ) {
    const first = page[start];
    const end = page.indexOf(newline, start);
    if (first !== hash && first !== newline && ++lines > limit) return true;
    if (end < 0) return false;
    start = end + 1;
  }
  return false;
}

export function tooManySeries(limit: number): ScrapeError {
  return new ScrapeError("own_limit", `more series than the limit of ${limit}`);
}
