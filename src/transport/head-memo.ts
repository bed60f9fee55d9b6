/** Recognises a response head that differs from the last one of its connection in nothing but date and length. */

import { parseHead, type ResponseHead } from "./response-head.ts";

/** Bytes of a date as HTTP writes it (RFC 9110 section 5.6.7). */
const dateLength = 29;
const maxDigits = 15;
const dateName = /\r\ndate: /i;
const lengthName = /\r\ncontent-length: /i;
const anyLength = /content-length/gi;

interface Hole {
  readonly at: number;
  readonly length: number;
  readonly isDate: boolean;
}

/** Parses heads; one like the last costs a comparison. */
export class HeadMemo {
  #head: ResponseHead | undefined;
  /** What stands before, between and behind date and length, in order. */
  #pieces: readonly string[] = [];
  #holes: readonly Hole[] = [];

  /** As `parseHead` does. */
  parse(text: string): ResponseHead {
    const known = this.#recall(text);
    if (known !== undefined) return known;
    const head = parseHead(text);
    this.#remember(text, head);
    return head;
  }

  #recall(text: string): ResponseHead | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    const pieces = this.#pieces;
    let at = 0;
    let { contentLength } = head;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] as string;
      if (!text.startsWith(piece, at)) return undefined;
      at += piece.length;
      const hole = this.#holes[i];
      if (hole === undefined) break;
      if (hole.isDate) {
        if (!isPrintable(text, at, at + dateLength)) return undefined;
        at += dateLength;
        continue;
      }
      const start = at;
      contentLength = 0;
      for (let digit = text.charCodeAt(at) - 0x30; digit >= 0 && digit <= 9; digit = text.charCodeAt(at) - 0x30) {
        contentLength = contentLength * 10 + digit;
        at++;
      }
      if (at === start || at - start > maxDigits) return undefined;
    }
    if (at !== text.length) return undefined;
    return contentLength === head.contentLength ? head : { ...head, contentLength };
  }

  #remember(text: string, head: ResponseHead): void {
    this.#head = undefined;
    // Interim responses come before others, not again and again.
    if (head.status < 200) return;
    const holes: Hole[] = [];
    const date = dateName.exec(text);
    if (date !== null) holes.push({ at: date.index + date[0].length, length: dateLength, isDate: true });
    // A length that is given twice must be the same twice.
    if ((text.match(anyLength) ?? []).length > 1) return;
    const length = lengthName.exec(text);
    if (length !== null) {
      const at = length.index + length[0].length;
      holes.push({ at, length: text.indexOf("\r", at) - at, isDate: false });
    }
    holes.sort((a, b) => a.at - b.at);
    const pieces: string[] = [];
    let from = 0;
    for (const hole of holes) {
      const end = hole.at + hole.length;
      const isPlain = hole.isDate ? isPrintable(text, hole.at, end) : isDigits(text, hole.at, end);
      // The line ends behind it, and the next is no part of it.
      if (!isPlain || !text.startsWith("\r\n", end) || isBlank(text.charCodeAt(end + 2))) return;
      pieces.push(text.slice(from, hole.at));
      from = end;
    }
    pieces.push(text.slice(from));
    this.#pieces = pieces;
    this.#holes = holes;
    this.#head = head;
  }
}

function isPrintable(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (!(code >= 0x20 && code <= 0x7e)) return false;
  }
  return true;
}

function isDigits(text: string, from: number, to: number): boolean {
  if (to <= from || to - from > maxDigits) return false;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (!(code >= 0x30 && code <= 0x39)) return false;
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
