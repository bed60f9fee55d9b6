/** Interns byte strings: equal bytes get the same small number, and the bytes are kept once, in one flat arena. */

import { type HashKey, hashBytes } from "../kernels/hash-bytes.ts";
import { grownUint32, InternIndex, none } from "./intern-table.ts";

/** Kernels read the arena eight bytes at a time, a little over the end of the last entry. */
const spareBytes = 8;

/** Bytes by number. Arena and offsets are exposed because kernels copy straight out of them; treat both as read-only. */
export class ByteTable {
  /** The arena; replaced when it grows and when it is compacted, so never keep a reference across an `intern` or a `sweep`. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  /** Where the bytes of a number begin in the arena. */
  offsets: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  /** How many bytes a number has. */
  lengths: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  readonly #index: InternIndex;
  readonly #key: HashKey;
  #end = 0;
  #dead = 0;

  constructor(name: string, key: HashKey, limit: number) {
    this.#index = new InternIndex(name, limit);
    this.#key = key;
  }

  get size(): number {
    return this.#index.size;
  }

  get capacity(): number {
    return this.#index.capacity;
  }

  /** What a lookup costs: see `InternIndex`. */
  get meanProbes(): number {
    return this.#index.meanProbes;
  }

  /** Bytes held by the table, as allocated. */
  get byteLength(): number {
    return this.bytes.byteLength + this.offsets.byteLength + this.lengths.byteLength + this.#index.byteLength;
  }

  /** The number of `source[start..end)`. Throws TableFullError when it is new and the table is full. */
  intern(source: Uint8Array, start = 0, end = source.length): number {
    const hash = hashBytes(this.#key, source, start, end);
    for (let id = this.#index.find(hash); id !== none; id = this.#index.findNext(hash)) {
      if (this.#equals(id, source, start, end)) return id;
    }
    const id = this.#index.add(hash);
    const length = end - start;
    this.#reserve(length);
    this.offsets = grownUint32(this.offsets, id + 1);
    this.lengths = grownUint32(this.lengths, id + 1);
    this.bytes.set(source.subarray(start, end), this.#end);
    this.offsets[id] = this.#end;
    this.lengths[id] = length;
    this.#end += length;
    return id;
  }

  /** A view of the bytes of a number, valid until the next `intern` or `sweep`. */
  view(id: number): Uint8Array {
    const offset = this.offsets[id] as number;
    return this.bytes.subarray(offset, offset + (this.lengths[id] as number));
  }

  /** Gives back the numbers that `isLive` does not name and squeezes the arena when a quarter of it is unused. */
  sweep(isLive: (id: number) => boolean): number {
    const count = this.#index.sweep(isLive, (id) => {
      this.#dead += this.lengths[id] as number;
      this.lengths[id] = 0;
    });
    if (this.#dead * 4 > this.#end) this.#compact();
    return count;
  }

  #equals(id: number, source: Uint8Array, start: number, end: number): boolean {
    if (this.lengths[id] !== end - start) return false;
    const bytes = this.bytes;
    let at = this.offsets[id] as number;
    for (let i = start; i < end; i++, at++) if (bytes[at] !== source[i]) return false;
    return true;
  }

  #reserve(length: number): void {
    const needed = this.#end + length + spareBytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.#end));
    this.bytes = grown;
  }

  #compact(): void {
    const live = this.#end - this.#dead;
    const packed = new Uint8Array(Math.max(4096, live + (live >> 2) + spareBytes));
    let end = 0;
    for (let id = 1; id < this.#index.capacity; id++) {
      const length = this.lengths[id] as number;
      if (length === 0) continue;
      const offset = this.offsets[id] as number;
      packed.set(this.bytes.subarray(offset, offset + length), end);
      this.offsets[id] = end;
      end += length;
    }
    this.bytes = packed;
    this.#end = end;
    this.#dead = 0;
  }
}
