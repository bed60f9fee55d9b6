/** A bound for the bytes that requests under way hold together. */

/** Counts; never waits. */
export class ByteBudget {
  #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Another bound, for what is taken from now on. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  /** True when so many more bytes fit; a request that holds nothing yet always fits, whatever its size. */
  take(bytes: number): boolean {
    if (this.#usedBytes > 0 && this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
