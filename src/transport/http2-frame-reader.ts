/** Cuts what the other side sends into HTTP/2 frames: bodies go on as they come, other frames whole and bounded. */

import { clientPreface, frameFlags, frameHeadBytes, frameTypes, Http2Error, http2Codes } from "./http2-wire.ts";

/** Hears of frames in order. What it throws ends the reading. */
export interface FrameListener {
  /** The head of a DATA frame; its whole payload counts for the windows. */
  dataBegins(stream: number, length: number): void;
  /** The DATA frame brings no byte of a body. */
  dataIsEmpty(): void;
  /** A piece of a body: part of a buffer that is not kept. Never empty. */
  data(stream: number, chunk: Buffer): void;
  /** The stream ends with the DATA frame that was read. */
  dataEnds(stream: number): void;
  /** Any other frame of a type that is known. The payload is part of a buffer that is not kept. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void;
}

/** Largest frame that is announced and taken: large ones cost less by the byte. */
export const maxFrameBytes = 1024 * 1024;
/** Largest payload of a frame that is kept until it is whole. */
const maxKeptBytes = 64 * 1024;

const noBytes = Buffer.alloc(0);

type State = "preface" | "head" | "payload" | "data" | "skip";

export class FrameReader {
  readonly #listener: FrameListener;
  readonly #head = Buffer.alloc(frameHeadBytes);
  #headBytes = 0;
  #state: State;
  #prefaceBytes = 0;
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** Of the frame that is read. */
  #leftBytes = 0;
  /** Of these, at the end of a DATA frame; -1 before the byte that says so. */
  #paddingBytes = 0;
  #kept: Buffer = noBytes;
  #keptBytes = 0;
  #hasSettings = false;

  /** A client says its preface first, a server does not. */
  constructor(listener: FrameListener, from: "client" | "server") {
    this.#listener = listener;
    this.#state = from === "client" ? "preface" : "head";
  }

  /** Whether the other side has said that it speaks HTTP/2. */
  get isGreeted(): boolean {
    return this.#hasSettings;
  }

  /** Throws Http2Error for what ends the connection. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case "head":
          at = this.#readHead(chunk, at);
          break;
        case "data":
          at = this.#readData(chunk, at);
          break;
        case "payload":
          at = this.#readPayload(chunk, at);
          break;
        case "skip": {
          const taken = Math.min(this.#leftBytes, chunk.length - at);
          at += taken;
          this.#leftBytes -= taken;
          if (this.#leftBytes === 0) this.#state = "head";
          break;
        }
        case "preface":
          at = this.#readPreface(chunk, at);
      }
    }
  }

  #readPreface(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#prefaceBytes < clientPreface.length) {
      if (chunk[at++] !== clientPreface[this.#prefaceBytes++]) {
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, "not HTTP/2");
      }
    }
    if (this.#prefaceBytes === clientPreface.length) this.#state = "head";
    return at;
  }

  #readHead(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#headBytes === 0 && chunk.length - at >= frameHeadBytes) {
      this.#begin(chunk, at);
      return at + frameHeadBytes;
    }
    while (at < chunk.length && this.#headBytes < frameHeadBytes) this.#head[this.#headBytes++] = chunk[at++] as number;
    if (this.#headBytes === frameHeadBytes) {
      this.#headBytes = 0;
      this.#begin(this.#head, 0);
    }
    return at;
  }

  #begin(head: Buffer, at: number): void {
    const length = head.readUIntBE(at, 3);
    const type = head[at + 3] as number;
    const flags = head[at + 4] as number;
    const stream = head.readUInt32BE(at + 5) & 0x7fffffff;
    if (length > maxFrameBytes) throw new Http2Error(http2Codes.FRAME_SIZE_ERROR, "a frame above the announced size");
    if (!this.#hasSettings) {
      if (type !== frameTypes.settings || (flags & frameFlags.ack) !== 0) {
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, "expected settings first");
      }
      this.#hasSettings = true;
    }
    this.#type = type;
    this.#flags = flags;
    this.#stream = stream;
    this.#leftBytes = length;
    if (type === frameTypes.data) {
      this.#listener.dataBegins(stream, length);
      const isPadded = (flags & frameFlags.padded) !== 0;
      if (isPadded && length === 0) throw new Http2Error(http2Codes.FRAME_SIZE_ERROR, "padding without a length");
      this.#paddingBytes = isPadded ? -1 : 0;
      if (length > 0) {
        this.#state = "data";
        return;
      }
      this.#listener.dataIsEmpty();
      this.#endData();
      return;
    }
    if (type > frameTypes.continuation) {
      this.#state = length === 0 ? "head" : "skip";
      // An unknown frame between the parts of a header block is no less an error.
      this.#listener.frame(type, flags, stream, noBytes);
      return;
    }
    if (length > maxKeptBytes) throw new Http2Error(http2Codes.ENHANCE_YOUR_CALM, "a frame above every need");
    if (length === 0) this.#endPayload(noBytes);
    else this.#state = "payload";
  }

  #readData(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#paddingBytes < 0) {
      this.#paddingBytes = chunk[at++] as number;
      this.#leftBytes -= 1;
      if (this.#paddingBytes > this.#leftBytes)
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, "more padding than frame");
      if (this.#paddingBytes === this.#leftBytes) this.#listener.dataIsEmpty();
    }
    const bodyBytes = Math.min(this.#leftBytes - this.#paddingBytes, chunk.length - at);
    if (bodyBytes > 0) {
      this.#listener.data(this.#stream, chunk.subarray(at, at + bodyBytes));
      at += bodyBytes;
      this.#leftBytes -= bodyBytes;
    }
    const paddingBytes = Math.min(this.#leftBytes, this.#paddingBytes, chunk.length - at);
    if (this.#leftBytes <= this.#paddingBytes) {
      at += paddingBytes;
      this.#leftBytes -= paddingBytes;
      this.#paddingBytes -= paddingBytes;
    }
    if (this.#leftBytes === 0) this.#endData();
    return at;
  }

  #endData(): void {
    this.#state = "head";
    if ((this.#flags & frameFlags.endStream) !== 0) this.#listener.dataEnds(this.#stream);
  }

  #readPayload(chunk: Buffer, from: number): number {
    const taken = Math.min(this.#leftBytes, chunk.length - from);
    if (this.#keptBytes === 0 && taken === this.#leftBytes) {
      this.#endPayload(chunk.subarray(from, from + taken));
      return from + taken;
    }
    if (this.#keptBytes === 0) this.#kept = Buffer.allocUnsafeSlow(this.#leftBytes);
    chunk.copy(this.#kept, this.#keptBytes, from, from + taken);
    this.#keptBytes += taken;
    this.#leftBytes -= taken;
    if (this.#leftBytes === 0) this.#endPayload(this.#kept);
    return from + taken;
  }

  #endPayload(payload: Buffer): void {
    this.#state = "head";
    this.#kept = noBytes;
    this.#keptBytes = 0;
    this.#leftBytes = 0;
    this.#listener.frame(this.#type, this.#flags, this.#stream, payload);
  }
}
