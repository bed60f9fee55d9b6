/** Finds the end of a request's head, or of the trailers behind a body, in what comes, and refuses what cannot be one at once. */

import { invalid, mayBeginHead, RequestFault } from "./http1-request-head.ts";

const cr = 0x0d;
const lf = 0x0a;
const tab = 0x09;
const space = 0x20;
const del = 0x7f;

/** Lines that end with an empty one. */
export class HeadScanner {
  readonly #maxBytes: number;
  readonly #isTrailer: boolean;
  /** The beginning whose end has not come yet. */
  #partial = "";
  #seenBytes = 0;
  #lineBytes = 0;
  #isAfterCr = false;
  /** The lines with the empty one, as Latin-1, once they are whole. */
  text = "";

  /** A head may stand behind empty lines, and its first word is looked at before the rest has come; trailers may be none. */
  constructor(maxBytes: number, isTrailer: boolean) {
    this.#maxBytes = maxBytes;
    this.#isTrailer = isTrailer;
  }

  /** Whether anything of the lines has come; empty ones before them are nothing. */
  get hasBegun(): boolean {
    return this.#partial !== "";
  }

  /**
   * Reads on from `at`; the position behind the empty line, or -1 where it has not come. Throws RequestFault: 431 for too many bytes,
   * 400 for lines that do not end in CR and LF and for control characters.
   */
  scan(bytes: Buffer, at: number): number {
    let from = at;
    if (!this.#isTrailer && this.#partial === "") {
      while (from < bytes.length && (bytes[from] === cr || bytes[from] === lf)) from++;
      this.#count(from - at);
    }
    const end = this.#scanLines(bytes, from);
    const to = end < 0 ? bytes.length : end;
    this.#count(to - from);
    const text = this.#partial + bytes.toString("latin1", from, to);
    if (end < 0) {
      this.#partial = text;
      if (!this.#isTrailer && !mayBeginHead(text)) throw invalid("no request line");
      return end;
    }
    this.text = text;
    this.#partial = "";
    this.#seenBytes = 0;
    return end;
  }

  #count(bytes: number): void {
    this.#seenBytes += bytes;
    if (this.#seenBytes > this.#maxBytes) throw new RequestFault(431, "headers that are too large");
  }

  #scanLines(bytes: Buffer, from: number): number {
    const to = Math.min(bytes.length, from + this.#maxBytes + 1);
    let lineBytes = this.#lineBytes;
    let isAfterCr = this.#isAfterCr;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] ?? 0;
      if (isAfterCr) {
        if (byte !== lf) throw invalid("CR within a line");
        isAfterCr = false;
        if (lineBytes === 0) {
          this.#lineBytes = 0;
          this.#isAfterCr = false;
          return at + 1;
        }
        lineBytes = 0;
      } else if (byte === cr) isAfterCr = true;
      else if ((byte < space && byte !== tab) || byte === del) throw invalid("a control character");
      else lineBytes++;
    }
    this.#lineBytes = lineBytes;
    this.#isAfterCr = isAfterCr;
    return -1;
  }
}
