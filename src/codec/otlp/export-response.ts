/** The answers to OTLP requests: how much of a request was refused, and why. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import type { MessageName } from "../../kernels/otlp-schema.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { quoteJson } from "../otlp-json/attribute-text.ts";
import { messageFromJson } from "../otlp-json/request-from-json.ts";
import { WireReader } from "./wire-reader.ts";

/** Some items were refused for good, or, with 0 of them, a warning. */
export interface PartialSuccess {
  readonly rejectedItems: bigint;
  readonly errorMessage: string;
}

const names: Readonly<Record<Signal, { message: MessageName; rejected: string }>> = {
  metrics: { message: "ExportMetricsServiceResponse", rejected: "rejectedDataPoints" },
  traces: { message: "ExportTraceServiceResponse", rejected: "rejectedSpans" },
  logs: { message: "ExportLogsServiceResponse", rejected: "rejectedLogRecords" },
};

/** An Export*ServiceResponse of any signal, which are alike on the wire; without a partial success it has no bytes. */
export function encodeExportResponse(partial?: PartialSuccess): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(64);
  if (partial === undefined || isEmpty(partial)) return writer.copy();
  const inner = new ByteWriter(64);
  if (partial.rejectedItems !== 0n) {
    inner.varint(0x08);
    inner.varint64(partial.rejectedItems);
  }
  if (partial.errorMessage !== "") inner.stringField(0x12, partial.errorMessage);
  writer.bytesField(0x0a, inner.view());
  return writer.copy();
}

/** The same in OTLP/JSON. */
export function exportResponseJson(signal: Signal, partial?: PartialSuccess): string {
  if (partial === undefined || isEmpty(partial)) return "{}";
  const fields: string[] = [];
  if (partial.rejectedItems !== 0n) fields.push(`"${names[signal].rejected}":"${partial.rejectedItems}"`);
  if (partial.errorMessage !== "") fields.push(`"errorMessage":${quoteJson(partial.errorMessage)}`);
  return `{"partialSuccess":{${fields.join(",")}}}`;
}

/** The partial success of an Export*ServiceResponse; undefined for full success. Throws DecodeError for bytes that are no response. */
export function decodeExportResponse(bytes: Uint8Array): PartialSuccess | undefined {
  let rejectedItems = 0n;
  let errorMessage = "";
  const outer = new WireReader(bytes);
  while (outer.next()) {
    if (outer.field !== 1) continue;
    const reader = outer.message();
    while (reader.next()) {
      if (reader.field === 1) rejectedItems = BigInt.asIntN(64, reader.uint64());
      else if (reader.field === 2) errorMessage = reader.text();
    }
  }
  const partial = { rejectedItems, errorMessage };
  return isEmpty(partial) ? undefined : partial;
}

/** The same from OTLP/JSON. */
export function exportResponseFromJson(signal: Signal, text: Uint8Array): PartialSuccess | undefined {
  return decodeExportResponse(messageFromJson(names[signal].message, text));
}

function isEmpty({ rejectedItems, errorMessage }: PartialSuccess): boolean {
  return rejectedItems === 0n && errorMessage === "";
}
