/** google.rpc.Status, with which OTLP says why a request was refused and when to try again. */

import { ByteWriter } from "../../kernels/byte-writer.ts";
import { quoteJson } from "../otlp-json/attribute-text.ts";
import { JsonReader } from "../otlp-json/json-reader.ts";
import { WireReader } from "./wire-reader.ts";

export interface RpcStatus {
  /** A gRPC status code, 0 to 16. */
  readonly code: number;
  readonly message: string;
  /** From a RetryInfo detail: how long to wait before the next attempt, in milliseconds, not below 0. */
  readonly retryAfterMs?: number | undefined;
}

const retryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";
/** Longer delays are cut: the duration type ends at 10,000 years, a timer much sooner. */
const maxDelayMs = 24 * 3600 * 1000;
const maxMessageCharacters = 4096;

/** A Status message, for a body over HTTP or `grpc-status-details-bin`. */
export function encodeRpcStatus(status: RpcStatus): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(128);
  if (status.code !== 0) {
    writer.varint(0x08);
    writer.varint(status.code);
  }
  if (status.message !== "") writer.stringField(0x12, status.message);
  if (status.retryAfterMs !== undefined) {
    const detail = new ByteWriter(64);
    detail.stringField(0x0a, retryInfoUrl);
    detail.bytesField(0x12, encodeRetryInfo(status.retryAfterMs));
    writer.bytesField(0x1a, detail.view());
  }
  return writer.copy();
}

function encodeRetryInfo(retryAfterMs: number): Uint8Array {
  const wholeMs = Math.max(0, Math.ceil(retryAfterMs));
  const [seconds, nanos] = [Math.floor(wholeMs / 1000), (wholeMs % 1000) * 1_000_000];
  const duration = new ByteWriter(16);
  if (seconds !== 0) {
    duration.varint(0x08);
    duration.varint(seconds);
  }
  if (nanos !== 0) {
    duration.varint(0x10);
    duration.varint(nanos);
  }
  const info = new ByteWriter(32);
  info.bytesField(0x0a, duration.view());
  return info.copy();
}

/** The same in JSON. */
export function rpcStatusJson({ code, message, retryAfterMs }: RpcStatus): string {
  const fields = [`"code":${code}`, `"message":${quoteJson(message)}`];
  if (retryAfterMs !== undefined) {
    const seconds = Math.max(0, Math.ceil(retryAfterMs)) / 1000;
    fields.push(`"details":[{"@type":"${retryInfoUrl}","retryDelay":"${seconds}s"}]`);
  }
  return `{${fields.join(",")}}`;
}

/** Reads a Status; details other than RetryInfo are passed over, long messages cut. Throws DecodeError for bytes that are none. */
export function decodeRpcStatus(bytes: Uint8Array): RpcStatus {
  let code = 0;
  let message = "";
  let retryAfterMs: number | undefined;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) code = reader.uint32();
    else if (reader.field === 2) message = reader.text().slice(0, maxMessageCharacters);
    else if (reader.field === 3) retryAfterMs ??= readDetail(reader.message());
  }
  return { code, message, retryAfterMs };
}

function readDetail(reader: WireReader): number | undefined {
  let url = "";
  let value: WireReader | undefined;
  while (reader.next()) {
    if (reader.field === 1) url = reader.text();
    else if (reader.field === 2) value = reader.message();
  }
  if (value === undefined || !url.endsWith("/google.rpc.RetryInfo")) return undefined;
  let delayMs: number | undefined;
  while (value.next()) if (value.field === 1) delayMs = readDuration(value.message());
  return delayMs;
}

/** Milliseconds of a google.protobuf.Duration. */
function readDuration(reader: WireReader): number {
  let seconds = 0;
  let nanos = 0;
  while (reader.next()) {
    if (reader.field === 1) seconds = Number(BigInt.asIntN(64, reader.uint64()));
    else if (reader.field === 2) nanos = Number(BigInt.asIntN(32, reader.uint64()));
  }
  return boundedDelay(seconds * 1000 + nanos / 1_000_000);
}

function boundedDelay(delayMs: number): number {
  return Math.min(maxDelayMs, Math.max(0, Math.ceil(delayMs)));
}

const durationText = /^(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)s$/;

/** Reads a Status in JSON, likewise. Throws DecodeError with format `otlp json`. */
export function rpcStatusFromJson(text: Uint8Array): RpcStatus {
  const reader = new JsonReader(text);
  reader.skip();
  reader.end();
  const value: unknown = JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.length).toString("utf8"));
  const { code, message, details } = record(value);
  let retryAfterMs: number | undefined;
  for (const detail of Array.isArray(details) ? details.slice(0, 16) : []) {
    const { "@type": type, retryDelay } = record(detail);
    if (typeof type !== "string" || !type.endsWith("/google.rpc.RetryInfo") || typeof retryDelay !== "string") continue;
    const match = durationText.exec(retryDelay);
    if (match !== null) retryAfterMs ??= boundedDelay(Number(match[1]) * 1000);
  }
  return {
    code: typeof code === "number" && Number.isInteger(code) ? code : 0,
    message: typeof message === "string" ? message.slice(0, maxMessageCharacters) : "",
    retryAfterMs,
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
