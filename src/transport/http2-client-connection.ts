/** A client's side of an HTTP/2 connection (RFC 9113): its beginning and end, and frames that belong to no stream. */

import type { Socket } from "node:net";
import { ClientOutput } from "./http2-client-output.ts";
import { ClientResponses, connectionWindowBytes, maxHeaderBytes, streamWindowBytes } from "./http2-client-responses.ts";
import type { ClientStream } from "./http2-client-stream.ts";
import { ClientStreams } from "./http2-client-streams.ts";
import { FrameBudget } from "./http2-frame-budget.ts";
import { type FrameListener, FrameReader, maxFrameBytes } from "./http2-frame-reader.ts";
import { expectFrame } from "./http2-frame-rules.ts";
import { HeaderBlocks } from "./http2-header-blocks.ts";
import { PeerSettings } from "./http2-peer-settings.ts";
import {
  clientPreface,
  defaultWindowBytes,
  encodeFrame,
  expectHttp2,
  frameFlags,
  frameTypes,
  goawayFrame,
  Http2Error,
  http2Codes,
  maxInt31,
  settingIds,
  settingsFrame,
  windowFrame,
} from "./http2-wire.ts";
import type { ClientReads } from "./socket-reads.ts";

export interface ClientConnectionSettings {
  /** For the server to confirm our settings, or to answer a call. */
  readonly settingsTimeoutMs: number;
  /** Number of the first stream, an odd one: 1 unless given. */
  readonly firstStream?: number | undefined;
}

/** Hears of what happens on a connection; maybe before the constructor returns. */
export interface ClientConnectionOwner {
  /** The server has said that it speaks HTTP/2. */
  ready(): void;
  /** It takes no more calls. */
  wentAway(code: number, text: string): void;
  /** Once: nothing follows. Undefined where the server has just closed it. */
  closed(error: Error | undefined): void;
}

/** A large message has many frames that give windows. */
const maxSavedFrames = 100_000;
const bytesPerEarnedFrame = 4096;
/** For a server to end its side after a GOAWAY, which a reset could overtake. */
const lingerMs = 1000;
const pingBytes = 8;
const http1Start = "HTTP/";

const greeting = Buffer.concat([
  clientPreface,
  settingsFrame([
    [settingIds.push, 0],
    [settingIds.initialWindow, streamWindowBytes],
    [settingIds.maxFrame, maxFrameBytes],
    [settingIds.maxHeaderList, maxHeaderBytes],
  ]),
  windowFrame(0, connectionWindowBytes - defaultWindowBytes),
]);

export class ClientConnection implements FrameListener {
  readonly #socket: Socket;
  readonly #owner: ClientConnectionOwner;
  readonly #reader = new FrameReader(this, "server");
  readonly #blocks = new HeaderBlocks();
  readonly #budget = new FrameBudget(maxSavedFrames);
  readonly #peer = new PeerSettings("server");
  readonly #output: ClientOutput;
  readonly #streams: ClientStreams;
  readonly #responses: ClientResponses;
  readonly #settingsTimer: NodeJS.Timeout;
  #isReady = false;
  /** What is sent leaves when all that came was looked at. */
  #isReceiving = false;
  /** The code of the server's GOAWAY. */
  #goneCode: number | undefined;
  #isClosing = false;
  #hasEnded = false;
  #isClosed = false;
  #error: Error | undefined;
  #firstText: string | undefined;
  /** When something came last, by performance.now(). */
  lastHeardMs: number = performance.now();

