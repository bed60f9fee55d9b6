/** Reads the parts of a record's payload, checking every bound. */

import { DecodeError } from "../model/errors.ts";

export class PayloadReader {
  readonly #bytes: Buffer;
  readonly #format: string;
  at = 0;

  constructor(bytes: Uint8Array, format: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#format = format;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  /** A varint below 2^53. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw this.fault("it ends too early");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw this.fault("a number that is too large");
  }

  /** The number of things that follow, each of a byte at least. */
  count(): number {
    const count = this.varint();
    if (count > this.left) throw this.fault("it ends too early");
    return count;
  }

  double(): number {
    return this.bytes(8).readDoubleLE(0);
  }

  /** A view. */
  bytes(length: number): Buffer {
    if (length > this.left) throw this.fault("it ends too early");
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  text(): string {
    return this.bytes(this.varint()).toString("utf8");
  }

  fault(message: string): DecodeError {
    return new DecodeError(this.#format, this.at, message);
  }
}
