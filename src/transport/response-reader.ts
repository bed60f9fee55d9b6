/** Reads one HTTP/1.1 response after the other as the bytes of a connection come, bodies straight into a page buffer. */

import type { GrowableBuffer } from "./growable-buffer.ts";
import { HeadMemo } from "./head-memo.ts";
import { invalid, ResponseFault, type ResponseHead } from "./response-head.ts";

/** Bytes of all heads of one response, interim ones included; trailers may be as long again. */
export const maxHeadBytes = 16 * 1024;
/** Go's limit for the line that tells a chunk's size, extensions included. */
const maxChunkLineBytes = 4096;
/** Bytes of chunk lines beyond what small chunks need (Go has the same guard). */
const maxChunkExcessBytes = 16 * 1024;
const maxSizeDigits = 12;
/** A header of a few bytes must not allocate gigabytes; what is really sent may grow the buffer further. */
const maxTrustedBytes = 4 * 1024 * 1024;
/** Of a body with less to come a copy costs no more than another view. */
const minRoomBytes = 64 * 1024;

const cr = 0x0d;
const lf = 0x0a;

const inHead = 0;
const inLengthBody = 1;
const inBodyUntilClose = 2;
const inChunkSize = 3;
const inChunkExtension = 4;
const atChunkSizeLf = 5;
const inChunkData = 6;
const atChunkDataCr = 7;
const atChunkDataLf = 8;
const inTrailers = 9;
const finished = 10;

/** `more` wants more bytes; `too-large` is a body beyond the limit, of which the rest is not read. */
export type ReadState = "more" | "done" | "too-large";

/** The response read last is complete in `head` and the buffer. Faults are thrown as ResponseFault; the reader is then done for. */
export class ResponseReader {
  #state = finished;
  #into: GrowableBuffer | undefined;
  #maxBytes = 0;
  #keepsAll = false;
  #head: ResponseHead | undefined;
  readonly #heads = new HeadMemo();
  /** The beginning of a head whose end had not come yet. */
  #partial = "";
  #headBytes = 0;
  /** 1 after a line's end, 2 after that and a CR. */
  #lineEnd = 0;
  /** Bytes that are still to come of the body or the chunk. */
  #left = 0;
  #lineBytes = 0;
  #sizeDigits = 0;
  #excess = 0;
  #trailerBytes = 0;
  #leftover = false;
  #anyBytes = false;

  /**
   * Expects a response whose body goes to `into`; unless `keepsAll`, only for status 200, and all other bodies are
   * passed over. With `keepsAll` the buffer has the beginning of a body that is too large.
   */
  begin(into: GrowableBuffer, maxBytes: number, keepsAll = false): void {
    into.reset();
    this.#keepsAll = keepsAll;
    this.#into = into;
    this.#maxBytes = maxBytes;
    this.#state = inHead;
    this.#head = undefined;
    this.#partial = "";
    this.#headBytes = 0;
    this.#lineEnd = 0;
    this.#leftover = false;
    this.#anyBytes = false;
  }

  /** The head of the response, as soon as it is whole. */
  get head(): ResponseHead | undefined {
    return this.#head;
  }

  /** Whether anything of the response has come. */
  get hasBegun(): boolean {
    return this.#anyBytes;
  }

  /** Whether the connection may carry another request: the response is whole and nothing came after it. */
  get isReusable(): boolean {
    return this.#state === finished && !this.#leftover && this.#head?.keepsAlive === true;
  }

