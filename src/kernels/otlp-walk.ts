/** One walk over the tags of an OTLP request: proves it well-formed and counts its items, without making anything. */

import { isPackable, type MessageName, messageSchemas, wireTypeOf } from "./otlp-schema.ts";

/** What can be wrong with a request; `none` is 0. */
export const walkFault = {
  none: 0,
  length: 1,
  varint: 2,
  tag: 3,
  wireType: 4,
  depth: 5,
  group: 6,
  packed: 7,
  idLength: 8,
  twoKinds: 9,
} as const;

/** The walk's message for each fault, by number. */
export const walkFaultTexts: readonly string[] = [
  "no fault",
  "length beyond the end",
  "varint longer than 10 bytes or cut off",
  "invalid field tag",
  "wrong wire type",
  "nested too deeply",
  "group without its end",
  "packed field with a rest",
  "trace or span id of a wrong length",
  "metric with two kinds of data",
];

/** The result of a walk; reused by its owner. */
export interface WalkResult {
  /** Data points, spans or log records. */
  items: number;
  /** One of `walkFault`, and where. */
  fault: number;
  faultAt: number;
}

/** How deep attribute values and unknown groups may nest; the same as the model allows for attributes. */
export const maxNesting = 64;

const names: readonly MessageName[] = [...messageSchemas.keys()];
const typeOf = (name: MessageName) => names.indexOf(name);

// What to do with a tag byte, by message: `actions[type << 7 | tag]`.
const bad = 0;
const skipVarint = 1;
const skip64 = 2;
const skip32 = 3;
const skipBytes = 4;
const skipGroup = 5;
const packed64 = 6;
const packedVarint = 7;
const packed32 = 8;
const id16 = 9;
const id8 = 10;
const badGroupEnd = 11;
const badTag = 12;
/** From here on: walk the message with this number less `firstMessage`. */
const firstMessage = 16;

const unknownActions = [skipVarint, skip64, skipBytes, skipGroup, badGroupEnd, skip32, badTag, badTag] as const;

const actions = new Uint8Array(names.length << 7);
for (const [type, { fields }] of [...messageSchemas.values()].entries()) {
  for (let tag = 0; tag < 128; tag++) {
    actions[(type << 7) | tag] = tag < 8 ? badTag : (unknownActions[tag & 7] as number);
  }
  for (const { number, kind, message, isRepeated } of fields) {
    if (number > 15) continue;
    for (let wire = 0; wire < 6; wire++) actions[(type << 7) | (number << 3) | wire] = bad;
    const wire = wireTypeOf(kind);
    const plain = { 0: skipVarint, 1: skip64, 2: skipBytes, 5: skip32 }[wire];
    const own = kind === "traceId" ? id16 : kind === "spanId" ? id8 : plain;
    actions[(type << 7) | (number << 3) | wire] = message === undefined ? own : firstMessage + typeOf(message);
    if (isRepeated && isPackable(kind)) {
      actions[(type << 7) | (number << 3) | 2] = wire === 1 ? packed64 : wire === 5 ? packed32 : packedVarint;
    }
  }
}

/** 1 for the messages that are counted. */
const isItem = new Uint8Array(names.length);
const itemNames = [
  "NumberDataPoint",
  "HistogramDataPoint",
  "ExponentialHistogramDataPoint",
  "SummaryDataPoint",
  "Span",
  "LogRecord",
] as const;
for (const name of itemNames) isItem[typeOf(name)] = 1;

/** 1 for the messages that hold an AnyValue's nested values. */
const isNesting = new Uint8Array(names.length);
isNesting[typeOf("ArrayValue")] = 1;
isNesting[typeOf("KeyValueList")] = 1;

const keyValueType = typeOf("KeyValue");
const numberPointType = typeOf("NumberDataPoint");
const firstData = typeOf("Gauge");
const lastData = typeOf("Summary");
const spanType = typeOf("Span");

/** Fields with numbers above 15 that OTLP knows: Span.flags, a fixed32. */
const spanFlagsTag = (16 << 3) | 5;

/** Nearly all attributes are a short key and a short text: 0a k key 12 v 0a s text. */
function isPlainAttribute(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 6) return false;
  const valueAt = at + 2 + (bytes[at + 1] as number);
  const rest = end - valueAt - 2;
  return (
    rest >= 2 &&
    rest < 0x80 &&
    bytes[at] === 0x0a &&
    (bytes[at + 1] as number) < 0x80 &&
    bytes[valueAt] === 0x12 &&
    bytes[valueAt + 1] === rest &&
    bytes[valueAt + 2] === 0x0a &&
    bytes[valueAt + 3] === rest - 2
  );
}

