/** The background loops of one component. */

type Loop = (signal: AbortSignal) => Promise<void>;

/** Loops begin at `start` (those added later, at once) and are aborted and awaited at `stop`. */
export class Loops {
  readonly #stop = new AbortController();
  readonly #failed: (name: string, error: unknown) => void;
  readonly #waiting: { readonly name: string; readonly loop: Loop }[] = [];
  readonly #running = new Set<Promise<void>>();
  #isStarted = false;

  /** `failed` is told when a loop throws; the process and the component's other loops go on. */
  constructor(failed: (name: string, error: unknown) => void) {
    this.#failed = failed;
  }

  add(name: string, loop: Loop): void {
    if (this.#stop.signal.aborted) return;
    if (this.#isStarted) this.#run(name, loop);
    else this.#waiting.push({ name, loop });
  }

  start(): void {
    this.#isStarted = true;
    for (const { name, loop } of this.#waiting.splice(0)) this.#run(name, loop);
  }

  /** Resolves when every loop has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#waiting.length = 0;
    await Promise.all(this.#running);
  }

  #run(name: string, loop: Loop): void {
    const running = this.#guard(name, loop).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #guard(name: string, loop: Loop): Promise<void> {
    try {
      await loop(this.#stop.signal);
    } catch (error) {
      // A loop that is told to end may end by throwing.
      if (!this.#stop.signal.aborted) this.#failed(name, error);
    }
  }
}
