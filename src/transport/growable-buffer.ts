/** A byte buffer that grows by doubling and is used again for the next body, so that reading allocates nothing. */

const initialBytes = 16 * 1024;

/** Asked before a buffer grows from so many bytes to so many; false refuses it. */
export type MayGrow = (fromBytes: number, toBytes: number) => boolean;

/** A buffer was not allowed to grow. */
export class BufferLimitError extends Error {
  readonly code = "BUFFER_LIMIT";

  constructor() {
    super("no memory is left for the body");
    this.name = "BufferLimitError";
  }
}

/** Owned by one reader at a time; what `bytes` shows is valid until the next reset or append. */
export class GrowableBuffer {
  #buffer: Buffer;
  #length = 0;
  readonly #mayGrow: MayGrow | undefined;

  constructor(capacityBytes: number = initialBytes, mayGrow?: MayGrow) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
    this.#mayGrow = mayGrow;
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

  /** Makes room for so many more bytes. Throws BufferLimitError where it may not grow; the content stays. */
  reserve(moreBytes: number): void {
    if (!this.tryReserve(moreBytes)) throw new BufferLimitError();
  }

  /** The same; false where it may not grow. */
  tryReserve(moreBytes: number): boolean {
    const needed = this.#length + moreBytes;
    const { length } = this.#buffer;
    if (needed <= length) return true;
    const capacity = Math.max(needed, length * 2);
    if (this.#mayGrow !== undefined && !this.#mayGrow(length, capacity)) return false;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    return true;
  }

  /** Gives memory back when more than so many bytes are allocated; the content is lost. */
  shrink(capacityBytes: number): void {
    this.#length = 0;
    if (this.#buffer.length > capacityBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
    }
  }
}
