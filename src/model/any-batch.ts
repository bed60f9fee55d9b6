/** What batches of all signals have in common. */

import { countRows, type MetricsBatch, segmentBytes } from "./batch.ts";
import type { ClientInfo } from "./client-info.ts";
import type { LogsBatch, OtlpRequest, Signal, TracesBatch } from "./otlp-request.ts";

/** A batch of some signal. */
export type AnyBatch = MetricsBatch | TracesBatch | LogsBatch;

/** The signals in the order in which they are listed. */
export const signals: readonly Signal[] = ["metrics", "traces", "logs"];

/** Data points (or samples), spans or log records of a batch. */
export function countItems(batch: AnyBatch): number {
  if (batch.signal === "metrics") return countRows(batch);
  let count = 0;
  for (const request of batch.requests) count += request.items;
  return count;
}

/** Rough bytes that a batch keeps alive in a queue, for bounds. */
export function batchBytes(batch: AnyBatch): number {
  let bytes = 0;
  if (batch.signal === "metrics") for (const segment of batch.segments) bytes += segmentBytes(segment);
  else for (const request of batch.requests) bytes += 200 + request.bytes.byteLength;
  return bytes;
}

export function tracesBatch(requests: readonly OtlpRequest[], client?: ClientInfo): TracesBatch {
  return client === undefined ? { signal: "traces", requests } : { signal: "traces", requests, client };
}

export function logsBatch(requests: readonly OtlpRequest[], client?: ClientInfo): LogsBatch {
  return client === undefined ? { signal: "logs", requests } : { signal: "logs", requests, client };
}
