/** OTLP messages as plain objects and back, for what looks at whole requests and is not hot. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import {
  type FieldSchema,
  isPackable,
  type MessageName,
  messageSchemas,
  wireTypeOf,
} from "../../kernels/otlp-schema.ts";
import {
  type Attributes,
  type AttributeValue,
  decodeAnyValue,
  decodeKeyValue,
  encodeAnyValue,
  encodeKeyValue,
  noAttributes,
} from "../../model/attributes.ts";
import { readVarint64, WireReader } from "./wire-reader.ts";

/**
 * A message by the names of JSON. 64-bit integers are bigint, ids and bytes Uint8Array, lists of KeyValue `Attributes`, an
 * AnyValue an `AttributeValue`, a message that is absent undefined; every other field that is absent holds its default.
 */
export type MessageObject = Readonly<Record<string, unknown>>;

const fieldsByNumber: ReadonlyMap<MessageName, ReadonlyMap<number, FieldSchema>> = new Map(
  Array.from(messageSchemas, ([name, { fields }]) => [name, new Map(fields.map((field) => [field.number, field]))]),
);

/** Reads a message of this name. Throws DecodeError with format `otlp` for bytes that are none. */
export function decodeMessage(name: MessageName, bytes: Uint8Array): MessageObject {
  return readMessage(name, new WireReader(bytes));
}

/** The bytes of a message; fields that hold their default are left out. Throws RangeError for attributes nested too deeply. */
export function encodeMessage(name: MessageName, message: MessageObject): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(256);
  writeMessage(writer, name, message);
  return writer.copy();
}

function schemaFields(name: MessageName): readonly FieldSchema[] {
  return (messageSchemas.get(name) as { fields: readonly FieldSchema[] }).fields;
}

function readMessage(name: MessageName, reader: WireReader): MessageObject {
  const result: Record<string, unknown> = {};
  const contents = new Map<string, Uint8Array>();
  const fields = fieldsByNumber.get(name) as ReadonlyMap<number, FieldSchema>;
  while (reader.next()) {
    const field = fields.get(reader.field);
    if (field === undefined) continue;
    if (field.message === "KeyValue") {
      result[field.name] ??= new Map<string, AttributeValue>();
      (result[field.name] as Map<string, AttributeValue>).set(...decodeKeyValue(reader.content()));
    } else if (field.isRepeated) {
      result[field.name] ??= [];
      readItems(reader, field, result[field.name] as unknown[]);
    } else if (field.kind === "message" && field.name in result) {
      // A message that comes twice is one with the fields of both.
      const content = Buffer.concat([contents.get(field.name) ?? new Uint8Array(), reader.content()]);
      contents.set(field.name, content);
      result[field.name] =
        field.message === "AnyValue"
          ? decodeAnyValue(content)
          : readMessage(field.message as MessageName, new WireReader(content));
    } else {
      if (field.kind === "message") contents.set(field.name, reader.content());
      result[field.name] = readValue(reader, field);
    }
  }
  for (const field of schemaFields(name)) if (!(field.name in result)) result[field.name] = defaultOf(field);
  return result;
}

function readItems(reader: WireReader, field: FieldSchema, items: unknown[]): void {
  if (!isPackable(field.kind) || reader.wireType !== 2) {
    items.push(readValue(reader, field));
    return;
  }
  const { bytes, start, stop } = reader;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at < stop; ) {
    if (wireTypeOf(field.kind) === 1) {
      items.push(field.kind === "double" ? view.getFloat64(at, true) : view.getBigUint64(at, true));
      at += 8;
    } else {
      items.push(readVarint64(bytes, at));
      while ((bytes[at] as number) >= 0x80) at++;
      at++;
    }
  }
}