  /** Takes the first `length` bytes of `bytes`, which may be used again when this returns. */
  read(bytes: Buffer, length: number): ReadState {
    this.#anyBytes = true;
    let at = 0;
    while (at < length && this.#state !== finished) {
      at = this.#state === inHead ? this.#readHead(bytes, at, length) : this.#readBody(bytes, at, length);
      if (at < 0) return "too-large";
    }
    if (this.#state !== finished) return "more";
    this.#leftover = at < length;
    this.#into = undefined;
    return "done";
  }

  /**
   * Where what comes next may be read to without a copy: room in the buffer for nothing but bytes of the body. Undefined where
   * bytes have to be looked at, or where it would not pay. Valid until any other method is called.
   */
  room(): Buffer | undefined {
    const into = this.#into;
    if (this.#state !== inLengthBody || this.#left < minRoomBytes || into === undefined) return undefined;
    if (this.#keepsAll || this.#head?.status !== 200) return undefined;
    if (!into.tryReserve(minRoomBytes)) return undefined;
    return into.memory.subarray(into.length, into.length + this.#left);
  }

  /** Takes so many bytes that were read to `room`. */
  advance(bytes: number): ReadState {
    this.#into?.advance(bytes);
    this.#left -= bytes;
    if (this.#left > 0) return "more";
    this.#state = finished;
    this.#into = undefined;
    return "done";
  }

  /** The connection was closed by the other side. Throws ResponseFault unless that is how the body ends. */
  end(): void {
    if (this.#state === inBodyUntilClose) {
      this.#state = finished;
      this.#leftover = true;
      this.#into = undefined;
    } else if (this.#state !== finished) {
      throw new ResponseFault("RESPONSE_CUT_SHORT", "connection closed before the response was complete");
    }
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    let lineEnd = this.#lineEnd;
    let at = from;
    let isWhole = false;
    // Byte by byte, and only the head: Buffer.indexOf costs more for so few bytes.
    while (at < to && !isWhole) {
      const byte = bytes[at++];
      if (byte === lf) {
        isWhole = lineEnd > 0;
        lineEnd = 1;
      } else lineEnd = byte === cr && lineEnd === 1 ? 2 : 0;
    }
    this.#lineEnd = lineEnd;
    this.#headBytes += at - from;
    if (this.#headBytes > maxHeadBytes) {
      throw new ResponseFault("HEADERS_TOO_LARGE", `response headers larger than ${maxHeadBytes} bytes`);
    }
    const text = bytes.toString("latin1", from, at);
    if (!isWhole) {
      this.#partial += text;
      this.#refuseOtherProtocols();
      return at;
    }
    const head = this.#heads.parse(this.#partial === "" ? text : this.#partial + text);
    this.#partial = "";
    this.#lineEnd = 0;
    return this.#beginBody(head) ? at : -1;
  }

  /** A server that speaks something else may never send a line's end. */
  #refuseOtherProtocols(): void {
    const start = "HTTP/1.";
    const some = this.#partial.slice(0, start.length);
    if (!start.startsWith(some)) throw invalid("no HTTP/1.1 status line");
  }

  /** False for a body that is announced to be too large. */
  #beginBody(head: ResponseHead): boolean {
    const { status, contentLength } = head;
    if (status < 200) {
      if (status === 101) throw invalid("a change of protocol that nobody asked for");
      return true;
    }
    this.#head = head;
    if (status === 204 || status === 304 || contentLength === 0) {
      this.#state = finished;
    } else if (head.chunked) {
      this.#excess = 0;
      this.#beginChunk();
    } else if (contentLength < 0) {
      this.#state = inBodyUntilClose;
    } else {
      const isKept = this.#keepsAll || status === 200;
      if (contentLength > this.#maxBytes && isKept && !this.#keepsAll) return false;
      if (isKept) this.#into?.reserve(Math.min(contentLength, maxTrustedBytes));
      this.#left = contentLength;
      this.#state = inLengthBody;
    }
    return true;
  }

  /** The position after what was understood, -1 for a body beyond the limit. */
  #readBody(bytes: Buffer, from: number, to: number): number {
    switch (this.#state) {
      case inLengthBody:
      case inChunkData: {
        const end = Math.min(to, from + this.#left);
        if (!this.#keep(bytes, from, end)) return -1;
        this.#left -= end - from;
        if (this.#left === 0) this.#state = this.#state === inLengthBody ? finished : atChunkDataCr;
        return end;
      }
      case inBodyUntilClose:
        return this.#keep(bytes, from, to) ? to : -1;
      case inTrailers:
        return this.#readTrailers(bytes, from, to);
      default:
        this.#readChunkByte(bytes[from] ?? 0);
        return from + 1;
    }
  }

  #keep(bytes: Buffer, from: number, to: number): boolean {
    const into = this.#into;
    if (into === undefined || (this.#head?.status !== 200 && !this.#keepsAll)) return true;
    const room = this.#maxBytes - into.length;
    if (to - from <= room) into.appendRange(bytes, from, to);
    else if (this.#keepsAll) into.appendRange(bytes, from, from + room);
    return to - from <= room;
  }

  #beginChunk(): void {
    this.#state = inChunkSize;
    this.#left = 0;
    this.#lineBytes = 0;
    this.#sizeDigits = 0;
  }

  #readChunkByte(byte: number): void {
    this.#lineBytes += 1;
    if (this.#lineBytes > maxChunkLineBytes) throw invalid("a chunk's first line is too long");
    switch (this.#state) {
      case inChunkSize:
        this.#readSizeByte(byte);
        return;
      case inChunkExtension:
        if (byte === cr) this.#state = atChunkSizeLf;
        else if (byte === lf) throw invalid("a chunk's first line ends in LF alone");
        return;
      case atChunkSizeLf:
        if (byte !== lf) throw invalid("CR within a chunk's first line");
        this.#endSizeLine();
        return;
      case atChunkDataCr:
        if (byte !== cr) throw invalid("a chunk longer than its size");
        this.#state = atChunkDataLf;
        return;
      default:
        if (byte !== lf) throw invalid("a chunk longer than its size");
        this.#beginChunk();
    }
  }

  #readSizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#sizeDigits += 1;
      if (this.#sizeDigits > maxSizeDigits) throw invalid("a chunk's size is too large");
      this.#left = this.#left * 16 + digit;
      return;
    }
    if (this.#sizeDigits === 0) throw invalid("a chunk without a size");
    if (byte === cr) this.#state = atChunkSizeLf;
    else if (byte === 0x3b || byte === 0x20 || byte === 0x09) this.#state = inChunkExtension;
    else throw invalid("a chunk's size is no hexadecimal number");
  }

  #endSizeLine(): void {
    this.#excess = Math.max(0, this.#excess + this.#lineBytes - 16 - 2 * this.#left);
    if (this.#excess > maxChunkExcessBytes) throw invalid("more bytes of chunk lines than of chunks");
    if (this.#left > 0) {
      this.#state = inChunkData;
      this.#lineBytes = 0;
      return;
    }
    this.#state = inTrailers;
    this.#trailerBytes = 0;
    this.#lineEnd = 1;
  }

  /** Passes over trailers to the empty line that ends them. */
  #readTrailers(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to) {
      const byte = bytes[at++];
      if (++this.#trailerBytes > maxHeadBytes) {
        throw new ResponseFault("HEADERS_TOO_LARGE", `trailers larger than ${maxHeadBytes} bytes`);
      }
      if (byte === lf) {
        if (this.#lineEnd > 0) {
          this.#state = finished;
          return at;
        }
        this.#lineEnd = 1;
      } else this.#lineEnd = byte === cr && this.#lineEnd === 1 ? 2 : 0;
    }
    return at;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
