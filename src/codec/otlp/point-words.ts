/** Finds the words of a metrics request that change from one request to the next: the times and values of its points. */

import { readVarint, varintBytes } from "../../kernels/otlp-bytes.ts";
import { skipField } from "./read-parts.ts";

/** Where the content of the field at `at` begins, which has a length. */
function contentAt(bytes: Uint8Array, at: number): number {
  return at + 1 + varintBytes(bytes, at + 1);
}

/** The data fields of a metric, by tag: how their points are written. */
const kinds: ReadonlyMap<number, { readonly packed: readonly number[]; readonly nested: readonly number[] }> = new Map([
  [0x2a, { packed: [], nested: [0x2a] }],
  [0x3a, { packed: [], nested: [0x2a] }],
  [0x4a, { packed: [0x32, 0x3a], nested: [0x42] }],
  [0x52, { packed: [], nested: [0x5a] }],
  [0x5a, { packed: [], nested: [0x32] }],
]);

/** Span and trace ids of exemplars: one and two words. */
const idLengths: ReadonlyMap<number, number> = new Map([
  [0x22, 8],
  [0x2a, 16],
]);

/**
 * The places of all fixed words in the points of a walked ExportMetricsServiceRequest, ascending: times, numbers, counts,
 * sums, extremes, buckets, bounds, quantiles, and the same of exemplars. Requests that differ in nothing else are of one
 * shape. Numbers that are written with varying lengths, such as the buckets of exponential histograms, are not among them.
 */
export function pointWords(bytes: Uint8Array): Uint32Array {
  const words: number[] = [];
  for (const [resource, resourceEnd] of fields(bytes, 0, bytes.length, 0x0a)) {
    for (const [scope, scopeEnd] of fields(bytes, resource, resourceEnd, 0x12)) {
      for (const [metric, metricEnd] of fields(bytes, scope, scopeEnd, 0x12)) {
        metricWords(bytes, metric, metricEnd, words);
      }
    }
  }
  return Uint32Array.from(words);
}

/** Content and end of each field with this tag. */
function* fields(bytes: Uint8Array, start: number, end: number, tag: number): Iterable<readonly [number, number]> {
  for (let at = start; at < end; ) {
    const next = skipField(bytes, at);
    if (bytes[at] === tag) yield [contentAt(bytes, at), next];
    at = next;
  }
}

function metricWords(bytes: Uint8Array, start: number, end: number, words: number[]): void {
  for (let at = start; at < end; ) {
    const next = skipField(bytes, at);
    const kind = kinds.get(bytes[at] as number);
    if (kind !== undefined) {
      for (const [point, pointEnd] of fields(bytes, contentAt(bytes, at), next, 0x0a)) {
        fieldWords(bytes, point, pointEnd, kind, words);
      }
    }
    at = next;
  }
}

function fieldWords(
  bytes: Uint8Array,
  start: number,
  end: number,
  { packed, nested }: { readonly packed: readonly number[]; readonly nested: readonly number[] },
  words: number[],
): void {
  for (let at = start; at < end; ) {
    const tag = bytes[at] as number;
    const next = skipField(bytes, at);
    if (tag < 0x80 && (tag & 7) === 1) words.push(at + 1);
    else if (packed.includes(tag)) for (let word = contentAt(bytes, at); word < next; word += 8) words.push(word);
    else if (nested.includes(tag)) nestedWords(bytes, contentAt(bytes, at), next, words);
    at = next;
  }
}

/** The words of an exemplar, or of a quantile and its value. */
function nestedWords(bytes: Uint8Array, start: number, end: number, words: number[]): void {
  for (let at = start; at < end; ) {
    const tag = bytes[at] as number;
    const next = skipField(bytes, at);
    if (tag < 0x80 && (tag & 7) === 1) words.push(at + 1);
    else {
      const length = idLengths.get(tag);
      if (length !== undefined && readVarint(bytes, at + 1) === length) {
        for (let word = contentAt(bytes, at); word < next; word += 8) words.push(word);
      }
    }
    at = next;
  }
}
