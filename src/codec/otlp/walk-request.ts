/** Proves the bytes of an OTLP request well-formed and counts its items, so that they can travel unopened. */

import type { MessageName } from "../../kernels/otlp-schema.ts";
import { OtlpWalk, walkFaultTexts } from "../../kernels/otlp-walk.ts";
import { DecodeError } from "../../model/errors.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";

export const requestMessages: Readonly<Record<Signal, MessageName>> = {
  metrics: "ExportMetricsServiceRequest",
  traces: "ExportTraceServiceRequest",
  logs: "ExportLogsServiceRequest",
};

// Holds nothing between calls; walks never nest.
const walk = new OtlpWalk();

/**
 * Walks over all fields of `bytes`, attributes and their nested values included, and returns the number of data points,
 * spans or log records. Unknown fields and groups are passed over; texts are not looked at (as in otelcol).
 * Throws DecodeError with format `otlp` where a length or a varint leaves its message, a field has the wrong wire type, a
 * trace or span id has a wrong length, attribute values nest deeper than 64, or a metric has two kinds of data.
 */
export function walkRequest(signal: Signal, bytes: Uint8Array): number {
  if (!walk.walk(requestMessages[signal], bytes)) {
    throw new DecodeError("otlp", walk.faultAt, walkFaultTexts[walk.fault] as string);
  }
  return walk.items;
}

/** Data points, spans or log records in one ResourceMetrics, ResourceSpans or ResourceLogs message of a walked request. */
export function countResourceItems(signal: Signal, bytes: Uint8Array, start: number, end: number): number {
  const name = signal === "metrics" ? "ResourceMetrics" : signal === "traces" ? "ResourceSpans" : "ResourceLogs";
  walk.walk(name, bytes, start, end);
  return walk.items;
}

/** The request that these bytes are; throws DecodeError as `walkRequest` does. The bytes are kept, not copied. */
export function openRequest(signal: Signal, bytes: Uint8Array): OtlpRequest {
  return { signal, bytes, items: walkRequest(signal, bytes) };
}
