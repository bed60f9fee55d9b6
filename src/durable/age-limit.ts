/** Tells which records are too old to be delivered. */

export class AgeLimit {
  readonly #now: () => number;
  readonly #maxAgeMs: () => number;
  /** The same within a turn, so that `take` hands out what `peek` showed. */
  #oldestAllowedMs: number | undefined;

  /** Nothing is too old where `maxAgeMs` returns 0; it may change from call to call. */
  constructor(now: () => number, maxAgeMs: () => number) {
    this.#now = now;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Whether what was accepted at `timeMs` is too old. */
  readonly isTooOld = (timeMs: number): boolean => {
    const maxAgeMs = this.#maxAgeMs();
    if (maxAgeMs <= 0) return false;
    if (this.#oldestAllowedMs === undefined) {
      this.#oldestAllowedMs = this.#now() - maxAgeMs;
      queueMicrotask(() => {
        this.#oldestAllowedMs = undefined;
      });
    }
    return timeMs < this.#oldestAllowedMs;
  };
}
