/** Gets the same pages again and again at the least cost: plain HTTP/1.1 where that is enough, undici everywhere else. */

import { performance } from "node:perf_hooks";
import { AbortWatch } from "./abort-watch.ts";
import type { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClient } from "./http-client.ts";
import { createHttpClient, type HttpClientOptions } from "./http-client.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { abortedError, HttpError, toHttpError } from "./http-error.ts";
import type { PlainEndpoint } from "./plain-connection.ts";
import { type Exchange, type ExchangeDone, type PlainAnswer, PlainPool } from "./plain-pool.ts";
import { basicAuthorization, createProxyChoice, type ProxyChoice, portOf } from "./proxy-choice.ts";
import { redactUrl } from "./redact-url.ts";
import { isRedirect } from "./redirects.ts";
import { type Authorizer, createAuthorizer, createHeaderAdder, type HeaderAdder } from "./request-auth.ts";
import { createTlsSource } from "./tls-files.ts";

/** What is asked for at every fetch. */
export interface PageRequest {
  readonly url: URL;
  /** None of the names that frame a request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Connect to this unix socket instead of the URL's host; no proxy is used. */
  readonly socketPath: string | undefined;
}

export interface PageAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** `complete` means that a body of status 200 is whole in the buffer; other bodies are not kept. */
  readonly outcome: "complete" | "too-large";
}

export interface FetchLimits {
  /** Bytes of the body as sent. */
  readonly maxBytes: number;
  /** From now to the last byte of the body. */
  readonly timeoutMs: number;
}

/** One page. Several fetches may be under way at once, each with a buffer of its own. */
export interface PageSource {
  /** Every failure is an HttpError; TIMEOUT at the time limit, ABORTED by the signal. */
  fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer>;
}

export interface PageClient {
  /** Keep it for as long as the page is fetched: what it works out once is not worked out again. */
  source(request: PageRequest): PageSource;
  /** Ends all fetches, after waiting `graceMs` (0 unless given) for those under way. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

export interface PageClientOptions extends HttpClientOptions {
  /** What sockets are read into; may be shared by all clients of a thread. One of its own unless given. */
  readonly readBuffer?: Buffer | undefined;
}

/** The size of a read buffer: what one system call brings at most. */
export const readBufferBytes = 64 * 1024;
const defaultConnectTimeoutMs = 10_000;
/** Prometheus' time for idle connections. */
const defaultIdleTimeoutMs = 300_000;
/** Configured headers of these names would change how a request is framed or where it goes: undici decides about them. */
const framingHeaders: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "keep-alive",
  "content-length",
  "transfer-encoding",
  "te",
  "trailer",
  "upgrade",
  "expect",
]);
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const forbiddenInValue = /[^\t\x20-\x7e\x80-\xff]/;

/** Opens nothing and reads nothing before the first fetch. */
export function createPageClient(config: HttpClientConfig, options: PageClientOptions): PageClient {
  return new PlainFirstClient(config, options);
}

class PlainFirstClient implements PageClient {
  readonly config: HttpClientConfig;
  readonly userAgent: string;
  readonly pool: PlainPool;
  readonly aborts = new AbortWatch();
  readonly authorize: Authorizer;
  readonly addHeaders: HeaderAdder;
  readonly #options: PageClientOptions;
  readonly #proxyFor: ProxyChoice;
  #fallback: HttpClient | undefined;
  isClosed = false;

  constructor(config: HttpClientConfig, options: PageClientOptions) {
    this.config = config;
    this.userAgent = options.userAgent;
    this.#options = options;
    this.#proxyFor = createProxyChoice(config, options.env ?? {});
    this.authorize = createAuthorizer(config);
    this.addHeaders = createHeaderAdder(config.httpHeaders ?? []);
    this.pool = new PlainPool({
      tls: createTlsSource(config.tls, options.tlsKey ?? "tls_config", options.nowMs ?? Date.now),
      connectTimeoutMs: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
      idleTimeoutMs: config.idleConnectionTimeoutMs || defaultIdleTimeoutMs,
      maxConnectionsPerHost: config.maxConnectionsPerHost ?? 0,
      readBuffer: options.readBuffer ?? Buffer.allocUnsafeSlow(readBufferBytes),
      monotonic: () => performance.now(),
    });
  }

  /** For what plain HTTP/1.1 cannot do. */
  get fallback(): HttpClient {
    this.#fallback ??= createHttpClient(this.config, this.#options);
    return this.#fallback;
  }

  source(request: PageRequest): PageSource {
    return this.#isPlain(request) ? new PlainSource(this, request) : new FallbackSource(this, request);
  }

