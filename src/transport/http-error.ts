/** The one error of the HTTP client: what went wrong in plain words, where, and a code to match on. */

import { redactUrl } from "./redact-url.ts";

/** Codes of our own; every other code is that of the system, of OpenSSL or of the HTTP parser. */
export type OwnHttpErrorCode =
  | "TIMEOUT"
  | "ABORTED"
  | "CLIENT_CLOSED"
  | "FILE_UNREADABLE"
  | "TLS_INVALID"
  | "PROXY_INVALID"
  | "PROXY_REFUSED"
  | "TOO_MANY_REDIRECTS"
  | "REDIRECT_INVALID"
  | "TOKEN_REFUSED"
  | "URL_INVALID"
  | "HEADER_INVALID"
  | "CONNECT_TIMEOUT"
  | "RESPONSE_INVALID"
  | "RESPONSE_CUT_SHORT"
  | "HEADERS_TOO_LARGE";

/** A request without a usable response. The message never holds a password, token or secret. */
export class HttpError extends Error {
  /** One of OwnHttpErrorCode, or a code of the system such as `ECONNREFUSED`. */
  readonly code: string;
  /** How far the request had come; undefined when it was never sent. */
  readonly phase: RequestPhase | undefined;

  constructor(
    code: OwnHttpErrorCode | (string & {}),
    message: string,
    options?: ErrorOptions & { readonly phase?: RequestPhase | undefined },
  ) {
    super(message, options);
    this.name = "HttpError";
    this.code = code;
    this.phase = options?.phase;
  }
}

/** How far a request had come when it failed. */
export type RequestPhase = "connecting" | "waiting for the response" | "reading the body";

/** What a message says about the request. */
export interface FailedRequest {
  readonly method: string;
  readonly url: URL;
  readonly phase: RequestPhase;
}

const wordsByCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the other side",
  ECONNABORTED: "connection aborted",
  ENOTFOUND: "host name not found",
  EAI_AGAIN: "host name lookup gives no answer",
  ETIMEDOUT: "no connection within the time limit",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  EADDRNOTAVAIL: "no local address or port available",
  EMFILE: "too many open files",
  ENOENT: "socket file not found",
  EACCES: "permission denied",
  EPIPE: "connection closed while sending",
  CONNECT_TIMEOUT: "no connection within the time limit",
  UND_ERR_CONNECT_TIMEOUT: "no connection within the time limit",
  UND_ERR_SOCKET: "connection closed before the response was complete",
  UND_ERR_HEADERS_OVERFLOW: "response headers too large",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "response shorter than it announced",
  UND_ERR_CLOSED: "client is closed",
  UND_ERR_DESTROYED: "client is closed",
};

const certificateCode = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;
const tlsCode = /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO$)/;

/** Normalises whatever a request failed with; an HttpError stays as it is. */
export function toHttpError(caught: unknown, request: FailedRequest): HttpError {
  if (caught instanceof HttpError) {
    return caught;
  }
  const error = innermost(caught);
  if (error instanceof Error && error.name === "HTTPParserError") {
    // Without its cause, which carries what the server sent.
    const code = codeOf(error) ?? "HPE_INVALID";
    const message = `${where(request)}: not an HTTP response: ${error.message} (${code})`;
    return new HttpError(code, message, { phase: request.phase });
  }
  const code = codeOf(error) ?? "UNKNOWN";
  return new HttpError(code, `${where(request)}: ${describe(error, code)} (${code})`, {
    cause: caught,
    phase: request.phase,
  });
}

/** The error of a request that its signal ended: TIMEOUT for AbortSignal.timeout, ABORTED for everything else. */
export function abortedError(reason: unknown, request: FailedRequest): HttpError {
  const timedOut = reason instanceof Error && reason.name === "TimeoutError";
  const code = timedOut ? "TIMEOUT" : "ABORTED";
  const words = timedOut ? "time limit reached" : "aborted";
  return new HttpError(code, `${where(request)}: ${words} while ${request.phase} (${code})`, {
    cause: reason,
    phase: request.phase,
  });
}

/** The code that a caught value carries, undefined without one. */
export function codeOf(caught: unknown): string | undefined {
  if (typeof caught === "object" && caught !== null && "code" in caught && typeof caught.code === "string") {
    return caught.code;
  }
  return undefined;
}

function where(request: FailedRequest): string {
  return `${request.method} ${redactUrl(request.url)}`;
}

function innermost(caught: unknown): unknown {
  // Node tries every address of a name and reports all failures together; the first one is what a user can act on.
  if (caught instanceof AggregateError && codeOf(caught) !== undefined && caught.errors.length > 0) {
    return caught.errors[0];
  }
  return caught;
}

function describe(error: unknown, code: string): string {
  const known = wordsByCode[code];
  if (known !== undefined) {
    return known + addressOf(error);
  }
  const message = error instanceof Error ? error.message : "unknown failure";
  if (certificateCode.test(code) || code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `certificate of the server not accepted: ${message}`;
  }
  if (tlsCode.test(code)) {
    return `TLS failure: ${reasonOf(error) ?? message}`;
  }
  return message;
}

function addressOf(error: unknown): string {
  if (typeof error !== "object" || error === null) {
    return "";
  }
  if ("hostname" in error && typeof error.hostname === "string") {
    return `: ${error.hostname}`;
  }
  if ("address" in error && typeof error.address === "string") {
    const port = "port" in error && typeof error.port === "number" ? `:${error.port}` : "";
    return `: ${error.address}${port}`;
  }
  return "";
}

function reasonOf(error: unknown): string | undefined {
  if (typeof error === "object" && error !== null && "reason" in error && typeof error.reason === "string") {
    return error.reason;
  }
  return undefined;
}
