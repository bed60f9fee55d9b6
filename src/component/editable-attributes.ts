/** The attributes of one span, log record or resource in its bytes, changed without decoding what is not looked at. */

import { ByteWriter } from "../kernels/byte-writer.ts";
import { type AttributeValue, decodeKeyValue, encodeKeyValue } from "../model/attributes.ts";
import type { BytePatches } from "./byte-patches.ts";

/** What actions may do; a Map is one. */
export interface MutableAttributes extends Iterable<readonly [string, AttributeValue]> {
  has(key: string): boolean;
  get(key: string): AttributeValue | undefined;
  set(key: string, value: AttributeValue): unknown;
  delete(key: string): unknown;
  keys(): Iterable<string>;
}

/** Encoded attributes and keys are remembered: actions mostly name the same few. */
const maxRemembered = 1000;
const maxRememberedBytes = 1024;
const remembered = new Map<string, Uint8Array>();
const keyBytes = new Map<string, Buffer>();
const deleted = new Uint8Array();
/** The key that was looked for last: mostly the next one is the same, in the next span. */
let lastWantedKey: string | undefined;
let lastWanted: Buffer = Buffer.alloc(0);
/** The attribute that was encoded last: mostly the next one is the same, in the next span. */
let lastTag = 0;
let lastKey = "";
let lastValue: AttributeValue = null;
let lastBytes: Uint8Array = deleted;

/** Used again and again: `reset` begins the attributes of another message. */
export class EditableAttributes implements MutableAttributes {
  readonly #bytes: Uint8Array;
  readonly #tag: number;
  /** Where the KeyValue fields begin, with their tags; where their contents do; where they end. */
  readonly #froms: number[] = [];
  readonly #starts: number[] = [];
  readonly #stops: number[] = [];
  /** Undefined as long as a field stays; `deleted` when it goes. */
  readonly #replaced: (Uint8Array | undefined)[] = [];
  readonly #values: (AttributeValue | undefined)[] = [];
  #count = 0;
  /** The key that was looked for last in this message, and what `#find` said. */
  #foundKey: string | undefined;
  #found = -1;
  /** What came new; lists, for they are few, and a Map makes garbage each time it is cleared. */
  readonly #addedKeys: string[] = [];
  readonly #addedValues: AttributeValue[] = [];
  #addedCount = 0;
  #isChanged = false;
  /** Whether `#replaced` or `#values` says anything. */
  #hasOwn = false;

  /** `field` is the number of the KeyValue fields in the messages, which are all in `bytes`. */
  constructor(bytes: Uint8Array, field: number) {
    this.#bytes = bytes;
    this.#tag = (field << 3) | 2;
  }

  reset(): void {
    this.#count = 0;
    this.#foundKey = undefined;
    this.#isChanged = false;
    if (this.#hasOwn) {
      this.#replaced.length = 0;
      this.#values.length = 0;
      this.#hasOwn = false;
    }
    this.#addedCount = 0;
  }

