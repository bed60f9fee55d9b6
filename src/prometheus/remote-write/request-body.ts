/** Puts a snappy block together from parts: rows filled into templates, and bytes that are compressed on the way. */

import { compressSync } from "snappy";
import { filledBytes, fillTemplate } from "../../kernels/fill-template.ts";
import type { SnappyTemplate } from "../../kernels/snappy-template.ts";
import type { SamplesSegment } from "../../model/batch.ts";

/** The length in front of a block takes at most five bytes (snappy format description, section 1). */
const headerBytes = 5;

/** Builds one body after another in a buffer that is used again. */
export class RequestBody {
  #bytes: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #length = headerBytes;
  /** Bytes of the body before compression. */
  plainBytes = 0;

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

  /** The body so far, in memory of its own. */
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
    return Uint8Array.prototype.slice.call(this.#bytes, from, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
