/** The parts of data points that are not columns: exemplars and the halves of exponential histograms. */

import { readVarint, varintBytes } from "../../kernels/otlp-bytes.ts";
import { type AttributeValue, decodeKeyValue } from "../../model/attributes.ts";
import type { ExponentialBuckets, PointExemplar } from "../../model/batch.ts";
import { DecodeError } from "../../model/errors.ts";
import { readVarint64, unzigzag, WireReader } from "./wire-reader.ts";

/** The position behind the field that begins at `at`, in bytes that were walked. */
export function skipField(bytes: Uint8Array, at: number): number {
  const tag = bytes[at] as number;
  const start = tag < 0x80 ? at + 1 : at + varintBytes(bytes, at);
  switch (tag & 7) {
    case 0:
      return start + varintBytes(bytes, start);
    case 1:
      return start + 8;
    case 2: {
      const length = bytes[start] as number;
      return length < 0x80 ? start + 1 + length : start + varintBytes(bytes, start) + readVarint(bytes, start);
    }
    case 5:
      return start + 4;
    case 3: {
      const reader = new WireReader(bytes, at);
      reader.next();
      return reader.stop;
    }
    default:
      throw new DecodeError("otlp", at, "invalid field tag");
  }
}

/** The Exemplar field [from, to). One without a value has the double 0. */
export function readExemplar(bytes: Uint8Array, from: number, to: number, row: number): PointExemplar {
  const outer = new WireReader(bytes, from, to);
  outer.next();
  const reader = outer.message();
  const filteredAttributes = new Map<string, AttributeValue>();
  let value: number | bigint = 0;
  let timeUnixNano = 0n;
  let traceId = new Uint8Array();
  let spanId = new Uint8Array();
  while (reader.next()) {
    if (reader.field === 2) timeUnixNano = reader.fixed64();
    else if (reader.field === 3) value = reader.double();
    else if (reader.field === 4) spanId = Uint8Array.from(reader.content());
    else if (reader.field === 5) traceId = Uint8Array.from(reader.content());
    else if (reader.field === 6) value = BigInt.asIntN(64, reader.fixed64());
    else if (reader.field === 7) {
      const [key, attribute] = decodeKeyValue(reader.content());
      filteredAttributes.set(key, attribute);
    }
  }
  return { row, filteredAttributes, value, timeUnixNano, traceId, spanId };
}

/** The Buckets field [from, to). */
export function readBuckets(bytes: Uint8Array, from: number, to: number): ExponentialBuckets {
  let offset = 0;
  let counts = new BigUint64Array();
  for (let at = from + 1 + varintBytes(bytes, from + 1); at < to; at = skipField(bytes, at)) {
    const tag = bytes[at];
    if (tag === 0x08) offset = unzigzag(readVarint(bytes, at + 1) % 0x100000000);
    else if (tag === 0x12) {
      const start = at + 1 + varintBytes(bytes, at + 1);
      counts = appendCounts(counts, bytes, start, start + readVarint(bytes, at + 1));
    } else if (tag === 0x10) counts = appendCounts(counts, bytes, at + 1, at + 2);
  }
  return { offset, counts };
}

function appendCounts(
  before: BigUint64Array<ArrayBuffer>,
  bytes: Uint8Array,
  start: number,
  end: number,
): BigUint64Array<ArrayBuffer> {
  let count = 0;
  for (let at = start; at < end; at += varintBytes(bytes, at)) count++;
  const counts = new BigUint64Array(before.length + count);
  counts.set(before);
  // Nearly all counts are below 2^32: two words each, no bigint made.
  const words = new Uint32Array(counts.buffer);
  let i = before.length;
  for (let at = start; at < end; at += varintBytes(bytes, at), i++) {
    if (varintBytes(bytes, at) < 5) words[i * 2] = readVarint(bytes, at);
    else counts[i] = readVarint64(bytes, at);
  }
  return counts;
}
