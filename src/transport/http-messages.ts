/** What goes into the HTTP client and what comes out of it. */

import type { HttpBody } from "./response-body.ts";

/** One request. Headers given here replace those of the client of the same name, except http_headers, which are added. */
export interface HttpRequest {
  readonly method: "GET" | "POST";
  /** Scheme http or https; a user part becomes Basic credentials. */
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | undefined;
  /** The only time limit: from the connection to the last byte of the body. */
  readonly signal: AbortSignal;
  /** Repeat a POST with its body after 301 and 302, where Go's client makes a GET of it; a 303 is then the answer. */
  readonly keepMethod?: boolean | undefined;
  /** Connect to this unix socket instead of the URL's host; no proxy is used. */
  readonly socketPath?: string | undefined;
}

/** A response whose status and headers are there; the body must be consumed, dumped or ended by the signal. */
export interface HttpResponse {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: HttpBody;
}

/** A response whose body was collected. */
export interface CollectedResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HttpResponse["headers"];
  /** A view of the buffer it was collected into, or `too-large`. */
  readonly body: Uint8Array | "too-large";
}
