/** The attributes of one span, log record or resource in its bytes, changed without decoding what is not looked at. */

import type { WireReader } from "../codec/otlp/wire-reader.ts";
import { ByteWriter } from "../kernels/byte-writer.ts";
import { type AttributeValue, decodeKeyValue, encodeKeyValue } from "../model/attributes.ts";

/** What actions may do; a Map is one. */
export interface MutableAttributes extends Iterable<readonly [string, AttributeValue]> {
  has(key: string): boolean;
  get(key: string): AttributeValue | undefined;
  set(key: string, value: AttributeValue): unknown;
  delete(key: string): unknown;
  keys(): Iterable<string>;
}

/** One KeyValue field, with what became of it. */
interface Entry {
  /** The field with its tag, and where its content begins. */
  readonly from: number;
  readonly start: number;
  readonly stop: number;
  /** Undefined as long as it stays; empty when it is deleted. */
  replaced: Uint8Array | undefined;
  value: AttributeValue | undefined;
}

/** Encoded attributes are remembered: actions mostly set the same few. */
const maxRemembered = 1000;
const remembered = new Map<string, Uint8Array>();
const keyBytes = new Map<string, Buffer>();
const deleted = new Uint8Array();

export class EditableAttributes implements MutableAttributes {
  readonly #bytes: Uint8Array;
  readonly #tag: number;
  readonly #entries: Entry[] = [];
  readonly #added = new Map<string, AttributeValue>();
  #isChanged = false;

  /** `field` is the number of the KeyValue fields in the message that the bytes are of. */
  constructor(bytes: Uint8Array, field: number) {
    this.#bytes = bytes;
    this.#tag = (field << 3) | 2;
  }

  /** Takes the field that the reader stands at. */
  push(reader: WireReader): void {
    this.#entries.push({
      from: reader.fieldAt,
      start: reader.start,
      stop: reader.stop,
      replaced: undefined,
      value: undefined,
    });
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined || this.#added.has(key);
  }

  get(key: string): AttributeValue | undefined {
    const entry = this.#find(key);
    return entry === undefined ? this.#added.get(key) : this.#valueOf(entry);
  }

  set(key: string, value: AttributeValue): void {
    const entry = this.#find(key);
    if (entry === undefined) {
      this.#added.set(key, value);
      this.#isChanged = true;
    } else if (!Object.is(this.#valueOf(entry), value)) {
      entry.replaced = encoded(this.#tag, key, value);
      entry.value = value;
      this.#isChanged = true;
    }
  }

  delete(key: string): void {
    if (this.#added.delete(key)) return;
    for (let entry = this.#find(key); entry !== undefined; entry = this.#find(key)) {
      entry.replaced = deleted;
      this.#isChanged = true;
    }
  }

  *keys(): Iterable<string> {
    for (const [key] of this) yield key;
  }

  *[Symbol.iterator](): Iterator<readonly [string, AttributeValue]> {
    for (const entry of this.#entries) {
      if (entry.replaced === deleted) continue;
      const [key] = decodeKeyValue(this.#bytes.subarray(entry.start, entry.stop));
      yield [key, this.#valueOf(entry)];
    }
    yield* this.#added;
  }

  /** The bytes from `start` to `stop`, in which all the attributes are, as they are now. */
  chunks(start: number, stop: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    let at = start;
    for (const { from, stop: end, replaced } of this.#entries) {
      if (replaced === undefined) continue;
      if (from > at) chunks.push(this.#bytes.subarray(at, from));
      if (replaced !== deleted) chunks.push(replaced);
      at = end;
    }
    if (stop > at) chunks.push(this.#bytes.subarray(at, stop));
    for (const [key, value] of this.#added) chunks.push(encoded(this.#tag, key, value));
    return chunks;
  }

  #valueOf(entry: Entry): AttributeValue {
    if (entry.value === undefined) entry.value = decodeKeyValue(this.#bytes.subarray(entry.start, entry.stop))[1];
    return entry.value;
  }

  /** The first with this key that is still there. */
  #find(key: string): Entry | undefined {
    let wanted = keyBytes.get(key);
    if (wanted === undefined) {
      wanted = Buffer.from(key);
      if (keyBytes.size >= maxRemembered) keyBytes.clear();
      keyBytes.set(key, wanted);
    }
    for (const entry of this.#entries) if (entry.replaced !== deleted && this.#hasKey(entry, wanted)) return entry;
    return undefined;
  }

  #hasKey({ start, stop }: Entry, wanted: Buffer): boolean {
    const bytes = this.#bytes;
    const { length } = wanted;
    // Nearly always the key comes first, and its length is one byte.
    if (bytes[start] !== 0x0a || (bytes[start + 1] as number) >= 0x80) {
      return decodeKeyValue(bytes.subarray(start, stop))[0] === wanted.toString();
    }
    if (bytes[start + 1] !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[start + 2 + i] !== wanted[i]) return false;
    return true;
  }
}

/** The KeyValue field with this tag. */
function encoded(tag: number, key: string, value: AttributeValue): Uint8Array {
  if (typeof value !== "string" && typeof value !== "boolean") return encode(tag, key, value);
  const memo = `${tag},${typeof value},${key.length},${key}${value}`;
  let bytes = remembered.get(memo);
  if (bytes === undefined) {
    bytes = encode(tag, key, value);
    if (remembered.size >= maxRemembered) remembered.clear();
    if (bytes.length < 1024) remembered.set(memo, bytes);
  }
  return bytes;
}

function encode(tag: number, key: string, value: AttributeValue): Uint8Array {
  const pair = new ByteWriter(64);
  encodeKeyValue(pair, key, value);
  const field = new ByteWriter(pair.length + 8);
  field.bytesField(tag, pair.view());
  return field.copy();
}
