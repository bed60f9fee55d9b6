/** One URL that is asked again and again over plain HTTP/1.1: what all its requests have in common is worked out once. */

import type { GrowableBuffer } from "./growable-buffer.ts";
import { abortedError, HttpError } from "./http-error.ts";
import type { PlainEndpoint } from "./plain-connection.ts";
import type { PlainFirst } from "./plain-first.ts";
import type { Exchange, ExchangeDone, PlainAnswer } from "./plain-pool.ts";
import { basicAuthorization, portOf } from "./proxy-choice.ts";
import { redactUrl } from "./redact-url.ts";

/** What is asked for every time. */
export interface TargetRequest {
  readonly url: URL;
  /** None of the names that frame a request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Connect to this unix socket instead of the URL's host; no proxy is used. */
  readonly socketPath: string | undefined;
}

export interface FetchLimits {
  /** Bytes of the answer's body as sent. */
  readonly maxBytes: number;
  /** From now to the last byte of the answer. */
  readonly timeoutMs: number;
}

/** What a POST has beyond its target. */
export interface PostContent {
  readonly body: Uint8Array;
  /** Headers of this one, names and values in turn. */
  readonly headers: readonly string[];
}

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const forbiddenInValue = /[^\t\x20-\x7e\x80-\xff]/;

export class PlainTarget {
  readonly #client: PlainFirst;
  readonly #method: "GET" | "POST";
  readonly #url: URL;
  readonly #endpoint: PlainEndpoint;
  readonly #key: string;
  readonly #start: string;
  /** Credentials that the request or its URL carries itself. */
  readonly #hasOwnAuthorization: boolean;
  /** The last request with its headers, which are nearly always the same again. */
  #lastHeaders: readonly string[] = [];
  #lastText = "";
  /** The same with the empty line, which is the whole of a GET. */
  #lastGet = "";

  constructor(client: PlainFirst, method: "GET" | "POST", request: TargetRequest) {
    const { url, headers } = request;
    const socketPath = request.socketPath === "" ? undefined : request.socketPath;
    const secure = url.protocol === "https:";
    this.#client = client;
    this.#method = method;
    this.#url = url;
    const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
    this.#endpoint = { host, port: portOf(url), socketPath, secure };
    this.#key = `${url.protocol}//${url.host} ${socketPath ?? ""}`;
    const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
    const ofUrl = basicAuthorization(url);
    this.#hasOwnAuthorization = names.has("authorization") || ofUrl !== undefined;
    const fixed = Object.entries(headers).flat();
    if (!names.has("user-agent")) fixed.push("user-agent", client.userAgent);
    if (ofUrl !== undefined && !names.has("authorization")) fixed.push("authorization", ofUrl);
    this.#start = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${headerLines(fixed)}`;
  }

  /** Every failure is an HttpError; TIMEOUT at the time limit, ABORTED by the signal. A POST is never sent twice. */
  ask(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal, post?: PostContent): Promise<PlainAnswer> {
    return this.askFor((answer) => answer, into, limits, signal, post);
  }

  /** The same, and what is made of the answer, without a promise more. */
  askFor<T>(
    make: (answer: PlainAnswer) => T | Promise<T>,
    into: GrowableBuffer,
    limits: FetchLimits,
    signal: AbortSignal,
    post?: PostContent,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const url = this.#url;
      const method = this.#method;
      const { pool, isClosed } = this.#client;
      if (isClosed) throw new HttpError("CLIENT_CLOSED", `${method} ${redactUrl(url)}: client is closed`);
      const done = new Call(this.#client, method, url, signal, make, resolve, reject);
      if (signal.aborted) {
        done.onAbort();
        return;
      }
      const { maxBytes } = limits;
      const text = this.#text(post);
      const request = { method, endpoint: this.#endpoint, key: this.#key, url, text, into, maxBytes, body: post?.body };
      done.exchange = pool.send(request, done);
      done.start(limits.timeoutMs);
    });
  }

  /** The whole request as the secrets' files are now. Throws HttpError for files and headers that are not usable. */
  #text(post: PostContent | undefined): string {
    const { authorize, addHeaders, config, pool } = this.#client;
    const headers: string[] = [];
    if (!this.#hasOwnAuthorization) {
      const authorization = authorize();
      if (authorization !== undefined) headers.push("authorization", authorization);
    }
    addHeaders(headers);
    const limit = config.maxIdleConnections ?? 0;
    const closes = config.disableKeepAlives === true || (limit > 0 && pool.openConnections > limit);
    headers.push("connection", closes ? "close" : "keep-alive");
    if (!isSame(headers, this.#lastHeaders)) {
      this.#lastText = `${this.#start}${headerLines(headers)}`;
      this.#lastGet = `${this.#lastText}\r\n`;
      this.#lastHeaders = headers;
    }
    if (post === undefined) return this.#lastGet;
    return `${this.#lastText}content-length: ${post.body.length}\r\n${headerLines(post.headers)}\r\n`;
  }
}

/** A request under way: its time limit, its signal and its promise. */
class Call<T> implements ExchangeDone {
  exchange: Exchange | undefined;
  readonly #client: PlainFirst;
  readonly #method: "GET" | "POST";
  readonly #url: URL;
  readonly #signal: AbortSignal;
  readonly #make: (answer: PlainAnswer) => T | Promise<T>;
  readonly #resolve: (made: T | Promise<T>) => void;
  readonly #reject: (error: Error) => void;
  #isOver = false;

  constructor(
    client: PlainFirst,
    method: "GET" | "POST",
    url: URL,
    signal: AbortSignal,
    make: (answer: PlainAnswer) => T | Promise<T>,
    resolve: (made: T | Promise<T>) => void,
    reject: (error: Error) => void,
  ) {
    this.#client = client;
    this.#method = method;
    this.#url = url;
    this.#signal = signal;
    this.#make = make;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(timeoutMs: number): void {
    if (this.#isOver) return;
    this.#client.deadlines.add(this, timeoutMs);
    this.#client.aborts.add(this.#signal, this);
  }

  answered(answer: PlainAnswer): void {
    this.#end();
    this.#resolve(this.#make(answer));
  }

  failed(error: Error): void {
    this.#end();
    this.#reject(error);
  }

  onAbort(): void {
    this.#stop(this.#signal.reason);
  }

  onDeadline(): void {
    this.#stop(new DOMException("time limit reached", "TimeoutError"));
  }

  #stop(reason: unknown): void {
    const phase = this.exchange?.phase ?? "connecting";
    const error = abortedError(reason, { method: this.#method, url: this.#url, phase });
    if (this.exchange === undefined) this.failed(error);
    else this.exchange.abort(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#client.deadlines.delete(this);
    this.#client.aborts.delete(this.#signal, this);
  }
}

/** Names and values in turn, as lines. Throws HttpError for what no header may hold, without showing it. */
function headerLines(headers: readonly string[]): string {
  let lines = "";
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const value = headers[at + 1] ?? "";
    if (!headerName.test(name)) throw new HttpError("HEADER_INVALID", "a header's name that is none");
    if (forbiddenInValue.test(value)) {
      throw new HttpError("HEADER_INVALID", `header ${name}: a character that no header may hold`);
    }
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}