function readValue(reader: WireReader, { kind, message }: FieldSchema): unknown {
  switch (kind) {
    case "message":
      return message === "AnyValue"
        ? decodeAnyValue(reader.content())
        : readMessage(message as MessageName, reader.message());
    case "string":
      return reader.text();
    case "bytes":
    case "traceId":
    case "spanId":
      return Uint8Array.from(reader.content());
    case "bool":
      return reader.uint64() !== 0n;
    case "enum":
      return Number(BigInt.asIntN(32, reader.uint64()));
    case "uint32":
      return reader.uint32();
    case "sint32":
      return reader.sint32();
    case "fixed32":
      return reader.fixed32();
    case "int64":
      return BigInt.asIntN(64, reader.uint64());
    case "uint64":
      return reader.uint64();
    case "fixed64":
      return reader.fixed64();
    case "sfixed64":
      return BigInt.asIntN(64, reader.fixed64());
    case "double":
      return reader.double();
  }
}

function defaultOf({ kind, message, isRepeated, hasPresence }: FieldSchema): unknown {
  if (message === "KeyValue") return noAttributes;
  if (isRepeated) return [];
  if (message === "AnyValue") return null;
  if (hasPresence) return undefined;
  switch (kind) {
    case "string":
      return "";
    case "bytes":
    case "traceId":
    case "spanId":
      return new Uint8Array();
    case "bool":
      return false;
    case "int64":
    case "uint64":
    case "fixed64":
    case "sfixed64":
      return 0n;
    default:
      return 0;
  }
}

function writeMessage(writer: ByteWriter, name: MessageName, message: MessageObject): void {
  for (const field of schemaFields(name)) {
    const value = message[field.name];
    if (value === undefined || value === null) continue;
    if (field.message === "KeyValue") writePairs(writer, field, value as Attributes);
    else if (field.isRepeated) writeItems(writer, field, value as readonly unknown[]);
    else if (field.hasPresence || !isDefault(value)) writeField(writer, field, value);
  }
}

function isDefault(value: unknown): boolean {
  return (
    value === 0n ||
    Object.is(value, 0) ||
    value === "" ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function writePairs(writer: ByteWriter, { number }: FieldSchema, attributes: Attributes): void {
  for (const [key, value] of attributes) {
    const pair = new ByteWriter(64);
    encodeKeyValue(pair, key, value);
    writer.bytesField((number << 3) | 2, pair.view());
  }
}

function writeItems(writer: ByteWriter, field: FieldSchema, items: readonly unknown[]): void {
  if (items.length === 0) return;
  if (!isPackable(field.kind)) {
    for (const item of items) writeField(writer, field, item);
    return;
  }
  const packed = new ByteWriter(64);
  for (const item of items) writeScalar(packed, field, item);
  writer.bytesField((field.number << 3) | 2, packed.view());
}

function writeField(writer: ByteWriter, field: FieldSchema, value: unknown): void {
  writer.varint((field.number << 3) | wireTypeOf(field.kind));
  if (field.message === undefined) {
    writeScalar(writer, field, value);
    return;
  }
  const inner = new ByteWriter(128);
  if (field.message === "AnyValue") encodeAnyValue(inner, value as AttributeValue);
  else writeMessage(inner, field.message, value as MessageObject);
  writer.varint(inner.length);
  writer.raw(inner.view());
}

function writeScalar(writer: ByteWriter, { kind }: FieldSchema, value: unknown): void {
  switch (kind) {
    case "string":
    case "bytes":
    case "traceId":
    case "spanId": {
      const bytes = typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
      writer.varint(bytes.length);
      writer.raw(bytes);
      break;
    }
    case "double":
      writer.double(value as number);
      break;
    case "fixed64":
    case "sfixed64":
      writer.reserve(8);
      writer.length = writer.bytes.writeBigUInt64LE(BigInt.asUintN(64, value as bigint), writer.length);
      break;
    case "fixed32":
      writer.reserve(4);
      writer.length = writer.bytes.writeUInt32LE(value as number, writer.length);
      break;
    case "sint32":
      writer.varint((((value as number) << 1) ^ ((value as number) >> 31)) >>> 0);
      break;
    default:
      writer.varint64(typeof value === "bigint" ? value : BigInt(Number(value)));
  }
}
