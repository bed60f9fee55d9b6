/** Puts a snappy block together from parts: rows filled into templates, and bytes that are compressed on the way. */

import { compressSync } from "snappy";
import { filledBytes, fillTemplate } from "../../kernels/fill-template.ts";
import type { SnappyTemplate } from "../../kernels/snappy-template.ts";
import type { SamplesSegment } from "../../model/batch.ts";

/** The length in front of a block takes at most five bytes (snappy format description, section 1). */
const headerBytes = 5;
const initialBytes = 64 * 1024;
/** Buffers that wait for the next bodies, and how large they may be: most requests of a process are under way one after another. */
const maxFreeBuffers = 8;
const maxFreeBytes = 4 * 1024 * 1024;

/** Builds one body after another in buffers that are used again. */
export class RequestBody {
  #bytes: Buffer = Buffer.allocUnsafeSlow(initialBytes);
  #view = new DataView(this.#bytes.buffer);
  #length = headerBytes;
  readonly #free: Buffer[] = [];
  /** Bytes of the body before compression. */
  plainBytes = 0;

  /** Bytes of the buffer in use and of those that wait for the next bodies; bodies under way are not among them. */
  get bufferBytes(): number {
    return this.#free.reduce((sum, { length }) => sum + length, this.#bytes.length);
  }

  begin(): void {
    this.#length = headerBytes;
    this.plainBytes = 0;
  }

  /** Appends bytes, compressed. */
  compress(plain: Uint8Array): void {
    const block = compressSync(plain, { copyOutputData: true }) as Uint8Array;
    let from = 0;
    while ((block[from++] as number) >= 0x80);
    this.#reserve(block.length);
    this.#bytes.set(block.subarray(from), this.#length);
    this.#length += block.length - from;
    this.plainBytes += plain.length;
  }

  /** Appends rows of a segment, from `row` on (counted from its first), that have this template. */
  fill(template: SnappyTemplate, segment: SamplesSegment, row: number): void {
    this.#reserve(filledBytes(template));
    const { values, stale, timestampMs } = segment;
    const words = new Uint32Array(values.buffer, values.byteOffset + row * 8, template.rows * 2);
    this.#length = fillTemplate(template, words, stale, row, timestampMs, this.#bytes, this.#view, this.#length);
    this.plainBytes += template.plainBytes;
  }

  /** The body so far, in memory of its own until it is given back by `release`, if it ever is. */
  finish(): Uint8Array {
    let rest = this.plainBytes;
    const header: number[] = [];
    while (rest >= 0x80) {
      header.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    header.push(rest);
    const from = headerBytes - header.length;
    this.#bytes.set(header, from);
    const bytes = this.#bytes;
    // A small body must not hold a large buffer while it waits.
    if (this.#length * 4 < bytes.length) return Uint8Array.prototype.slice.call(bytes, from, this.#length);
    this.#use(this.#free.pop() ?? Buffer.allocUnsafeSlow(bytes.length));
    return bytes.subarray(from, this.#length);
  }

  /** Takes back the memory of a finished body that nobody reads any more. */
  release(body: Uint8Array): void {
    const { buffer } = body;
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < initialBytes || buffer.byteLength > maxFreeBytes)
      return;
    if (this.#free.length < maxFreeBuffers) this.#free.push(Buffer.from(buffer));
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#use(grown);
  }
}
