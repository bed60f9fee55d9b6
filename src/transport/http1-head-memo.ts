/** Recognises a request's head that differs from the last one of its connection in nothing but Content-Length, by its bytes. */

import type { RequestHead } from "./http1-request-head.ts";

const lengthLine = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i;
/** A connection keeps it while it idles: a client must not make that much. */
const maxRememberedBytes = 2048;
const maxDigits = 15;
const noBytes = Buffer.alloc(0);

export class RequestHeadMemo {
  #head: RequestHead | undefined;
  /** What stands before and behind the digits of the length; without a length, the whole and nothing. */
  #before: Buffer = noBytes;
  #behind: Buffer = noBytes;
  /** Where the head that was recalled last ends. */
  end = 0;

  /** The head that stands at `at`, whole; undefined where it is not as the last one. */
  recall(bytes: Buffer, at: number): RequestHead | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    const before = this.#before;
    let end = at + before.length;
    if (end > bytes.length || bytes.compare(before, 0, before.length, at, end) !== 0) return undefined;
    let length = -1;
    if (head.contentLength >= 0) {
      const start = end;
      length = 0;
      for (let digit = digitAt(bytes, end); digit >= 0 && digit <= 9; digit = digitAt(bytes, end)) {
        length = length * 10 + digit;
        end++;
      }
      const digits = end - start;
      if (digits === 0 || digits > maxDigits || (digits > 1 && digitAt(bytes, start) === 0)) return undefined;
      const behind = this.#behind;
      const from = end;
      end += behind.length;
      if (end > bytes.length || bytes.compare(behind, 0, behind.length, from, end) !== 0) return undefined;
    }
    this.end = end;
    return length === head.contentLength ? head : head.withLength(length);
  }

  /** `text` is the head's, whole; its memory is not kept. */
  remember(text: string, head: RequestHead): void {
    this.#head = undefined;
    if (text.length > maxRememberedBytes) return;
    let from = text.length;
    let to = from;
    if (head.contentLength >= 0) {
      const digits = String(head.contentLength);
      const line = lengthLine.exec(text);
      // With zeros before it, the head of the same length without them would be told as this one.
      if (line === null || line[1] !== digits) return;
      from = text.indexOf(digits, line.index + "\r\ncontent-length:".length);
      to = from + digits.length;
    }
    this.#before = Buffer.from(text.slice(0, from), "latin1");
    this.#behind = Buffer.from(text.slice(to), "latin1");
    this.#head = head;
  }
}

function digitAt(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) - 0x30;
}
