/** OTLP/JSON of requests that protobufjs decoded: an encoder of its own for tests, as the specification says and apart from Millrace's. */

import type { Signal } from "../../src/model/otlp-request.ts";
import { decodeOtlp, encodeOtlp } from "./otlp-proto.ts";

const idNames: ReadonlySet<string> = new Set(["traceId", "spanId", "parentSpanId"]);

function jsonOf(value: unknown, name: string): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value === "string" && idNames.has(name)) return Buffer.from(value, "base64").toString("hex");
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, ""));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonOf(item, key)]));
}

function protobufOf(value: unknown, name: string): unknown {
  if (typeof value === "string" && idNames.has(name)) return Buffer.from(value, "hex").toString("base64");
  if (Array.isArray(value)) return value.map((item) => protobufOf(item, ""));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, protobufOf(item, key)]));
}

/** The protobuf of a request in OTLP/JSON. */
export function otlpFromJson(signal: Signal, text: string): Uint8Array {
  return encodeOtlp(signal, protobufOf(JSON.parse(text), "") as object);
}

/** The JSON text of a request: hexadecimal ids, 64-bit integers as texts, NaN and infinities as texts; -0 is written as such. */
export function otlpJson(signal: Signal, bytes: Uint8Array): string {
  const marker = "minus zero";
  const text = JSON.stringify(jsonOf(decodeOtlp(signal, bytes), ""), (_key, value: unknown) =>
    Object.is(value, -0) ? marker : value,
  );
  return text.replaceAll(`"${marker}"`, "-0.0");
}
