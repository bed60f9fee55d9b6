/** Joins the parts of header blocks: a HEADERS frame and what goes on with it, bounded. */

import { expectHttp2, frameFlags, frameTypes, Http2Error, http2Codes } from "./http2-wire.ts";

/** The headers that begin or end a stream, still packed. */
export interface HeaderBlock {
  readonly stream: number;
  readonly endsStream: boolean;
  /** Maybe part of a buffer that is not kept. */
  readonly bytes: Buffer;
}

const maxBlockBytes = 64 * 1024;
const maxParts = 16;
const priorityBytes = 5;

export class HeaderBlocks {
  #open: { readonly stream: number; readonly endsStream: boolean; readonly parts: Buffer[]; bytes: number } | undefined;

  /** Throws Http2Error where only a continuation may come now. */
  expectNone(): void {
    expectHttp2(this.#open === undefined, http2Codes.PROTOCOL_ERROR, "a frame between parts of headers");
  }

  /** The block that a frame makes whole. To be told of every frame but DATA. Throws Http2Error. */
  frame(type: number, flags: number, stream: number, payload: Buffer): HeaderBlock | undefined {
    if (type === frameTypes.continuation) return this.#goOn(flags, stream, payload);
    this.expectNone();
    return type === frameTypes.headers ? this.#begin(flags, stream, payload) : undefined;
  }

  #begin(flags: number, stream: number, payload: Buffer): HeaderBlock | undefined {
    if (stream % 2 === 0) throw new Http2Error(http2Codes.PROTOCOL_ERROR, "headers of no stream of a client");
    let from = 0;
    let padding = 0;
    if ((flags & frameFlags.padded) !== 0) padding = payload[from++] ?? payload.length;
    if ((flags & frameFlags.priority) !== 0) from += priorityBytes;
    if (from + padding > payload.length) {
      throw new Http2Error(http2Codes.PROTOCOL_ERROR, "more padding than headers");
    }
    const bytes = payload.subarray(from, payload.length - padding);
    const endsStream = (flags & frameFlags.endStream) !== 0;
    if ((flags & frameFlags.endHeaders) !== 0) return { stream, endsStream, bytes };
    this.#open = { stream, endsStream, parts: [Buffer.from(bytes)], bytes: bytes.length };
    return undefined;
  }

  #goOn(flags: number, stream: number, payload: Buffer): HeaderBlock | undefined {
    const open = this.#open;
    if (open === undefined || open.stream !== stream) {
      throw new Http2Error(http2Codes.PROTOCOL_ERROR, "a continuation of nothing");
    }
    open.parts.push(Buffer.from(payload));
    open.bytes += payload.length;
    if (open.bytes > maxBlockBytes || open.parts.length > maxParts) {
      throw new Http2Error(http2Codes.ENHANCE_YOUR_CALM, "headers without an end");
    }
    if ((flags & frameFlags.endHeaders) === 0) return undefined;
    this.#open = undefined;
    return { stream, endsStream: open.endsStream, bytes: Buffer.concat(open.parts) };
  }
}
