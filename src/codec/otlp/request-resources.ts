/** The resources of an unopened OTLP request: where they are, and into which lane they go. */

import { type HashKey, hashBytes } from "../../kernels/hash-bytes.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import { joinRequests } from "./join-requests.ts";
import { countResourceItems } from "./walk-request.ts";
import { WireReader } from "./wire-reader.ts";

/** One ResourceMetrics, ResourceSpans or ResourceLogs of a request. */
export interface ResourceRange {
  /** Where the field begins, with its tag, and where it ends. */
  readonly from: number;
  readonly to: number;
  /** Where its content begins. */
  readonly start: number;
}

/** The resources of a walked request, in their order. Unknown fields of the request are left out. */
export function resourceRanges(bytes: Uint8Array): ResourceRange[] {
  const ranges: ResourceRange[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) ranges.push({ from: reader.fieldAt, to: reader.stop, start: reader.start });
  }
  return ranges;
}

/**
 * The keyed hash of the Resource message inside `bytes[start..end)`, a ResourceMetrics, ResourceSpans or ResourceLogs. The
 * same bytes have the same hash in every request: the lane of a resource is this number modulo the number of lanes.
 */
export function resourceHash(key: HashKey, bytes: Uint8Array, start: number, end: number): number {
  const reader = new WireReader(bytes, start, end);
  while (reader.next()) {
    if (reader.field === 1) return hashBytes(key, bytes, reader.start, reader.stop);
  }
  return hashBytes(key, bytes, 0, 0);
}

/** The parts of a request by lane, `resourceHash` modulo `lanes`; undefined where a lane gets nothing. */
export function divideRequest(request: OtlpRequest, lanes: number, key: HashKey): (OtlpRequest | undefined)[] {
  const { signal, bytes } = request;
  const result: (OtlpRequest | undefined)[] = new Array(lanes).fill(undefined);
  const ranges = resourceRanges(bytes);
  const laneOf = ({ start, to }: ResourceRange) => resourceHash(key, bytes, start, to) % lanes;
  const first = ranges[0];
  if (first === undefined) return result;
  const firstLane = lanes === 1 ? 0 : laneOf(first);
  if (lanes === 1 || ranges.every((range) => laneOf(range) === firstLane)) {
    result[firstLane] = request;
    return result;
  }
  const parts: OtlpRequest[][] = Array.from({ length: lanes }, () => []);
  for (const range of ranges) {
    const items = countResourceItems(signal, bytes, range.start, range.to);
    parts[laneOf(range)]?.push({ signal, bytes: bytes.subarray(range.from, range.to), items });
  }
  return parts.map((part) => (part.length === 0 ? undefined : joinRequests(signal, part)));
}
