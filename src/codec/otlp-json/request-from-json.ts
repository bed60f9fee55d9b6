/** Turns OTLP/JSON into protobuf bytes, so that everything behind it sees one encoding only. */

import {
  type FieldKind,
  type FieldSchema,
  isPackable,
  type MessageName,
  messageSchemas,
  wireTypeOf,
} from "../../kernels/otlp-schema.ts";
import { maxNesting } from "../../kernels/otlp-walk.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import { NestedWriter } from "../otlp/nested-writer.ts";
import { openRequest, requestMessages } from "../otlp/walk-request.ts";
import { JsonReader } from "./json-reader.ts";

/**
 * The request that a JSON text is. By OTLP's rules: lowerCamelCase keys, enums as integers only, trace and span ids in hex,
 * other bytes in base64, 64-bit integers as numbers or decimal texts without loss, "NaN", "Infinity" and "-Infinity";
 * unknown fields are passed over, null is the same as absent. Throws DecodeError with format `otlp json` and the byte of the
 * text, or with format `otlp` for what `walkRequest` refuses.
 */
export function requestFromJson(signal: Signal, text: Uint8Array): OtlpRequest {
  return openRequest(signal, messageFromJson(requestMessages[signal], text));
}

/** The protobuf bytes of any OTLP message from its JSON, likewise. */
export function messageFromJson(name: MessageName, text: Uint8Array): Uint8Array {
  const reader = new JsonReader(text);
  const decoder = new JsonDecoder(reader);
  if (reader.type() !== "object") reader.fail("expected an object");
  decoder.message(name, 0);
  reader.end();
  return decoder.writer.copy();
}

/** By message: its fields by their JSON names. */
const fieldsByName: ReadonlyMap<MessageName, ReadonlyMap<string, FieldSchema>> = new Map(
  Array.from(messageSchemas, ([name, { fields }]) => [name, new Map(fields.map((field) => [field.name, field]))]),
);

/** Most messages are short: the guess for the size of one whose end is not known yet. */
const sizeGuess = 100;

const uint64Range = { min: 0n, max: 2n ** 64n - 1n } as const;
const int64Range = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;
const ranges: Readonly<Partial<Record<FieldKind, { min: bigint; max: bigint }>>> = {
  uint32: { min: 0n, max: 2n ** 32n - 1n },
  fixed32: { min: 0n, max: 2n ** 32n - 1n },
  sint32: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  enum: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  int64: int64Range,
  sfixed64: int64Range,
  uint64: uint64Range,
  fixed64: uint64Range,
};

const integerText = /^-?[0-9]{1,20}$/;
const base64Text = /^[A-Za-z0-9+/_-]*={0,2}$/;
const hexText = /^[0-9a-fA-F]*$/;

class JsonDecoder {
  readonly writer = new NestedWriter();
  readonly #reader: JsonReader;

  constructor(reader: JsonReader) {
    this.#reader = reader;
  }

  /** The fields of the object at the cursor. `depth` counts nested attribute values. */
  message(name: MessageName, depth: number): void {
    const reader = this.#reader;
    const fields = fieldsByName.get(name) as ReadonlyMap<string, FieldSchema>;
    if (depth > maxNesting) reader.fail("nested too deeply");
    reader.beginObject();
    for (let isFirst = true; ; isFirst = false) {
      const key = reader.nextKey(isFirst);
      if (key === undefined) return;
      const field = fields.get(key);
      if (field === undefined) reader.skip();
      else if (reader.type() === "null") reader.null();
      else if (field.isRepeated) this.#list(field, depth);
      else this.#single(field, depth);
    }
  }

