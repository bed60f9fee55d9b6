/** A byte buffer that grows by doubling and is used again for the next body, so that reading allocates nothing. */

const initialBytes = 16 * 1024;

/** Owned by one reader at a time; what `bytes` shows is valid until the next reset or append. */
export class GrowableBuffer {
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes: number = initialBytes) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  /** Bytes in use. */
  get length(): number {
    return this.#length;
  }

  /** Bytes allocated. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** The bytes in use, not copied. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** All bytes allocated, of which the first `length` are in use: the same object until the buffer grows. */
  get memory(): Buffer {
    return this.#buffer;
  }

  /** Forgets the content and keeps the memory. */
  reset(): void {
    this.#length = 0;
  }

  append(chunk: Uint8Array): void {
    this.reserve(chunk.length);
    this.#buffer.set(chunk, this.#length);
    this.#length += chunk.length;
  }

  /** Appends a part of a buffer without making a view of it. */
  appendRange(source: Buffer, from: number, to: number): void {
    this.reserve(to - from);
    source.copy(this.#buffer, this.#length, from, to);
    this.#length += to - from;
  }

  /** The bytes that are allocated and not in use, to be written to; `advance` says how many were. */
  get space(): Buffer {
    return this.#buffer.subarray(this.#length);
  }

  /** Takes so many bytes of the space into use. */
  advance(bytes: number): void {
    if (!(bytes >= 0 && bytes <= this.#buffer.length - this.#length)) throw new RangeError("beyond the buffer");
    this.#length += bytes;
  }

  /** Makes room for so many more bytes. */
  reserve(moreBytes: number): void {
    const needed = this.#length + moreBytes;
    if (needed <= this.#buffer.length) {
      return;
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  /** Gives memory back when more than so many bytes are allocated; the content is lost. */
  shrink(capacityBytes: number): void {
    this.#length = 0;
    if (this.#buffer.length > capacityBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
    }
  }
}
