/** Sends one OTLP request over HTTP and reads what the server says. */

import type { SendAnswer } from "../../component/exporting/exporting.ts";
import {
  type PartialSuccess,
  readPartialSuccess,
  readPartialSuccessJson,
} from "../../component/exporting/partial-success.ts";
import { ConsumeError, toError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { retryAfterMs } from "../../prometheus/remote-write/post-request.ts";
import { collectBody } from "../../transport/collect-body.ts";
import { decodeStatus } from "../../transport/grpc-status.ts";
import type { HttpClient, HttpResponse } from "../../transport/http-client.ts";
import { HttpError } from "../../transport/http-error.ts";
import { redactUrl } from "../../transport/redact-url.ts";

export interface HttpPost {
  readonly signal: Signal;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** 0 means no limit. */
  readonly timeoutMs: number;
  readonly nowMs: number;
}

/** Answers are small; what is longer is not read. */
const maxAnswerBytes = 64 * 1024;
const maxReasonLength = 1024;
/** The codes of the OTLP specification (1.x, "OTLP/HTTP Response", retryable response codes). */
const retryableStatus = new Set([429, 502, 503, 504]);

/** Resolves with the partial success. Rejects with a ConsumeError that says whether another attempt may help. */
export async function postOtlp(
  client: HttpClient,
  post: HttpPost,
  signal: AbortSignal,
): Promise<SendAnswer & PartialSuccess> {
  const limit = post.timeoutMs > 0 ? AbortSignal.any([signal, AbortSignal.timeout(post.timeoutMs)]) : signal;
  let response: HttpResponse;
  let body: Uint8Array | "too-large";
  try {
    response = await client.request({
      method: "POST",
      url: post.url,
      headers: post.headers,
      body: post.body,
      signal: limit,
      keepMethod: true,
    });
    body = await collectBody(response, { maxBytes: maxAnswerBytes });
  } catch (caught) {
    throw unreachable(caught);
  }
  const type = String(response.headers["content-type"] ?? "");
  const bytes = body === "too-large" ? new Uint8Array() : body;
  const { status } = response;
  if (status >= 200 && status < 300) {
    return type.startsWith("application/json")
      ? readPartialSuccessJson(bytes, post.signal)
      : readPartialSuccess(type.startsWith("application/x-protobuf") ? bytes : new Uint8Array());
  }
  const reason = reasonOf(bytes, type);
  const message = `${redactUrl(post.url)} answered with HTTP status ${status}${reason === "" ? "" : `: ${reason}`}`;
  const header = response.headers["retry-after"];
  const waitMs = retryAfterMs(typeof header === "string" ? header : undefined, post.nowMs);
  throw new ConsumeError("CONSUME_REJECTED", message, {
    permanent: !retryableStatus.has(status),
    retryAfterMs: waitMs > 0 ? waitMs : undefined,
  });
}

/** No answer came: whatever was the reason, the next attempt may fare better. */
function unreachable(caught: unknown): ConsumeError {
  const error = toError(caught);
  const isTimeout = error instanceof HttpError && error.code === "TIMEOUT";
  return new ConsumeError(isTimeout ? "CONSUME_TIMEOUT" : "CONSUME_UNREACHABLE", error.message, {
    permanent: false,
    cause: error,
  });
}

/** The message of the google.rpc.Status that an OTLP server answers with, or the text of another. */
function reasonOf(bytes: Uint8Array, type: string): string {
  if (bytes.length === 0) return "";
  if (type.startsWith("application/x-protobuf")) return printable(decodeStatus(bytes)?.message ?? "");
  const text = Buffer.from(bytes).toString("utf8");
  if (!type.startsWith("application/json")) return printable(text);
  try {
    const parsed: unknown = JSON.parse(text);
    const message =
      typeof parsed === "object" && parsed !== null ? (parsed as { message?: unknown }).message : undefined;
    return printable(typeof message === "string" ? message : text);
  } catch {
    return printable(text);
  }
}

function printable(text: string): string {
  return text
    .slice(0, maxReasonLength)
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
}
