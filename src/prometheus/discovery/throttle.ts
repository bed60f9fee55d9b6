/** Hands something on at once when it is quiet, and in growing steps while it is not. */

/** The first step after a delivery within which further ones wait. */
export const firstStepMs = 100;
/** What the step doubles up to while deliveries keep coming. */
export const longestStepMs = 5_000;

/** Coalesces triggers to deliveries. */
export class Throttle {
  readonly #deliver: () => void;
  #timer: NodeJS.Timeout | undefined;
  #stepMs = firstStepMs;
  #isPending = false;
  #isClosed = false;

  /** `deliver` must not throw. */
  constructor(deliver: () => void) {
    this.#deliver = deliver;
  }

  /** Asks for a delivery: now when the last one is long enough ago, else at the end of the step. */
  trigger(): void {
    this.#isPending = true;
    if (this.#timer === undefined) this.flush();
  }

  /** Delivers without waiting for the step, but after the caller's own work, so that several triggers make one. */
  flush(): void {
    this.#isPending = true;
    queueMicrotask(() => this.#run());
  }

  /** Forgets what is pending. No delivery happens after this. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #run(): void {
    if (this.#isClosed || !this.#isPending) return;
    this.#isPending = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#endStep(), this.#stepMs);
    this.#deliver();
  }

  #endStep(): void {
    this.#timer = undefined;
    if (!this.#isPending) {
      this.#stepMs = firstStepMs;
      return;
    }
    this.#stepMs = Math.min(this.#stepMs * 2, longestStepMs);
    this.#run();
  }
}
