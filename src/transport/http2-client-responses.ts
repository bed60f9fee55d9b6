/** What a server sends on the streams of a client's HTTP/2 connection: headers, bodies within windows, and what may not be. */

import type { ClientOutput } from "./http2-client-output.ts";
import type { ClientStream } from "./http2-client-stream.ts";
import type { ClientStreams } from "./http2-client-streams.ts";
import type { FrameBudget } from "./http2-frame-budget.ts";
import type { HeaderBlock } from "./http2-header-blocks.ts";
import { HeaderReader, type MessageHeaders, responseRules } from "./http2-message-headers.ts";
import { expectHttp2, http2Codes, resetFrame, windowFrame } from "./http2-wire.ts";

/** Of a header list, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
export const maxHeaderBytes = 16 * 1024;
/** What a server may send before it is read; all is read as it comes. */
export const streamWindowBytes = 1024 * 1024;
export const connectionWindowBytes = 4 * 1024 * 1024;

export class ClientResponses {
  readonly #streams: ClientStreams;
  readonly #output: ClientOutput;
  readonly #budget: FrameBudget;
  readonly #headers = new HeaderReader(maxHeaderBytes, responseRules);
  /** Of the DATA frame that is read; undefined where nobody wants it. */
  #current: ClientStream | undefined;
  #windowBytes = connectionWindowBytes;
  #readBytes = 0;
  /** Whether the server has answered a call. */
  hasAnswered = false;

  constructor(streams: ClientStreams, output: ClientOutput, budget: FrameBudget) {
    this.#streams = streams;
    this.#output = output;
    this.#budget = budget;
  }

  dataBegins(id: number, length: number): void {
    this.#windowBytes -= length;
    expectHttp2(this.#windowBytes >= 0, http2Codes.FLOW_CONTROL_ERROR, "more data than allowed");
    this.#readBytes += length;
    if (this.#readBytes >= connectionWindowBytes / 2) {
      this.#output.push(windowFrame(0, this.#readBytes));
      this.#windowBytes += this.#readBytes;
      this.#readBytes = 0;
    }
    const stream = this.#streams.at(id);
    this.#current = stream;
    if (stream === undefined) {
      this.#budget.spend();
      return;
    }
    stream.receiveWindowBytes -= length;
    stream.readBytes += length;
    if (stream.receiveWindowBytes < 0) this.#streams.refuse(stream, http2Codes.FLOW_CONTROL_ERROR);
    else if (!stream.hasHeaders) this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
    else if (stream.readBytes >= streamWindowBytes / 2) {
      this.#output.push(windowFrame(id, stream.readBytes));
      stream.receiveWindowBytes += stream.readBytes;
      stream.readBytes = 0;
    }
  }

  data(chunk: Buffer): void {
    const stream = this.#current;
    if (stream === undefined || stream.isClosed) return;
    stream.bodyBytes += chunk.length;
    stream.listener.data(chunk);
  }

  dataEnds(id: number): void {
    const stream = this.#streams.at(id);
    if (stream !== undefined) this.#end(stream);
  }

  /** Throws Http2Error. */
  block({ stream: id, endsStream, bytes }: HeaderBlock): void {
    const stream = this.#streams.at(id);
    if (stream === undefined) {
      this.#budget.spend();
      this.#headers.skip(bytes);
      return;
    }
    const headers = this.#headers.read(bytes);
    if (headers === "too-large") {
      const why = `the server answered with headers of more than ${maxHeaderBytes} bytes`;
      this.#streams.refuse(stream, http2Codes.ENHANCE_YOUR_CALM, why);
    } else if (headers === "malformed") {
      this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
    } else if (stream.hasHeaders) {
      this.#trailersOf(stream, headers, endsStream);
    } else {
      this.#headersOf(stream, headers, endsStream);
    }
  }

  #headersOf(stream: ClientStream, { headers, declaredBytes }: MessageHeaders, endsStream: boolean): void {
    const status = headers[":status"];
    const isInterim = typeof status === "string" && /^1[0-9]{2}$/.test(status);
    if (typeof status !== "string" || !/^[1-9][0-9]{2}$/.test(status) || (isInterim && endsStream)) {
      this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
      return;
    }
    if (isInterim) {
      this.#budget.spend();
      return;
    }
    this.#budget.earn();
    this.hasAnswered = true;
    stream.hasHeaders = true;
    stream.declaredBytes = declaredBytes;
    stream.listener.headers(headers);
    if (endsStream) this.#end(stream);
  }

  #trailersOf(stream: ClientStream, { headers }: MessageHeaders, endsStream: boolean): void {
    if (!endsStream || headers[":status"] !== undefined || !isWhole(stream)) {
      this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
      return;
    }
    stream.listener.trailers(headers);
    this.#end(stream);
  }

  #end(stream: ClientStream): void {
    if (stream.isClosed) return;
    if (!isWhole(stream)) {
      this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
      return;
    }
    // The server has answered; what was not sent yet is not wanted.
    if (stream.restBytes > 0) this.#output.push(resetFrame(stream.id, http2Codes.CANCEL));
    this.#streams.close(stream, http2Codes.NO_ERROR);
  }
}

/** Whether all of the body has come that `content-length` declares, and no more (RFC 9113 section 8.1.1). */
function isWhole({ declaredBytes, bodyBytes }: ClientStream): boolean {
  return declaredBytes === undefined || declaredBytes === bodyBytes;
}
