/** The server of one protocol across reloads: it is started anew only where what it listens with has changed. */

/** A server that listens. */
export interface Running {
  readonly port: number;
  /** Stops to listen at once. Clients need not be told to go elsewhere before `replaced` is settled. */
  close(deadlineMs: number, hurry?: AbortSignal, replaced?: Promise<void>): Promise<void>;
}

/** What a protocol is, as its server needs it. */
export interface ProtocolParts<C> {
  /** What a running server cannot change, as a text that is compared; it may hold secrets. */
  fixedSettings(config: C): string;
  /** Takes the rest, for the requests from now on. Throws ConfigError where that is not possible. */
  use(config: C): void;
  /** Rejects with ConfigError where it cannot listen. */
  start(config: C): Promise<Running>;
}

/** For requests under way at the end; the deadline of the process may come sooner. */
const drainMs = 20_000;

export class ProtocolServer<C> {
  readonly #parts: ProtocolParts<C>;
  readonly #hurry = new AbortController();
  /** Servers that take nothing more, until their last request is answered. */
  readonly #ending = new Set<Promise<void>>();
  #running: Running | undefined;
  #fixed = "";

  constructor(parts: ProtocolParts<C>) {
    this.#parts = parts;
  }

  /** Makes this the configuration; undefined ends the server. Where it rejects, another call may bring the old one back. */
  async apply(config: C | undefined): Promise<void> {
    if (config === undefined) {
      this.#end();
      return;
    }
    this.#parts.use(config);
    const fixed = this.#parts.fixedSettings(config);
    if (this.#running !== undefined && fixed === this.#fixed) return;
    // The port is free at once: what is under way has connections of its own, and keeps them until there is another server.
    const replaced = Promise.withResolvers<void>();
    this.#end(replaced.promise);
    try {
      this.#running = await this.#parts.start(config);
    } finally {
      replaced.resolve();
    }
    this.#fixed = fixed;
  }

  /** Ends it, once the requests under way are answered or the deadline aborts. */
  async close(deadline: AbortSignal): Promise<void> {
    this.#end();
    const abort = () => this.#hurry.abort();
    deadline.addEventListener("abort", abort, { once: true });
    if (deadline.aborted) abort();
    await Promise.all(this.#ending);
    deadline.removeEventListener("abort", abort);
  }

  #end(replaced?: Promise<void>): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    const ending = running.close(drainMs, this.#hurry.signal, replaced).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
