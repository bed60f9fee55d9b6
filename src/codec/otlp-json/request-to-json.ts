/** Writes OTLP messages in protobuf bytes as OTLP/JSON. */

import { type FieldSchema, type MessageName, messageSchemas } from "../../kernels/otlp-schema.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { requestMessages } from "../otlp/walk-request.ts";
import { readVarint64, WireReader } from "../otlp/wire-reader.ts";
import { quoteJson } from "./attribute-text.ts";

/** By message: its fields and where they stand in the order of JSON, by number. */
const placesByNumber: ReadonlyMap<MessageName, ReadonlyMap<number, number>> = new Map(
  Array.from(messageSchemas, ([name, { fields }]) => [name, new Map(fields.map((field, i) => [field.number, i]))]),
);

/** Messages with a oneof: of its members, which are their only fields with presence that are not repeated, one is there. */
const messagesWithOneof: ReadonlySet<MessageName> = new Set(["NumberDataPoint", "Exemplar", "AnyValue"]);

/**
 * The request as one line of OTLP/JSON, by the rules of `requestFromJson`; 64-bit integers are texts, defaults are left out.
 * Bytes in texts that are no UTF-8 become U+FFFD, unknown fields are left out. The request must have been walked.
 */
export function requestToJson({ signal, bytes }: OtlpRequest): string {
  return messageToJson(requestMessages[signal], bytes);
}

/** Any OTLP message as JSON. Throws DecodeError with format `otlp` for bytes that are none. */
export function messageToJson(name: MessageName, bytes: Uint8Array): string {
  return messageJson(name, new WireReader(bytes));
}

/** Messages whose values nest; the walk has bounded their depth, and deeper ones that were not walked end in a RangeError. */
function messageJson(name: MessageName, reader: WireReader): string {
  const fields = (messageSchemas.get(name) as { fields: readonly FieldSchema[] }).fields;
  const places = placesByNumber.get(name) as ReadonlyMap<number, number>;
  const texts: (string[] | undefined)[] = [];
  const hasOneof = messagesWithOneof.has(name);
  let member: number | undefined;
  let contents: Map<number, Uint8Array> | undefined;
  while (reader.next()) {
    const place = places.get(reader.field);
    if (place === undefined) continue;
    const field = fields[place] as FieldSchema;
    if (hasOneof && field.hasPresence && !field.isRepeated) {
      // The last member takes the place of any other.
      if (member !== undefined && member !== place) texts[member] = undefined;
      member = place;
    }
    if (field.isRepeated) {
      texts[place] ??= [];
      readList(reader, field, texts[place]);
    } else if (field.kind === "message") {
      // A message that comes twice is one with the fields of both.
      const before = texts[place] === undefined ? undefined : contents?.get(place);
      const content = before === undefined ? reader.content() : Buffer.concat([before, reader.content()]);
      contents ??= new Map();
      contents.set(place, content);
      texts[place] = [
        messageJson(field.message as MessageName, before === undefined ? reader.message() : new WireReader(content)),
      ];
    } else texts[place] = [singleJson(reader, field)];
  }
  return `{${fields.flatMap((field, place) => fieldJson(field, texts[place])).join(",")}}`;
}

const defaultTexts: ReadonlySet<string> = new Set(['""', '"0"', "0", "false"]);

function fieldJson(
  { name, kind, isRepeated, hasPresence }: FieldSchema,
  texts: readonly string[] | undefined,
): string[] {
  if (texts === undefined) return [];
  if (isRepeated) return texts.length === 0 ? [] : [`"${name}":[${texts.join(",")}]`];
  const [text = ""] = texts;
  // The text "0" is no default, the integer 0, which is written as a text too, is one.
  const isDefault = kind === "string" ? text === '""' : defaultTexts.has(text);
  return !hasPresence && isDefault ? [] : [`"${name}":${text}`];
}

function readList(reader: WireReader, field: FieldSchema, texts: string[]): void {
  if (reader.wireType !== 2 || field.kind === "message" || field.kind === "string") {
    texts.push(singleJson(reader, field));
    return;
  }
  // Packed numbers: `uint64` varints, or 8 bytes each.
  const { bytes, start, stop } = reader;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at < stop; ) {
    if (field.kind === "uint64") {
      texts.push(`"${readVarint64(bytes, at)}"`);
      while ((bytes[at] as number) >= 0x80) at++;
      at++;
    } else {
      texts.push(field.kind === "double" ? doubleJson(view.getFloat64(at, true)) : `"${view.getBigUint64(at, true)}"`);
      at += 8;
    }
  }
}

function singleJson(reader: WireReader, { kind, message }: FieldSchema): string {
  switch (kind) {
    case "message":
      return messageJson(message as MessageName, reader.message());
    case "string":
      return quoteJson(reader.text());
    case "bytes":
      return `"${bufferOf(reader).toString("base64")}"`;
    case "traceId":
    case "spanId":
      return `"${bufferOf(reader).toString("hex")}"`;
    case "bool":
      return reader.uint64() === 0n ? "false" : "true";
    case "enum":
      return String(BigInt.asIntN(32, reader.uint64()));
    case "uint32":
      return String(reader.uint32());
    case "sint32":
      return String(reader.sint32());
    case "fixed32":
      return String(reader.fixed32());
    case "int64":
      return `"${BigInt.asIntN(64, reader.uint64())}"`;
    case "uint64":
      return `"${reader.uint64()}"`;
    case "fixed64":
      return `"${reader.fixed64()}"`;
    case "sfixed64":
      return `"${BigInt.asIntN(64, reader.fixed64())}"`;
    case "double":
      return doubleJson(reader.double());
  }
}

function bufferOf(reader: WireReader): Buffer {
  const content = reader.content();
  return Buffer.from(content.buffer, content.byteOffset, content.length);
}

function doubleJson(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  return `"${value}"`;
}
