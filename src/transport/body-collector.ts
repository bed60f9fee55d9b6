/** Collects a body from the chunks of a socket into memory of its own, copying each once. */

import { allocateMessage } from "./message-memory.ts";

const pooledBytes = 4096;
/** What most bodies of a known size fit in, once enough has come that it is likely: they are not moved while they grow. */
const firstBytes = 128 * 1024;
const likelyBytes = 8 * 1024;
/** What a size that is only declared takes at first. */
const leastBytes = 1024;
const firstUnknownBytes = 16 * 1024;
const growthOfKnown = 4;
const growthOfUnknown = 2;

export class BodyCollector {
  readonly #expectedBytes: number | undefined;
  #body: Buffer = noBytes;
  #size = 0;

  /** `expectedBytes` where the size was declared: more must not be added. Memory follows what has come. */
  constructor(expectedBytes?: number) {
    this.#expectedBytes = expectedBytes;
  }

  get size(): number {
    return this.#size;
  }

  /** Memory that it takes. */
  get reservedBytes(): number {
    return this.#body.length;
  }

  /** Copies the chunk: its memory need not be kept. */
  add(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#body.length) this.#grow(size);
    this.#body.set(chunk, this.#size);
    this.#size = size;
  }

  #grow(size: number): void {
    const expected = this.#expectedBytes;
    const least = size < likelyBytes ? leastBytes : firstBytes;
    const capacity =
      expected === undefined
        ? Math.max(firstUnknownBytes, growthOfUnknown * size)
        : Math.min(expected, Math.max(least, growthOfKnown * size));
    const body = allocate(capacity);
    body.set(this.#body.subarray(0, this.#size));
    this.#body = body;
  }

  /** All of it, once. */
  take(): Buffer {
    const body = this.#body;
    this.#body = noBytes;
    if (body.length === this.#size) return body;
    const exact = allocate(this.#size);
    exact.set(body.subarray(0, this.#size));
    return exact;
  }
}

const noBytes = Buffer.alloc(0);

function allocate(bytes: number): Buffer {
  return bytes <= pooledBytes ? Buffer.allocUnsafe(bytes) : allocateMessage(bytes);
}
