/** Interns small records that are few (metrics, resources, scopes): equal keys get the same number. */

import { TableFullError } from "./intern-table.ts";

export class ObjectTable<T> {
  readonly #name: string;
  readonly #limit: number;
  readonly #ids = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [undefined];
  readonly #objects: (T | undefined)[] = [undefined];
  readonly #free: number[] = [];

  constructor(name: string, limit: number) {
    this.#name = name;
    this.#limit = limit;
  }

  get size(): number {
    return this.#ids.size;
  }

  get capacity(): number {
    return this.#objects.length;
  }

  /** The number of the record with this key; keeps `object` when the key is new. Throws TableFullError at the limit. */
  intern(key: string, object: T): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    if (this.#ids.size >= this.#limit) throw new TableFullError(this.#name, this.#limit);
    const id = this.#free.pop() ?? this.#objects.length;
    this.#objects[id] = object;
    this.#keys[id] = key;
    this.#ids.set(key, id);
    return id;
  }

  /** The record of a number. Throws RangeError for a number that is not in use. */
  get(id: number): T {
    const object = this.#objects[id];
    if (object === undefined) throw new RangeError(`no ${this.#name} has the number ${id}`);
    return object;
  }

  sweep(isLive: (id: number) => boolean): number {
    let count = 0;
    for (let id = 1; id < this.#objects.length; id++) {
      const key = this.#keys[id];
      if (key === undefined || isLive(id)) continue;
      this.#ids.delete(key);
      this.#keys[id] = undefined;
      this.#objects[id] = undefined;
      this.#free.push(id);
      count++;
    }
    return count;
  }
}
