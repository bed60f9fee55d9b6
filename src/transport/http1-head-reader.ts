/** Reads the heads of requests from a connection's chunks: one that is as the last at a glance, others line by line. */

import { RequestHeadMemo } from "./http1-head-memo.ts";
import { HeadScanner } from "./http1-head-scanner.ts";
import { parseRequestHead, type RequestHead } from "./http1-request-head.ts";

export class HeadReader {
  readonly #maxBytes: number;
  readonly #memo = new RequestHeadMemo();
  #scanner: HeadScanner | undefined;
  /** Where the head that was read last ends. */
  end = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether part of a head has come. */
  get hasBegun(): boolean {
    return this.#scanner?.hasBegun === true;
  }

  /** Reads on from `at`: the head that is whole now; undefined where more must come. Throws RequestFault. */
  read(chunk: Buffer, at: number): RequestHead | undefined {
    const known = this.hasBegun ? undefined : this.#memo.recall(chunk, at);
    if (known !== undefined) {
      this.#scanner = undefined;
      this.end = this.#memo.end;
      return known;
    }
    this.#scanner ??= new HeadScanner(this.#maxBytes, false);
    const end = this.#scanner.scan(chunk, at);
    if (end < 0) return undefined;
    this.end = end;
    const { text } = this.#scanner;
    this.#scanner = undefined;
    const head = parseRequestHead(text);
    this.#memo.remember(text, head);
    return head;
  }
}
