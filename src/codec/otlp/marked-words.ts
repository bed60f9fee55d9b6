/** Follows the words of a shape through decoding and encoding: each gets a number that is found again behind it. */

import { randomBytes } from "node:crypto";
import { copyWords } from "../../kernels/otlp-words.ts";
import type { RequestShape } from "../../model/otlp-request.ts";

/**
 * The upper half of a marked word; the lower is the number of the word, from 1. A secret, so that no text looks like one, and
 * the upper half of an ordinary double, so that it survives as a number.
 */
export type Mark = number;

/** Two that differ, for one use: what is a word with both is one, since no bytes that are always the same can be both. */
export function createMarks(): readonly [Mark, Mark] {
  const random = randomBytes(8);
  const first = markOf(random.readUInt32LE());
  const second = markOf(random.readUInt32LE(4));
  return first === second ? createMarks() : [first, second];
}

/** 29 random bits; the exponent is that of a double which is neither zero nor infinite. */
function markOf(random: number): Mark {
  return 0x20000000 | (random & 0x1fffffff);
}

/** The bytes of a shape, with a mark in each word. */
export function markedRequest({ bytes, words }: RequestShape, mark: Mark): Uint8Array {
  const marked = Buffer.allocUnsafeSlow(bytes.length);
  marked.set(bytes);
  for (let i = 0; i < words.length; i++) {
    marked.writeUInt32LE(i + 1, words[i] as number);
    marked.writeUInt32LE(mark, (words[i] as number) + 4);
  }
  return marked;
}

/** For each element of a column of 8 bytes the place in the request that it comes from; 0 where it is always the same. */
export function placesInRequest(column: Int32Array, mark: Mark, { words }: RequestShape): Uint32Array {
  const places = new Uint32Array(column.length / 2);
  for (let i = 0; i < places.length; i++) {
    const number = column[i * 2] as number;
    if (column[i * 2 + 1] === mark && number > 0 && number <= words.length) places[i] = words[number - 1] as number;
  }
  return places;
}

/** How requests of a shape become other requests: always the same bytes, and the words of the first in other places. */
export interface ShapeEdit {
  /** Of the requests that come out. */
  readonly shape: RequestShape;
  /** For each word of `shape` its place in the request that goes in. */
  readonly sources: Uint32Array;
}

/**
 * What two results, made of the requests of `source` with these marks, say about all requests of that shape. Undefined where
 * a word is found twice, or where the two differ in more than marks: then what made them did more than move words.
 */
export function findEdit(
  encoded: readonly [Uint8Array, Uint8Array],
  marks: readonly [Mark, Mark],
  source: RequestShape,
  items: number,
): ShapeEdit | undefined {
  const edit = findMarks(encoded[0], marks[0], source, items);
  const other = findMarks(encoded[1], marks[1], source, items);
  if (edit === undefined || other === undefined) return undefined;
  const isSame =
    isEqual(edit.shape.words, other.shape.words) &&
    isEqual(edit.sources, other.sources) &&
    Buffer.compare(edit.shape.bytes, other.shape.bytes) === 0;
  return isSame ? edit : undefined;
}

function isEqual(left: Uint32Array, right: Uint32Array): boolean {
  return left.length === right.length && left.every((value, i) => value === right[i]);
}

function findMarks(encoded: Uint8Array, mark: Mark, source: RequestShape, items: number): ShapeEdit | undefined {
  const targets: number[] = [];
  const sources: number[] = [];
  const found = new Uint8Array(source.words.length + 1);
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length);
  for (let at = 0; at + 8 <= encoded.length; ) {
    const number = view.getUint32(at + 4, true) === mark ? view.getUint32(at, true) : 0;
    if (number === 0 || number > source.words.length) {
      at++;
      continue;
    }
    if (found[number] === 1) return undefined;
    found[number] = 1;
    targets.push(at);
    sources.push(source.words[number - 1] as number);
    at += 8;
  }
  const bytes = Buffer.allocUnsafeSlow(encoded.length);
  bytes.set(encoded);
  for (const at of targets) bytes.fill(0, at, at + 8);
  return { shape: { bytes, words: Uint32Array.from(targets), items }, sources: Uint32Array.from(sources) };
}

/**
 * The edited bytes of a request of the shape that the edit was made for; in `earlier` where that is given, bytes which the same
 * edit made before: only their words are written then.
 */
export function applyShapeEdit({ shape, sources }: ShapeEdit, bytes: Uint8Array, earlier?: Uint8Array): Uint8Array {
  const result = earlier ?? copyOf(shape.bytes);
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const target = new DataView(result.buffer, result.byteOffset, result.length);
  copyWords(source, sources, target, shape.words);
  return result;
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