  #list(field: FieldSchema, depth: number): void {
    const reader = this.#reader;
    if (reader.type() !== "array") reader.fail(`expected an array for ${field.name}`);
    reader.beginArray();
    if (!isPackable(field.kind)) {
      for (let isFirst = true; reader.nextItem(isFirst); isFirst = false) this.#single(field, depth);
      return;
    }
    if (!reader.nextItem(true)) return;
    const start = this.writer.open((field.number << 3) | 2, sizeGuess);
    do this.#value(field);
    while (reader.nextItem(false));
    this.writer.close(start, sizeGuess);
  }

  /** A field with its tag. */
  #single(field: FieldSchema, depth: number): void {
    const { writer } = this;
    if (field.message !== undefined) {
      if (this.#reader.type() !== "object") this.#reader.fail(`expected an object for ${field.name}`);
      const isNesting = field.message === "ArrayValue" || field.message === "KeyValueList";
      const start = writer.open((field.number << 3) | 2, sizeGuess);
      this.message(field.message, isNesting ? depth + 1 : depth);
      writer.close(start, sizeGuess);
      return;
    }
    writer.reserve(16);
    writer.varint((field.number << 3) | wireTypeOf(field.kind));
    this.#value(field);
  }

  /** The value of a field that is no message, without its tag. */
  #value(field: FieldSchema): void {
    const { writer } = this;
    const reader = this.#reader;
    writer.reserve(16);
    switch (field.kind) {
      case "string":
        writer.text(this.#text(field));
        break;
      case "bytes":
        this.#bytes(this.#base64(field));
        break;
      case "traceId":
        this.#bytes(this.#id(field, 16));
        break;
      case "spanId":
        this.#bytes(this.#id(field, 8));
        break;
      case "bool":
        writer.varint(reader.boolean() ? 1 : 0);
        break;
      case "double":
        writer.double(this.#double(field));
        break;
      case "fixed64":
      case "sfixed64":
        writer.fixed64(this.#integer(field));
        break;
      case "fixed32":
        writer.fixed32(Number(this.#integer(field)));
        break;
      case "sint32": {
        const value = Number(this.#integer(field));
        writer.varint(((value << 1) ^ (value >> 31)) >>> 0);
        break;
      }
      default:
        writer.varint64(this.#integer(field));
    }
  }

  #bytes(value: Uint8Array): void {
    this.writer.reserve(value.length + 8);
    this.writer.varint(value.length);
    this.writer.raw(value);
  }

  #text({ name }: FieldSchema): string {
    if (this.#reader.type() !== "string") this.#reader.fail(`expected a string for ${name}`);
    return this.#reader.string();
  }

  #base64(field: FieldSchema): Uint8Array {
    const { at } = this.#reader;
    const text = this.#text(field);
    if (!base64Text.test(text) || text.replace(/=+$/, "").length % 4 === 1) {
      this.#reader.fail(`invalid base64 in ${field.name}`, at);
    }
    return Buffer.from(text, "base64");
  }

  #id(field: FieldSchema, size: number): Uint8Array {
    const { at } = this.#reader;
    const text = this.#text(field);
    if ((text.length !== 0 && text.length !== size * 2) || !hexText.test(text)) {
      this.#reader.fail(`${field.name} must be ${size * 2} hexadecimal digits or empty`, at);
    }
    return Buffer.from(text, "hex");
  }

  /** A number, or its text; a text may not be empty. */
  #numeric({ name }: FieldSchema): string {
    const type = this.#reader.type();
    if (type === "number") return this.#reader.number();
    if (type !== "string") this.#reader.fail(`expected a number for ${name}`);
    return this.#reader.string();
  }

  #integer(field: FieldSchema): bigint {
    const reader = this.#reader;
    if (field.kind === "enum" && reader.type() !== "number")
      reader.fail(`expected an integer for the enum ${field.name}`);
    const { at } = reader;
    const text = this.#numeric(field);
    const value = integerText.test(text) ? BigInt(text) : wholeNumber(text);
    const range = ranges[field.kind];
    if (value === undefined || range === undefined || value < range.min || value > range.max) {
      return reader.fail(`${field.name} is no ${field.kind}`, at);
    }
    return value;
  }

  #double(field: FieldSchema): number {
    const reader = this.#reader;
    const { at } = reader;
    const isNumber = reader.type() === "number";
    const text = this.#numeric(field);
    if (!isNumber && (text === "NaN" || text === "Infinity" || text === "-Infinity")) return Number(text);
    const value = isNumber || decimalText.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) reader.fail(`${field.name} is no double`, at);
    return value;
  }
}

const decimalText = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Integers may be written with a fraction of zeros or an exponent, as long as a double holds them exactly. */
function wholeNumber(text: string): bigint | undefined {
  if (!decimalText.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? BigInt(value) : undefined;
}