/** Nearly all number points are two times, a value and plain attributes, in the order of their field numbers. */
function isPlainNumberPoint(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (end - at < 18) return false;
  if (bytes[at] === 0x11) at += 9;
  if (bytes[at] !== 0x19) return false;
  at += 9;
  if (end - at < 9 || (bytes[at] !== 0x21 && bytes[at] !== 0x31)) return false;
  at += 9;
  while (at < end) {
    if (end - at < 8 || bytes[at] !== 0x3a) return false;
    const length = bytes[at + 1] as number;
    const next = at + 2 + length;
    const keyLength = bytes[at + 3] as number;
    const valueAt = at + 4 + keyLength;
    const rest = next - valueAt - 2;
    if (
      length >= 0x80 ||
      next > end ||
      rest < 2 ||
      keyLength >= 0x80 ||
      bytes[at + 2] !== 0x0a ||
      bytes[valueAt] !== 0x12 ||
      bytes[valueAt + 1] !== rest ||
      bytes[valueAt + 2] !== 0x0a ||
      bytes[valueAt + 3] !== rest - 2
    )
      return false;
    at = next;
  }
  return true;
}

export class OtlpWalk implements WalkResult {
  items = 0;
  fault = 0;
  faultAt = 0;
  #bytes: Uint8Array = new Uint8Array();
  /** The position behind the last varint read out of line. */
  #at = 0;

  /** Walks `bytes[start..end)` as a message of this name. Returns false and sets `fault` when it is not well-formed. */
  walk(name: MessageName, bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    this.items = 0;
    this.fault = 0;
    this.#bytes = bytes;
    const isWell = this.#message(typeOf(name), start, end, 0);
    this.#bytes = emptyBytes;
    return isWell;
  }

