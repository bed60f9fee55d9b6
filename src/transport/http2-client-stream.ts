/** One request and what is answered to it on a client's HTTP/2 connection. */

import type { IncomingHttpHeaders } from "node:http";

/** Hears of what a server sends on a stream. */
export interface ResponseListener {
  /** Once; those of status 1xx are passed over. */
  headers(headers: IncomingHttpHeaders): void;
  /** A piece of the body: part of a buffer that is given back afterwards, so that what is wanted of it must be copied. */
  data(chunk: Buffer): void;
  trailers(headers: IncomingHttpHeaders): void;
  /**
   * Nothing follows. `code` is 0 where the server has ended the stream, else that of the reset; `why` is what went wrong on this side or
   * with the connection.
   */
  closed(code: number, why: string | undefined): void;
}

/** A header block, and its size as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
export interface RequestBlock {
  readonly bytes: Uint8Array;
  readonly listBytes: number;
}

export class ClientStream {
  readonly listener: ResponseListener;
  readonly block: RequestBlock;
  /** The body in pieces, of which `pieceAt` and `byteAt` are next. Never empty. */
  readonly pieces: readonly Uint8Array[];
  pieceAt = 0;
  byteAt = 0;
  /** Of the body, which is not on its way yet. */
  restBytes: number;
  /** 0 while the server takes no more streams. */
  id = 0;
  /** What the server takes; below 0 where it has changed its mind. */
  sendWindowBytes = 0;
  /** What the server may send, and what of it has come since it was last given more. */
  receiveWindowBytes = 0;
  readBytes = 0;
  /** Of the body of the response, as `content-length` says. */
  declaredBytes: number | undefined;
  bodyBytes = 0;
  /** The number of the write that its body ended with. */
  lastWrite = Number.POSITIVE_INFINITY;
  hasHeaders = false;
  isClosed = false;

  /** The memory of the pieces is read until they are written, whatever becomes of the stream. */
  constructor(block: RequestBlock, pieces: readonly Uint8Array[], listener: ResponseListener) {
    this.block = block;
    this.pieces = pieces;
    this.listener = listener;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    this.restBytes = bytes;
  }

  /** The next `bytes` of the body go to `parts`. */
  take(bytes: number, parts: Uint8Array[]): void {
    this.restBytes -= bytes;
    let left = bytes;
    while (left > 0) {
      const piece = this.pieces[this.pieceAt] as Uint8Array;
      const from = this.byteAt;
      const length = Math.min(left, piece.length - from);
      if (length > 0) parts.push(length === piece.length ? piece : piece.subarray(from, from + length));
      left -= length;
      this.byteAt += length;
      if (this.byteAt < piece.length) return;
      this.pieceAt += 1;
      this.byteAt = 0;
    }
  }
}
