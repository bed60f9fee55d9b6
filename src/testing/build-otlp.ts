/** Builds requests of spans and log records, as the bytes in which they travel, from rows that read like data. */

import { MetricsDecoder } from "../codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../codec/otlp/encode-metrics.ts";
import { metricsSegment } from "../codec/otlp/metrics-segment.ts";
import { ByteWriter } from "../kernels/byte-writer.ts";
import { logsBatch, tracesBatch } from "../model/any-batch.ts";
import { type AttributeValue, encodeAnyValue, encodeKeyValue } from "../model/attributes.ts";
import { type MetricsBatch, metricsBatch, openSegments } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import type { LogsBatch, OtlpRequest, TracesBatch } from "../model/otlp-request.ts";
import { type AttributeRecord, attributesFrom } from "./build-points.ts";

/** Where a span or a log record came from. Neighbours with the same object share a resource or a scope. */
export interface ItemOrigin {
  readonly resource?: AttributeRecord;
  readonly scope?: { readonly name?: string; readonly version?: string };
}

export interface SpanRow extends ItemOrigin {
  readonly name: string;
  /** Hexadecimal, 32 and 16 digits. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  /** The number of the enumeration; default 1, internal. */
  readonly kind?: number;
  readonly startTimeUnixNano?: bigint;
  readonly endTimeUnixNano?: bigint;
  readonly attributes?: AttributeRecord;
  readonly status?: { readonly code?: number; readonly message?: string };
}

export interface LogRow extends ItemOrigin {
  readonly body: AttributeValue;
  readonly timeUnixNano?: bigint;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly attributes?: AttributeRecord;
}

const defaultTimeUnixNano = 1_700_000_000_000_000_000n;

/** A batch of one request of spans. */
export function buildTraces(rows: readonly SpanRow[]): TracesBatch {
  return tracesBatch([{ signal: "traces", bytes: request(rows, writeSpan), items: rows.length }]);
}

/** A batch of one request of log records. */
export function buildLogs(rows: readonly LogRow[]): LogsBatch {
  return logsBatch([{ signal: "logs", bytes: request(rows, writeLog), items: rows.length }]);
}

/** The same metrics as the bytes of one request, which nobody has opened yet. */
export function unopened(batch: MetricsBatch): MetricsBatch {
  const [first] = openSegments(batch);
  const decoder = new MetricsDecoder(first?.layout.identities ?? new Identities());
  return metricsBatch([metricsSegment(new MetricsEncoder().encode(batch.segments), decoder)]);
}

/** One batch of the requests of several. */
export function joinTraces(...batches: readonly TracesBatch[]): TracesBatch {
  return tracesBatch(batches.flatMap((batch): readonly OtlpRequest[] => batch.requests));
}

function request<R extends ItemOrigin>(rows: readonly R[], write: (writer: ByteWriter, row: R) => void): Uint8Array {
  const message = new ByteWriter(256);
  for (const ofResource of runs(rows, (row) => row.resource)) {
    message.bytesField(
      0x0a,
      written((writer) => writeResource(writer, ofResource, write)),
    );
  }
  return message.copy();
}

function writeResource<R extends ItemOrigin>(
  writer: ByteWriter,
  rows: readonly R[],
  write: (writer: ByteWriter, row: R) => void,
): void {
  writer.bytesField(
    0x0a,
    written((inner) => writeAttributes(inner, 0x0a, rows[0]?.resource)),
  );
  for (const ofScope of runs(rows, (row) => row.scope)) {
    const scope = written((inner) => {
      const { name = "", version = "" } = ofScope[0]?.scope ?? {};
      if (name !== "") inner.stringField(0x0a, name);
      if (version !== "") inner.stringField(0x12, version);
    });
    writer.bytesField(
      0x12,
      written((inner) => {
        inner.bytesField(0x0a, scope);
        for (const row of ofScope) {
          inner.bytesField(
            0x12,
            written((item) => write(item, row)),
          );
        }
      }),
    );
  }
}

function writeSpan(writer: ByteWriter, row: SpanRow): void {
  writer.bytesField(0x0a, Buffer.from(row.traceId ?? "0102030405060708090a0b0c0d0e0f10", "hex"));
  writer.bytesField(0x12, Buffer.from(row.spanId ?? "0102030405060708", "hex"));
  if (row.parentSpanId !== undefined) writer.bytesField(0x22, Buffer.from(row.parentSpanId, "hex"));
  writer.stringField(0x2a, row.name);
  writer.varint(0x30);
  writer.varint(row.kind ?? 1);
  writeFixed(writer, 0x39, row.startTimeUnixNano ?? defaultTimeUnixNano);
  writeFixed(writer, 0x41, row.endTimeUnixNano ?? defaultTimeUnixNano + 1_000_000n);
  writeAttributes(writer, 0x4a, row.attributes);
  if (row.status === undefined) return;
  const { code = 0, message = "" } = row.status;
  writer.bytesField(
    0x7a,
    written((inner) => {
      if (message !== "") inner.stringField(0x12, message);
      inner.varint(0x18);
      inner.varint(code);
    }),
  );
}

function writeLog(writer: ByteWriter, row: LogRow): void {
  writeFixed(writer, 0x09, row.timeUnixNano ?? defaultTimeUnixNano);
  if (row.severityNumber !== undefined) {
    writer.varint(0x10);
    writer.varint(row.severityNumber);
  }
  if (row.severityText !== undefined) writer.stringField(0x1a, row.severityText);
  writer.bytesField(
    0x2a,
    written((inner) => encodeAnyValue(inner, row.body)),
  );
  writeAttributes(writer, 0x32, row.attributes);
}

function writeAttributes(writer: ByteWriter, tag: number, record: AttributeRecord | undefined): void {
  for (const [key, value] of attributesFrom(record)) {
    writer.bytesField(
      tag,
      written((inner) => encodeKeyValue(inner, key, value)),
    );
  }
}

function writeFixed(writer: ByteWriter, tag: number, value: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  writer.varint(tag);
  writer.raw(bytes);
}

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(64);
  write(writer);
  return writer.copy();
}

/** Neighbours with the same key. */
function runs<R>(rows: readonly R[], keyOf: (row: R) => unknown): R[][] {
  const found: R[][] = [];
  for (const row of rows) {
    const last = found.at(-1);
    if (last !== undefined && keyOf(last[0] as R) === keyOf(row)) last.push(row);
    else found.push([row]);
  }
  return found;
}
