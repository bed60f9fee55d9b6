/** An HTTP/2 client and a server for tests that write bytes and read frames. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { GrpcClient, GrpcClientOptions } from "../../src/transport/grpc-client.ts";
import type { GrpcServerOptions } from "../../src/transport/grpc-server.ts";
import type { GrpcMethod } from "../../src/transport/grpc-server-call.ts";
import { frameMessage } from "../../src/transport/grpc-wire.ts";
import { clientPreface, encodeFrame, encodeHeaderBlock, settingsFrame } from "../../src/transport/http2-wire.ts";
import { createOwnClient, startOwnServer, testPath } from "./grpc-kit.ts";

/** The header block of a call. */
export const request = encodeHeaderBlock({
  ":method": "POST",
  ":scheme": "http",
  ":path": testPath,
  "content-type": "application/grpc",
});
export const settings = settingsFrame([]);
/** A message with its five bytes. */
export const message = frameMessage(Buffer.from("hello"));

export const uint32 = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);

/** HEADERS that are whole unless the flags say otherwise. */
export const headersFrame = (stream: number, flags = 4, block: Uint8Array = request): Buffer =>
  encodeFrame(1, flags, stream, block);

export const many = (count: number, frame: Uint8Array): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, () => frame));

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The frames of what came on a socket. */
class FrameLog {
  readonly frames: Frame[] = [];
  #rest = Buffer.alloc(0);

  /** Tells `hear` of each frame that the chunk makes whole. */
  push(chunk: Buffer, hear: (frame: Frame) => void = () => {}): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9 && this.#rest.length >= 9 + this.#rest.readUIntBE(0, 3)) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      const frame = { type, flags, stream: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(9, end) };
      this.#rest = this.#rest.subarray(end);
      this.frames.push(frame);
      hear(frame);
    }
  }
}

/** Ends with the test. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #log = new FrameLog();

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk) => this.#log.push(chunk));
    this.closed = new Promise((resolve) => this.socket.once("close", resolve));
    onTestFinished(() => void this.socket.destroy());
    this.send(clientPreface, settings);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The frames of a type that came. */
  of(type: number): Frame[] {
    return this.#log.frames.filter((frame) => frame.type === type);
  }
}

/** A client of a server with one method, which sends the message back unless given. */
export async function openRaw(
  options: Partial<GrpcServerOptions> = {},
  method: GrpcMethod = async (call) => call.message,
): Promise<RawClient> {
  return new RawClient((await startOwnServer(method, options)).port);
}

/** A client's connection at a raw server. */
export class RawPeer {
  readonly socket: Socket;
  /** Hears of each frame; to be set before the first. */
  hear: (frame: Frame) => void = () => {};
  readonly #log = new FrameLog();
  #prefaceBytes = 0;

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const from = Math.min(chunk.length, clientPreface.length - this.#prefaceBytes);
      this.#prefaceBytes += from;
      this.#log.push(chunk.subarray(from), (frame) => this.hear(frame));
    });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The frames of a type that came. */
  of(type: number): Frame[] {
    return this.#log.frames.filter((frame) => frame.type === type);
  }

  get frames(): readonly Frame[] {
    return this.#log.frames;
  }

  /** What came on a stream, as far as it came. */
  bodyOf(stream: number): Buffer {
    return Buffer.concat(this.of(0).flatMap((frame) => (frame.stream === stream ? [frame.payload] : [])));
  }
}

export interface RawServer {
  readonly port: number;
  /** Its connections so far. */
  readonly peers: readonly RawPeer[];
}

/** A server of raw bytes; it ends with the test. `opened` hears of each connection and its number, from 0 on. */
export async function startRawServer(opened: (peer: RawPeer, index: number) => void): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = new RawPeer(socket);
    peers.push(peer);
    opened(peer, peers.length - 1);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const { socket } of peers) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, peers };
}

/** A server of raw bytes that says `greeting` on each connection; `hear` gets each frame, with the connection and its number. */
export function startGreeter(
  greeting: Uint8Array,
  hear: (peer: RawPeer, frame: Frame, index: number) => void,
): Promise<RawServer> {
  return startRawServer((peer, index) => {
    peer.hear = (frame) => hear(peer, frame, index);
    peer.send(greeting);
  });
}

/** Such a server, and our client of it. */
export async function serveFrames(
  greeting: Uint8Array,
  hear: (peer: RawPeer, frame: Frame, index: number) => void,
  options: Partial<GrpcClientOptions> = {},
): Promise<RawServer & { readonly client: GrpcClient }> {
  const server = await startGreeter(greeting, hear);
  return { ...server, client: createOwnClient(server.port, options) };
}

/** Answers a request that is whole. */
export function answerAll(peer: RawPeer, frame: Frame): void {
  if (endsRequest(frame)) peer.send(answerFrames(frame.stream, "ok"));
}

/** Whether a frame ends what a client sends on a stream. */
export const endsRequest = ({ type, flags }: Frame): boolean => type === 0 && (flags & 1) === 1;

export const responseHead = encodeHeaderBlock({ ":status": "200", "content-type": "application/grpc" });
export const responseTrailers = encodeHeaderBlock({ "grpc-status": "0" });

/** A whole answer with a message that says `text`. */
export const answerFrames = (stream: number, text: string): Uint8Array =>
  Buffer.concat([
    headersFrame(stream, 4, responseHead),
    encodeFrame(0, 0, stream, frameMessage(Buffer.from(text))),
    headersFrame(stream, 5, responseTrailers),
  ]);
