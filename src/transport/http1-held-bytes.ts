/** What came on a connection before it could be read on: in memory of its own, within a bound that all connections share. */

import type { ByteBudget } from "./byte-budget.ts";

export class HeldBytes {
  readonly #budget: ByteBudget;
  #bytes: Buffer | undefined;
  /** Of the memory, also where only its end is still to be read. */
  #countedBytes = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#bytes === undefined;
  }

  /** Copies the part behind what is there; false where it does not fit. */
  add(part: Buffer): boolean {
    if (!this.#budget.take(part.length)) return false;
    this.#countedBytes += part.length;
    this.#bytes = this.#bytes === undefined ? Buffer.from(part) : Buffer.concat([this.#bytes, part]);
    return true;
  }

  /** All of it, to be read now; `putBack` or `release` follows. */
  take(): Buffer | undefined {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    return bytes;
  }

  /** The end of what was taken. */
  putBack(rest: Buffer): void {
    this.#bytes = rest;
  }

  /** Drops it. */
  release(): void {
    this.#bytes = undefined;
    this.#budget.give(this.#countedBytes);
    this.#countedBytes = 0;
  }
}
