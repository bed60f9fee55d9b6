/** gRPC over HTTP/2 as bytes and header texts: message frames, time limits, binary metadata, names of codings. */

import { BodyCollector } from "./body-collector.ts";
import type { ContentCoding } from "./content-coding.ts";

/** One byte of flags and four of length stand before a message. */
export const frameHeaderBytes = 5;

/** Names in `grpc-encoding` and what they are: snappy is the framed format, as Go's gRPC has it. */
export const grpcCodings: ReadonlyMap<string, ContentCoding> = new Map<string, ContentCoding>([
  ["gzip", "gzip"],
  ["zstd", "zstd"],
  ["snappy", "snappy-framed"],
  ["deflate", "zlib"],
]);

/** Value of `grpc-accept-encoding`. */
export const acceptedEncodings = "identity,gzip,zstd,snappy,deflate";

/** The five bytes before a message of so many bytes. */
export function frameHeader(lengthBytes: number, isPacked: boolean): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header[0] = isPacked ? 1 : 0;
  header.writeUInt32BE(lengthBytes, 1);
  return header;
}

/** A message with its five bytes. */
export function frameMessage(message: Uint8Array, isPacked = false): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + message.length);
  frame[0] = isPacked ? 1 : 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, frameHeaderBytes);
  return frame;
}

/** What is wrong with a stream of message frames. */
export type FrameFault = "flags" | "too-large" | "second";

/** Collects the one message of a call from chunks of its body. */
export class MessageReader {
  /** Of a message. */
  readonly maxBytes: number;
  #headerBytes = 0;
  #flags = 0;
  /** Of the header, as far as it came. */
  #lengthBytes = 0;
  #declaredBytes = -1;
  #body = noBody;
  fault: FrameFault | undefined;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** What the header declares; -1 before it came. */
  get declaredBytes(): number {
    return this.#declaredBytes;
  }

  get isPacked(): boolean {
    return this.#flags === 1;
  }

  get isComplete(): boolean {
    return this.#body.size === this.#declaredBytes;
  }

  /** Whether nothing at all came. */
  get isEmpty(): boolean {
    return this.#headerBytes === 0;
  }

  /** Copies a chunk, so that its buffer need not be kept; false when `fault` says what is wrong. */
  push(chunk: Uint8Array): boolean {
    let at = 0;
    while (this.#headerBytes < frameHeaderBytes && at < chunk.length) {
      const byte = chunk[at++] as number;
      if (this.#headerBytes++ === 0) this.#flags = byte;
      else this.#lengthBytes = this.#lengthBytes * 0x100 + byte;
      if (this.#headerBytes === frameHeaderBytes && !this.#begin()) return false;
    }
    if (at === chunk.length) return true;
    const rest = at === 0 ? chunk : chunk.subarray(at);
    if (this.#body.size + rest.length > this.#declaredBytes) {
      this.fault = "second";
      return false;
    }
    this.#body.add(rest);
    return true;
  }

  #begin(): boolean {
    if (this.#flags > 1) this.fault = "flags";
    this.#declaredBytes = this.#lengthBytes;
    if (this.#declaredBytes > this.maxBytes) this.fault ??= "too-large";
    if (this.fault !== undefined) return false;
    this.#body = new BodyCollector(this.#declaredBytes);
    return true;
  }

  /** The complete message, in memory of its own. */
  take(): Buffer {
    return this.#body.take();
  }
}

const noBody = new BodyCollector();

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout` header, undefined where it is malformed. */
export function parseTimeout(text: string): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (unitMs[match[2] as string] as number);
}

const maxTimeoutDigits = 99_999_999;

/** The value of `grpc-timeout`: at most eight digits, rounded up. */
export function formatTimeout(ms: number): string {
  if (ms <= maxTimeoutDigits) return `${Math.max(0, Math.ceil(ms))}m`;
  return ms / 1000 <= maxTimeoutDigits
    ? `${Math.ceil(ms / 1000)}S`
    : `${Math.min(maxTimeoutDigits, Math.ceil(ms / 3_600_000))}H`;
}

/** The bytes of a `-bin` header: base64 with or without padding, the first of several. */
export function decodeBinaryHeader(text: string): Buffer {
  const comma = text.indexOf(",");
  return Buffer.from(comma < 0 ? text : text.slice(0, comma), "base64");
}

/** Base64 without padding, as gRPC sends it. */
export function encodeBinaryHeader(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replace(/=+$/, "");
}
