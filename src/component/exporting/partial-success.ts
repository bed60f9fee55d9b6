/** What a server says in its answer to a request that it took. */

import { WireReader } from "../../codec/otlp/wire-reader.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";

/** The partial success of an answer; both are empty for a full success. */
export interface PartialSuccess {
  /** Items of the request that were not taken, for good. */
  readonly rejectedItems: number;
  /** Why, or a warning about items that were taken. */
  readonly message: string;
}

const fullSuccess: PartialSuccess = { rejectedItems: 0, message: "" };
/** Longer messages are cut. */
const maxMessageLength = 1024;

/** Reads a serialized Export...ServiceResponse of any signal; bytes that are none say nothing. */
export function readPartialSuccess(bytes: Uint8Array): PartialSuccess {
  let rejectedItems = 0;
  let message = "";
  try {
    const response = new WireReader(bytes);
    while (response.next()) {
      if (response.field !== 1 || response.wireType !== 2) continue;
      const partial = response.message();
      while (partial.next()) {
        if (partial.field === 1 && partial.wireType === 0) rejectedItems = countOf(BigInt.asIntN(64, partial.uint64()));
        else if (partial.field === 2 && partial.wireType === 2) message = partial.text();
      }
    }
  } catch (caught) {
    if (caught instanceof DecodeError) return fullSuccess;
    throw caught;
  }
  return { rejectedItems, message: message.slice(0, maxMessageLength) };
}

const rejectedKeys: Readonly<Record<Signal, string>> = {
  metrics: "rejectedDataPoints",
  traces: "rejectedSpans",
  logs: "rejectedLogRecords",
};

/** The same of an answer in JSON. */
export function readPartialSuccessJson(text: string, signal: Signal): PartialSuccess {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fullSuccess;
  }
  const partial = property(parsed, "partialSuccess");
  const rejected = property(partial, rejectedKeys[signal]);
  const message = property(partial, "errorMessage");
  const isCount = (typeof rejected === "string" && /^-?[0-9]{1,19}$/.test(rejected)) || Number.isInteger(rejected);
  return {
    rejectedItems: isCount ? countOf(BigInt(rejected as string | number)) : 0,
    message: typeof message === "string" ? message.slice(0, maxMessageLength) : "",
  };
}

function property(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function countOf(value: bigint): number {
  return value > 0n ? Number(value) : 0;
}
