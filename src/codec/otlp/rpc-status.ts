/** google.rpc.Status in JSON, with which OTLP/JSON says why a request was refused; in protobuf the transport writes it. */

import { quoteJson } from "../otlp-json/attribute-text.ts";

export interface RpcStatus {
  /** A gRPC status code, 0 to 16. */
  readonly code: number;
  readonly message: string;
  /** For a RetryInfo detail: how long to wait before the next attempt, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

const retryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";

/** A Status as the body of an answer. */
export function rpcStatusJson({ code, message, retryAfterMs }: RpcStatus): string {
  const fields = [`"code":${code}`, `"message":${quoteJson(message)}`];
  if (retryAfterMs !== undefined) {
    const seconds = Math.max(0, Math.ceil(retryAfterMs)) / 1000;
    fields.push(`"details":[{"@type":"${retryInfoUrl}","retryDelay":"${seconds}s"}]`);
  }
  return `{${fields.join(",")}}`;
}