  constructor(reads: ClientReads, settings: ClientConnectionSettings, owner: ClientConnectionOwner) {
    const { socket } = reads;
    this.#socket = socket;
    this.#owner = owner;
    this.#output = new ClientOutput(socket, this.#peer, (bytes) => {
      // The server may give windows for it: for the stream and the connection, and for parts.
      this.#budget.earn(2 + Math.floor(bytes / bytesPerEarnedFrame));
    });
    this.#streams = new ClientStreams(this.#output, this.#peer, {
      first: settings.firstStream ?? 1,
      windowBytes: streamWindowBytes,
      idle: () => this.#endIfIdle(),
    });
    this.#responses = new ClientResponses(this.#streams, this.#output, this.#budget);
    const { settingsTimeoutMs } = settings;
    this.#settingsTimer = setTimeout(() => {
      // Who answers calls speaks HTTP/2.
      if (this.#responses.hasAnswered) return;
      this.#fail(http2Codes.SETTINGS_TIMEOUT, `the server did not confirm settings within ${settingsTimeoutMs} ms`);
    }, settingsTimeoutMs).unref();
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.once("end", () => this.destroy());
    socket.once("close", () => this.#closed());
    this.#output.push(greeting);
    this.#output.flush();
    reads.start((chunk) => this.#receive(chunk));
  }

  /** Whether it takes calls now; they wait where the server takes no more at once. */
  get isReady(): boolean {
    return this.#isReady && !this.#isEnding;
  }

  /** Nothing more comes of it. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get #isEnding(): boolean {
    const isOver = this.#isClosing || this.#hasEnded || this.#socket.destroyed;
    return isOver || this.#goneCode !== undefined || this.#streams.isExhausted;
  }

  /** Whether the system has all of the stream's body: its memory is not read any more. */
  isWritten(stream: ClientStream): boolean {
    return this.#output.isWritten(stream);
  }

  /** Sends a request, or has it wait its turn. Its stream is closed with REFUSED_STREAM where none are taken. */
  start(stream: ClientStream): void {
    const { maxHeaderBytes: most } = this.#peer;
    if (this.#isEnding) this.#streams.close(stream, http2Codes.REFUSED_STREAM);
    else if (stream.block.listBytes > most) {
      this.#streams.close(stream, http2Codes.CANCEL, `the server takes no more than ${most} bytes of headers`);
    } else {
      this.#streams.start(stream);
      this.#flush();
    }
  }

  /** Gives the stream up; its listener hears nothing more. Does nothing on a closed stream. */
  cancel(stream: ClientStream): void {
    if (stream.isClosed) return;
    try {
      this.#streams.reset(stream, http2Codes.CANCEL);
      this.#flush();
    } catch (caught) {
      this.#failFor(caught);
    }
  }

  /** Asks for an answer, which `lastHeardMs` tells of, also while it takes no more calls. Whether it was sent. */
  ping(): boolean {
    if (this.#hasEnded || this.#socket.destroyed) return false;
    try {
      this.#output.push(encodeFrame(frameTypes.ping, 0, 0, Buffer.alloc(pingBytes)));
      this.#flush();
      return true;
    } catch (caught) {
      this.#failFor(caught);
      return false;
    }
  }

  /** Takes no more calls, and ends when those under way have ended. */
  close(): void {
    this.#isClosing = true;
    this.#endIfIdle();
  }

  /** Ends at once. */
  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
    this.#closed();
  }

  /** Ends at once, and tells the server why. */
  #fail(code: number, text: string): void {
    if (this.#hasEnded) return;
    this.#error ??= new Error(text);
    this.#end(code, text);
    this.#closed();
  }

  /** For Http2Error; anything else is a fault of our own. */
  #failFor(caught: unknown): void {
    if (caught instanceof Http2Error) {
      this.#fail(caught.code, this.#describe(caught));
      return;
    }
    this.#fail(http2Codes.INTERNAL_ERROR, "");
    throw caught;
  }

  #describe(error: Http2Error): string {
    if (this.#isReady) return `the server broke HTTP/2: ${error.message}`;
    return `the server does not speak HTTP/2: ${this.#firstText === http1Start ? "it answers in HTTP/1" : error.message}`;
  }

  #end(code: number, text: string): void {
    this.#hasEnded = true;
    this.#output.pushLast(goawayFrame(0, code, text));
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  #endIfIdle(): void {
    if (this.#streams.isIdle && this.#isEnding && !this.#hasEnded) this.#end(http2Codes.NO_ERROR, "");
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#hasEnded = true;
    clearTimeout(this.#settingsTimer);
    if (this.#goneCode) this.#error ??= new Error(`Session closed with error code ${this.#goneCode}`);
    this.#streams.closeAll(this.#error?.message);
    this.#owner.closed(this.#error);
  }

  #flush(): void {
    if (!this.#isReceiving) this.#output.flush();
  }

  #receive(chunk: Buffer): void {
    // Behind the end only the server's own end is waited for.
    if (this.#hasEnded) return;
    this.lastHeardMs = performance.now();
    this.#firstText ??= chunk.toString("latin1", 0, http1Start.length);
    this.#isReceiving = true;
    try {
      this.#reader.push(chunk);
    } catch (caught) {
      // The rest of the chunk is lost: nothing that comes after it could be read.
      this.#failFor(caught);
    } finally {
      this.#isReceiving = false;
    }
    this.#output.flush();
  }

  dataBegins(id: number, length: number): void {
    if (this.#hasEnded) return;
    this.#blocks.expectNone();
    this.#responses.dataBegins(id, length);
  }

  dataIsEmpty(): void {
    if (!this.#hasEnded) this.#budget.spend();
  }

  data(_id: number, chunk: Buffer): void {
    if (!this.#hasEnded) this.#responses.data(chunk);
  }

  dataEnds(id: number): void {
    if (!this.#hasEnded) this.#responses.dataEnds(id);
  }

  frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (this.#hasEnded) return;
    const block = this.#blocks.frame(type, flags, id, payload);
    if (block !== undefined) this.#responses.block(block);
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
        if ((flags & frameFlags.ack) === 0) {
          this.#output.push(encodeFrame(frameTypes.ping, frameFlags.ack, 0, payload));
        }
        return;
      case frameTypes.window:
        this.#windowFrame(id, payload.readUInt32BE(0) & maxInt31);
        return;
      case frameTypes.reset: {
        const stream = this.#streams.at(id);
        if (stream !== undefined) this.#streams.close(stream, payload.readUInt32BE(0));
        return;
      }
      case frameTypes.goaway:
        this.#goawayFrame(payload);
        return;
      case frameTypes.push:
        throw new Http2Error(http2Codes.PROTOCOL_ERROR, "a push that was not allowed");
    }
  }

  #settingsFrame(flags: number, payload: Buffer): void {
    if ((flags & frameFlags.ack) !== 0) {
      clearTimeout(this.#settingsTimer);
      return;
    }
    this.#output.applySettings(payload, this.#streams.open());
    this.#output.push(encodeFrame(frameTypes.settings, frameFlags.ack, 0));
    this.#streams.openQueued();
    if (this.#isReady) return;
    this.#isReady = true;
    this.#owner.ready();
  }

  #windowFrame(id: number, bytes: number): void {
    if (id === 0) {
      expectHttp2(bytes > 0, http2Codes.PROTOCOL_ERROR, "a window of nothing more");
      this.#output.widen(bytes);
      return;
    }
    const stream = this.#streams.at(id);
    if (stream === undefined) return;
    if (bytes === 0) this.#streams.refuse(stream, http2Codes.PROTOCOL_ERROR);
    else if (!this.#output.widenStream(stream, bytes)) this.#streams.refuse(stream, http2Codes.FLOW_CONTROL_ERROR);
  }

  /** Streams up to the last that the server names go on to their end. */
  #goawayFrame(payload: Buffer): void {
    this.#goneCode = payload.readUInt32BE(4) || this.#goneCode || 0;
    this.#owner.wentAway(this.#goneCode, payload.toString("latin1", 8));
    this.#streams.stopAt(payload.readUInt32BE(0) & maxInt31);
    this.#endIfIdle();
  }
}
