/** Interns lists of numbers: label sets as lists of label pairs, series as lists of their parts. */

import { type HashKey, hashNumbers } from "../kernels/hash-bytes.ts";
import { grownUint32, InternIndex, none } from "./intern-table.ts";

/** Lists by number, packed in one flat array. `items` and the rest are exposed for kernels; treat them as read-only. */
export class ListTable {
  /** All lists behind one another; replaced when it grows or is compacted. */
  items: Uint32Array<ArrayBuffer> = new Uint32Array(1024);
  /** Where the list of a number begins in `items`. */
  offsets: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  /** How many items a list has. */
  lengths: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  /** A number of the owner's for each list, e.g. the encoded length of a label set. */
  weights: Uint32Array<ArrayBuffer> = new Uint32Array(256);
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

  get byteLength(): number {
    return (
      this.items.byteLength +
      this.offsets.byteLength +
      this.lengths.byteLength +
      this.weights.byteLength +
      this.#index.byteLength
    );
  }

  /** The number of the list `source[0..length)`; `weight` is kept when the list is new. Throws TableFullError when the table is full. */
  intern(source: Uint32Array, length: number, weight = 0): number {
    const hash = hashNumbers(this.#key, source, 0, length);
    for (let id = this.#index.find(hash); id !== none; id = this.#index.findNext(hash)) {
      if (this.#equals(id, source, length)) return id;
    }
    const id = this.#index.add(hash);
    this.items = grownUint32(this.items, this.#end + length);
    this.offsets = grownUint32(this.offsets, id + 1);
    this.lengths = grownUint32(this.lengths, id + 1);
    this.weights = grownUint32(this.weights, id + 1);
    for (let i = 0; i < length; i++) this.items[this.#end + i] = source[i] as number;
    this.offsets[id] = this.#end;
    this.lengths[id] = length;
    this.weights[id] = weight;
    this.#end += length;
    return id;
  }

  /** The list of a number, as a view that is valid until the next `intern` or `sweep`. */
  view(id: number): Uint32Array {
    const offset = this.offsets[id] as number;
    return this.items.subarray(offset, offset + (this.lengths[id] as number));
  }

  /** Marks the items of all lists that are marked in `lists`. */
  markItems(lists: Uint8Array, items: Uint8Array): void {
    const { items: all, offsets, lengths } = this;
    for (let id = 1; id < lists.length; id++) {
      if (lists[id] === 0) continue;
      const start = offsets[id] as number;
      for (let at = start, end = start + (lengths[id] as number); at < end; at++) items[all[at] as number] = 1;
    }
  }

  /** Gives back the numbers that `isLive` does not name and squeezes the items when a quarter of them is unused. */
  sweep(isLive: (id: number) => boolean): number {
    const count = this.#index.sweep(isLive, (id) => {
      this.#dead += this.lengths[id] as number;
      this.lengths[id] = 0;
    });
    if (this.#dead * 4 > this.#end) this.#compact();
    return count;
  }

  #equals(id: number, source: Uint32Array, length: number): boolean {
    if (this.lengths[id] !== length) return false;
    const offset = this.offsets[id] as number;
    for (let i = 0; i < length; i++) if (this.items[offset + i] !== source[i]) return false;
    return true;
  }

  #compact(): void {
    const live = this.#end - this.#dead;
    const packed = new Uint32Array(Math.max(1024, live + (live >> 2)));
    let end = 0;
    for (let id = 1; id < this.#index.capacity; id++) {
      const length = this.lengths[id] as number;
      const offset = this.offsets[id] as number;
      for (let i = 0; i < length; i++) packed[end + i] = this.items[offset + i] as number;
      this.offsets[id] = end;
      end += length;
    }
    this.items = packed;
    this.#end = end;
    this.#dead = 0;
  }
}
