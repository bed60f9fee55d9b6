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

/** Stands among pair numbers for the tail of a row and the head of the next, which are alike in most rows. */
export const rowEdge = 0;

/** Rows as they are sent, with what is to be left open. */
export interface BlockRows {
  readonly plain: Uint8Array;
  /** A `byteKind` for each byte. */
  readonly kinds: Uint8Array;
  readonly length: number;
  /** Where the value of each row begins, in order. */
  readonly valueStarts: Uint32Array;
  /** Where each label pair of each row begins, in order, and the number that equal pairs share. */
  readonly pairStarts: Uint32Array;
  readonly pairIds: Uint32Array;
}

const hashBits = 12;
const maxDistance = 0xffff;
const minMatch = 4;
/** Earlier rows with the same label pair that are looked at; 24 instead of 2 save 2 % of the bytes and take twice the time. */
const maxCandidates = 2;
const maxAreas = 8;

/**
 * Builds templates; keeps its scratch memory between calls. Copies are looked for where label pairs begin, among earlier rows
 * with the same pair, and then as few of them are taken as cover the row: a tenth of the places that a search by bytes
 * would look at, and longer copies.
 */
export class SnappyTemplateBuilder {
  /** By hash of a pair's number: the pair of an earlier row that was passed last. */
  readonly #lastPair = new Int32Array(1 << hashBits);
  /** By pair: the one before it with the same hash. */
  #earlierPair = new Int32Array(0);
  /** By hash of four bytes: where they stood last, of the bytes that no copy covers. */
  readonly #lastBytes = new Int32Array(1 << hashBits);
  #out: Uint8Array = new Uint8Array(64 * 1024);
  #at = 0;
  #holes: number[] = [];
  /** Pairs of the earlier pieces. */
  #pair = 0;
  /** The longest copy for each pair of the piece: which bytes it covers, and from how far back. */
  #starts = new Int32Array(64);
  #ends = new Int32Array(64);
  #distances = new Int32Array(64);
  /** Stretches of the piece that copies cover: pairs that follow each other mostly lie in the same, and bytes are compared once. */
  readonly #areaStarts = new Int32Array(maxAreas);
  readonly #areaEnds = new Int32Array(maxAreas);
  readonly #areaDistances = new Int32Array(maxAreas);
  #areas = 0;

