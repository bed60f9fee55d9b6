/** Reads the body of a request as its head frames it, and hands its parts on. */

import { HeadScanner } from "./http1-head-scanner.ts";
import { checkTrailers, invalid, RequestFault, type RequestHead } from "./http1-request-head.ts";

/** Of the line that tells a chunk's size. */
const maxChunkLineBytes = 4096;
/** Of all extensions of a body's chunks, as node:http. */
const maxExtensionBytes = 16 * 1024;
const maxTrailerBytes = 16 * 1024;
/** Leading zeros included. */
const maxSizeDigits = 16;
const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const extensions = new RegExp(
  `^(?:;${token}(?:=(?:${token}|"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"))?)*$`,
);

const cr = 0x0d;
const lf = 0x0a;

const finished = 0;
const inLength = 1;
const inChunkLine = 2;
const inChunk = 3;
const atChunkCr = 4;
const atChunkLf = 5;
const inTrailers = 6;

/** Hears of a body: its parts, then exactly one of `bodyEnded` and `bodyCut`, unless it answers the request before. */
export interface BodyListener {
  /** The memory of the part is used for something else afterwards. */
  bodyPart(part: Buffer): void;
  bodyEnded(): void;
  /** The connection ended, or broke the rules, before the body did. */
  bodyCut(): void;
}

export class BodyReader {
  #state = finished;
  /** Bytes that are still to come of the body or the chunk. */
  #left = 0;
  #line = "";
  #extensionBytes = 0;
  #trailers: HeadScanner | undefined;

  get isComplete(): boolean {
    return this.#state === finished;
  }

  begin({ isChunked, contentLength }: RequestHead): void {
    this.#left = contentLength;
    this.#state = isChunked ? inChunkLine : contentLength > 0 ? inLength : finished;
    this.#line = "";
    this.#extensionBytes = 0;
    this.#trailers = undefined;
  }

  /** Reads on from `at`, to the end of the part that lies there; the position behind it. Throws RequestFault. */
  read(bytes: Buffer, at: number, listener: BodyListener | undefined): number {
    switch (this.#state) {
      case inLength:
      case inChunk: {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#state = this.#state === inLength ? finished : atChunkCr;
        listener?.bodyPart(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        return end;
      }
      case inChunkLine:
        return this.#readChunkLine(bytes, at);
      case inTrailers:
        return this.#readTrailers(bytes, at);
      default:
        this.#expectChunkEnd(bytes[at]);
        return at + 1;
    }
  }

  #expectChunkEnd(byte: number | undefined): void {
    const isCr = this.#state === atChunkCr;
    if (byte !== (isCr ? cr : lf)) throw invalid("a chunk longer than its size");
    this.#state = isCr ? atChunkLf : inChunkLine;
  }

  #readChunkLine(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(lf, at);
    const end = found < 0 ? bytes.length : found + 1;
    if (this.#line.length + end - at > maxChunkLineBytes) throw invalid("a chunk's first line is too long");
    const line = this.#line + bytes.toString("latin1", at, end);
    // What can be no size is not waited for.
    this.#left = sizeOf(line);
    if (found < 0) {
      this.#line = line;
      return end;
    }
    this.#line = "";
    if (!line.endsWith("\r\n")) throw invalid("a chunk's first line ends in LF alone");
    this.#checkExtensions(line);
    this.#state = this.#left > 0 ? inChunk : inTrailers;
    return end;
  }

  #checkExtensions(line: string): void {
    const from = line.indexOf(";");
    if (from < 0) return;
    const text = line.slice(from, -2);
    this.#extensionBytes += text.length;
    if (this.#extensionBytes > maxExtensionBytes) throw new RequestFault(413, "too much beside the chunks");
    if (!extensions.test(text)) throw invalid("a chunk's extension that is none");
  }

  #readTrailers(bytes: Buffer, at: number): number {
    this.#trailers ??= new HeadScanner(maxTrailerBytes, true);
    const end = this.#trailers.scan(bytes, at);
    if (end < 0) return bytes.length;
    checkTrailers(this.#trailers.text);
    this.#trailers = undefined;
    this.#state = finished;
    return end;
  }
}

/** The size at the beginning of a line that may not be whole. */
function sizeOf(line: string): number {
  let size = 0;
  let at = 0;
  for (let digit = hexDigit(line.charCodeAt(0)); digit >= 0; digit = hexDigit(line.charCodeAt(at))) {
    if (at === maxSizeDigits) throw invalid("a chunk's size is too large");
    size = size * 16 + digit;
    at++;
  }
  if (size > Number.MAX_SAFE_INTEGER) throw invalid("a chunk's size is too large");
  const next = line[at];
  const isWhole = next === "\r" && (at + 1 === line.length || (line[at + 1] === "\n" && at + 2 === line.length));
  if (next !== undefined && (at === 0 || (next !== ";" && !isWhole))) throw invalid("a chunk's size is no number");
  return size;
}

/** -1 for what is none, the end of a text included. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
