/** A label set under construction, which relabel rules read and change. */

import { compareUtf8 } from "./compare-utf8.ts";

/**
 * Label names to values. An empty value and an absent label are the same thing, as everywhere in Prometheus.
 * Iterates in the order in which Prometheus' builder does, which decides who wins when `labelmap` maps two labels to
 * one name: first what `reset` gave and nobody changed, then what was set, in the order of its first setting.
 */
export class LabelsBuilder {
  readonly #values = new Map<string, string>();
  readonly #changed = new Set<string>();

  /** Starts with these labels, or none. Empty values are left out; the last of several equal names stays. */
  constructor(entries: Iterable<readonly [string, string]> = []) {
    this.reset(entries);
  }

  get size(): number {
    return this.#values.size;
  }

  /** The value of a label, "" when it is absent. */
  get(name: string): string {
    return this.#values.get(name) ?? "";
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Sets a label; an empty value deletes it. */
  set(name: string, value: string): void {
    if (value === "") {
      this.delete(name);
      return;
    }
    if (!this.#changed.has(name)) {
      this.#changed.add(name);
      this.#values.delete(name);
    }
    this.#values.set(name, value);
  }

  delete(name: string): void {
    this.#values.delete(name);
    this.#changed.delete(name);
  }

  /** Forgets everything and starts again with these labels, by the rules of the constructor. */
  reset(entries: Iterable<readonly [string, string]>): void {
    this.#values.clear();
    this.#changed.clear();
    for (const [name, value] of entries) {
      if (value === "") this.#values.delete(name);
      else this.#values.set(name, value);
    }
  }

  /** Walks a live view; take `entries()` to change labels on the way. */
  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.#values[Symbol.iterator]();
  }

  /** A copy in the order of iteration. */
  entries(): [string, string][] {
    return [...this.#values];
  }

  /** A copy sorted by the UTF-8 bytes of the names. */
  sortedEntries(): [string, string][] {
    return this.entries().sort((a, b) => compareUtf8(a[0], b[0]));
  }
}
