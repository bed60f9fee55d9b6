/** Writes the rows of a block as snappy elements by filling values and time into a template: no row is encoded or compressed again. */

import { type SnappyTemplate, timeBytes } from "./snappy-template.ts";

/** Bytes that a value can take: the tag of a literal and eight bytes. */
const valueBytes = 9;
/** Room for the last wide store. */
const spareBytes = 8;

/** The most bytes that `fillTemplate` writes, and touches behind them. */
export function filledBytes(template: SnappyTemplate): number {
  return template.bytes.length + template.rows * valueBytes + spareBytes;
}

/** Whether a timestamp has the length that templates are made for. */
export function fitsTemplate(timestampMs: number): boolean {
  return timestampMs >= 2 ** 35 && timestampMs < 2 ** 42;
}

/**
 * Writes all rows of the template to `out` from `at` on and returns the end; `out` needs `filledBytes` there. `values` has
 * the values from the first row on as pairs of words, low one first; `stale` is for all rows, or one byte per row from
 * `firstStale` on. Stale rows carry Prometheus' marker, NaNs its ordinary NaN, and a minus zero becomes a zero. Low bytes that a
 * value shares with the one before are copied from there: whole numbers have many zeros.
 *
 * One loop: it runs for every sample that is sent.
 */
export function fillTemplate(
  template: SnappyTemplate,
  words: Uint32Array,
  stale: boolean | Uint8Array,
  firstStale: number,
  timestampMs: number,
  out: Uint8Array,
  view: DataView,
  start: number,
): number {
  const { rows, pieceEnds, valueDistances, timeHoles } = template;
  const source = template.view;
  const allStale = stale === true;
  const staleRows = typeof stale === "boolean" ? undefined : stale;
  let at = start;
  let from = 0;
  let hole = 0;
  let holeAt = timeHoles.length === 0 ? 0xffff_ffff : (timeHoles[0] as number);
  let lastLow = 0;
  let lastHigh = 0;
  for (let row = 0; row <= rows; row++) {
    const to = pieceEnds[row] as number;
    const shift = at - from;
    while (from < to) {
      view.setUint32(at, source.getUint32(from, true), true);
      at += 4;
      from += 4;
    }
    at = to + shift;
    from = to;
    while (holeAt < to) {
      out[holeAt + shift] = timeByte(timestampMs, timeHoles[hole + 1] as number);
      hole += 2;
      holeAt = hole >= timeHoles.length ? 0xffff_ffff : (timeHoles[hole] as number);
    }
    if (row === rows) break;
    let low = words[row * 2] as number;
    let high = words[row * 2 + 1] as number;
    if (allStale || (staleRows !== undefined && staleRows[firstStale + row] === 1)) {
      low = 2;
      high = 0x7ff0_0000;
    } else if ((high & 0x7ff0_0000) === 0x7ff0_0000) {
      if (((high & 0xf_ffff) | low) !== 0) {
        low = 1;
        high = 0x7ff8_0000;
      }
    } else if (high === 0x8000_0000 && low === 0) high = 0;
    const distance = valueDistances[row] as number;
    if (distance !== 0 && low === lastLow) {
      const other = high ^ lastHigh;
      const same =
        other === 0 ? 8 : (other & 0xffff) === 0 ? ((other & 0xff_0000) === 0 ? 7 : 6) : (other & 0xff) === 0 ? 5 : 4;
      if (distance < 2048) {
        out[at] = 1 | ((same - 4) << 2) | ((distance >> 8) << 5);
        out[at + 1] = distance;
        at += 2;
      } else {
        out[at] = 2 | ((same - 1) << 2);
        out[at + 1] = distance;
        out[at + 2] = distance >> 8;
        at += 3;
      }
      if (same < 8) {
        out[at] = (7 - same) << 2;
        view.setUint32(at + 1, high >>> ((same - 4) * 8), true);
        at += 9 - same;
      }
    } else {
      out[at] = 7 << 2;
      view.setUint32(at + 1, low, true);
      view.setUint32(at + 5, high, true);
      at += valueBytes;
    }
    lastLow = low;
    lastHigh = high;
  }
  return at;
}

/** One byte of the varint of a timestamp. */
function timeByte(timestampMs: number, index: number): number {
  const bits = Math.floor(timestampMs / 2 ** (7 * index)) % 128;
  return index === timeBytes - 1 ? bits : bits | 0x80;
}