  /** Compresses a block. Copies never take from values, and from a timestamp only the same byte of another. */
  build(rows: BlockRows): SnappyTemplate {
    this.#lastPair.fill(-1);
    this.#lastBytes.fill(-1);
    if (this.#earlierPair.length < rows.pairStarts.length) {
      this.#earlierPair = new Int32Array(rows.pairStarts.length * 2);
    }
    this.#at = 0;
    this.#holes = [];
    this.#pair = 0;
    this.#reserve(rows.length + (rows.length >> 3) + 64);
    const { valueStarts, length } = rows;
    const count = valueStarts.length;
    const pieceEnds = new Uint32Array(count + 1);
    const valueDistances = new Uint16Array(count);
    let from = 0;
    for (let row = 0; row < count; row++) {
      const start = valueStarts[row] as number;
      this.#piece(rows, from, start);
      pieceEnds[row] = this.#at;
      const distance = row === 0 ? 0 : start - (valueStarts[row - 1] as number);
      valueDistances[row] = distance > maxDistance ? 0 : distance;
      from = start + 8;
    }
    this.#piece(rows, from, length);
    pieceEnds[count] = this.#at;
    const bytes = new Uint8Array(this.#at + 4);
    bytes.set(this.#out.subarray(0, this.#at));
    return {
      rows: count,
      plainBytes: length,
      bytes,
      view: new DataView(bytes.buffer),
      pieceEnds,
      valueDistances,
      timeHoles: Uint32Array.from(this.#holes),
    };
  }

  /** Compresses what stands between two values. */
  #piece(rows: BlockRows, from: number, to: number): void {
    const { plain, kinds } = rows;
    const count = this.#findPairs(rows, from, to);
    let literal = from;
    let at = from;
    // No copy for a pair covers the bytes before this one.
    let next = from;
    while (at < to) {
      let end = at;
      let distance = 0;
      if (at >= next) {
        next = to;
        for (let i = 0; i < count; i++) {
          const start = this.#starts[i] as number;
          if (start > at) {
            if (start < next) next = start;
          } else if ((this.#ends[i] as number) > end) {
            end = this.#ends[i] as number;
            distance = this.#distances[i] as number;
          }
        }
        if (end > at) next = from;
      }
      if (end - at < minMatch) {
        const source = this.#findBytes(plain, at, to);
        distance = at - source;
        end = source < 0 || distance > maxDistance ? at : matchEnd(plain, kinds, at, distance, to);
      }
      if (end - at < minMatch) {
        at++;
        continue;
      }
      this.#literal(plain, kinds, literal, at);
      this.#copy(distance, end - at);
      at = end;
      literal = at;
    }
    this.#literal(plain, kinds, literal, to);
    this.#passPairs(rows, count);
  }

  /** Finds the longest copy for every pair that begins in [from, to); returns how many pairs there are. */
  #findPairs(rows: BlockRows, from: number, to: number): number {
    const { plain, kinds, pairStarts, pairIds } = rows;
    let count = 0;
    this.#areas = 0;
    for (let pair = this.#pair; pair < pairStarts.length && (pairStarts[pair] as number) < to; pair++, count++) {
      if (count === this.#starts.length) this.#growCopies();
      const at = pairStarts[pair] as number;
      const id = pairIds[pair] as number;
      let candidate = this.#lastPair[hashOf(id)] as number;
      let longestRun = -1;
      let best = at;
      let start = at;
      let bestDistance = 0;
      for (let n = 0; candidate >= 0 && n < maxCandidates; n++, candidate = this.#earlierPair[candidate] as number) {
        if (pairIds[candidate] !== id) continue;
        const distance = at - (pairStarts[candidate] as number);
        if (distance > maxDistance) break;
        // The rows may continue alike; only behind the last equal pair do bytes have to be compared.
        let run = id === rowEdge ? 0 : 1;
        while (run > 0 && pairIds[candidate + run] === pairIds[pair + run] && pairIds[pair + run] !== rowEdge) run++;
        if (run <= longestRun) continue;
        longestRun = run;
        const area = this.#areaAt(at, distance);
        const alike = run === 0 ? at : (pairStarts[pair + run - 1] as number);
        const end = area < 0 ? matchEnd(plain, kinds, alike, distance, to) : (this.#areaEnds[area] as number);
        if (end <= best) continue;
        best = end;
        bestDistance = distance;
        start = area < 0 ? matchStart(plain, kinds, at, distance, from) : (this.#areaStarts[area] as number);
        if (area < 0) this.#addArea(start, end, distance);
      }
      this.#starts[count] = start;
      this.#ends[count] = best;
      this.#distances[count] = bestDistance;
    }
    return count;
  }

  /** The stretch around a byte that is known to be a copy from so far back, or -1. */
  #areaAt(at: number, distance: number): number {
    for (let area = Math.min(this.#areas, maxAreas) - 1; area >= 0; area--) {
      if (this.#areaDistances[area] !== distance) continue;
      if ((this.#areaStarts[area] as number) <= at && at < (this.#areaEnds[area] as number)) return area;
    }
    return -1;
  }

  /** Notes a stretch that no byte before or behind it belongs to; the oldest of many is forgotten. */
  #addArea(start: number, end: number, distance: number): void {
    const area = this.#areas++ % maxAreas;
    this.#areaStarts[area] = start;
    this.#areaEnds[area] = end;
    this.#areaDistances[area] = distance;
  }

  /** Remembers the next pairs as those of an earlier row. */
  #passPairs({ pairIds }: BlockRows, count: number): void {
    const end = this.#pair + count;
    for (; this.#pair < end; this.#pair++) {
      const hash = hashOf(pairIds[this.#pair] as number);
      this.#earlierPair[this.#pair] = this.#lastPair[hash] as number;
      this.#lastPair[hash] = this.#pair;
    }
  }

  #findBytes(plain: Uint8Array, at: number, to: number): number {
    if (at + minMatch > to) return -1;
    const word =
      (plain[at] as number) |
      ((plain[at + 1] as number) << 8) |
      ((plain[at + 2] as number) << 16) |
      ((plain[at + 3] as number) << 24);
    const hash = hashOf(word);
    const candidate = this.#lastBytes[hash] as number;
    this.#lastBytes[hash] = at;
    return candidate;
  }

  #growCopies(): void {
    const grow = (array: Int32Array) => {
      const grown = new Int32Array(array.length * 2);
      grown.set(array);
      return grown;
    };
    this.#starts = grow(this.#starts);
    this.#ends = grow(this.#ends);
    this.#distances = grow(this.#distances);
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

function hashOf(word: number): number {
  return Math.imul(word, 0x1e35a7bd) >>> (32 - hashBits);
}

/** How far the bytes from `at` on are those that stand `distance` before, and may be copied. */
function matchEnd(plain: Uint8Array, kinds: Uint8Array, at: number, distance: number, to: number): number {
  let end = at;
  while (end < to && isSame(plain, kinds, end - distance, end)) end++;
  return end;
}

/** From where on the bytes before `at` are those that stand `distance` before, and may be copied. */
function matchStart(plain: Uint8Array, kinds: Uint8Array, at: number, distance: number, from: number): number {
  let start = at;
  while (start > from && start > distance && isSame(plain, kinds, start - distance - 1, start - 1)) start--;
  return start;
}

/** Whether a byte may be copied from `source`. */
function isSame(plain: Uint8Array, kinds: Uint8Array, source: number, at: number): boolean {
  return plain[source] === plain[at] && kinds[source] === kinds[at];
}

/** Which byte of its timestamp a byte is. */
function timeIndex(kinds: Uint8Array, at: number): number {
  let index = 0;
  while (index < at && kinds[at - index - 1] === byteKind.time) index++;
  return index;
}
