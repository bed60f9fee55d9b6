/** A client's connection to one address: made when it is wanted, made anew after an end, with growing pauses. */

import { toError } from "../model/errors.ts";
import { openGrpcSocket, type SocketSettings } from "./grpc-socket.ts";
import { addressText, type GrpcAddress } from "./grpc-target.ts";
import { codeOf } from "./http-error.ts";
import { ClientConnection } from "./http2-client-connection.ts";
import { http2Codes } from "./http2-wire.ts";
import type { ClientReads } from "./socket-reads.ts";

/** Pings of a client; Infinity is never. */
export interface ClientKeepalive {
  /** A connection that was silent for so long is pinged. */
  readonly timeMs: number;
  /** Time for the answer. */
  readonly timeoutMs: number;
  /** Pings while no call is under way, too. */
  readonly permitWithoutStream: boolean;
}

export interface ConnectionSettings extends SocketSettings {
  readonly keepalive: ClientKeepalive;
  /** The first pause after a failure; each is 1.6 times the one before, give or take a fifth. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

const backoffFactor = 1.6;
const backoffJitter = 0.2;
/** A server that takes longer to confirm settings or answer a call is broken. */
const settingsTimeoutMs = 30_000;
const tooManyPings = "too_many_pings";
/** Pings further apart would find out too late. */
const maxStretchedMs = 2 * 60 * 60 * 1000;

export class GrpcConnection {
  readonly address: GrpcAddress;
  readonly #settings: ConnectionSettings;
  #http2: ClientConnection | undefined;
  #connecting: Promise<ClientConnection> | undefined;
  #attempt: AbortController | undefined;
  #failures = 0;
  #retryAtMs = 0;
  #isClosed = false;
  #calls = 0;
  /** Longer than configured where pings were too many for the server. */
  #keepaliveMs: number;
  /** Why there is no connection, for the statuses of calls. */
  failure: Error | undefined;

  constructor(address: GrpcAddress, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
    this.#keepaliveMs = settings.keepalive.timeMs;
  }

  /** What takes calls now. */
  get ready(): ClientConnection | undefined {
    return this.#http2?.isReady === true ? this.#http2 : undefined;
  }

  /** Milliseconds until another attempt may be made; 0 where it may be now. */
  pauseMs(nowMs: number): number {
    return Math.max(0, this.#retryAtMs - nowMs);
  }

  /** The connection, made when there is none. Attempts are shared; rejects with the failure of the attempt. */
  connect(): Promise<ClientConnection> {
    const ready = this.ready;
    if (ready !== undefined) return Promise.resolve(ready);
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Whether an attempt is under way. */
  get isConnecting(): boolean {
    return this.#connecting !== undefined;
  }

  callBegan(): void {
    this.#calls += 1;
  }

  callEnded(): void {
    this.#calls -= 1;
  }

  /** Lets calls under way end. */
  close(): void {
    this.#isClosed = true;
    this.#attempt?.abort();
    this.#http2?.close();
    this.#http2 = undefined;
  }

  destroy(): void {
    this.#isClosed = true;
    this.#attempt?.abort();
    this.#http2?.destroy();
    this.#http2 = undefined;
  }

  async #open(): Promise<ClientConnection> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const timer = setTimeout(() => {
      attempt.abort(new Error(`no connection within ${this.#settings.connectTimeoutMs} ms`));
    }, this.#settings.connectTimeoutMs);
    try {
      const reads = await openGrpcSocket(this.address, this.#settings, attempt.signal);
      const http2 = await this.#greet(reads, attempt.signal);
      this.#failures = 0;
      this.#retryAtMs = 0;
      this.failure = undefined;
      this.#adopt(http2);
      return http2;
    } catch (caught) {
      const error = this.#describe(attempt.signal.aborted ? (attempt.signal.reason ?? caught) : caught);
      this.#pause(error);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#attempt = undefined;
    }
  }

  #pause(error: Error): void {
    const { backoffMs, maxBackoffMs } = this.#settings;
    const pause = Math.min(maxBackoffMs, backoffMs * backoffFactor ** this.#failures);
    this.#failures += 1;
    this.#retryAtMs = performance.now() + pause * (1 + backoffJitter * (2 * Math.random() - 1));
    this.failure = error;
  }

  #describe(caught: unknown): Error {
    const error =
      caught instanceof AggregateError && caught.errors.length > 0 ? toError(caught.errors[0]) : toError(caught);
    const code = codeOf(error);
    // What OpenSSL says goes on with addresses and source lines.
    const message = "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
    const suffix = code === undefined || message.includes(code) ? "" : ` (${code})`;
    return new Error(`connect to ${addressText(this.address)}: ${message}${suffix}`, { cause: caught });
  }

  /** Ready is a connection whose server has sent its settings: an HTTP/1 server never does. */
  async #greet(reads: ClientReads, signal: AbortSignal): Promise<ClientConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let hasComplained = false;
    const http2 = new ClientConnection(
      reads,
      { settingsTimeoutMs },
      {
        ready: resolve,
        wentAway: (code, text) => {
          if (hasComplained || code !== http2Codes.ENHANCE_YOUR_CALM || text !== tooManyPings) return;
          hasComplained = true;
          this.#keepaliveMs = Math.max(this.#keepaliveMs, Math.min(this.#keepaliveMs * 2, maxStretchedMs));
        },
        // A server that refuses a certificate says so after TLS 1.3 is up.
        closed: (error) => reject(error ?? new Error("the server closed the connection, or does not speak HTTP/2")),
      },
    );
    const abort = () => {
      http2.destroy();
      reject(toError(signal.reason));
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    await promise;
    signal.removeEventListener("abort", abort);
    return http2;
  }

  #adopt(http2: ClientConnection): void {
    if (this.#isClosed) {
      http2.destroy();
      return;
    }
    this.#http2 = http2;
    this.#keepAlive(http2);
  }

  /** gRPC's keepalive.md: a server that is gone without a word is noticed. */
  #keepAlive(http2: ClientConnection): void {
    const { timeMs, timeoutMs, permitWithoutStream } = this.#settings.keepalive;
    if (!Number.isFinite(timeMs)) return;
    let sentMs: number | undefined;
    const tickMs = Math.max(10, Math.min(1000, timeMs / 4, timeoutMs / 4));
    const timer = setInterval(() => {
      if (http2.isClosed) {
        clearInterval(timer);
        return;
      }
      const nowMs = performance.now();
      // What comes says that the server lives; that a call has ended does not: it may have run out of time.
      const { lastHeardMs } = http2;
      if (sentMs !== undefined && lastHeardMs >= sentMs) sentMs = undefined;
      if (sentMs !== undefined) {
        if (nowMs - sentMs >= timeoutMs) http2.destroy(new Error("no answer to a keepalive ping"));
        return;
      }
      const mayPing = this.#calls > 0 || permitWithoutStream;
      if (!mayPing || nowMs - lastHeardMs < this.#keepaliveMs) return;
      if (http2.ping()) sentMs = nowMs;
    }, tickMs);
    timer.unref();
  }
}
