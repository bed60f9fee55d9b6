/** What a server writes to a connection, and how long its client has not read it. */

import type { Socket } from "node:net";

export class WriteWatch {
  readonly #socket: Socket;
  #writtenBytes = 0;
  /** What had been written when the wait began. */
  #markBytes = 0;
  #markMs = -1;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** More waits than should: `drain` tells when it was read. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  get isWaiting(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** A text is Latin-1. */
  write(data: string | Buffer): void {
    if (!this.#socket.writable) return;
    this.#writtenBytes += data.length;
    if (typeof data === "string") this.#socket.write(data, "latin1");
    else this.#socket.write(data);
  }

  /** How long what was written before the wait began has not been read; to be called a few times a second. */
  waitedMs(nowMs: number): number {
    const waiting = this.#socket.writableLength;
    if (waiting === 0) {
      this.#markMs = -1;
      return 0;
    }
    if (this.#markMs < 0 || this.#writtenBytes - waiting >= this.#markBytes) {
      this.#markBytes = this.#writtenBytes;
      this.#markMs = nowMs;
    }
    return nowMs - this.#markMs;
  }
}

/** Whether a wait is over; a limit of 0 is none. */
export function isOver(waitedMs: number, limitMs: number, graceMs = 0): boolean {
  return limitMs > 0 && waitedMs >= limitMs + graceMs;
}