  /** Adds a KeyValue field of the message, in its order. */
  push(from: number, start: number, stop: number): void {
    const i = this.#count++;
    this.#foundKey = undefined;
    this.#froms[i] = from;
    this.#starts[i] = start;
    this.#stops[i] = stop;
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  has(key: string): boolean {
    return this.#find(key) >= 0 || this.#findAdded(key) >= 0;
  }

  get(key: string): AttributeValue | undefined {
    const i = this.#find(key);
    if (i >= 0) return this.#valueAt(i);
    const added = this.#findAdded(key);
    return added < 0 ? undefined : this.#addedValues[added];
  }

  set(key: string, value: AttributeValue): void {
    const i = this.#find(key);
    if (i < 0) {
      const known = this.#findAdded(key);
      const added = known < 0 ? this.#addedCount++ : known;
      this.#addedKeys[added] = key;
      this.#addedValues[added] = value;
      this.#isChanged = true;
    } else if (!Object.is(this.#valueAt(i), value)) {
      this.#replaced[i] = encoded(this.#tag, key, value);
      this.#values[i] = value;
      this.#hasOwn = true;
      this.#isChanged = true;
    }
  }

  delete(key: string): void {
    const added = this.#findAdded(key);
    if (added >= 0) {
      this.#addedKeys.splice(added, 1);
      this.#addedValues.splice(added, 1);
      this.#addedCount--;
      return;
    }
    for (let i = this.#find(key); i >= 0; i = this.#find(key)) {
      this.#replaced[i] = deleted;
      this.#hasOwn = true;
      this.#foundKey = undefined;
      this.#isChanged = true;
    }
  }

  *keys(): Iterable<string> {
    for (const [key] of this) yield key;
  }

  *[Symbol.iterator](): Iterator<readonly [string, AttributeValue]> {
    for (let i = 0; i < this.#count; i++) {
      if (this.#replaced[i] === deleted) continue;
      yield [decodeKeyValue(this.#bytes.subarray(this.#starts[i], this.#stops[i]))[0], this.#valueAt(i)];
    }
    for (let i = 0; i < this.#addedCount; i++) {
      yield [this.#addedKeys[i] as string, this.#addedValues[i] as AttributeValue];
    }
  }

  /** Notes the changes of the message that ends at `end`; returns by how many bytes it grows. */
  note(patches: BytePatches, end: number): number {
    let growth = 0;
    for (let i = 0; i < this.#count; i++) {
      const bytes = this.#replaced[i];
      if (bytes === undefined) continue;
      growth += patches.replace(this.#froms[i] as number, this.#stops[i] as number, bytes);
    }
    for (let i = 0; i < this.#addedCount; i++) {
      const bytes = encoded(this.#tag, this.#addedKeys[i] as string, this.#addedValues[i] as AttributeValue);
      growth += patches.replace(end, end, bytes);
    }
    return growth;
  }

  #findAdded(key: string): number {
    for (let i = 0; i < this.#addedCount; i++) if (this.#addedKeys[i] === key) return i;
    return -1;
  }

  #valueAt(i: number): AttributeValue {
    let value = this.#values[i];
    if (value === undefined) {
      value = decodeKeyValue(this.#bytes.subarray(this.#starts[i], this.#stops[i]))[1];
      this.#values[i] = value;
      this.#hasOwn = true;
    }
    return value;
  }

  /** The first with this key that is still there, or -1. Actions ask for a key twice: whether it is there, and to set it. */
  #find(key: string): number {
    if (key === this.#foundKey) return this.#found;
    this.#found = this.#search(wantedBytes(key), key);
    this.#foundKey = key;
    return this.#found;
  }

  #search(wanted: Buffer, key: string): number {
    const bytes = this.#bytes;
    const { length } = wanted;
    for (let i = 0; i < this.#count; i++) {
      if (this.#replaced[i] === deleted) continue;
      const start = this.#starts[i] as number;
      // Nearly always the key comes first, and its length is one byte.
      if (bytes[start] !== 0x0a || (bytes[start + 1] as number) >= 0x80) {
        if (decodeKeyValue(bytes.subarray(start, this.#stops[i]))[0] === key) return i;
      } else if (bytes[start + 1] === length) {
        let at = 0;
        while (at < length && bytes[start + 2 + at] === wanted[at]) at++;
        if (at === length) return i;
      }
    }
    return -1;
  }
}

/** The bytes of a key. */
function wantedBytes(key: string): Buffer {
  if (key === lastWantedKey) return lastWanted;
  let wanted = keyBytes.get(key);
  if (wanted === undefined) {
    wanted = Buffer.from(key);
    if (keyBytes.size >= maxRemembered) keyBytes.clear();
    keyBytes.set(key, wanted);
  }
  lastWantedKey = key;
  lastWanted = wanted;
  return wanted;
}

/** The KeyValue field with this tag. */
function encoded(tag: number, key: string, value: AttributeValue): Uint8Array {
  if (typeof value !== "string" && typeof value !== "boolean") return encode(tag, key, value);
  if (key === lastKey && value === lastValue && tag === lastTag) return lastBytes;
  const memo = `${tag},${typeof value},${key.length},${key}${value}`;
  let bytes = remembered.get(memo);
  if (bytes === undefined) {
    bytes = encode(tag, key, value);
    if (remembered.size >= maxRemembered) remembered.clear();
    if (bytes.length < maxRememberedBytes) remembered.set(memo, bytes);
  }
  [lastTag, lastKey, lastValue, lastBytes] = [tag, key, value, bytes];
  return bytes;
}

function encode(tag: number, key: string, value: AttributeValue): Uint8Array {
  const pair = new ByteWriter(64);
  encodeKeyValue(pair, key, value);
  const field = new ByteWriter(pair.length + 8);
  field.bytesField(tag, pair.view());
  return field.copy();
}