  #fail(fault: number, at: number): boolean {
    this.fault = fault;
    this.faultAt = at;
    return false;
  }

  /**
   * One function for all messages, driven by `actions`: a call per field would cost as much as the walk itself.
   */
  #message(type: number, start: number, end: number, depth: number): boolean {
    const bytes = this.#bytes;
    const row = type << 7;
    let data = -1;
    let at = start;
    while (at < end) {
      const tagAt = at;
      const tag = bytes[at++] as number;
      if (tag >= 0x80) {
        at = this.#longTag(type, tagAt, end);
        if (at < 0) return false;
        continue;
      }
      const action = actions[row | tag] as number;
      if (action === skip64) at += 8;
      else if (action === skipVarint) {
        const limit = Math.min(at + 10, end);
        while (at < limit && (bytes[at] as number) >= 0x80) at++;
        if (at++ >= limit) return this.#fail(walkFault.varint, tagAt);
        continue;
      } else if (action === skip32) at += 4;
      else if (action === skipGroup) {
        at = this.#group(tag >>> 3, at, end, 0);
        if (at < 0) return false;
      } else if (action < skipBytes || action > badGroupEnd) {
        if (action < firstMessage) return this.#fail(action === bad ? walkFault.wireType : walkFault.tag, tagAt);
      } else if (action === badGroupEnd) return this.#fail(walkFault.group, tagAt);
      if (action < skipBytes || action === skipGroup) {
        if (at > end) return this.#fail(walkFault.length, tagAt);
        continue;
      }
      // Everything else has a length.
      let length = at < end ? (bytes[at++] as number) : 0x80;
      if (length >= 0x80) {
        length = this.#length(at - 1, end);
        if (length < 0) return this.#fail(walkFault.varint, tagAt);
        at = this.#at;
      }
      const next = at + length;
      if (next > end) return this.#fail(walkFault.length, tagAt);
      if (action >= firstMessage) {
        const inner = action - firstMessage;
        if (inner === numberPointType) {
          if (isPlainNumberPoint(bytes, at, next)) {
            this.items++;
            at = next;
            continue;
          }
        } else if (inner === keyValueType) {
          if (isPlainAttribute(bytes, at, next)) {
            at = next;
            continue;
          }
        } else if (inner >= firstData && inner <= lastData) {
          if (data >= 0 && data !== inner) return this.#fail(walkFault.twoKinds, tagAt);
          data = inner;
        }
        this.items += isItem[inner] as number;
        const deeper = depth + (isNesting[inner] as number);
        if (deeper > maxNesting) return this.#fail(walkFault.depth, tagAt);
        if (!this.#message(inner, at, next, deeper)) return false;
      } else if (action === packedVarint) {
        if (!this.#packedVarints(at, next)) return this.#fail(walkFault.packed, tagAt);
      } else if (action === packed64) {
        if ((length & 7) !== 0) return this.#fail(walkFault.packed, tagAt);
      } else if (action === packed32) {
        if ((length & 3) !== 0) return this.#fail(walkFault.packed, tagAt);
      } else if (action === id16) {
        if (length !== 0 && length !== 16) return this.#fail(walkFault.idLength, tagAt);
      } else if (action === id8) {
        if (length !== 0 && length !== 8) return this.#fail(walkFault.idLength, tagAt);
      }
      at = next;
    }
    return true;
  }

  /** A length of more than one byte, or -1; `#at` is then behind it. Lengths above 2^53 become large, not wrong. */
  #length(start: number, end: number): number {
    const bytes = this.#bytes;
    const limit = Math.min(start + 10, end);
    let length = 0;
    let scale = 1;
    for (let at = start; at < limit; at++) {
      const byte = bytes[at] as number;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#at = at + 1;
        return length;
      }
      scale *= 128;
    }
    return -1;
  }

  /** A field whose tag has several bytes; returns the position behind it, or -1 with a fault set. */
  #longTag(type: number, start: number, end: number): number {
    const tag = this.#length(start, end);
    // Field numbers end at 2^29 - 1.
    if (tag < 8 || tag > 0xffffffff) {
      this.#fail(walkFault.tag, start);
      return -1;
    }
    if (type === spanType && tag >>> 3 === 16 && tag !== spanFlagsTag) {
      this.#fail(walkFault.wireType, start);
      return -1;
    }
    if (tag < 0x80) {
      // A short tag written long: known fields are not looked for there, so that one field has one tag.
      this.#fail(walkFault.tag, start);
      return -1;
    }
    return this.#unknown(tag, start, this.#at, end, 0);
  }

  /** Skips the value of an unknown field; returns the position behind it, or -1 with a fault set. */
  #unknown(tag: number, tagAt: number, start: number, end: number, depth: number): number {
    let at = start;
    switch (tag & 7) {
      case 0: {
        const size = this.#length(at, end);
        if (size < 0) {
          this.#fail(walkFault.varint, tagAt);
          return -1;
        }
        return this.#at;
      }
      case 1:
        at += 8;
        break;
      case 2: {
        const length = this.#length(at, end);
        if (length < 0) {
          this.#fail(walkFault.varint, tagAt);
          return -1;
        }
        at = this.#at + length;
        break;
      }
      case 3:
        return this.#group(Math.floor(tag / 8), at, end, depth + 1);
      case 5:
        at += 4;
        break;
      default:
        this.#fail((tag & 7) === 4 ? walkFault.group : walkFault.tag, tagAt);
        return -1;
    }
    if (at <= end) return at;
    this.#fail(walkFault.length, tagAt);
    return -1;
  }

  /** Skips a group, whose start tag was read; groups are known from old schemas only. */
  #group(field: number, start: number, end: number, depth: number): number {
    if (depth > maxNesting) {
      this.#fail(walkFault.depth, start);
      return -1;
    }
    let at = start;
    while (at < end) {
      const tagAt = at;
      const tag = this.#length(at, end);
      if (tag < 8 || tag > 0xffffffff) {
        this.#fail(walkFault.tag, tagAt);
        return -1;
      }
      if ((tag & 7) === 4) {
        if (Math.floor(tag / 8) === field) return this.#at;
        break;
      }
      at = this.#unknown(tag, tagAt, this.#at, end, depth);
      if (at < 0) return -1;
    }
    this.#fail(walkFault.group, start);
    return -1;
  }

  #packedVarints(start: number, end: number): boolean {
    const bytes = this.#bytes;
    let size = 0;
    for (let at = start; at < end; at++) {
      size++;
      if ((bytes[at] as number) < 0x80) size = 0;
      else if (size >= 10) return false;
    }
    return size === 0;
  }
}

const emptyBytes = new Uint8Array();
