/** A cursor over the fields of a protobuf message, for everything that is not per point. */

import { DecodeError } from "../../model/errors.ts";

const maxGroupDepth = 64;

/** Reads `bytes[at..end)`; every read checks the end and throws DecodeError with format `otlp`. */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  /** The next byte to read. */
  at: number;
  /** Of the field that `next` found last: where its tag begins, its number and its wire type. */
  fieldAt = 0;
  field = 0;
  wireType = 0;
  /** Where the content of the field begins and ends; for a varint, fixed32 and fixed64 the value itself. */
  start = 0;
  stop = 0;
  /** The bytes as what reads numbers and texts; readers of the messages inside share it. */
  readonly #source: { readonly view: DataView; readonly buffer: Buffer };

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, around?: WireReader) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#source = around === undefined ? sourceOf(bytes) : around.#source;
  }

  /** Moves to the next field; false at the end. Groups are fields of wire type 3 that end behind their end tag. */
  next(): boolean {
    if (this.at >= this.end) return false;
    this.fieldAt = this.at;
    const tag = this.length();
    this.field = Math.floor(tag / 8);
    this.wireType = tag & 7;
    if (this.field === 0 || tag > 0xffffffff) this.fail("invalid field tag", this.fieldAt);
    this.#content(0);
    return true;
  }

  #content(depth: number): void {
    this.start = this.at;
    switch (this.wireType) {
      case 0:
        this.#skipVarint();
        break;
      case 1:
        this.at += 8;
        break;
      case 2: {
        const length = this.length();
        this.start = this.at;
        this.at += length;
        break;
      }
      case 3:
        this.#skipGroup(this.field, depth);
        break;
      case 5:
        this.at += 4;
        break;
      default:
        this.fail("invalid field tag", this.fieldAt);
    }
    if (this.at > this.end) this.fail("length beyond the end", this.fieldAt);
    this.stop = this.at;
  }

  #skipGroup(field: number, depth: number): void {
    if (depth >= maxGroupDepth) this.fail("nested too deeply", this.fieldAt);
    const outer = { fieldAt: this.fieldAt, field: this.field, start: this.start };
    while (this.at < this.end) {
      this.fieldAt = this.at;
      const tag = this.length();
      if ((tag & 7) === 4) {
        if (Math.floor(tag / 8) !== field) break;
        Object.assign(this, outer, { wireType: 3 });
        return;
      }
      this.field = Math.floor(tag / 8);
      this.wireType = tag & 7;
      this.#content(depth + 1);
    }
    this.fail("group without its end", this.fieldAt);
  }

  #skipVarint(): void {
    const limit = Math.min(this.at + 10, this.end);
    while (this.at < limit && (this.bytes[this.at] as number) >= 0x80) this.at++;
    if (this.at++ >= limit) this.fail("varint longer than 10 bytes or cut off", this.fieldAt);
  }

  /** A varint as a number, rounded above 2^53: for tags and lengths. */
  length(): number {
    let value = 0;
    let scale = 1;
    const limit = Math.min(this.at + 10, this.end);
    while (this.at < limit) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return this.fail("varint longer than 10 bytes or cut off", this.fieldAt);
  }

  /** The content of a varint field, 64 bits, unsigned. */
  uint64(): bigint {
    this.expect(0);
    return readVarint64(this.bytes, this.start);
  }

  /** The content of a varint field of at most 32 bits; higher bits are cut, as protobuf does. */
  uint32(): number {
    return Number(BigInt.asUintN(32, this.uint64()));
  }

  sint32(): number {
    return unzigzag(this.uint32());
  }

  fixed64(): bigint {
    this.expect(1);
    return this.#source.view.getBigUint64(this.start, true);
  }

  fixed32(): number {
    this.expect(5);
    return this.#source.view.getUint32(this.start, true);
  }

  double(): number {
    this.expect(1);
    return this.#source.view.getFloat64(this.start, true);
  }

  /** A text; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    this.expect(2);
    return this.#source.buffer.toString("utf8", this.start, this.stop);
  }

  /** The content of a field with a length: a view. */
  content(): Uint8Array {
    this.expect(2);
    return this.bytes.subarray(this.start, this.stop);
  }

  /** A reader of the message in this field. */
  message(): WireReader {
    this.expect(2);
    return new WireReader(this.bytes, this.start, this.stop, this);
  }

  /** Refuses a known field of another wire type. */
  expect(wireType: number): void {
    if (this.wireType !== wireType) this.fail("wrong wire type", this.fieldAt);
  }

  fail(message: string, at: number): never {
    throw new DecodeError("otlp", at, message);
  }
}

function sourceOf(bytes: Uint8Array): { view: DataView; buffer: Buffer } {
  return {
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    buffer: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  };
}

/** The 64 bits of a varint that is known to end. */
export function readVarint64(bytes: Uint8Array, start: number): bigint {
  let low = 0;
  let high = 0;
  let at = start;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= (bits & 0xf) << 28;
      high = bits >>> 4;
    } else if (shift < 64) high |= bits << (shift - 32);
    if (byte < 0x80) break;
  }
  return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The signed number of a zigzag-encoded one. */
export function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}
