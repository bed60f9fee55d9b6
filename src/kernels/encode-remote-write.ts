/** Encodes samples as `timeseries` fields of a remote-write 1.0 WriteRequest by gathering label bytes that were encoded once. */

/** The identity tables as flat arrays (see `ByteTable` and `ListTable`). The pair bytes need 8 readable bytes behind the last pair. */
export interface LabelColumns {
  /** Encoded label pairs. */
  readonly pairView: DataView;
  readonly pairOffsets: Uint32Array;
  readonly pairLengths: Uint32Array;
  /** Label sets: lists of pairs, and the sum of their lengths. */
  readonly setItems: Uint32Array;
  readonly setOffsets: Uint32Array;
  readonly setLengths: Uint32Array;
  readonly setWeights: Uint32Array;
}

/** Where the encoded bytes go. */
export interface EncodeTarget {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the next field begins; moved by the kernel. */
  length: number;
}

/** Bytes that one sample can take beyond its labels: tags, lengths, value, time, and room for the last wide store. */
export const sampleOverheadBytes = 48;

/** Below this the two bytes of a length are below 0x7d, and UTF-8 has no 0xf0 before 0x7f or 0xff: no eight bytes are a NaN. */
const longPairBytes = 16_000;

const lowMask = 0x7f;
const more = 0x80;

/** Bytes of the varint of a timestamp; negative ones take ten. */
function timestampBytes(timestampMs: number): number {
  if (timestampMs < 0) return 10;
  let size = 1;
  for (let rest = timestampMs; rest >= more; rest = Math.floor(rest / more)) size++;
  return size;
}

function writeTimestamp(bytes: Uint8Array, at: number, timestampMs: number): number {
  let end = at;
  if (timestampMs >= 0) {
    let rest = timestampMs;
    while (rest >= more) {
      bytes[end++] = (rest % more) | more;
      rest = Math.floor(rest / more);
    }
    bytes[end++] = rest;
    return end;
  }
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(timestampMs)));
  while (rest >= 0x80n) {
    bytes[end++] = Number(rest & 0x7fn) | more;
    rest >>= 7n;
  }
  bytes[end++] = Number(rest);
  return end;
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  while (rest >= more) {
    bytes[end++] = (rest & lowMask) | more;
    rest >>>= 7;
  }
  bytes[end++] = rest;
  return end;
}

/**
 * Writes rows [from, to) of the columns, each a TimeSeries with one sample, and returns the row behind the last one
 * written: fewer than `to` when the target is full. Stale rows carry Prometheus' marker, NaNs its ordinary NaN; a zero of
 * either sign is left out, as Prometheus does. Rows whose label set is 0 are passed over.
 *
 * `timestampsMs` has one element per row, or is undefined when `timestampMs` is the time of all.
 * One loop: a call per sample costs a fifth of the whole.
 */
export function encodeSamples(
  columns: LabelColumns,
  labelSets: Uint32Array,
  rows: {
    values: Float64Array;
    stale: boolean | Uint8Array;
    timestampMs: number;
    timestampsMs: Float64Array | undefined;
  },
  from: number,
  to: number,
  target: EncodeTarget,
): number {
  const { pairView, pairOffsets, pairLengths, setItems, setOffsets, setLengths, setWeights } = columns;
  const { values, stale, timestampsMs } = rows;
  const { bytes, view } = target;
  const room = bytes.length - sampleOverheadBytes;
  const allStale = stale === true;
  const staleRows = typeof stale === "boolean" ? undefined : stale;
  let timestampMs = rows.timestampMs;
  let timeSize = timestampBytes(timestampMs);
  let at = target.length;
  let row = from;
  for (; row < to; row++) {
    const set = labelSets[row] as number;
    if (set === 0) continue;
    const weight = setWeights[set] as number;
    if (at + weight > room) break;
    if (timestampsMs !== undefined) {
      timestampMs = timestampsMs[row] as number;
      timeSize = timestampBytes(timestampMs);
    }
    const value = values[row] as number;
    const isStale = allStale || (staleRows !== undefined && staleRows[row] === 1);
    const hasValue = isStale || value !== 0;
    const sampleSize = (hasValue ? 9 : 0) + (timestampMs === 0 ? 0 : 1 + timeSize);
    bytes[at] = 0x0a;
    at = writeVarint(bytes, at + 1, weight + 2 + sampleSize);
    let item = setOffsets[set] as number;
    const lastItem = item + (setLengths[set] as number);
    for (; item < lastItem; item++) {
      const pair = setItems[item] as number;
      const length = pairLengths[pair] as number;
      let source = pairOffsets[pair] as number;
      const end = at + length;
      // Several bytes at a time, a little over the end: what comes next writes over it. Eight at a time go as a double,
      // whose bits stay as they are unless it is a NaN; only the lengths of very long labels look like one.
      if (length < longPairBytes) {
        while (at < end) {
          view.setFloat64(at, pairView.getFloat64(source, true), true);
          at += 8;
          source += 8;
        }
      } else {
        while (at < end) {
          view.setUint32(at, pairView.getUint32(source, true), true);
          at += 4;
          source += 4;
        }
      }
      at = end;
    }
    bytes[at] = 0x12;
    bytes[at + 1] = sampleSize;
    at += 2;
    if (hasValue) {
      bytes[at] = 0x09;
      if (isStale) {
        view.setUint32(at + 1, 2, true);
        view.setUint32(at + 5, 0x7ff00000, true);
      } else if (Number.isNaN(value)) {
        view.setUint32(at + 1, 1, true);
        view.setUint32(at + 5, 0x7ff80000, true);
      } else view.setFloat64(at + 1, value, true);
      at += 9;
    }
    if (timestampMs !== 0) {
      bytes[at] = 0x10;
      at = writeTimestamp(bytes, at + 1, timestampMs);
    }
  }
  target.length = at;
  return row;
}
