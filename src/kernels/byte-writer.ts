/** A growable byte buffer that writes the protobuf wire format. */

const initialBytes = 1024;

/** Appends to `bytes[0..length)`; the buffer is replaced when it grows, so read `bytes` after writing. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(capacity = initialBytes) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  /** An unsigned varint of at most 2^53 - 1. */
  varint(value: number): void {
    this.reserve(10);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  /** A 64-bit two's complement integer as a varint (int64, uint64). */
  varint64(value: bigint): void {
    this.reserve(10);
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.length++] = Number(rest);
  }

  double(value: number): void {
    this.reserve(8);
    this.bytes.writeDoubleLE(value, this.length);
    this.length += 8;
  }

  raw(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** A length-delimited field holding the UTF-8 bytes of `text`. */
  stringField(tag: number, text: string): void {
    const size = Buffer.byteLength(text);
    this.varint(tag);
    this.varint(size);
    this.reserve(size);
    this.length += this.bytes.write(text, this.length, "utf8");
  }

  bytesField(tag: number, source: Uint8Array): void {
    this.varint(tag);
    this.varint(source.length);
    this.raw(source);
  }

  /** A copy of what was written. */
  copy(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.bytes.subarray(0, this.length));
  }

  /** What was written, valid until the next write. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

/** Bytes that a varint of this non-negative number takes. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}
