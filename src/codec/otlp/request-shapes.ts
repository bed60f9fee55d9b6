/** The shapes of metrics requests: a client mostly sends the same bytes again, with other times and values. */

import { type HashKey, hashBytes } from "../../kernels/hash-bytes.ts";
import { readVarint } from "../../kernels/otlp-bytes.ts";
import { clearWords } from "../../kernels/otlp-words.ts";
import type { RequestShape } from "../../model/otlp-request.ts";
import { pointWords } from "./point-words.ts";

/** Bytes of remembered shapes, all together; what is made of them (`ShapedPoints`, edited requests) takes as much again. */
const defaultMaxBytes = 32 * 1024 * 1024;
/** Clients that are told apart. */
const maxEntries = 1 << 14;
/** Of the bytes of all shapes, the largest share that one may take. */
const maxShare = 1 / 4;
/** Of a length in front: above 2^35 no request is. */
const maxLengthBytes = 5;
/** Requests are compared in pieces that stay in the processor's cache. */
const pieceBytes = 1 << 16;

interface Entry {
  shape: RequestShape | undefined;
  /** Requests in a row that were not of the shape. */
  misses: number;
  usedAt: number;
  /** The last sweep before it was used. */
  epoch: number;
}

const scratch = Buffer.allocUnsafeSlow(pieceBytes);
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, pieceBytes);

/**
 * Knows requests by comparing all bytes but times and values, which costs less than the walk that proves bytes
 * well-formed: what has the shape of a request that was walked needs no walk of its own.
 */
export class RequestShapes {
  readonly #hashKey: HashKey;
  readonly #maxBytes: number;
  /** The one used last at the end. */
  readonly #entries = new Map<number, Entry>();
  #bytes = 0;
  #turn = 0;
  #epoch = 0;

  /** Set by whoever opens requests: where all pass unopened, none is remembered. */
  isWanted = false;

  constructor(hashKey: HashKey, maxBytes = defaultMaxBytes) {
    this.#hashKey = hashKey;
    this.#maxBytes = maxBytes;
  }

  /** Bytes that the shapes take. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** The shape of a request; undefined when it is none that is known. */
  match(bytes: Uint8Array): RequestShape | undefined {
    if (!this.isWanted) return undefined;
    const key = this.#keyOf(bytes);
    const entry = this.#entries.get(key);
    if (entry?.shape === undefined || !hasShape(entry.shape, bytes)) return undefined;
    entry.misses = 0;
    this.#use(key, entry);
    return entry.shape;
  }

  /**
   * Remembers the shape of a walked request for which `match` found none, once its client has sent something like it before,
   * and ever more rarely where its requests keep changing. Returns the shape if so.
   */
  learn(bytes: Uint8Array, items: number): RequestShape | undefined {
    if (!this.isWanted) return undefined;
    const key = this.#keyOf(bytes);
    if (key === 0) return undefined;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { shape: undefined, misses: 0, usedAt: 0, epoch: 0 };
      if (this.#entries.size >= maxEntries && !this.#dropOldest()) return undefined;
    }
    entry.misses++;
    this.#use(key, entry);
    // At the second, the fourth, the eighth request in a row.
    if (entry.misses < 2 || (entry.misses & (entry.misses - 1)) !== 0) return undefined;
    if (entry.shape !== undefined) this.#bytes -= shapeBytes(entry.shape);
    entry.shape = undefined;
    const words = pointWords(bytes);
    const size = bytes.length + words.byteLength;
    if (size > this.#maxBytes * maxShare) return undefined;
    while (this.#bytes + size > this.#maxBytes) if (!this.#dropOldest()) return undefined;
    entry.shape = { bytes: withoutWords(bytes, words), words, items };
    this.#bytes += size;
    return entry.shape;
  }

  /** Lets go of the shapes of clients that sent nothing since the last call. */
  forgetUnused(): void {
    for (const [key, entry] of this.#entries) if (entry.epoch !== this.#epoch) this.#drop(key, entry);
    this.#epoch++;
  }

  #use(key: number, entry: Entry): void {
    entry.usedAt = this.#turn++;
    entry.epoch = this.#epoch;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** Makes room, unless everything is in use: dropping what comes again soon would cost more than it saves. */
  #dropOldest(): boolean {
    for (const [key, entry] of this.#entries) {
      if (this.#turn - entry.usedAt < this.#entries.size * 4) return false;
      this.#drop(key, entry);
      return true;
    }
    return false;
  }

  #drop(key: number, { shape }: Entry): void {
    if (shape !== undefined) this.#bytes -= shapeBytes(shape);
    this.#entries.delete(key);
  }

  /**
   * A client and the kind of its request, by its length and the resource in front; 0 for requests that begin otherwise.
   * Nobody has walked these bytes yet: whatever is not proven to lie within them is refused.
   */
  #keyOf(bytes: Uint8Array): number {
    if (bytes[0] !== 0x0a) return 0;
    const message = contentStart(bytes, 1);
    if (message === 0) return 0;
    const messageEnd = Math.min(message + readVarint(bytes, 1), bytes.length);
    if (!(message < messageEnd) || bytes[message] !== 0x0a) return 0;
    const start = contentStart(bytes, message + 1);
    if (start === 0) return 0;
    const end = start + readVarint(bytes, message + 1);
    if (!(end <= messageEnd)) return 0;
    return ((hashBytes(this.#hashKey, bytes, start, end) ^ Math.imul(bytes.length, 0x9e3779b1)) >>> 0) + 1;
  }
}

/** Where the content behind the length at `at` begins, in any bytes; 0 where the length has no end, or one too far off. */
function contentStart(bytes: Uint8Array, at: number): number {
  const last = Math.min(at + maxLengthBytes, bytes.length);
  for (let i = at; i < last; i++) if ((bytes[i] as number) < 0x80) return i + 1;
  return 0;
}

function shapeBytes({ bytes, words }: RequestShape): number {
  return bytes.length + words.byteLength;
}

function withoutWords(bytes: Uint8Array, words: Uint32Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  clearWords(new DataView(copy.buffer, copy.byteOffset, copy.length), 0, words, 0, words.length);
  return copy;
}

/** Whether the bytes differ from the shape in its words only. */
function hasShape({ bytes: expected, words }: RequestShape, bytes: Uint8Array): boolean {
  const { length } = expected;
  if (bytes.length !== length) return false;
  let word = 0;
  for (let at = 0; at < length; ) {
    let end = Math.min(at + pieceBytes, length);
    let next = word;
    while (next < words.length && (words[next] as number) + 8 <= end) next++;
    // A word stays in one piece.
    if (next < words.length && (words[next] as number) < end) end = words[next] as number;
    scratch.set(bytes.subarray(at, end));
    clearWords(scratchView, at, words, word, next);
    if (scratch.compare(expected, at, end, 0, end - at) !== 0) return false;
    word = next;
    at = end;
  }
  return true;
}
