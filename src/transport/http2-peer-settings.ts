/** What the other side of an HTTP/2 connection has set (RFC 9113 section 6.5). */

import { defaultWindowBytes, expectHttp2, http2Codes, maxInt31, minFrameBytes, settingIds } from "./http2-wire.ts";

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
  /** It wants a table of less than the default size, which the next header block must confirm; cleared by who sends that. */
  mustEmptyTable = false;

  /** A client may say that it takes pushes; a server may not. */
  constructor(from: "client" | "server") {
    this.#mayPush = from === "client";
  }

  /** Takes a SETTINGS frame; returns by how much windows of streams change. Throws Http2Error for settings that may not be. */
  apply(payload: Buffer): number {
    expectHttp2(payload.length % settingBytes === 0, http2Codes.FRAME_SIZE_ERROR, "settings of another size");
    const isCalm = payload.length <= maxSettings * settingBytes;
    expectHttp2(isCalm, http2Codes.ENHANCE_YOUR_CALM, "too many settings in a frame");
    const before = this.initialWindowBytes;
    for (let at = 0; at < payload.length; at += settingBytes) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    return this.initialWindowBytes - before;
  }

  #set(id: number, value: number): void {
    switch (id) {
      case settingIds.tableSize:
        this.mustEmptyTable ||= value < defaultTableBytes;
        break;
      case settingIds.push:
        expectHttp2(value <= (this.#mayPush ? 1 : 0), http2Codes.PROTOCOL_ERROR, "a setting out of range");
        break;
      case settingIds.maxStreams:
        this.maxStreams = value;
        break;
      case settingIds.initialWindow:
        expectHttp2(value <= maxInt31, http2Codes.FLOW_CONTROL_ERROR, "a window too large");
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
