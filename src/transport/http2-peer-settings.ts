/** What the other side of an HTTP/2 connection has set (RFC 9113 section 6.5), and header blocks in frames as it takes them. */

import {
  defaultWindowBytes,
  emptyTable,
  encodeFrame,
  expectHttp2,
  expectWindow,
  frameFlags,
  frameHeadBytes,
  frameTypes,
  http2Codes,
  minFrameBytes,
  putFrame,
  settingIds,
} from "./http2-wire.ts";

/** Of HPACK's table before any settings. */
const defaultTableBytes = 4096;
const maxFrameSetting = 2 ** 24 - 1;
const settingBytes = 6;
/** In a frame: there are a dozen, and each is said once. */
const maxSettings = 32;

export class PeerSettings {
  readonly #mayPush: boolean;
  /** Of frames that it takes. */
  maxFrameBytes = minFrameBytes;
  /** Of what is sent on a new stream. */
  initialWindowBytes = defaultWindowBytes;
  /** That may be open at once; without a bound until one is set. */
  maxStreams = Number.POSITIVE_INFINITY;
  /** Of a header list, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  maxHeaderBytes = Number.POSITIVE_INFINITY;
  #mustEmptyTable = false;

  /** A client may say that it takes pushes; a server may not. */
  constructor(from: "client" | "server") {
    this.#mayPush = from === "client";
  }

  /** It wants a table of less than the default size, which the next header block must confirm. */
  get mustEmptyTable(): boolean {
    return this.#mustEmptyTable;
  }

  /** Takes a SETTINGS frame; whether the windows of `streams`, all that are open, have changed. Throws Http2Error for settings that may not be. */
  apply(payload: Buffer, streams: Iterable<{ sendWindowBytes: number }>): boolean {
    expectHttp2(payload.length % settingBytes === 0, http2Codes.FRAME_SIZE_ERROR, "settings of another size");
    const isCalm = payload.length <= maxSettings * settingBytes;
    expectHttp2(isCalm, http2Codes.ENHANCE_YOUR_CALM, "too many settings in a frame");
    const before = this.initialWindowBytes;
    for (let at = 0; at < payload.length; at += settingBytes) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    const change = this.initialWindowBytes - before;
    // Every stream is looked at: once, however often a frame says it.
    if (change === 0) return false;
    for (const stream of streams) {
      stream.sendWindowBytes += change;
      expectWindow(stream.sendWindowBytes);
    }
    return true;
  }

  /** A HEADERS frame with a block, and CONTINUATION frames with what is more than it takes in one. */
  headerFrames(stream: number, block: Uint8Array, endsStream: boolean): Buffer {
    const whole = this.#mustEmptyTable ? Buffer.concat([emptyTable, block]) : block;
    this.#mustEmptyTable = false;
    const most = this.maxFrameBytes;
    const endFlag = endsStream ? frameFlags.endStream : 0;
    if (whole.length <= most) return encodeFrame(frameTypes.headers, endFlag | frameFlags.endHeaders, stream, whole);
    const frames = Buffer.allocUnsafe(whole.length + Math.ceil(whole.length / most) * frameHeadBytes);
    let at = putFrame(frames, 0, [frameTypes.headers, endFlag, stream], whole.subarray(0, most));
    for (let from = most; from < whole.length; from += most) {
      const isLast = from + most >= whole.length;
      const flags = isLast ? frameFlags.endHeaders : 0;
      at = putFrame(frames, at, [frameTypes.continuation, flags, stream], whole.subarray(from, from + most));
    }
    return frames;
  }

  #set(id: number, value: number): void {
    switch (id) {
      case settingIds.tableSize:
        this.#mustEmptyTable ||= value < defaultTableBytes;
        break;
      case settingIds.push:
        expectHttp2(value <= (this.#mayPush ? 1 : 0), http2Codes.PROTOCOL_ERROR, "a setting out of range");
        break;
      case settingIds.maxStreams:
        this.maxStreams = value;
        break;
      case settingIds.initialWindow:
        expectWindow(value);
        this.initialWindowBytes = value;
        break;
      case settingIds.maxFrame: {
        const isInRange = value >= minFrameBytes && value <= maxFrameSetting;
        expectHttp2(isInRange, http2Codes.PROTOCOL_ERROR, "a setting out of range");
        this.maxFrameBytes = value;
        break;
      }
      case settingIds.maxHeaderList:
        this.maxHeaderBytes = value;
    }
  }
}
