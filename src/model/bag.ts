/**
 * A few things that come and go all the time, in no order: what is under way.
 *
 * Not a `Set`, because of V8's: it makes a new table every few changes, and a table that was given up points to the one that
 * took its place. Once one of them is old, a collection of the young generation keeps all that follow it, and with them
 * everything that was in the set meanwhile: at 50,000 samples a second 0.4 MB a second of columns that nobody needed waited
 * for a collection of the whole heap.
 */
export class Bag<T> implements Iterable<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item must not be there yet. */
  add(item: T): void {
    this.#items.push(item);
  }

  /** Whether it was there. Takes as long as there are items, the newest first. */
  delete(item: T): boolean {
    const at = this.#items.lastIndexOf(item);
    if (at < 0) return false;
    const last = this.#items.pop() as T;
    if (at < this.#items.length) this.#items[at] = last;
    return true;
  }

  find(isIt: (item: T) => boolean): T | undefined {
    return this.#items.find(isIt);
  }

  has(item: T): boolean {
    return this.#items.includes(item);
  }

  clear(): void {
    this.#items.length = 0;
  }

  /** The items as they are now: what is done with one may change the bag. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items][Symbol.iterator]();
  }
}
