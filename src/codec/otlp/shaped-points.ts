/** The points of all requests of one shape: everything but times and values is shared, these are gathered by their places. */

import { gatherWords } from "../../kernels/otlp-words.ts";
import type { PointsSegment } from "../../model/batch.ts";
import type { RequestShape } from "../../model/otlp-request.ts";
import { createMarks, type Mark, markedRequest, placesInRequest } from "./marked-words.ts";

/** A column of 8 bytes an element. */
interface WordColumn {
  /** As in the marked request. */
  readonly words: Int32Array;
  /** By element the place in a request; undefined where none changes. */
  readonly places: Uint32Array | undefined;
  /** Whether some elements have no place. */
  readonly isMixed: boolean;
}

type Read = (view: DataView) => PointsSegment;

/**
 * What reads requests of the shape; `decode` is how they are read otherwise. Undefined where their points hold more than
 * columns say, or where a value only looks like a word: then requests are decoded one by one.
 */
export function shapedPoints(
  shape: RequestShape,
  decode: (bytes: Uint8Array) => readonly PointsSegment[],
): ((bytes: Uint8Array) => PointsSegment[]) | undefined {
  const [mark, otherMark] = createMarks();
  const marked = decode(markedRequest(shape, mark));
  if (marked.some(({ exemplars }) => exemplars !== undefined)) return undefined;
  const reads = marked.map((segment) => segmentReader(segment, mark, shape));
  const read = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return reads.map((readSegment) => readSegment(view));
  };
  const other = markedRequest(shape, otherMark);
  return haveSameColumns(read(other), decode(other)) ? read : undefined;
}

function haveSameColumns(left: readonly PointsSegment[], right: readonly PointsSegment[]): boolean {
  if (left.length !== right.length) return false;
  return left.every((segment, i) => {
    const others = new Map<string, unknown>(Object.entries(right[i] ?? {}));
    return Object.entries(segment).every(([name, column]: [string, unknown]) => {
      const other = others.get(name);
      if (!ArrayBuffer.isView(column)) return !ArrayBuffer.isView(other);
      return ArrayBuffer.isView(other) && Buffer.compare(bytesOf(column), bytesOf(other)) === 0;
    });
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function segmentReader(segment: PointsSegment, mark: Mark, shape: RequestShape): Read {
  const column = (words: Float64Array | BigUint64Array | BigInt64Array) => wordColumn(words, mark, shape);
  const u64 = (words: BigUint64Array) => {
    const of = column(words);
    return (view: DataView) => (of.places === undefined ? words : new BigUint64Array(gathered(of, view)));
  };
  const f64 = (words: Float64Array) => {
    const of = column(words);
    return (view: DataView) => (of.places === undefined ? words : new Float64Array(gathered(of, view)));
  };
  const [times, starts] = [u64(segment.timeUnixNano), u64(segment.startTimeUnixNano)];
  const base = (view: DataView) => ({ timeUnixNano: times(view), startTimeUnixNano: starts(view) });
  if (segment.kind === "number") {
    const values = column(segment.ints);
    return (view) => {
      const buffer = gathered(values, view);
      return { ...segment, ...base(view), doubles: new Float64Array(buffer), ints: new BigInt64Array(buffer) };
    };
  }
  const [counts, sums] = [u64(segment.counts), f64(segment.sums)];
  if (segment.kind === "summary") {
    const [quantiles, quantileValues] = [f64(segment.quantiles), f64(segment.quantileValues)];
    return (view) => ({
      ...segment,
      ...base(view),
      counts: counts(view),
      sums: sums(view),
      quantiles: quantiles(view),
      quantileValues: quantileValues(view),
    });
  }
  const [mins, maxs] = [f64(segment.mins), f64(segment.maxs)];
  const statistics = (view: DataView) => ({
    ...base(view),
    counts: counts(view),
    sums: sums(view),
    mins: mins(view),
    maxs: maxs(view),
  });
  if (segment.kind === "histogram") {
    const [bucketCounts, bounds] = [u64(segment.bucketCounts), f64(segment.bounds)];
    return (view) => ({ ...segment, ...statistics(view), bucketCounts: bucketCounts(view), bounds: bounds(view) });
  }
  const [zeroCounts, zeroThresholds] = [u64(segment.zeroCounts), f64(segment.zeroThresholds)];
  return (view) => ({
    ...segment,
    ...statistics(view),
    zeroCounts: zeroCounts(view),
    zeroThresholds: zeroThresholds(view),
  });
}

function wordColumn(
  column: Float64Array | BigUint64Array | BigInt64Array,
  mark: Mark,
  shape: RequestShape,
): WordColumn {
  const words = new Int32Array(column.buffer, column.byteOffset, column.length * 2);
  const places = placesInRequest(words, mark, shape);
  const isMixed = places.includes(0);
  const isConstant = places.every((place) => place === 0);
  return { words, places: isConstant ? undefined : places, isMixed };
}

function gathered({ words, places, isMixed }: WordColumn, view: DataView): ArrayBuffer {
  const column = isMixed || places === undefined ? Int32Array.from(words) : new Int32Array(words.length);
  if (places !== undefined) gatherWords(view, places, column);
  return column.buffer as ArrayBuffer;
}
