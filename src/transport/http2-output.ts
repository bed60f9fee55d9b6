/** What a server sends on an HTTP/2 connection: frames of one turn in one write, bodies as far as the windows allow. */

import type { Socket } from "node:net";
import { PeerSettings } from "./http2-peer-settings.ts";
import type { ServerStream, StreamAnswer } from "./http2-server-stream.ts";
import {
  defaultWindowBytes,
  encodeFrame,
  expectWindow,
  frameFlags,
  frameHeadBytes,
  frameTypes,
  maxInt31,
  putFrame,
} from "./http2-wire.ts";

const noBytes = new Uint8Array(0);
/** Headers, body and trailers of an answer up to this size each are put into one buffer. */
const maxWholeBytes = 1024;

export class Http2Output {
  readonly #socket: Socket;
  readonly #answered: (stream: ServerStream) => void;
  #frames: Buffer[] = [];
  #isScheduled = false;
  /** Streams whose answer waits for a window. */
  readonly #waiting = new Set<ServerStream>();
  #windowBytes = defaultWindowBytes;
  readonly #peer = new PeerSettings("client");
  #fullSinceMs: number | undefined;
  /** Headers or data of an answer were sent; to be cleared by who reads it. */
  hasAnswered = false;

  /** `answered` hears of a stream whose answer is written whole. */
  constructor(socket: Socket, answered: (stream: ServerStream) => void) {
    this.#socket = socket;
    this.#answered = answered;
    socket.on("drain", () => {
      this.#fullSinceMs = undefined;
      socket.resume();
    });
  }

  /** Of new streams. */
  get initialWindowBytes(): number {
    return this.#peer.initialWindowBytes;
  }

  /** How long the client has not read what was sent. */
  waitedMs(nowMs: number): number {
    return this.#fullSinceMs === undefined ? 0 : nowMs - this.#fullSinceMs;
  }

  push(frame: Buffer): void {
    this.#frames.push(frame);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Behind all promises that are settled in this turn: their answers leave together.
    process.nextTick(() => this.flush());
  }

  flush(): void {
    this.#isScheduled = false;
    const frames = this.#frames;
    const [first] = frames;
    if (first === undefined || this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#frames = [];
    if (this.#socket.write(frames.length === 1 ? first : Buffer.concat(frames))) return;
    // Who does not read what it is told is not listened to.
    this.#fullSinceMs ??= performance.now();
    this.#socket.pause();
  }

  answer(stream: ServerStream, { headers, body, trailers }: StreamAnswer): void {
    if (body === undefined) {
      this.#pushHeaders(stream.id, headers, true);
      this.#answered(stream);
      return;
    }
    if (trailers !== undefined && this.#takesWhole(stream, headers, body, trailers)) {
      this.#pushWhole(stream, headers, body, trailers);
      return;
    }
    this.#pushHeaders(stream.id, headers, false);
    stream.rest = body;
    stream.trailers = trailers;
    this.#sendRest(stream);
  }

  /** Whether the answer is three frames that can be sent now, as nearly all are. */
  #takesWhole(stream: ServerStream, headers: Buffer, body: Uint8Array, trailers: Buffer): boolean {
    const most = Math.min(this.#peer.maxFrameBytes, maxWholeBytes);
    const isSmall = headers.length <= most && body.length <= most && trailers.length <= most && body.length > 0;
    return isSmall && !this.#peer.mustEmptyTable && body.length <= Math.min(this.#windowBytes, stream.sendWindowBytes);
  }

  #pushWhole(stream: ServerStream, headers: Buffer, body: Uint8Array, trailers: Buffer): void {
    const { id } = stream;
    const frames = Buffer.allocUnsafe(3 * frameHeadBytes + headers.length + body.length + trailers.length);
    let at = putFrame(frames, 0, [frameTypes.headers, frameFlags.endHeaders, id], headers);
    at = putFrame(frames, at, [frameTypes.data, 0, id], body);
    putFrame(frames, at, [frameTypes.headers, frameFlags.endHeaders | frameFlags.endStream, id], trailers);
    this.#windowBytes -= body.length;
    stream.sendWindowBytes -= body.length;
    this.hasAnswered = true;
    this.push(frames);
    this.#answered(stream);
  }

  forget(stream: ServerStream): void {
    stream.rest = undefined;
    this.#waiting.delete(stream);
  }

  /** Throws Http2Error where the window overflows. */
  widen(bytes: number): void {
    this.#windowBytes += bytes;
    expectWindow(this.#windowBytes);
    this.#sendWaiting();
  }

  /** False where the window overflows. */
  widenStream(stream: ServerStream, bytes: number): boolean {
    stream.sendWindowBytes += bytes;
    if (stream.sendWindowBytes > maxInt31) return false;
    if (this.#waiting.has(stream)) this.#sendRest(stream);
    return true;
  }

  /** Throws Http2Error for settings that may not be. */
  applySettings(payload: Buffer, streams: Iterable<ServerStream>): void {
    if (this.#peer.apply(payload, streams)) this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (const stream of [...this.#waiting]) this.#sendRest(stream);
  }

  #sendRest(stream: ServerStream): void {
    let rest = stream.rest ?? noBytes;
    while (rest.length > 0) {
      const length = Math.min(rest.length, this.#peer.maxFrameBytes, this.#windowBytes, stream.sendWindowBytes);
      if (length <= 0) break;
      this.#windowBytes -= length;
      stream.sendWindowBytes -= length;
      this.hasAnswered = true;
      this.push(encodeFrame(frameTypes.data, 0, stream.id, rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    if (rest.length > 0) {
      stream.rest = rest;
      this.#waiting.add(stream);
      return;
    }
    this.#waiting.delete(stream);
    if (stream.trailers === undefined)
      this.push(encodeFrame(frameTypes.data, frameFlags.endStream, stream.id, noBytes));
    else this.#pushHeaders(stream.id, stream.trailers, true);
    this.#answered(stream);
  }

  #pushHeaders(stream: number, block: Buffer, endsStream: boolean): void {
    this.hasAnswered = true;
    this.push(this.#peer.headerFrames(stream, block, endsStream));
  }
}
