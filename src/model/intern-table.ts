/** What the identity tables share: numbers handed out from 1, an open-addressing index over them, and reuse after a sweep. */

import { ConsumeError } from "./errors.ts";

/** Number 0 means "none" in every table. */
export const none = 0;

const initialSlots = 1024;

/**
 * A table that ran into its bound; whoever needed the new number refuses its data. That is for now: a sweep gives numbers
 * back, so that a sender may try again.
 */
export class TableFullError extends ConsumeError {
  constructor(table: string, limit: number) {
    super("CONSUME_MEMORY_LIMIT", `the ${table} table is full (limit ${limit})`, { permanent: false });
    this.name = "TableFullError";
  }
}

/** Returns `array`, or a copy of at least `length` elements with the same content. */
export function grownUint32(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const grown = new Uint32Array(Math.max(length, array.length * 2));
  grown.set(array);
  return grown;
}

/** Finds numbers by hash. Holds 4 bytes a slot, at most three quarters full, and the hash of every number. */
export class InternIndex {
  #slots = new Uint32Array(initialSlots);
  #hashes = new Uint32Array(initialSlots);
  #free: number[] = [];
  #next = 1;
  #used = 0;
  readonly #name: string;
  readonly #limit: number;

  constructor(name: string, limit: number) {
    this.#name = name;
    this.#limit = limit;
  }

  /** How many numbers are in use. */
  get size(): number {
    return this.#used;
  }

  /** One more than the largest number ever handed out: the length that an array by number needs. */
  get capacity(): number {
    return this.#next;
  }

  /** Bytes held by the index. */
  get byteLength(): number {
    return this.#slots.byteLength + this.#hashes.byteLength;
  }

  /** Slots that are looked at to find each number, on average: what a lookup costs, whatever was interned. For tests and diagnosis. */
  get meanProbes(): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let probes = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      const id = slots[slot] as number;
      if (id !== none) probes += 1 + ((slot - ((this.#hashes[id] as number) & mask)) & mask);
    }
    return this.#used === 0 ? 0 : probes / this.#used;
  }

  /** The first number with this hash at or after slot `from`, or `none`; read `lastSlot` to go on behind it. */
  find(hash: number, from = hash & (this.#slots.length - 1)): number {
    const mask = this.#slots.length - 1;
    for (let slot = from; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot] as number;
      if (id === none) return none;
      if (this.#hashes[id] === hash) {
        this.lastSlot = slot;
        return id;
      }
    }
  }

  lastSlot = 0;

  /** The next number with the same hash after the one found last, or `none`. */
  findNext(hash: number): number {
    return this.find(hash, (this.lastSlot + 1) & (this.#slots.length - 1));
  }

  /** Hands out a number for a hash that `find` did not resolve. Throws TableFullError at the limit. */
  add(hash: number): number {
    if (this.#used >= this.#limit) throw new TableFullError(this.#name, this.#limit);
    if ((this.#used + 1) * 4 > this.#slots.length * 3) this.#rebuild(this.#slots.length * 2);
    const id = this.#free.pop() ?? this.#next++;
    this.#hashes = grownUint32(this.#hashes, id + 1);
    this.#hashes[id] = hash;
    this.#used++;
    this.#place(id, hash);
    return id;
  }

  /** Gives back every number in use for which `isLive` is false; `freed` hears of each. */
  sweep(isLive: (id: number) => boolean, freed: (id: number) => void): number {
    const slots = this.#slots;
    let count = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      const id = slots[slot] as number;
      if (id !== none && !isLive(id)) count++;
    }
    if (count === 0) return 0;
    this.#used -= count;
    const live = new Uint32Array(this.#used);
    let next = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      const id = slots[slot] as number;
      if (id === none) continue;
      if (isLive(id)) live[next++] = id;
      else {
        this.#free.push(id);
        freed(id);
      }
    }
    let length = initialSlots;
    while (this.#used * 2 > length) length *= 2;
    this.#slots = new Uint32Array(length);
    for (const id of live) this.#place(id, this.#hashes[id] as number);
    return count;
  }

  #place(id: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== none) slot = (slot + 1) & mask;
    this.#slots[slot] = id;
  }

  #rebuild(length: number): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(length);
    for (let slot = 0; slot < old.length; slot++) {
      const id = old[slot] as number;
      if (id !== none) this.#place(id, this.#hashes[id] as number);
    }
  }
}
