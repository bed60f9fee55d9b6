/** Log requests as plain objects, for components that print or change log records. */

import type { Attributes, AttributeValue } from "../../model/attributes.ts";
import { decodeMessage, encodeMessage, type MessageObject } from "./message-objects.ts";
import type { ResourceData, ScopeData } from "./traces-data.ts";

/** Times are nanoseconds since 1970, 0 for unknown; ids have 16 or 8 bytes or none. */
export interface LogRecordData {
  readonly timeUnixNano: bigint;
  readonly observedTimeUnixNano: bigint;
  /** 1 to 24, 0 for unspecified. */
  readonly severityNumber: number;
  readonly severityText: string;
  /** `null` when there is none. */
  readonly body: AttributeValue;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  readonly flags: number;
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly eventName: string;
}

export interface ScopeLogsData {
  readonly scope: ScopeData | undefined;
  readonly logRecords: readonly LogRecordData[];
  readonly schemaUrl: string;
}

export interface ResourceLogsData {
  readonly resource: ResourceData | undefined;
  readonly scopeLogs: readonly ScopeLogsData[];
  readonly schemaUrl: string;
}

/** The resources of an ExportLogsServiceRequest. Throws DecodeError with format `otlp` for bytes that are none. */
export function decodeLogs(bytes: Uint8Array): readonly ResourceLogsData[] {
  return decodeMessage("ExportLogsServiceRequest", bytes).resourceLogs as readonly ResourceLogsData[];
}

/** An ExportLogsServiceRequest. Throws RangeError for attribute values nested deeper than 64. */
export function encodeLogs(resourceLogs: readonly ResourceLogsData[]): Uint8Array {
  return encodeMessage("ExportLogsServiceRequest", { resourceLogs } satisfies MessageObject);
}
