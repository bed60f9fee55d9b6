/** Syncs a while after something was written, once for all that comes until then. */

const delayMs = 1000;

export class LateSync {
  readonly #sync: () => Promise<void>;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #stop = new AbortController();
  #isWaiting = false;

  constructor(sync: () => Promise<void>, sleep: (ms: number, signal: AbortSignal) => Promise<void>) {
    this.#sync = sync;
    this.#sleep = sleep;
  }

  /** Something was written. */
  wrote(): void {
    if (this.#isWaiting || this.#stop.signal.aborted) return;
    this.#isWaiting = true;
    void this.#run();
  }

  /** Nothing is synced from here on. */
  stop(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    await this.#sleep(delayMs, this.#stop.signal);
    this.#isWaiting = false;
    if (this.#stop.signal.aborted) return;
    try {
      await this.#sync();
    } catch {
      this.wrote();
    }
  }
}
