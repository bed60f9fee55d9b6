/** Trace requests as plain objects, for components that print or change spans. */

import type { Attributes } from "../../model/attributes.ts";
import { decodeMessage, encodeMessage, type MessageObject } from "./message-objects.ts";

/** OTLP's `Resource`; `entityRefs` are passed on as they came. */
export interface ResourceData {
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  readonly entityRefs: readonly EntityRefData[];
}

export interface EntityRefData {
  readonly schemaUrl: string;
  readonly type: string;
  readonly idKeys: readonly string[];
  readonly descriptionKeys: readonly string[];
}

/** OTLP's `InstrumentationScope`. */
export interface ScopeData {
  readonly name: string;
  readonly version: string;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
}

/** Times are nanoseconds since 1970, 0 for unknown; ids have 16 or 8 bytes or none. */
export interface SpanData {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly traceState: string;
  readonly parentSpanId: Uint8Array;
  readonly flags: number;
  readonly name: string;
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startTimeUnixNano: bigint;
  readonly endTimeUnixNano: bigint;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  readonly events: readonly SpanEventData[];
  readonly droppedEventsCount: number;
  readonly links: readonly SpanLinkData[];
  readonly droppedLinksCount: number;
  /** Code 0 is unset, 1 ok, 2 error; undefined is the same as unset. */
  readonly status: { readonly message: string; readonly code: number } | undefined;
}

export interface SpanEventData {
  readonly timeUnixNano: bigint;
  readonly name: string;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
}

export interface SpanLinkData {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly traceState: string;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  readonly flags: number;
}

export interface ScopeSpansData {
  readonly scope: ScopeData | undefined;
  readonly spans: readonly SpanData[];
  readonly schemaUrl: string;
}

export interface ResourceSpansData {
  readonly resource: ResourceData | undefined;
  readonly scopeSpans: readonly ScopeSpansData[];
  readonly schemaUrl: string;
}

/** The resources of an ExportTraceServiceRequest. Throws DecodeError with format `otlp` for bytes that are none. */
export function decodeTraces(bytes: Uint8Array): readonly ResourceSpansData[] {
  return decodeMessage("ExportTraceServiceRequest", bytes).resourceSpans as readonly ResourceSpansData[];
}

/** An ExportTraceServiceRequest. Throws RangeError for attribute values nested deeper than 64. */
export function encodeTraces(resourceSpans: readonly ResourceSpansData[]): Uint8Array {
  return encodeMessage("ExportTraceServiceRequest", { resourceSpans } satisfies MessageObject);
}
