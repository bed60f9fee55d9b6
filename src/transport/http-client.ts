/** The HTTP client of scraping, discovery, OAuth 2.0 and remote write: credentials, TLS, proxies and redirects on undici. */

import { collectBody } from "./collect-body.ts";
import { Dispatchers, type Route } from "./dispatchers.ts";
import { type EarlyReader, exchange } from "./exchange.ts";
import type { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { HttpError } from "./http-error.ts";
import type { CollectedResponse, HttpRequest, HttpResponse } from "./http-messages.ts";
import { createTokenSource, type TokenSource } from "./oauth2.ts";
import { basicAuthorization, createProxyChoice, type Environment, type ProxyChoice } from "./proxy-choice.ts";
import { redactUrl } from "./redact-url.ts";
import { type Hop, maxRedirects, nextHop } from "./redirects.ts";
import { type Authorizer, createAuthorizer, createHeaderAdder, type HeaderAdder } from "./request-auth.ts";
import { isStaleConnection } from "./stale-connection.ts";
import { createTlsSource } from "./tls-files.ts";

export type { CollectedResponse, HttpRequest, HttpResponse } from "./http-messages.ts";
export type { BodySink, HttpBody } from "./response-body.ts";

/** Safe to use from many tasks at once. Every failure is an HttpError. */
export interface HttpClient {
  /** Resolves with the headers. The body must be consumed, dumped or ended by the signal. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /** The same with the whole body, at most `maxBytes` bytes of it as sent: the cheapest way to scrape. */
  collect(request: HttpRequest, into: GrowableBuffer, maxBytes: number): Promise<CollectedResponse>;
  /** Reads all certificate files now, so that a fault shows at start; throws HttpError naming the key. */
  checkFiles(): void;
  /** Ends all requests, after waiting `graceMs` (0 unless given) for those under way. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

/** What a client needs beside its configuration. */
export interface HttpClientOptions {
  readonly userAgent: string;
  /** Offer HTTP/2 to https targets where the configuration does not forbid it; false unless given. */
  readonly allowH2?: boolean | undefined;
  /** 10 s unless given, TLS handshake included. */
  readonly connectTimeoutMs?: number | undefined;
  /** For proxy_from_environment; empty unless given. */
  readonly env?: Environment | undefined;
  /** The name of the TLS block in errors, `tls_config` unless given. */
  readonly tlsKey?: string | undefined;
  /** Wall clock. */
  readonly nowMs?: (() => number) | undefined;
}

const defaultConnectTimeoutMs = 10_000;
/** Prometheus' time for idle connections. */
const defaultIdleTimeoutMs = 300_000;

/** Opens nothing and reads nothing before the first request. */
export function createHttpClient(config: HttpClientConfig, options: HttpClientOptions): HttpClient {
  return new UndiciHttpClient(config, options);
}

class UndiciHttpClient implements HttpClient {
  readonly #config: HttpClientConfig;
  readonly #userAgent: string;
  readonly #dispatchers: Dispatchers;
  readonly #proxyFor: ProxyChoice;
  readonly #authorize: Authorizer;
  readonly #addHeaders: HeaderAdder;
  readonly #tokens: TokenSource | undefined;
  readonly #tokenClient: HttpClient | undefined;
  #closed = false;

  constructor(config: HttpClientConfig, options: HttpClientOptions) {
    const nowMs = options.nowMs ?? Date.now;
    this.#config = config;
    this.#userAgent = options.userAgent;
    this.#proxyFor = createProxyChoice(config, options.env ?? {});
    this.#authorize = createAuthorizer(config);
    this.#addHeaders = createHeaderAdder(config.httpHeaders ?? []);
    this.#dispatchers = new Dispatchers({
      tls: createTlsSource(config.tls, options.tlsKey ?? "tls_config", nowMs),
      allowH2: options.allowH2 === true && config.enableHttp2 !== false,
      userAgent: options.userAgent,
      connectTimeoutMs: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
      idleTimeoutMs: config.idleConnectionTimeoutMs || defaultIdleTimeoutMs,
      maxConnectionsPerHost: config.maxConnectionsPerHost ?? 0,
      proxyConnectHeader: config.proxyConnectHeader ?? {},
    });
    if (config.oauth2 !== undefined) {
      const { tls, proxyUrl, noProxy, proxyFromEnvironment, proxyConnectHeader } = config.oauth2;
      const tokenConfig = { tls, proxyUrl, noProxy, proxyFromEnvironment, proxyConnectHeader };
      const tokenClient = createHttpClient(tokenConfig, { ...options, tlsKey: "oauth2.tls_config" });
      this.#tokenClient = tokenClient;
      this.#tokens = createTokenSource(config.oauth2, { send: (request) => tokenClient.request(request), nowMs });
    }
  }

  request(request: HttpRequest): Promise<HttpResponse> {
    return this.#follow(request, undefined);
  }

  async #follow(request: HttpRequest, readEarly: EarlyReader | undefined): Promise<HttpResponse> {
    let hop: Hop = {
      method: request.method,
      url: request.url,
      headers: request.headers ?? {},
      body: request.body,
      trusted: true,
      keepMethod: request.keepMethod === true,
    };
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#sendAuthorized(hop, request, readEarly);
      const next =
        this.#config.followRedirects === false ? undefined : this.#next(hop, response, response.headers["location"]);
      if (next === undefined) {
        return response;
      }
      await response.body.dump();
      if (redirects === maxRedirects) {
        const message = `${request.method} ${redactUrl(request.url)}: more than ${maxRedirects} redirects`;
        throw new HttpError("TOO_MANY_REDIRECTS", message);
      }
      hop = next;
    }
  }

  async collect(request: HttpRequest, into: GrowableBuffer, maxBytes: number): Promise<CollectedResponse> {
    // A queue of chunks, held until the promise of the headers is handled, costs 75 us more for 500 kB.
    let early: Promise<Uint8Array | "too-large"> | undefined;
    const response = await this.#follow(request, (answer) => {
      if (answer.status === 200) {
        early = collectBody(answer, { maxBytes, into });
        early.catch(() => {});
      }
    });
    const body = await (early ?? collectBody(response, { maxBytes, into }));
    return { status: response.status, statusText: response.statusText, headers: response.headers, body };
  }

  checkFiles(): void {
    this.#dispatchers.checkFiles();
    this.#tokenClient?.checkFiles();
  }

  async close(graceMs = 0): Promise<void> {
    this.#closed = true;
    this.#tokens?.close();
    await Promise.all([this.#dispatchers.close(graceMs), this.#tokenClient?.close()]);
  }

  #next(hop: Hop, response: HttpResponse, location: string | string[] | undefined): Hop | undefined {
    try {
      return nextHop(hop, response.status, location);
    } catch (caught) {
      void response.body.dump();
      throw caught;
    }
  }

  async #sendAuthorized(hop: Hop, request: HttpRequest, readEarly: EarlyReader | undefined): Promise<HttpResponse> {
    const send = (value: string | undefined): Promise<HttpResponse> => this.#sendFresh(hop, request, value, readEarly);
    if (hasHeader(hop.headers, "authorization")) {
      return send(undefined);
    }
    const ofUrl = basicAuthorization(hop.url);
    if (ofUrl !== undefined || !hop.trusted) {
      return send(ofUrl);
    }
    if (this.#tokens === undefined) {
      return send(this.#authorize());
    }
    const token = await this.#tokens.authorization(request.signal);
    const response = await send(token);
    if (response.status !== 401) {
      return response;
    }
    await response.body.dump();
    this.#tokens.invalidate(token);
    return send(await this.#tokens.authorization(request.signal));
  }

  /** Sends again once when a kept connection turns out to be closed: the server may do that at any time. */
  async #sendFresh(
    hop: Hop,
    request: HttpRequest,
    authorization: string | undefined,
    readEarly: EarlyReader | undefined,
  ): Promise<HttpResponse> {
    try {
      return await this.#send(hop, request, authorization, readEarly);
    } catch (caught) {
      if (hop.method !== "GET" || !isStaleConnection(caught) || request.signal.aborted) {
        throw caught;
      }
      return this.#send(hop, request, authorization, readEarly);
    }
  }

  #send(
    hop: Hop,
    request: HttpRequest,
    authorization: string | undefined,
    readEarly: EarlyReader | undefined,
  ): Promise<HttpResponse> {
    if (this.#closed) {
      throw new HttpError("CLIENT_CLOSED", `${hop.method} ${redactUrl(hop.url)}: client is closed`);
    }
    if (hop.url.protocol !== "http:" && hop.url.protocol !== "https:") {
      const scheme = hop.url.protocol.slice(0, -1);
      throw new HttpError("URL_INVALID", `expected a URL with scheme http or https, got ${scheme}`);
    }
    const route = this.#routeFor(hop.url, request.socketPath);
    const secure = isSecure(hop.url, route);
    const forward = route.kind === "forward" ? route.proxy : undefined;
    const path = `${hop.url.pathname}${hop.url.search}`;
    const headers = this.#headersFor(hop, authorization);
    if (forward !== undefined) {
      headers.push("host", hop.url.host);
      if (forward.authorization !== undefined) {
        headers.push("proxy-authorization", forward.authorization);
      }
    }
    const sent = {
      method: hop.method,
      url: hop.url,
      origin: forward === undefined ? hop.url.origin : forward.url.origin,
      path: forward === undefined ? path : `${hop.url.origin}${path}`,
      headers,
      body: hop.body,
      signal: request.signal,
      closeAfter: this.#closesAfter(),
      serverName: forward !== undefined && secure ? forward.url.hostname : undefined,
    };
    return exchange(this.#dispatchers.get(route, secure), sent, readEarly);
  }

  #routeFor(url: URL, socketPath: string | undefined): Route {
    if (socketPath !== undefined && socketPath !== "") {
      return { kind: "unix", path: socketPath };
    }
    const proxy = this.#proxyFor(url);
    if (proxy === undefined) {
      return directRoute;
    }
    return { kind: url.protocol === "https:" ? "tunnel" : "forward", proxy };
  }

  #headersFor(hop: Hop, authorization: string | undefined): string[] {
    const headers: string[] = [];
    for (const name of Object.keys(hop.headers)) {
      headers.push(name, hop.headers[name] ?? "");
    }
    if (!hasHeader(hop.headers, "user-agent")) {
      headers.push("user-agent", this.#userAgent);
    }
    if (authorization !== undefined) {
      headers.push("authorization", authorization);
    }
    if (hop.trusted) {
      this.#addHeaders(headers);
    }
    return headers;
  }

  /** undici keeps every connection; beyond the configured number this one is not kept. */
  #closesAfter(): boolean {
    const { disableKeepAlives, maxIdleConnections } = this.#config;
    const limit = maxIdleConnections ?? 0;
    return disableKeepAlives === true || (limit > 0 && this.#dispatchers.openConnections > limit);
  }
}

const directRoute: Route = { kind: "direct" };

function isSecure(url: URL, route: Route): boolean {
  return url.protocol === "https:" || (route.kind === "forward" && route.proxy.url.protocol === "https:");
}

function hasHeader(headers: Readonly<Record<string, string>>, lowerName: string): boolean {
  for (const name of Object.keys(headers)) {
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) {
      return true;
    }
  }
  return false;
}
