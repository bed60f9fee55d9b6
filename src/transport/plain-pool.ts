/** The plain connections of one client: kept between requests, bounded per host, renewed when certificates change. */

import { Bag } from "../model/bag.ts";
import type { GrowableBuffer } from "./growable-buffer.ts";
import { type RequestPhase, toHttpError } from "./http-error.ts";
import { PlainConnection, type PlainEndpoint, type PlainExchange } from "./plain-connection.ts";
import type { ResponseHead } from "./response-head.ts";
import type { TlsMaterial, TlsSource } from "./tls-files.ts";

export interface PlainPoolOptions {
  readonly tls: TlsSource;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** 0 is unlimited. */
  readonly maxConnectionsPerHost: number;
  /** Shared by all connections that are used on this thread. */
  readonly readBuffer: Buffer;
  readonly monotonic: () => number;
}

/** A request as it goes out, and where the body of its answer goes. */
export interface PlainRequest {
  readonly endpoint: PlainEndpoint;
  readonly method: "GET" | "POST";
  /** Equal for requests that may share a connection. */
  readonly key: string;
  /** For messages. */
  readonly url: URL;
  /** Request line and headers with the empty line. */
  readonly text: string;
  readonly body: Uint8Array | undefined;
  readonly into: GrowableBuffer;
  readonly maxBytes: number;
}

export interface PlainAnswer {
  readonly head: ResponseHead;
  /** Whether the body is whole in the buffer; of a GET only that of status 200 is kept. */
  readonly outcome: "complete" | "too-large";
  /** Whether nobody reads the memory of the request's body any more. */
  readonly isSent: boolean;
}

interface Origin {
  readonly all: Set<PlainConnection>;
  readonly idle: PlainConnection[];
  readonly waiting: Exchange[];
  /** Of the last connection, for the next one to resume. */
  session: Buffer | undefined;
  material: TlsMaterial | undefined;
}

/** Hosts whose TLS session is remembered while no connection is open. */
const maxRemembered = 1024;
/** A server's own time for idle connections is kept with this much to spare. */
const hintMarginMs = 1000;

export class PlainPool {
  readonly #options: PlainPoolOptions;
  readonly #origins = new Map<string, Origin>();
  readonly #underWay = new Bag<Exchange>();
  #openConnections = 0;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #sweepTimer: NodeJS.Timeout | undefined;
  #drained: (() => void) | undefined;

  constructor(options: PlainPoolOptions) {
    this.#options = options;
  }

  /** Open and opening connections. */
  get openConnections(): number {
    return this.#openConnections;
  }

  /** Sends the request. Throws HttpError for certificate files that are not usable. */
  send(request: PlainRequest, done: ExchangeDone): Exchange {
    const exchange = new Exchange(this, request, done);
    this.#underWay.add(exchange);
    try {
      this.begin(exchange, false);
    } catch (caught) {
      this.ended(exchange);
      throw caught;
    }
    return exchange;
  }

  /** Waits up to `graceMs` for requests under way, then ends them and closes every connection. */
  async close(graceMs: number): Promise<void> {
    clearTimeout(this.#sweepTimer);
    if (graceMs > 0 && this.#underWay.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#drained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const exchange of this.#underWay) {
      exchange.cancel();
      exchange.failed(Object.assign(new Error("client is closed"), { code: "CLIENT_CLOSED" }), false);
    }
    for (const origin of [...this.#origins.values()]) {
      for (const connection of [...origin.all]) connection.destroy();
    }
  }

  /** Gives the exchange a connection, or lets it wait for one. `fresh` is for one that met a stale connection. */
  begin(exchange: Exchange, fresh: boolean): void {
    const { request } = exchange;
    const material = request.endpoint.secure ? this.#options.tls() : undefined;
    const origin = this.#originOf(request.key);
    if (material !== origin.material) {
      origin.material = material;
      origin.session = undefined;
    }
    const kept = fresh ? undefined : takeIdle(origin, material);
    const { maxConnectionsPerHost } = this.#options;
    if (kept === undefined && maxConnectionsPerHost > 0 && origin.all.size >= maxConnectionsPerHost) {
      origin.waiting.push(exchange);
      return;
    }
    exchange.sendOn(kept ?? this.#open(request, origin, material));
  }

  /** A connection is free again. */
  release(connection: PlainConnection, request: PlainRequest): void {
    const origin = this.#originOf(request.key);
    const next = origin.waiting.shift();
    if (next !== undefined && this.#fits(connection, next)) {
      next.sendOn(connection);
      return;
    }
    // It gets a connection of its own when this one is closed, below.
    if (next !== undefined) origin.waiting.unshift(next);
    const hint = connection.keptForMs;
    const { idleTimeoutMs, monotonic } = this.#options;
    const keptMs = hint < 0 ? idleTimeoutMs : Math.min(idleTimeoutMs, hint - hintMarginMs);
    if (keptMs <= 0 || next !== undefined) {
      connection.destroy();
      return;
    }
    connection.idleUntilMs = monotonic() + keptMs;
    origin.idle.push(connection);
    if (connection.idleUntilMs < this.#sweepAtMs) this.#sweepIn(keptMs, connection.idleUntilMs);
  }

  /** Takes back an exchange that waits. */
  withdraw(exchange: Exchange): void {
    const waiting = this.#origins.get(exchange.request.key)?.waiting;
    const at = waiting?.indexOf(exchange) ?? -1;
    if (at >= 0) waiting?.splice(at, 1);
  }

  ended(exchange: Exchange): void {
    this.#underWay.delete(exchange);
    if (this.#underWay.size === 0) this.#drained?.();
  }

  /** Whether the connection was made with the certificates that the exchange must use now. */
  #fits(connection: PlainConnection, { request }: Exchange): boolean {
    if (!request.endpoint.secure) return true;
    try {
      return connection.material === this.#options.tls();
    } catch {
      return false;
    }
  }

  #originOf(key: string): Origin {
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = { all: new Set(), idle: [], waiting: [], session: undefined, material: undefined };
      this.#origins.set(key, origin);
    }
    return origin;
  }

  #open(request: PlainRequest, origin: Origin, material: TlsMaterial | undefined): PlainConnection {
    const connection = new PlainConnection({
      endpoint: request.endpoint,
      material,
      session: origin.session,
      readBuffer: this.#options.readBuffer,
      connectTimeoutMs: this.#options.connectTimeoutMs,
      onSession: (session) => {
        origin.session = session;
      },
      onClosed: (closed) => this.#onClosed(closed, request.key, origin),
    });
    origin.all.add(connection);
    // It may have gone when its last connection was closed.
    this.#origins.set(request.key, origin);
    this.#openConnections += 1;
    return connection;
  }

  #onClosed(connection: PlainConnection, key: string, origin: Origin): void {
    if (!origin.all.delete(connection)) return;
    this.#openConnections -= 1;
    const at = origin.idle.indexOf(connection);
    if (at >= 0) origin.idle.splice(at, 1);
    const next = origin.waiting.shift();
    if (next !== undefined) {
      try {
        this.begin(next, false);
      } catch (caught) {
        next.failed(caught instanceof Error ? caught : new Error(String(caught)), false);
      }
    }
    const isRemembered = origin.session !== undefined && this.#origins.size <= maxRemembered;
    if (origin.all.size === 0 && origin.waiting.length === 0 && !isRemembered) this.#origins.delete(key);
  }

