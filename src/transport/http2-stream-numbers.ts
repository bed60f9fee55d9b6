/** Which streams of a connection a client has opened: numbers that it skipped may not be used later. */

import { expectHttp2, http2Codes } from "./http2-wire.ts";

/** Clients skip none, or the first ones; of one that skips more, the oldest are forgotten. */
const maxGaps = 100;

export class StreamNumbers {
  /** The highest that was opened. */
  last = 0;
  /** Ranges that were skipped: first and last in turn, ascending. */
  readonly #gaps: number[] = [];

  /** Whether headers of this number open a stream: then it is taken. Throws Http2Error for one that was skipped (RFC 9113 section 5.1.1). */
  opens(id: number): boolean {
    if (id <= this.last) {
      expectHttp2(!this.#isSkipped(id), http2Codes.PROTOCOL_ERROR, "headers of a stream that was skipped");
      return false;
    }
    const expected = this.last === 0 ? 1 : this.last + 2;
    if (id > expected) {
      if (this.#gaps.length >= maxGaps * 2) this.#gaps.splice(0, 2);
      this.#gaps.push(expected, id - 2);
    }
    this.last = id;
    return true;
  }

  #isSkipped(id: number): boolean {
    for (let i = 0; i < this.#gaps.length; i += 2) {
      if (id >= (this.#gaps[i] as number) && id <= (this.#gaps[i + 1] as number)) return true;
    }
    return false;
  }
}
