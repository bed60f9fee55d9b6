/** What a client sends on an HTTP/2 connection: frames of one turn in one write, large bodies uncopied as far as windows and socket allow. */

import type { Socket } from "node:net";
import type { ClientStream } from "./http2-client-stream.ts";
import type { PeerSettings } from "./http2-peer-settings.ts";
import {
  defaultWindowBytes,
  expectHttp2,
  expectWindow,
  frameFlags,
  frameHeadBytes,
  frameTypes,
  http2Codes,
  maxInt31,
} from "./http2-wire.ts";

/** Up to here a copy costs less than a write of several parts. */
const maxJoinedBytes = 16 * 1024;
/** Of one body in a turn: what is in the socket cannot be taken back, and other frames wait behind it. */
const maxTurnBytes = 1024 * 1024;
/** Answers to a server that does not read them. */
const maxUnreadFrames = 1000;

export class ClientOutput {
  readonly #socket: Socket;
  readonly #peer: PeerSettings;
  readonly #sent: (bytes: number) => void;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Streams whose body waits for a window or the socket, in the order of their turns. */
  readonly #waiting = new Set<ClientStream>();
  #windowBytes = defaultWindowBytes;
  /** Writes that were begun, and that the system has taken. */
  #writes = 0;
  #written = 0;
  /** Frames that were pushed, and those of them that the system has taken. */
  #pushedFrames = 0;
  #readFrames = 0;
  /** A body was held back for the sake of the socket. */
  #isHeld = false;

  /** `sent` hears of each frame of a body. */
  constructor(socket: Socket, peer: PeerSettings, sent: (bytes: number) => void) {
    this.#socket = socket;
    this.#peer = peer;
    this.#sent = sent;
    socket.on("drain", () => this.#goOn());
  }

  /** Whether the system has all of the stream's body: its memory is not read any more. */
  isWritten(stream: ClientStream): boolean {
    return stream.lastWrite <= this.#written;
  }

  /** A frame that is no part of a request; it leaves with the next flush. Throws Http2Error where the server reads none. */
  push(frame: Uint8Array): void {
    this.#pushedFrames += 1;
    const isRead = this.#pushedFrames - this.#readFrames <= maxUnreadFrames;
    expectHttp2(isRead, http2Codes.ENHANCE_YOUR_CALM, "more to answer than is read");
    this.#add(frame);
  }

  /** A frame behind which nothing follows, at once. */
  pushLast(frame: Uint8Array): void {
    this.#add(frame);
    this.flush();
  }

  flush(): void {
    const parts = this.#parts;
    const bytes = this.#bytes;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#bytes = 0;
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    this.#write(socket, parts, bytes);
    if (!this.#isHeld) return;
    this.#isHeld = false;
    // A socket that took all at once has no `drain`.
    if (!socket.writableNeedDrain) setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    if (this.#waiting.size === 0) return;
    this.#sendWaiting();
    this.flush();
  }

  #write(socket: Socket, parts: readonly Uint8Array[], bytes: number): void {
    this.#writes += 1;
    const pushedFrames = this.#pushedFrames;
    // Under load the next write begins before this one is told of: there is no moment without one.
    const onWritten = (error?: Error | null): void => {
      if (error) return;
      this.#written += 1;
      this.#readFrames = pushedFrames;
    };
    if (parts.length === 1 || bytes <= maxJoinedBytes) {
      const whole = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, bytes);
      socket.write(whole, onWritten);
      return;
    }
    socket.cork();
    const last = parts.length - 1;
    for (let i = 0; i < last; i++) socket.write(parts[i] as Uint8Array);
    socket.write(parts[last] as Uint8Array, onWritten);
    socket.uncork();
  }

  /** The headers, and of the body what may be sent now. */
  begin(stream: ClientStream): void {
    stream.sendWindowBytes = this.#peer.initialWindowBytes;
    this.#add(this.#peer.headerFrames(stream.id, stream.block.bytes, false));
    this.#sendBody(stream);
  }

  /** The rest of its body is not sent. */
  forget(stream: ClientStream): void {
    this.#waiting.delete(stream);
  }

  /** Throws Http2Error where the window overflows. */
  widen(bytes: number): void {
    this.#windowBytes += bytes;
    expectWindow(this.#windowBytes);
    this.#sendWaiting();
  }

  /** False where the window overflows. */
  widenStream(stream: ClientStream, bytes: number): boolean {
    stream.sendWindowBytes += bytes;
    if (stream.sendWindowBytes > maxInt31) return false;
    if (this.#waiting.has(stream)) this.#sendBody(stream);
    return true;
  }

  /** Throws Http2Error for settings that may not be. */
  applySettings(payload: Buffer, streams: Iterable<ClientStream>): void {
    if (this.#peer.apply(payload, streams)) this.#sendWaiting();
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  #sendWaiting(): void {
    if (this.#waiting.size > 0) for (const stream of [...this.#waiting]) this.#sendBody(stream);
  }

  #sendBody(stream: ClientStream): void {
    const socket = this.#socket;
    const isFull = socket.writableNeedDrain || this.#bytes >= maxTurnBytes;
    const bytes = isFull ? 0 : Math.min(stream.restBytes, this.#windowBytes, stream.sendWindowBytes, maxTurnBytes);
    if (bytes > 0) this.#addData(stream, bytes);
    if (stream.restBytes === 0) {
      this.#waiting.delete(stream);
      stream.lastWrite = this.#writes + 1;
      return;
    }
    if (isFull || bytes === maxTurnBytes) this.#isHeld = true;
    // Behind the others, whose turn is next.
    if (bytes > 0) this.#waiting.delete(stream);
    this.#waiting.add(stream);
  }

  #addData(stream: ClientStream, bytes: number): void {
    const most = this.#peer.maxFrameBytes;
    const heads = Buffer.allocUnsafe(Math.ceil(bytes / most) * frameHeadBytes);
    let at = 0;
    for (let left = bytes; left > 0; ) {
      const length = Math.min(left, most);
      left -= length;
      const isLast = stream.restBytes === length;
      heads.writeUIntBE(length, at, 3);
      heads[at + 3] = frameTypes.data;
      heads[at + 4] = isLast ? frameFlags.endStream : 0;
      heads.writeUInt32BE(stream.id, at + 5);
      this.#parts.push(heads.subarray(at, at + frameHeadBytes));
      at += frameHeadBytes;
      stream.take(length, this.#parts);
      this.#sent(length);
    }
    this.#bytes += at + bytes;
    this.#windowBytes -= bytes;
    stream.sendWindowBytes -= bytes;
  }
}
