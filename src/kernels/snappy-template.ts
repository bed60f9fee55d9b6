/** Compresses a block of rows once, with its values and times left open, so that later only these have to be filled in. */

/** What a byte of the block stands for. */
export const byteKind = {
  /** The same every time. */
  fixed: 0,
  /** Part of a value: eight such bytes in a row, different for every row and every time. */
  value: 1,
  /** Part of the timestamp, which is the same for all rows of a block. */
  time: 2,
} as const;

/** Bytes of a timestamp as a varint: six from 1971 to 2109. */
export const timeBytes = 6;

/**
 * Elements of a snappy block (format description, section 2) with gaps for the values: piece i stands before value i, the
 * last piece behind the last value. Offsets of copies are relative, so the whole may stand anywhere in a stream.
 */
export interface SnappyTemplate {
  readonly rows: number;
  /** Bytes of the rows before compression. */
  readonly plainBytes: number;
  /** All pieces, one behind the other, and four bytes more for wide reads. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where each of the `rows + 1` pieces ends. */
  readonly pieceEnds: Uint32Array;
  /** Plain bytes from the value of the row before to that of the row; 0 where a copy cannot reach. */
  readonly valueDistances: Uint16Array;
  /** Where in `bytes` the timestamp stands as a literal: position, then which of its bytes, in turn. */
  readonly timeHoles: Uint32Array;
}

const hashBits = 14;
const maxDistance = 0xffff;
const minMatch = 4;

/** Builds templates; keeps its scratch memory between calls. */
export class SnappyTemplateBuilder {
  readonly #table = new Int32Array(1 << hashBits);
  #out: Uint8Array = new Uint8Array(64 * 1024);
  #at = 0;
  #holes: number[] = [];

  /**
   * Compresses `plain[0..length)`. `kinds` has a `byteKind` for each byte; `valueStarts` says where the value of each row
   * begins, in order. Copies never take from values, and from a timestamp only the same byte of another.
   */
  build(plain: Uint8Array, kinds: Uint8Array, length: number, valueStarts: Uint32Array): SnappyTemplate {
    this.#table.fill(-1);
    this.#at = 0;
    this.#holes = [];
    this.#reserve(length + (length >> 3) + 64);
    const rows = valueStarts.length;
    const pieceEnds = new Uint32Array(rows + 1);
    const valueDistances = new Uint16Array(rows);
    let from = 0;
    for (let row = 0; row < rows; row++) {
      const start = valueStarts[row] as number;
      this.#piece(plain, kinds, from, start);
      pieceEnds[row] = this.#at;
      const distance = row === 0 ? 0 : start - (valueStarts[row - 1] as number);
      valueDistances[row] = distance > maxDistance ? 0 : distance;
      from = start + 8;
    }
    this.#piece(plain, kinds, from, length);
    pieceEnds[rows] = this.#at;
    const bytes = new Uint8Array(this.#at + 4);
    bytes.set(this.#out.subarray(0, this.#at));
    return {
      rows,
      plainBytes: length,
      bytes,
      view: new DataView(bytes.buffer),
      pieceEnds,
      valueDistances,
      timeHoles: Uint32Array.from(this.#holes),
    };
  }

  /** Compresses what stands between two values. */
  #piece(plain: Uint8Array, kinds: Uint8Array, from: number, to: number): void {
    const table = this.#table;
    let literal = from;
    let lastDistance = 0;
    let at = from;
    while (at < to) {
      let distance = lastDistance;
      let size = distance === 0 ? 0 : matchLength(plain, kinds, at - distance, at, to);
      if (at + minMatch <= to) {
        const hash = hashAt(plain, at);
        const candidate = table[hash] as number;
        table[hash] = at;
        if (candidate >= 0 && at - candidate <= maxDistance && at - candidate !== distance) {
          const other = matchLength(plain, kinds, candidate, at, to);
          if (other > size) {
            size = other;
            distance = at - candidate;
          }
        }
      }
      if (size < minMatch) {
        at++;
        continue;
      }
      this.#literal(plain, kinds, literal, at);
      this.#copy(distance, size);
      for (let i = at + 1; i < at + size && i + minMatch <= to; i++) table[hashAt(plain, i)] = i;
      at += size;
      literal = at;
      lastDistance = distance;
    }
    this.#literal(plain, kinds, literal, to);
  }

  #literal(plain: Uint8Array, kinds: Uint8Array, from: number, to: number): void {
    const size = to - from;
    if (size === 0) return;
    const out = this.#out;
    if (size <= 60) out[this.#at++] = (size - 1) << 2;
    else {
      const count = size <= 1 << 8 ? 1 : size <= 1 << 16 ? 2 : size <= 1 << 24 ? 3 : 4;
      out[this.#at++] = (59 + count) << 2;
      for (let i = 0; i < count; i++) out[this.#at++] = ((size - 1) >>> (8 * i)) & 0xff;
    }
    for (let i = from; i < to; i++) {
      if (kinds[i] === byteKind.time) this.#holes.push(this.#at, timeIndex(kinds, i));
      out[this.#at++] = plain[i] as number;
    }
  }

  #copy(distance: number, size: number): void {
    const out = this.#out;
    let rest = size;
    while (rest > 0) {
      if (rest >= 4 && rest < 12 && distance < 2048) {
        out[this.#at++] = 1 | ((rest - 4) << 2) | ((distance >> 8) << 5);
        out[this.#at++] = distance & 0xff;
        return;
      }
      const part = Math.min(rest, 64);
      out[this.#at++] = 2 | ((part - 1) << 2);
      out[this.#at++] = distance & 0xff;
      out[this.#at++] = distance >> 8;
      rest -= part;
    }
  }

  #reserve(bytes: number): void {
    if (this.#out.length < bytes) this.#out = new Uint8Array(bytes * 2);
  }
}

function hashAt(bytes: Uint8Array, at: number): number {
  const word =
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24);
  return Math.imul(word, 0x1e35a7bd) >>> (32 - hashBits);
}

/** How many bytes from `source` on are those from `at` on, as far as `to`, and may be copied. */
function matchLength(plain: Uint8Array, kinds: Uint8Array, source: number, at: number, to: number): number {
  if (source < 0) return 0;
  let from = source;
  let end = at;
  while (end < to && plain[from] === plain[end] && kinds[from] === kinds[end]) {
    from++;
    end++;
  }
  return end - at;
}

/** Which byte of its timestamp a byte is. */
function timeIndex(kinds: Uint8Array, at: number): number {
  let index = 0;
  while (index < at && kinds[at - index - 1] === byteKind.time) index++;
  return index;
}
