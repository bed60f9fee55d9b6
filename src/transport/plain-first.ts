/** What clients share that speak plain HTTP/1.1 where that is enough, and leave everything else to undici. */

import { performance } from "node:perf_hooks";
import { AbortWatch } from "./abort-watch.ts";
import { Deadlines } from "./deadlines.ts";
import { createHttpClient, type HttpClient, type HttpClientOptions } from "./http-client.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { PlainPool } from "./plain-pool.ts";
import { createProxyChoice, type ProxyChoice } from "./proxy-choice.ts";
import { type Authorizer, createAuthorizer, createHeaderAdder, type HeaderAdder } from "./request-auth.ts";
import { createTlsSource, type TlsSource } from "./tls-files.ts";

export interface PlainFirstOptions extends HttpClientOptions {
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

/** Opens nothing and reads nothing before the first request. */
export class PlainFirst {
  readonly config: HttpClientConfig;
  readonly userAgent: string;
  readonly pool: PlainPool;
  readonly aborts = new AbortWatch();
  readonly deadlines = new Deadlines();
  readonly authorize: Authorizer;
  readonly addHeaders: HeaderAdder;
  readonly #options: PlainFirstOptions;
  readonly #proxyFor: ProxyChoice;
  readonly #tls: TlsSource;
  #fallback: HttpClient | undefined;
  isClosed = false;

  constructor(config: HttpClientConfig, options: PlainFirstOptions) {
    this.config = config;
    this.userAgent = options.userAgent;
    this.#options = options;
    this.#proxyFor = createProxyChoice(config, options.env ?? {});
    this.authorize = createAuthorizer(config);
    this.addHeaders = createHeaderAdder(config.httpHeaders ?? []);
    this.#tls = createTlsSource(config.tls, options.tlsKey ?? "tls_config", options.nowMs ?? Date.now);
    this.pool = new PlainPool({
      tls: this.#tls,
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

  /** Ends all requests, after waiting `graceMs` for those under way. May be called twice. */
  async close(graceMs: number): Promise<void> {
    this.isClosed = true;
    await Promise.all([this.pool.close(graceMs), this.#fallback?.close(graceMs)]);
    this.aborts.close();
    this.deadlines.close();
  }

  /** Whether plain HTTP/1.1 is enough for a URL; redirects show later. */
  isPlain(url: URL, socketPath: string | undefined): boolean {
    const { config } = this;
    if (url.protocol !== "http:" && url.protocol !== "https:") return false;
    if (config.oauth2 !== undefined || (this.#options.allowH2 === true && config.enableHttp2 !== false)) return false;
    if ((config.httpHeaders ?? []).some(({ name }) => framingHeaders.has(name.toLowerCase()))) return false;
    if (socketPath !== undefined && socketPath !== "") return true;
    try {
      return this.#proxyFor(url) === undefined;
    } catch {
      // A proxy that cannot be used is an error of every request, and undici's way says which.
      return false;
    }
  }
}
