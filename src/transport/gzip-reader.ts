/** Unpacks gzip bodies into buffers that are used again, with one inflater for all of them. */

import { constants, crc32, createInflateRaw } from "node:zlib";
import { DecodeError } from "../model/errors.ts";
import type { GrowableBuffer } from "./growable-buffer.ts";
import { decompressGzip } from "./gunzip.ts";

/** RFC 1952 section 2.3: ten bytes before the optional fields, and checksum and size behind the data. */
const fixedHeaderBytes = 10;
const trailerBytes = 8;
const hasHeaderCrc = 0x02;
const hasExtra = 0x04;
const hasName = 0x08;
const hasComment = 0x10;
const reservedFlags = 0xe0;
/** What deflate can reach: a size that is told beyond it is a lie. */
const deflateMaxRatio = 1032;
const minOutputBytes = 16 * 1024;

/** What of Node's inflater is used: one call that reads from one buffer and writes into another. */
interface Inflater {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
  reset(): void;
  onerror: (message: string) => void;
}

/**
 * For synchronous use by one thread. Node's own `gunzipSync` makes an inflater and a buffer for every call and checksums
 * twice as slowly as `crc32`: 630 us for a page of 590 kB, this 350. Where Node's inflater is not what it was, that is used.
 */
export class GzipReader {
  readonly #stream = createInflateRaw({ chunkSize: constants.Z_MIN_CHUNK });
  readonly #inflater = inflaterOf(this.#stream);
  /** Bytes of output and of input that the last call left over. */
  readonly #leftOver = Reflect.get(this.#stream, "_writeState") as unknown;
  #problem: string | undefined;

  constructor() {
    if (this.#inflater !== undefined) {
      this.#inflater.onerror = (message) => {
        this.#problem = message;
      };
    }
  }

  /** The unpacked members are in `into` when this returns true; false when they are more than `maxBytes`. Throws DecodeError. */
  unpack(packed: Buffer, into: GrowableBuffer, maxBytes: number): boolean {
    const leftOver = this.#leftOver;
    if (this.#inflater === undefined || !(leftOver instanceof Uint32Array)) {
      return decompressGzip(packed, { maxBytes, into }) !== "too-large";
    }
    into.reset();
    let at = 0;
    do {
      const start = into.length;
      const data = skipHeader(packed, at);
      const end = this.#inflate(this.#inflater, leftOver, { packed, from: data, into, maxBytes });
      if (end < 0) return false;
      checkTrailer(packed, end, into.bytes.subarray(start));
      at = end + trailerBytes;
      // Zeros are padding (tar and tapes), which gzip passes over too.
      while (at < packed.length && packed[at] === 0) at += 1;
    } while (at < packed.length);
    return true;
  }

  /** Returns where the data ends, -1 when it is too large. */
  #inflate(
    inflater: Inflater,
    leftOver: Uint32Array,
    work: { packed: Buffer; from: number; into: GrowableBuffer; maxBytes: number },
  ): number {
    const { packed, into, maxBytes } = work;
    inflater.reset();
    this.#problem = undefined;
    into.reserve(firstOutputBytes(packed, work.from, maxBytes - into.length));
    let from = work.from;
    for (;;) {
      const { space } = into;
      const room = Math.min(space.length, maxBytes + 1 - into.length);
      const left = packed.length - from;
      inflater.writeSync(constants.Z_FINISH, packed, from, left, space, 0, room);
      if (this.#problem !== undefined) throw new DecodeError("gzip", from, this.#problem);
      const [outputLeft = room, inputLeft = left] = leftOver;
      from = packed.length - inputLeft;
      into.advance(room - outputLeft);
      if (into.length > maxBytes) return -1;
      if (outputLeft > 0) return from;
      into.reserve(Math.min(into.length, maxBytes + 1 - into.length));
    }
  }
}

/** Undefined where Node keeps it elsewhere or it looks different. */
function inflaterOf(stream: object): Inflater | undefined {
  const handle: unknown = Reflect.get(stream, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  const isKnown = "writeSync" in handle && "reset" in handle && "onerror" in handle;
  return isKnown ? (handle as Inflater) : undefined;
}

/** The trailer tells the size, but may lie. One more byte shows that the data ends there. */
function firstOutputBytes(packed: Buffer, from: number, maxBytes: number): number {
  const told = packed.length < from + 4 ? 0 : packed.readUInt32LE(packed.length - 4);
  return Math.min(Math.max(told + 1, minOutputBytes), (packed.length - from) * deflateMaxRatio + 1, maxBytes + 1);
}

/** Where the data of the member begins. */
function skipHeader(packed: Buffer, start: number): number {
  if (packed.length - start < fixedHeaderBytes) throw cutShort(packed);
  const flags = packed[start + 3] ?? 0;
  if (packed[start] !== 0x1f || packed[start + 1] !== 0x8b)
    throw new DecodeError("gzip", start, "incorrect header check");
  if (packed[start + 2] !== 8 || (flags & reservedFlags) !== 0) {
    throw new DecodeError("gzip", start, "unknown compression method");
  }
  let at = start + fixedHeaderBytes;
  if ((flags & hasExtra) !== 0) {
    if (at + 2 > packed.length) throw cutShort(packed);
    at += 2 + packed.readUInt16LE(at);
  }
  for (const text of [hasName, hasComment]) {
    if ((flags & text) === 0) continue;
    const end = packed.indexOf(0, at);
    if (end < 0) throw cutShort(packed);
    at = end + 1;
  }
  if ((flags & hasHeaderCrc) !== 0) at += 2;
  if (at >= packed.length) throw cutShort(packed);
  return at;
}

function checkTrailer(packed: Buffer, at: number, unpacked: Buffer): void {
  if (at + trailerBytes > packed.length) throw cutShort(packed);
  if (packed.readUInt32LE(at) !== crc32(unpacked)) throw new DecodeError("gzip", at, "incorrect data check");
  if (packed.readUInt32LE(at + 4) !== unpacked.length % 2 ** 32) {
    throw new DecodeError("gzip", at + 4, "incorrect length check");
  }
}

function cutShort(packed: Buffer): DecodeError {
  return new DecodeError("gzip", packed.length, "unexpected end of file");
}
