/** A growing buffer for nested protobuf messages whose lengths are known only when they end. */

const initialBytes = 1 << 16;
/** Larger buffers are given back. */
const maxKeptBytes = 1 << 23;

/** Bytes of a varint below 2^32. */
export function lengthBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

export class NestedWriter {
  /** Replaced when it grows: read it after writing. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(initialBytes);
  /** Where the next byte goes. */
  at = 0;
  protected view: DataView = new DataView(this.bytes.buffer);

  /** Makes room for `count` more bytes; the writing methods below that do not say so leave that to the caller. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.at + count, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Begins anew. */
  reset(): void {
    this.at = 0;
    if (this.bytes.length <= maxKeptBytes) return;
    this.bytes = new Uint8Array(initialBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** A copy of what was written. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.at));
  }

  /** Bytes as they are; makes room. */
  raw(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.at);
    this.at += source.length;
  }

  /** Begins a nested message of probably `size` bytes; returns where it begins, for `close`. Makes room. */
  open(tag: number, size: number): number {
    this.reserve(16);
    this.bytes[this.at++] = tag;
    this.at += lengthBytes(size);
    return this.at;
  }

  /** Writes the length of a message in front of it, and moves it when the guess of `open` was wrong. */
  close(start: number, size: number): void {
    const guessed = lengthBytes(size);
    const length = this.at - start;
    const needed = lengthBytes(length);
    if (needed !== guessed) {
      this.reserve(8);
      this.bytes.copyWithin(start - guessed + needed, start, this.at);
      this.at += needed - guessed;
    }
    let at = start - guessed;
    let rest = length;
    while (rest >= 0x80) {
      this.bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[at] = rest;
  }

  /** A varint below 2^32. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  /** The varint of 64 bits. */
  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.bytes[this.at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.at++] = Number(rest);
  }

  fixed64(value: bigint): void {
    this.view.setBigUint64(this.at, BigInt.asUintN(64, value), true);
    this.at += 8;
  }

  fixed32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  double(value: number): void {
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** UTF-8 with its length in front; makes room. */
  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.reserve(size + 8);
    this.varint(size);
    const target = Buffer.from(this.bytes.buffer, this.at, size);
    this.at += target.write(value, "utf8");
  }
}
