/** Attribute values of every kind that OTLP knows, and their encoding as OTLP KeyValue messages, which is how they are interned. */

import { ByteWriter } from "../kernels/byte-writer.ts";
import { DecodeError } from "./errors.ts";

/** Integers are bigint and doubles are number, so that both stay exact; `null` is OTLP's empty value. */
export type AttributeValue =
  | string
  | boolean
  | bigint
  | number
  | null
  | Uint8Array
  | readonly AttributeValue[]
  | Attributes;

/** Attributes by key, in the order in which they were given. */
export type Attributes = ReadonlyMap<string, AttributeValue>;

export const noAttributes: Attributes = new Map();

/** How deep arrays and maps may nest; deeper values are refused (OTLP sets no limit, the process' stack does). */
export const maxAttributeDepth = 64;

/** Writes an OTLP KeyValue message without its tag (opentelemetry/proto/common/v1 KeyValue: 1 key, 2 value). */
export function encodeKeyValue(writer: ByteWriter, key: string, value: AttributeValue): void {
  if (key !== "") writer.stringField(0x0a, key);
  const inner = new ByteWriter(64);
  encodeAnyValue(inner, value, 0);
  writer.bytesField(0x12, inner.view());
}

/** Writes an OTLP AnyValue message without its tag. Throws RangeError when nested deeper than `maxAttributeDepth`. */
export function encodeAnyValue(writer: ByteWriter, value: AttributeValue, depth = 0): void {
  if (depth > maxAttributeDepth) throw new RangeError(`attribute value nested deeper than ${maxAttributeDepth}`);
  if (value === null) return;
  if (typeof value === "string") writer.stringField(0x0a, value);
  else if (typeof value === "boolean") {
    writer.varint(0x10);
    writer.varint(value ? 1 : 0);
  } else if (typeof value === "bigint") {
    writer.varint(0x18);
    writer.varint64(value);
  } else if (typeof value === "number") {
    writer.varint(0x21);
    writer.double(value);
  } else if (value instanceof Uint8Array) writer.bytesField(0x3a, value);
  else if (value instanceof Map) encodeMap(writer, value, depth);
  else encodeArray(writer, value as readonly AttributeValue[], depth);
}

function encodeArray(writer: ByteWriter, values: readonly AttributeValue[], depth: number): void {
  const list = new ByteWriter(64);
  for (const item of values) {
    const inner = new ByteWriter(32);
    encodeAnyValue(inner, item, depth + 1);
    list.bytesField(0x0a, inner.view());
  }
  writer.bytesField(0x2a, list.view());
}

function encodeMap(writer: ByteWriter, values: Attributes, depth: number): void {
  const list = new ByteWriter(64);
  for (const [key, item] of values) {
    const inner = new ByteWriter(32);
    if (key !== "") inner.stringField(0x0a, key);
    const any = new ByteWriter(32);
    encodeAnyValue(any, item, depth + 1);
    inner.bytesField(0x12, any.view());
    list.bytesField(0x0a, inner.view());
  }
  writer.bytesField(0x32, list.view());
}

/** Reads a KeyValue message. Throws DecodeError on bytes that are no such message. */
export function decodeKeyValue(bytes: Uint8Array): [string, AttributeValue] {
  return readKeyValue(new Reader(bytes), 0);
}

/** Reads an AnyValue message, likewise. */
export function decodeAnyValue(bytes: Uint8Array): AttributeValue {
  return readAnyValue(new Reader(bytes), 0);
}

/** A cursor over protobuf bytes; every read checks the end. */
class Reader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new DecodeError("otlp", this.at, "truncated varint");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new DecodeError("otlp", this.at, "varint longer than 10 bytes");
  }

  chunk(): Buffer {
    const length = Number(this.varint());
    const end = this.at + length;
    if (end > this.bytes.length) throw new DecodeError("otlp", this.at, "length beyond the end");
    const part = this.bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }

  double(): number {
    if (this.at + 8 > this.bytes.length) throw new DecodeError("otlp", this.at, "truncated double");
    const value = this.bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  /** Passes over the value of an unknown field. */
  skip(tag: number, depth = 0): void {
    const wireType = tag % 8;
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) this.chunk();
    else if (wireType === 3) this.#skipGroup(tag + 1, depth);
    else if (wireType === 5) this.at += 4;
    else throw new DecodeError("otlp", this.at, `unknown wire type ${wireType}`);
    if (this.at > this.bytes.length) throw new DecodeError("otlp", this.at, "field beyond the end");
  }

  #skipGroup(endTag: number, depth: number): void {
    if (depth > maxAttributeDepth) throw new DecodeError("otlp", this.at, `nested deeper than ${maxAttributeDepth}`);
    while (!this.done) {
      const tag = Number(this.varint());
      if (tag === endTag) return;
      this.skip(tag, depth + 1);
    }
    throw new DecodeError("otlp", this.at, "group without its end");
  }
}

function readKeyValue(reader: Reader, depth: number): [string, AttributeValue] {
  let key = "";
  let value: AttributeValue = null;
  while (!reader.done) {
    const tag = Number(reader.varint());
    if (tag === 0x0a) key = reader.chunk().toString("utf8");
    else if (tag === 0x12) value = readAnyValue(new Reader(reader.chunk()), depth);
    else reader.skip(tag);
  }
  return [key, value];
}

function readAnyValue(reader: Reader, depth: number): AttributeValue {
  if (depth > maxAttributeDepth) throw new DecodeError("otlp", reader.at, `nested deeper than ${maxAttributeDepth}`);
  let value: AttributeValue = null;
  while (!reader.done) {
    const tag = Number(reader.varint());
    if (tag === 0x0a) value = reader.chunk().toString("utf8");
    else if (tag === 0x10) value = reader.varint() !== 0n;
    else if (tag === 0x18) value = BigInt.asIntN(64, reader.varint());
    else if (tag === 0x21) value = reader.double();
    else if (tag === 0x2a) value = readItems(new Reader(reader.chunk())).map((item) => readAnyValue(item, depth + 1));
    else if (tag === 0x32)
      value = new Map(readItems(new Reader(reader.chunk())).map((item) => readKeyValue(item, depth + 1)));
    else if (tag === 0x3a) value = Uint8Array.from(reader.chunk());
    else reader.skip(tag);
  }
  return value;
}

function readItems(reader: Reader): Reader[] {
  const items: Reader[] = [];
  while (!reader.done) {
    const tag = Number(reader.varint());
    if (tag === 0x0a) items.push(new Reader(reader.chunk()));
    else reader.skip(tag);
  }
  return items;
}