  async close(graceMs = 0): Promise<void> {
    this.isClosed = true;
    await Promise.all([this.pool.close(graceMs), this.#fallback?.close(graceMs)]);
    this.aborts.close();
  }

  #isPlain({ url, socketPath }: PageRequest): boolean {
    const { config } = this;
    if (url.protocol !== "http:" && url.protocol !== "https:") return false;
    if (config.oauth2 !== undefined || (this.#options.allowH2 === true && config.enableHttp2 !== false)) return false;
    if ((config.httpHeaders ?? []).some(({ name }) => framingHeaders.has(name.toLowerCase()))) return false;
    if (socketPath !== undefined && socketPath !== "") return true;
    try {
      return this.#proxyFor(url) === undefined;
    } catch {
      // A proxy that cannot be used is an error of every fetch, and undici's way says which.
      return false;
    }
  }
}

/** What every request of a source has in common. */
class PlainSource implements PageSource {
  readonly #client: PlainFirstClient;
  readonly #request: PageRequest;
  readonly #endpoint: PlainEndpoint;
  readonly #key: string;
  readonly #start: string;
  /** Credentials that the request or its URL carries itself. */
  readonly #hasOwnAuthorization: boolean;
  /** Set once the target has answered with a redirect. */
  #elsewhere: FallbackSource | undefined;
  /** The last request with its headers, which are nearly always the same again. */
  #lastHeaders: readonly string[] = [];
  #lastText = "";

  constructor(client: PlainFirstClient, request: PageRequest) {
    const { url, headers } = request;
    const socketPath = request.socketPath === "" ? undefined : request.socketPath;
    const secure = url.protocol === "https:";
    this.#client = client;
    this.#request = request;
    const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
    this.#endpoint = { host, port: portOf(url), socketPath, secure };
    this.#key = `${url.protocol}//${url.host} ${socketPath ?? ""}`;
    const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
    const ofUrl = basicAuthorization(url);
    this.#hasOwnAuthorization = names.has("authorization") || ofUrl !== undefined;
    const fixed = Object.entries(headers).flat();
    if (!names.has("user-agent")) fixed.push("user-agent", client.userAgent);
    if (ofUrl !== undefined && !names.has("authorization")) fixed.push("authorization", ofUrl);
    this.#start = `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n${headerLines(fixed)}`;
  }

  async fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer> {
    if (this.#elsewhere !== undefined) return this.#elsewhere.fetch(into, limits, signal);
    const startMs = performance.now();
    const { head, outcome } = await this.#ask(into, limits, signal);
    if (this.#client.config.followRedirects === false || !isRedirect(head.status, head.location)) {
      return { ...head, outcome };
    }
    this.#elsewhere = new FallbackSource(this.#client, this.#request);
    const timeoutMs = Math.max(1, limits.timeoutMs - (performance.now() - startMs));
    return this.#elsewhere.fetch(into, { maxBytes: limits.maxBytes, timeoutMs }, signal);
  }

  #ask(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PlainAnswer> {
    return new Promise((resolve, reject) => {
      const { url } = this.#request;
      const { aborts, pool, isClosed } = this.#client;
      if (isClosed) throw new HttpError("CLIENT_CLOSED", `GET ${redactUrl(url)}: client is closed`);
      const done = new Fetch(url, signal, aborts, resolve, reject);
      if (signal.aborted) {
        done.onAbort();
        return;
      }
      const { maxBytes } = limits;
      const text = this.#text();
      done.exchange = pool.send({ endpoint: this.#endpoint, key: this.#key, url, text, into, maxBytes }, done);
      done.start(limits.timeoutMs);
    });
  }

  /** The whole request as the secrets' files are now. Throws HttpError for files and headers that are not usable. */
  #text(): string {
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
      this.#lastText = `${this.#start}${headerLines(headers)}\r\n`;
      this.#lastHeaders = headers;
    }
    return this.#lastText;
  }
}

/** A fetch under way: its time limit, its signal and its promise. */
class Fetch implements ExchangeDone {
  exchange: Exchange | undefined;
  readonly #url: URL;
  readonly #signal: AbortSignal;
  readonly #aborts: AbortWatch;
  readonly #resolve: (answer: PlainAnswer) => void;
  readonly #reject: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    url: URL,
    signal: AbortSignal,
    aborts: AbortWatch,
    resolve: (answer: PlainAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#url = url;
    this.#signal = signal;
    this.#aborts = aborts;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(timeoutMs: number): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(expire, timeoutMs, this);
    this.#aborts.add(this.#signal, this);
  }

  answered(answer: PlainAnswer): void {
    this.#end();
    this.#resolve(answer);
  }

  failed(error: Error): void {
    this.#end();
    this.#reject(error);
  }

  onAbort(): void {
    this.#stop(this.#signal.reason);
  }

  onTimeout(): void {
    this.#stop(new DOMException("time limit reached", "TimeoutError"));
  }

  #stop(reason: unknown): void {
    const phase = this.exchange?.phase ?? "connecting";
    const error = abortedError(reason, { method: "GET", url: this.#url, phase });
    if (this.exchange === undefined) this.failed(error);
    else this.exchange.abort(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#aborts.delete(this.#signal, this);
  }
}

function expire(fetch: Fetch): void {
  fetch.onTimeout();
}

/** Through undici: proxies, redirects, OAuth 2.0, HTTP/2. */
class FallbackSource implements PageSource {
  readonly #client: PlainFirstClient;
  readonly #request: PageRequest;

  constructor(client: PlainFirstClient, request: PageRequest) {
    this.#client = client;
    this.#request = request;
  }

  async fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer> {
    const { url, headers, socketPath } = this.#request;
    const ending = new AbortController();
    const abort = () => ending.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(
      () => ending.abort(new DOMException("time limit reached", "TimeoutError")),
      limits.timeoutMs,
    );
    try {
      const request = { method: "GET" as const, url, headers, socketPath, signal: ending.signal };
      const answer = await this.#client.fallback.collect(request, into, limits.maxBytes);
      return {
        status: answer.status,
        statusText: answer.statusText,
        contentType: first(answer.headers["content-type"]),
        contentEncoding: first(answer.headers["content-encoding"]),
        outcome: answer.body === "too-large" ? "too-large" : "complete",
      };
    } catch (caught) {
      throw toHttpError(caught, { method: "GET", url, phase: "connecting" });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
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
