/** Reads JSON from bytes, token by token, so that integers of 64 bits stay exact and faults have a place. */

import { isUtf8 } from "node:buffer";
import { DecodeError } from "../../model/errors.ts";

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openArray = 0x5b;
const closeArray = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

const numberText = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
/** Longer numbers are refused. */
const maxNumberBytes = 1024;
/** How deep values that are skipped may nest. */
const maxSkipDepth = 256;

/** What a value begins as. */
export type JsonType = "string" | "number" | "object" | "array" | "boolean" | "null";

/** A cursor over one JSON text. Everything that is not JSON throws DecodeError with format `otlp json`. */
export class JsonReader {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (!isUtf8(bytes)) this.fail("invalid UTF-8", 0);
  }

  fail(message: string, at = this.at): never {
    throw new DecodeError("otlp json", at, message);
  }

  /** The next byte that is no blank, not consumed; -1 at the end. */
  peek(): number {
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte === undefined) return -1;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.at++;
    }
  }

  type(): JsonType {
    const byte = this.peek();
    if (byte === quote) return "string";
    if (byte === openObject) return "object";
    if (byte === openArray) return "array";
    if (byte === 0x74 || byte === 0x66) return "boolean";
    if (byte === 0x6e) return "null";
    if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return "number";
    return this.fail(byte < 0 ? "unexpected end" : "unexpected character");
  }

  #expect(byte: number): void {
    if (this.peek() !== byte) this.fail(`expected ${JSON.stringify(String.fromCharCode(byte))}`);
    this.at++;
  }

  /** Fails unless only blanks are left. */
  end(): void {
    if (this.peek() >= 0) this.fail("unexpected text behind the value");
  }

  /** Enters an object. Then call `nextKey(true)`, and `nextKey(false)` after each value. */
  beginObject(): void {
    this.#expect(openObject);
  }

  /** The next key, with the cursor before its value; undefined behind the end of the object. */
  nextKey(isFirst: boolean): string | undefined {
    if (this.peek() === closeObject) {
      this.at++;
      return undefined;
    }
    if (!isFirst) this.#expect(comma);
    if (this.peek() !== quote) this.fail("expected a key");
    const key = this.string();
    this.#expect(colon);
    return key;
  }

  beginArray(): void {
    this.#expect(openArray);
  }

  /** Whether another item follows; false behind the end of the array. */
  nextItem(isFirst: boolean): boolean {
    if (this.peek() === closeArray) {
      this.at++;
      return false;
    }
    if (!isFirst) this.#expect(comma);
    return true;
  }

  string(): string {
    const { bytes } = this;
    this.#expect(quote);
    const start = this.at;
    let isAscii = true;
    let hasEscapes = false;
    for (let at = start; ; at++) {
      const byte = bytes[at];
      if (byte === undefined) return this.fail("string without its end", start);
      if (byte === quote) {
        this.at = at + 1;
        if (hasEscapes) return this.#unescape(start - 1, at + 1);
        return isAscii ? bytes.toString("latin1", start, at) : bytes.toString("utf8", start, at);
      }
      if (byte === backslash) {
        hasEscapes = true;
        at++;
      } else if (byte < 0x20) this.fail("control character in a string", at);
      else if (byte >= 0x80) isAscii = false;
    }
  }

  #unescape(start: number, end: number): string {
    try {
      return JSON.parse(this.bytes.toString("utf8", start, end)) as string;
    } catch (caught) {
      throw new DecodeError("otlp json", start, "invalid escape in a string", { cause: caught });
    }
  }

  /** The text of a number, checked. */
  number(): string {
    this.peek();
    const start = this.at;
    let at = start;
    for (; at - start <= maxNumberBytes; at++) {
      const byte = this.bytes[at] as number;
      const isPart =
        (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
      if (!isPart) break;
    }
    const text = this.bytes.toString("latin1", start, at);
    if (text.length > maxNumberBytes || !numberText.test(text)) this.fail("invalid number", start);
    this.at = at;
    return text;
  }

  boolean(): boolean {
    if (this.#literal("true")) return true;
    if (this.#literal("false")) return false;
    return this.fail("expected true or false");
  }

  null(): void {
    if (!this.#literal("null")) this.fail("expected null");
  }

  #literal(text: string): boolean {
    this.peek();
    if (this.bytes.toString("latin1", this.at, this.at + text.length) !== text) return false;
    this.at += text.length;
    return true;
  }

  /** Passes over a value of any type. */
  skip(depth = 0): void {
    if (depth > maxSkipDepth) this.fail("nested too deeply");
    switch (this.type()) {
      case "string":
        this.string();
        break;
      case "number":
        this.number();
        break;
      case "boolean":
        this.boolean();
        break;
      case "null":
        this.null();
        break;
      case "array":
        this.beginArray();
        for (let isFirst = true; this.nextItem(isFirst); isFirst = false) this.skip(depth + 1);
        break;
      case "object":
        this.beginObject();
        for (let isFirst = true; this.nextKey(isFirst) !== undefined; isFirst = false) this.skip(depth + 1);
    }
  }
}