  #sweepIn(waitMs: number, atMs: number): void {
    clearTimeout(this.#sweepTimer);
    this.#sweepAtMs = atMs;
    this.#sweepTimer = setTimeout(() => this.#sweep(), Math.ceil(waitMs)).unref();
  }

  #sweep(): void {
    const now = this.#options.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const origin of [...this.#origins.values()]) {
      for (const connection of [...origin.idle]) {
        if (connection.idleUntilMs <= now) connection.destroy();
        else next = Math.min(next, connection.idleUntilMs);
      }
    }
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    if (next < Number.POSITIVE_INFINITY) this.#sweepIn(next - now, next);
  }
}

/** Called once. */
export interface ExchangeDone {
  answered(answer: PlainAnswer): void;
  /** Always an HttpError. */
  failed(error: Error): void;
}

/** One request on its way; a GET is sent again once where a kept connection turns out to be closed. */
export class Exchange implements PlainExchange {
  readonly request: PlainRequest;
  readonly #pool: PlainPool;
  readonly #done: ExchangeDone;
  #connection: PlainConnection | undefined;
  #isRepeated = false;
  #isOver = false;

  constructor(pool: PlainPool, request: PlainRequest, done: ExchangeDone) {
    this.#pool = pool;
    this.request = request;
    this.#done = done;
  }

  get phase(): RequestPhase {
    return this.#connection?.phase ?? "connecting";
  }

  sendOn(connection: PlainConnection): void {
    this.#connection = connection;
    connection.send(this.request, this);
  }

  answered(head: ResponseHead, outcome: "complete" | "too-large"): void {
    const connection = this.#connection;
    // Before the connection may take another request.
    const isSent = connection?.isWritten === true;
    if (connection?.isUsable === true) this.#pool.release(connection, this.request);
    if (this.#finish()) this.#done.answered({ head, outcome, isSent });
  }

  failed(error: Error, isStale: boolean): void {
    if (this.#isOver) return;
    const { phase } = this;
    if (isStale && !this.#isRepeated && this.request.method === "GET") {
      this.#isRepeated = true;
      this.#connection = undefined;
      try {
        this.#pool.begin(this, true);
        return;
      } catch (caught) {
        this.#fail(caught, phase);
        return;
      }
    }
    this.#fail(error, phase);
  }

  /** Ends the request without a word and closes its connection. */
  cancel(): void {
    if (this.#connection === undefined) this.#pool.withdraw(this);
    else this.#connection.destroy();
  }

  /** Ends the request with an error. */
  abort(error: Error): void {
    const head = this.request.method === "POST" ? this.#connection?.head : undefined;
    this.cancel();
    if (!this.#finish()) return;
    // What was posted has been answered, though the answer's body is not whole.
    if (head === undefined) this.#done.failed(error);
    else this.#done.answered({ head, outcome: "too-large", isSent: false });
  }

  #fail(error: unknown, phase: RequestPhase): void {
    if (this.#finish())
      this.#done.failed(toHttpError(error, { method: this.request.method, url: this.request.url, phase }));
  }

  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#pool.ended(this);
    return true;
  }
}

/** An idle connection with these certificates; those with others are closed. */
function takeIdle(origin: Origin, material: TlsMaterial | undefined): PlainConnection | undefined {
  for (;;) {
    const connection = origin.idle.pop();
    if (connection === undefined || connection.material === material) return connection;
    connection.destroy();
  }
}
