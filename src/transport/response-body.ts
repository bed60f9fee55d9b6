/** The body of one response: pushed in by the parser, taken out by one consumer, held back when nobody takes it. */

/** Takes chunks as they arrive. A chunk may be kept: its memory is not used again. */
export interface BodySink {
  /** Returns false to stop: the rest is not read and the connection is closed. */
  write(chunk: Buffer): boolean;
}

/** What a body can do to its connection. */
export interface BodyControl {
  pause(): void;
  resume(): void;
  /** Ends the request and closes its connection. */
  stop(): void;
}

/** Read by exactly one consumer: `consume`, `dump` or async iteration. Left unread it holds its connection. */
export interface HttpBody extends AsyncIterable<Buffer> {
  /** Discards the rest; the connection is kept when little was left and closed otherwise. */
  dump(): Promise<void>;
  /** Feeds all chunks to the sink; resolves to false when the sink stopped it, rejects when the connection failed. */
  consume(sink: BodySink): Promise<boolean>;
}

const maxQueuedBytes = 64 * 1024;
const maxDumpedBytes = 64 * 1024;

type Outcome = "open" | "ended" | "stopped" | { readonly failure: Error };

/** The push side is for the request that the body belongs to. */
export class ResponseBody implements HttpBody {
  readonly #control: BodyControl;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #paused = false;
  #outcome: Outcome = "open";
  #sink: BodySink | undefined;
  #settle: ((outcome: Outcome) => void) | undefined;

  constructor(control: BodyControl) {
    this.#control = control;
  }

  push(chunk: Buffer): void {
    if (this.#outcome !== "open") {
      return;
    }
    if (this.#sink !== undefined) {
      this.#write(this.#sink, chunk);
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > maxQueuedBytes && !this.#paused) {
      this.#paused = true;
      this.#control.pause();
    }
  }

  end(): void {
    this.#finish("ended");
  }

  fail(failure: Error): void {
    this.#finish({ failure });
  }

  consume(sink: BodySink): Promise<boolean> {
    if (this.#sink !== undefined) {
      return Promise.reject(new Error("the body is already being read"));
    }
    this.#sink = sink;
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome): void => {
        if (typeof outcome === "object") {
          reject(outcome.failure);
        } else {
          resolve(outcome === "ended");
        }
      };
      const ended = this.#outcome;
      const queue = this.#queue;
      this.#queue = [];
      this.#outcome = "open";
      this.#settle = settle;
      for (const chunk of queue) {
        this.#write(sink, chunk);
      }
      if (ended !== "open") {
        this.#finish(ended);
      } else if (this.#paused) {
        this.#paused = false;
        this.#control.resume();
      }
    });
  }

  async dump(): Promise<void> {
    if (this.#sink !== undefined) {
      return;
    }
    let left = maxDumpedBytes;
    const drain: BodySink = {
      write: (chunk) => {
        left -= chunk.length;
        return left > 0;
      },
    };
    try {
      await this.consume(drain);
    } catch {
      // Nobody wants these bytes, so nobody wants to know why they did not come.
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const queue: Buffer[] = [];
    let wake: () => void = () => {};
    let settled = false;
    const done = this.consume({
      write: (chunk) => {
        queue.push(chunk);
        this.#control.pause();
        wake();
        return true;
      },
    }).finally(() => {
      settled = true;
      wake();
    });
    done.catch(() => {});
    try {
      for (;;) {
        const chunk = queue.shift();
        if (chunk !== undefined) {
          yield chunk;
        } else if (settled) {
          await done;
          return;
        } else {
          const arrived = new Promise<void>((resolve) => {
            wake = resolve;
          });
          this.#control.resume();
          await arrived;
        }
      }
    } finally {
      this.#stop();
    }
  }

  #write(sink: BodySink, chunk: Buffer): void {
    if (this.#outcome !== "open") {
      return;
    }
    try {
      if (!sink.write(chunk)) {
        this.#stop();
      }
    } catch (caught) {
      this.#finish({ failure: caught instanceof Error ? caught : new Error(String(caught)) });
      this.#control.stop();
    }
  }

  #stop(): void {
    if (this.#outcome === "open") {
      this.#finish("stopped");
      this.#control.stop();
    }
  }

  #finish(outcome: Outcome): void {
    if (this.#outcome === "open") {
      this.#outcome = outcome;
      this.#settle?.(outcome);
    }
  }
}
