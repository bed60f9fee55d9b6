/** Pages whose label values were chosen to collide, as an attacker would choose them, beside usual ones of the same size. */

import { createHashKey, hashBytes } from "../../src/kernels/hash-bytes.ts";
import { createLineKey, hashLine, lineKeyBytes } from "../../src/kernels/hash-line.ts";
import { Identities } from "../../src/model/identities.ts";

/** Label values that collide under a hash that an attacker may know. */
export interface Flood {
  readonly hash: string;
  readonly values: readonly string[];
}

const metric = "http_requests_total";
const label = "path";

/** The page of these values: a counter with one series for each, and a histogram with some as its bounds when asked. */
export function pageOf(values: readonly string[], bounds: readonly string[] = []): Buffer {
  const lines = [`# TYPE ${metric} counter`];
  for (const value of values) lines.push(`${seriesOf(value)} 1`);
  if (bounds.length > 0) lines.push("# TYPE latency histogram");
  for (const bound of bounds) lines.push(`latency_bucket{method="GET",le="${bound}"} 1`);
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** The series of a line of the page. */
export function seriesOf(value: string): string {
  return `${metric}{method="GET",${label}="${value}",zone="eu-central-1a"}`;
}

/** As many values of the same sizes that nobody chose. */
export function usualValues(values: readonly string[]): string[] {
  let state = 1;
  return values.map((value, i) => {
    let text = i.toString(36);
    while (text.length < Buffer.byteLength(value)) {
      state = Math.imul(state, 1_103_515_245) + 12_345;
      text += ((state >>> 16) % 36).toString(36);
    }
    return text;
  });
}

/** Hashes that an attacker may know, with `count` values for each that begin at few slots of a table, or agree in all bits. */
export function floods(count: number): Flood[] {
  const shortKey = createHashKey(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  const plainKey = { seed: 0, first: 0x9e3779b1 | 0, second: 0x85ebca6b | 0 };
  const lineKey = createLineKey(Uint8Array.from({ length: lineKeyBytes }, (_, i) => (i * 151 + 7) & 0xff));
  const words = new Uint32Array(2);
  const lineHash = (value: string, word: 0 | 1) => {
    const bytes = Uint8Array.from(Buffer.from(seriesOf(value)));
    hashLine(lineKey, bytes, new DataView(bytes.buffer), 0, bytes.length, words);
    return words[word] as number;
  };
  return [
    { hash: "FNV-1a", values: search(count, fnv1a) },
    { hash: "djb2", values: search(count, (text) => polynomial(text, 33, 5381)) },
    { hash: "31-polynomial, all 32 bits", values: twins(count, ["Aa", "BB"]) },
    { hash: "pairs of words that differ in their top bits", values: twins(count, ["aaa\u00e9bbb", "aaaC)bbb"]) },
    { hash: "hash of label pairs with a key of zeros and known factors", values: search(count, pairHash(plainKey)) },
    { hash: "hash of label pairs with another process's key", values: search(count, pairHash(shortKey)) },
    { hash: "low word of the hash of lines with another process's key", values: search(count, (v) => lineHash(v, 0)) },
    { hash: "high word of the hash of lines with another process's key", values: search(count, (v) => lineHash(v, 1)) },
    { hash: "integers as their own hash", values: Array.from({ length: count }, (_, i) => `${1e9 + i * 65_536}`) },
    { hash: "integers in sequence", values: Array.from({ length: count }, (_, i) => `${1_000_000 + i}`) },
  ];
}

/** Values whose hash ends with eight zeros, found by search. */
function search(count: number, hash: (text: string) => number): string[] {
  const found: string[] = [];
  for (let i = 0; found.length < count; i++) {
    const text = `/${i.toString(36).padStart(6, "0")}`;
    if ((hash(text) & 0xff) === 0) found.push(text);
  }
  return found;
}

/** Values put together from two pieces that a hash takes for the same. */
function twins(count: number, [one, other]: readonly [string, string]): string[] {
  const pieces = Math.max(14, Math.ceil(Math.log2(count)));
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: pieces }, (_piece, bit) => (((i >> bit) & 1) === 0 ? one : other)).join(""),
  );
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

function polynomial(text: string, factor: number, seed: number): number {
  let hash = seed;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, factor) + text.charCodeAt(at)) | 0;
  return hash;
}

/** The hash of the pair that a value makes, as the tables take it. */
function pairHash(key: Parameters<typeof hashBytes>[0]): (text: string) => number {
  const scratch = new Identities();
  const bytes = scratch.labelPairs.view(scratch.internLabelPair(label, "/000000")).slice();
  return (text) => {
    bytes.set(Buffer.from(text), bytes.length - text.length);
    return hashBytes(key, bytes, 0, bytes.length);
  };
}
