/** An HTTP/2 client for tests that writes bytes and reads frames. */

import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { GrpcServerOptions } from "../../src/transport/grpc-server.ts";
import type { GrpcMethod } from "../../src/transport/grpc-server-call.ts";
import { frameMessage } from "../../src/transport/grpc-wire.ts";
import { clientPreface, encodeFrame, encodeHeaderBlock, settingsFrame } from "../../src/transport/http2-wire.ts";
import { startOwnServer, testPath } from "./grpc-kit.ts";

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

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Ends with the test. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<unknown>;
  #rest = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk) => this.#read(chunk));
    this.closed = new Promise((resolve) => this.socket.once("close", resolve));
    onTestFinished(() => void this.socket.destroy());
    this.send(clientPreface, settings);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The frames of a type that came. */
  of(type: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9 && this.#rest.length >= 9 + this.#rest.readUIntBE(0, 3)) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      this.frames.push({ type, flags, stream: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(9, end) });
      this.#rest = this.#rest.subarray(end);
    }
  }
}

/** A client of a server with one method, which sends the message back unless given. */
export async function openRaw(
  options: Partial<GrpcServerOptions> = {},
  method: GrpcMethod = async (call) => call.message,
): Promise<RawClient> {
  return new RawClient((await startOwnServer(method, options)).port);
}
