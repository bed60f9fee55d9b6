/** What a server says in its answer to a request that it took. */

import {
  decodeExportResponse,
  exportResponseFromJson,
  type PartialSuccess as ResponsePartialSuccess,
} from "../../codec/otlp/export-response.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";

/** The partial success of an answer; both are empty for a full success. */
export interface PartialSuccess {
  /** Items of the request that were not taken, for good. */
  readonly rejectedItems: number;
  /** Why, or a warning about items that were taken. */
  readonly message: string;
}

/** Longer messages are cut. */
const maxMessageLength = 1024;

/** Reads a serialized Export...ServiceResponse of any signal; bytes that are none say nothing. */
export function readPartialSuccess(bytes: Uint8Array): PartialSuccess {
  return read(() => decodeExportResponse(bytes));
}

/** The same of an answer in JSON. */
export function readPartialSuccessJson(text: Uint8Array, signal: Signal): PartialSuccess {
  return read(() => exportResponseFromJson(signal, text));
}

function read(decode: () => ResponsePartialSuccess | undefined): PartialSuccess {
  let partial: ResponsePartialSuccess | undefined;
  try {
    partial = decode();
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
  }
  const { rejectedItems = 0n, errorMessage = "" } = partial ?? {};
  return {
    rejectedItems: rejectedItems > 0n ? Number(rejectedItems) : 0,
    message: errorMessage.slice(0, maxMessageLength),
  };
}
