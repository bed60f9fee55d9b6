/** A server's side of an HTTP/2 connection (RFC 9113): streams, windows, and what a client may not do. */

import type { Socket } from "node:net";
import { FrameBudget } from "./http2-frame-budget.ts";
import { type FrameListener, FrameReader, maxFrameBytes } from "./http2-frame-reader.ts";
import { expectFrame } from "./http2-frame-rules.ts";
import { type HeaderBlock, HeaderBlocks } from "./http2-header-blocks.ts";
import { HeaderReader, type MessageHeaders, requestRules } from "./http2-message-headers.ts";
import { Http2Output } from "./http2-output.ts";
import { ServerStream, type StreamAnswer, type StreamOutput } from "./http2-server-stream.ts";
import { StreamNumbers } from "./http2-stream-numbers.ts";
import {
  defaultWindowBytes,
  encodeFrame,
  expectHttp2,
  frameFlags,
  frameTypes,
  goawayFrame,
  Http2Error,
  http2Codes,
  maxInt31,
  resetFrame,
  settingIds,
  settingsFrame,
  windowFrame,
} from "./http2-wire.ts";
import type { SocketReads } from "./socket-reads.ts";

export interface ConnectionSettings {
  readonly maxStreams: number;
  readonly maxHeaderBytes: number;
  /** What a client may send before it is read, on a stream and on all together. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** For a client to read what was sent. */
  readonly sendTimeoutMs: number;
}

/** Hears of what happens on a connection. */
export interface ConnectionOwner {
  /** A request begins: the stream's listener is to be set. */
  opened(stream: ServerStream, headers: MessageHeaders): void;
  /** A request was refused before it was opened, or for what came on it: it cost more than it gave. */
  refused(): void;
  pinged(): void;
  /** The last stream of a connection is closed. */
  idle(): void;
  closed(): void;
}

/** For a client to end its side after a GOAWAY, which a reset could overtake. */
const lingerMs = 1000;

export class ServerConnection implements FrameListener, StreamOutput {
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #owner: ConnectionOwner;
  readonly #reader = new FrameReader(this, "client");
  readonly #blocks = new HeaderBlocks();
  readonly #budget = new FrameBudget();
  readonly #headers: HeaderReader;
  readonly #output: Http2Output;
  readonly #streams = new Map<number, ServerStream>();
  /** Of the DATA frame that is read; undefined where nobody wants it. */
  #current: ServerStream | undefined;
  readonly #numbers = new StreamNumbers();
  #lastTaken = maxInt31;
  #receiveWindowBytes: number;
  #readBytes = 0;
  readonly #pings = new Map<string, () => void>();
  #pingCount = 0;
  #endedMs: number | undefined;
  #isClosing = false;
  #isClosed = false;
  /** When something came last, by performance.now(). */
  lastHeardMs = performance.now();

