/** Lets pages that are read line by line take turns, one step for each turn of the event loop, so that sockets are read between any two steps. */

/**
 * Shared by all targets of a process. Without it every page under way took a step in each turn of the loop: at the start of
 * many targets sockets were read so rarely that pages arrived too late.
 */
export class PageTurns {
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;

  /** Whether somebody waits for a turn. */
  get isBusy(): boolean {
    return this.#isScheduled;
  }

  /** Resolves when it is the caller's turn, in the order of asking and never in this turn of the event loop. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}
