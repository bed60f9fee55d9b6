/** OTLP requests that travel as the bytes they came in, until a component has to look. */

import type { PointsSegment } from "./batch.ts";
import type { ClientInfo } from "./client-info.ts";

/** The signals of OpenTelemetry that travel. */
export type Signal = "metrics" | "traces" | "logs";

/** One serialized ExportMetricsServiceRequest, ExportTraceServiceRequest or ExportLogsServiceRequest, proven well-formed. Immutable. */
export interface OtlpRequest {
  readonly signal: Signal;
  /** The protobuf message, uncompressed. Requests of one signal joined are one request. */
  readonly bytes: Uint8Array;
  /** Data points, spans or log records in it. */
  readonly items: number;
}

/** What metrics requests have in common whose bytes differ in times and values only. Compared by identity. */
export interface RequestShape {
  /** Such a request, with zeros in its words. */
  readonly bytes: Uint8Array;
  /** The places of the 8 bytes that differ. */
  readonly words: Uint32Array;
  /** Data points. */
  readonly items: number;
}

/** A request in memory that nobody else has: whoever took it may use it once, and hand it on to nobody. */
export interface LentRequest {
  readonly request: OtlpRequest;
  /**
   * The memory is used for another request: nobody reads these bytes any more, nor does anything that was handed them. At most
   * once; where that is not certain, never.
   */
  giveBack(): void;
}

/** A metrics segment that nobody has opened. Rows are its data points: `from` is 0, `to` is `request.items`. */
export interface OtlpSegment {
  readonly form: "otlp";
  readonly request: OtlpRequest;
  readonly from: 0;
  readonly to: number;
  /** The shape of the request, where it is known: what is worked out for it holds for all requests of the shape. */
  readonly shape?: RequestShape | undefined;
  /** Decodes the points, at the first call; throws DecodeError where the bytes are no valid metrics. */
  open(): readonly PointsSegment[];
  /** A segment of another request that is opened in the same way: of a part of this one, or of several joined. */
  withRequest(request: OtlpRequest): OtlpSegment;
  /** The request in memory of the caller's own, each time in another; undefined where that would only be a copy of `request`. */
  lend?(): LentRequest | undefined;
}

/** An immutable list of trace or log requests. */
export interface OtlpBatch<S extends "traces" | "logs" = "traces" | "logs"> {
  readonly signal: S;
  readonly requests: readonly OtlpRequest[];
  /** Who sent it; undefined where data of several clients was joined. */
  readonly client?: ClientInfo | undefined;
}

export type TracesBatch = OtlpBatch<"traces">;
export type LogsBatch = OtlpBatch<"logs">;