  constructor(reads: SocketReads, settings: ConnectionSettings, owner: ConnectionOwner) {
    const { socket } = reads;
    this.#socket = socket;
    this.#settings = settings;
    this.#owner = owner;
    this.#headers = new HeaderReader(settings.maxHeaderBytes, requestRules);
    this.#receiveWindowBytes = settings.connectionWindowBytes;
    this.#output = new Http2Output(socket, (stream) => this.#answered(stream));
    reads.listener = (chunk) => this.#receive(chunk);
    // Errors end the connection and are the client's.
    socket.on("error", () => {});
    socket.once("end", () => this.destroy());
    socket.once("close", () => this.#closed());
    const { maxStreams, streamWindowBytes, maxHeaderBytes, connectionWindowBytes } = settings;
    const announced = settingsFrame([
      [settingIds.maxStreams, maxStreams],
      [settingIds.initialWindow, streamWindowBytes],
      [settingIds.maxFrame, maxFrameBytes],
      [settingIds.maxHeaderList, maxHeaderBytes],
    ]);
    this.#output.push(announced);
    this.#output.push(windowFrame(0, connectionWindowBytes - defaultWindowBytes));
  }

  /** Whether the client has said that it speaks HTTP/2. */
  get isGreeted(): boolean {
    return this.#reader.isGreeted;
  }

  /** No requests are taken any more. */
  get isEnding(): boolean {
    return this.#isClosing || this.#endedMs !== undefined || this.#socket.destroyed;
  }

  /** To be called a few times a second. */
  check(nowMs: number): void {
    const isLate = this.#endedMs !== undefined && nowMs - this.#endedMs >= lingerMs;
    if (isLate || this.#output.waitedMs(nowMs) >= this.#settings.sendTimeoutMs) this.destroy();
  }

  /** False where the connection is ending. */
  ping(answered: () => void): boolean {
    if (this.isEnding) return false;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pingCount, 4);
    this.#pings.set(payload.toString("latin1"), answered);
    this.#output.push(encodeFrame(frameTypes.ping, 0, 0, payload));
    return true;
  }

  /** Says that requests will not be taken soon; those that the client sends until it knows still are. */
  announceEnd(): void {
    if (!this.isEnding) this.#output.push(goawayFrame(maxInt31, http2Codes.NO_ERROR, ""));
  }

  /** Takes no more requests, and ends when those under way are answered. */
  close(): void {
    if (this.isEnding) return;
    this.#isClosing = true;
    this.#lastTaken = this.#numbers.last;
    this.#output.push(goawayFrame(this.#lastTaken, http2Codes.NO_ERROR, ""));
    if (this.#streams.size === 0) this.#end();
  }

  /** Ends at once, and tells the client why. */
  fail(code: number, text: string): void {
    if (this.#endedMs !== undefined || this.#socket.destroyed) return;
    this.#output.push(goawayFrame(Math.min(this.#numbers.last, this.#lastTaken), code, text));
    this.#end();
    for (const stream of [...this.#streams.values()]) this.#close(stream, http2Codes.CANCEL, true);
  }

  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  #end(): void {
    this.#endedMs = performance.now();
    this.#output.flush();
    this.#socket.end();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endedMs ??= performance.now();
    for (const stream of [...this.#streams.values()]) this.#close(stream, http2Codes.CANCEL, true);
    this.#owner.closed();
  }

  #receive(chunk: Buffer): void {
    // Behind the end only the client's own end is waited for.
    if (this.#endedMs !== undefined) return;
    this.lastHeardMs = performance.now();
    try {
      this.#reader.push(chunk);
    } catch (caught) {
      if (!(caught instanceof Http2Error)) {
        // The rest of the chunk is lost: nothing that comes after it could be read.
        this.fail(http2Codes.INTERNAL_ERROR, "");
        throw caught;
      }
      this.fail(caught.code, caught.message);
    }
  }

  dataBegins(id: number, length: number): void {
    if (this.#endedMs !== undefined) return;
    this.#blocks.expectNone();
    this.#receiveWindowBytes -= length;
    if (this.#receiveWindowBytes < 0) throw new Http2Error(http2Codes.FLOW_CONTROL_ERROR, "more data than allowed");
    this.#readBytes += length;
    if (this.#readBytes >= this.#settings.connectionWindowBytes / 2) {
      this.#output.push(windowFrame(0, this.#readBytes));
      this.#receiveWindowBytes += this.#readBytes;
      this.#readBytes = 0;
    }
    const stream = this.#knownStream(id);
    this.#current = stream;
    if (stream === undefined) return;
    stream.receiveWindowBytes -= length;
    stream.readBytes += length;
    if (stream.isRequestComplete) this.#refuse(stream, http2Codes.STREAM_CLOSED);
    else if (stream.receiveWindowBytes < 0) this.#refuse(stream, http2Codes.FLOW_CONTROL_ERROR);
    else this.grant(stream);
  }

  dataIsEmpty(): void {
    if (this.#endedMs === undefined) this.#budget.spend();
  }

  data(_id: number, chunk: Buffer): void {
    const stream = this.#current;
    if (stream === undefined || stream.isClosed) return;
    if (stream.addBody(chunk.length)) stream.listener?.data(chunk);
    else this.#refuse(stream, http2Codes.PROTOCOL_ERROR);
  }

  dataEnds(id: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#requestEnds(stream);
  }

  frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (this.#endedMs !== undefined) return;
    const block = this.#blocks.frame(type, flags, id, payload);
    if (block !== undefined) this.#headerBlock(block);
    else if (type !== frameTypes.headers && type !== frameTypes.continuation) {
      this.#otherFrame(type, flags, id, payload);
    }
  }

  #otherFrame(type: number, flags: number, id: number, payload: Buffer): void {
    this.#budget.spend();
    expectFrame(type, flags, id, payload.length);
    switch (type) {
      case frameTypes.settings:
        this.#settingsFrame(flags, payload);
        return;
      case frameTypes.ping:
        this.#pingFrame(flags, payload);
        return;
      case frameTypes.window:
        this.#windowFrame(id, payload.readUInt32BE(0) & maxInt31);
        return;
      case frameTypes.reset: {
        const code = payload.readUInt32BE(0);
        const stream = this.#knownStream(id);
        if (stream !== undefined) this.#close(stream, code, true);
        // It was answered before this was read; the client gave it up all the same.
        else if (code === http2Codes.CANCEL) this.#owner.refused();
        return;
      }
      case frameTypes.push:
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, "a client does not push");
    }
  }

  #headerBlock({ stream: id, endsStream, bytes }: HeaderBlock): void {
    if (!this.#numbers.opens(id)) {
      this.#trailerBlock(id, endsStream, bytes);
      return;
    }
    const headers = this.#headers.read(bytes);
    if (id > this.#lastTaken) {
      this.#budget.spend();
      return;
    }
    this.#budget.earn();
    if (typeof headers === "string" || this.#streams.size >= this.#settings.maxStreams) {
      const isBusy = typeof headers !== "string";
      const isLarge = headers === "too-large";
      const code = isBusy ? "REFUSED_STREAM" : isLarge ? "ENHANCE_YOUR_CALM" : "PROTOCOL_ERROR";
      this.#output.push(resetFrame(id, http2Codes[code]));
      this.#owner.refused();
      return;
    }
    this.#take(id, endsStream, headers);
  }

  #take(id: number, endsStream: boolean, headers: MessageHeaders): void {
    const windows = { receiveBytes: this.#settings.streamWindowBytes, sendBytes: this.#output.initialWindowBytes };
    const stream = new ServerStream(id, this, windows, headers.declaredBytes);
    this.#streams.set(id, stream);
    this.#owner.opened(stream, headers);
    if (endsStream) this.#requestEnds(stream);
  }

  /** The second block of a stream: nothing in it matters, but for the end. */
  #trailerBlock(id: number, endsStream: boolean, block: Buffer): void {
    this.#budget.spend();
    this.#headers.skip(block);
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (stream.isRequestComplete) this.#refuse(stream, http2Codes.STREAM_CLOSED);
    else if (endsStream) this.#requestEnds(stream);
    else this.#refuse(stream, http2Codes.PROTOCOL_ERROR);
  }

  #requestEnds(stream: ServerStream): void {
    if (stream.isClosed || stream.isRequestComplete) return;
    stream.isRequestComplete = true;
    if (stream.isBodyWhole) stream.listener?.ended();
    else this.#refuse(stream, http2Codes.PROTOCOL_ERROR);
  }

  #settingsFrame(flags: number, payload: Buffer): void {
    if ((flags & frameFlags.ack) !== 0) return;
    this.#output.applySettings(payload, this.#streams.values());
    this.#output.push(encodeFrame(frameTypes.settings, frameFlags.ack, 0));
  }

  #pingFrame(flags: number, payload: Buffer): void {
    if ((flags & frameFlags.ack) === 0) {
      this.#output.push(encodeFrame(frameTypes.ping, frameFlags.ack, 0, payload));
      this.#owner.pinged();
      return;
    }
    const key = payload.toString("latin1");
    const answered = this.#pings.get(key);
    this.#pings.delete(key);
    answered?.();
  }

  #windowFrame(id: number, bytes: number): void {
    if (id === 0) {
      expectHttp2(bytes > 0, http2Codes.PROTOCOL_ERROR, "a window of nothing more");
      this.#output.widen(bytes);
      return;
    }
    const stream = this.#knownStream(id);
    if (stream === undefined) return;
    if (bytes === 0) this.#refuse(stream, http2Codes.PROTOCOL_ERROR);
    else if (!this.#output.widenStream(stream, bytes)) this.#refuse(stream, http2Codes.FLOW_CONTROL_ERROR);
  }

  /** Undefined for a stream that was closed; one that was never opened is an error. */
  #knownStream(id: number): ServerStream | undefined {
    const isIdle = id > this.#numbers.last || id % 2 === 0;
    expectHttp2(!isIdle, http2Codes.PROTOCOL_ERROR, "a frame of no stream");
    return this.#streams.get(id);
  }

  answer(stream: ServerStream, answer: StreamAnswer): void {
    this.#output.answer(stream, answer);
  }

  /** Whether headers or data of an answer were sent since the last call. */
  takeAnswered(): boolean {
    const { hasAnswered } = this.#output;
    this.#output.hasAnswered = false;
    return hasAnswered;
  }

  #answered(stream: ServerStream): void {
    if (!stream.isRequestComplete) this.#output.push(resetFrame(stream.id, http2Codes.NO_ERROR));
    this.#close(stream, http2Codes.NO_ERROR, false);
  }

  reset(stream: ServerStream, code: number): void {
    this.#output.push(resetFrame(stream.id, code));
    this.#close(stream, code, false);
  }

  grant(stream: ServerStream): void {
    if (stream.isPaused || stream.isRequestComplete || stream.readBytes < this.#settings.streamWindowBytes / 2) return;
    this.#output.push(windowFrame(stream.id, stream.readBytes));
    stream.receiveWindowBytes += stream.readBytes;
    stream.readBytes = 0;
  }

  /** For what a client sent on it. */
  #refuse(stream: ServerStream, code: number): void {
    this.#output.push(resetFrame(stream.id, code));
    this.#close(stream, code, true);
  }

  #close(stream: ServerStream, code: number, wasGivenUp: boolean): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.#streams.delete(stream.id);
    this.#output.forget(stream);
    stream.listener?.closed(code, wasGivenUp);
    if (this.#streams.size > 0) return;
    if (this.#isClosing && this.#endedMs === undefined) this.#end();
    else this.#owner.idle();
  }
}
