/** One connection at a gRPC server: keepalive, age, and what a hostile client may not do. */

import type { Http2Session, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { type CallHeaders, type CallOwner, type CallSettings, ServerCall } from "./grpc-server-call.ts";

/** As gRPC's own keepalive parameters; Infinity is never. */
export interface ServerKeepalive {
  /** Without calls for so long, a connection is closed. */
  readonly maxConnectionIdleMs: number;
  /** After so long, give or take a tenth, a connection takes no more calls. */
  readonly maxConnectionAgeMs: number;
  /** Time for its calls to end then. */
  readonly maxConnectionAgeGraceMs: number;
  /** A connection that was silent for so long is pinged. */
  readonly timeMs: number;
  /** Time for the answer to a ping. */
  readonly timeoutMs: number;
  /** A client that pings more often is told to stop. */
  readonly minPingIntervalMs: number;
  /** Whether a client may ping while it has no calls. */
  readonly permitWithoutStream: boolean;
}

export interface SessionSettings {
  readonly keepalive: ServerKeepalive;
  /** For a client to say anything in HTTP/2. */
  readonly handshakeTimeoutMs: number;
  readonly calls: CallSettings;
  readonly onClose: (session: ServerSession) => void;
}

/** Without calls a client may ping this often, where it may not at all. */
const idlePingIntervalMs = 2 * 3_600_000;
const maxPingStrikes = 2;
/** Calls that a client gave up: so many at once, and so many a second after that. */
const resetBurst = 500;
const resetsPerSecond = 33;
const lastStreamId = 2 ** 31 - 1;
/** For a client's answer to the ping that ends the first half of a graceful end. */
const drainPingMs = 5000;

export class ServerSession implements CallOwner {
  readonly #settings: SessionSettings;
  readonly #session: ServerHttp2Session;
  readonly #calls = new Set<ServerCall>();
  readonly #startedMs: number;
  readonly #drainAtMs: number;
  #isGreeted = false;
  #lastHeardMs: number;
  #idleSinceMs: number;
  #pingSentMs: number | undefined;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  #resets = 0;
  #resetsAtMs = 0;
  #drainingSinceMs: number | undefined;
  #graceMs = Number.POSITIVE_INFINITY;
  #remoteAddress: string | undefined;

  constructor(settings: SessionSettings, session: ServerHttp2Session, windowBytes: number) {
    this.#settings = settings;
    this.#session = session;
    const nowMs = performance.now();
    this.#startedMs = nowMs;
    this.#lastHeardMs = nowMs;
    this.#idleSinceMs = nowMs;
    const jitter = 0.9 + Math.random() * 0.2;
    this.#drainAtMs = nowMs + settings.keepalive.maxConnectionAgeMs * jitter;
    // Errors end the session and are the client's.
    session.on("error", () => {});
    session.once("remoteSettings", () => {
      this.#isGreeted = true;
    });
    session.on("ping", () => this.#pinged());
    session.once("close", () => settings.onClose(this));
    session.setLocalWindowSize(windowBytes);
  }

  get remoteAddress(): string {
    // Node asks the system: once for a connection.
    if (this.#remoteAddress === undefined && !this.#session.destroyed) {
      this.#remoteAddress = this.#session.socket.remoteAddress ?? "";
    }
    return this.#remoteAddress ?? "";
  }

  open(stream: ServerHttp2Stream, headers: CallHeaders): void {
    const nowMs = performance.now();
    this.#isGreeted = true;
    this.#lastHeardMs = nowMs;
    this.#pingStrikes = 0;
    const call = new ServerCall(this.#settings.calls, this, stream, headers);
    this.#calls.add(call);
    call.begin(nowMs);
  }

  callEnded(call: ServerCall, wasReset: boolean): void {
    const nowMs = performance.now();
    this.#calls.delete(call);
    this.#idleSinceMs = nowMs;
    if (wasReset) this.#countReset(nowMs);
    if (this.#drainingSinceMs !== undefined && this.#calls.size === 0) this.#session.close();
  }

  /** Looks at every time limit; called a few times a second. */
  check(nowMs: number): void {
    const { keepalive, handshakeTimeoutMs } = this.#settings;
    for (const call of this.#calls) call.checkTime(nowMs);
    if (!this.#isGreeted && nowMs - this.#startedMs >= handshakeTimeoutMs) {
      this.#session.destroy();
      return;
    }
    if (this.#drainingSinceMs !== undefined) {
      if (nowMs - this.#drainingSinceMs >= this.#graceMs) this.#session.destroy();
    } else if (nowMs >= this.#drainAtMs) {
      this.drain(keepalive.maxConnectionAgeGraceMs);
    } else if (this.#calls.size === 0 && nowMs - this.#idleSinceMs >= keepalive.maxConnectionIdleMs) {
      this.drain(keepalive.maxConnectionAgeGraceMs);
    }
    this.#keepAlive(nowMs);
  }

  /** Lets calls under way end, for so long, and takes no more of them. */
  drain(graceMs: number): void {
    if (this.#session.destroyed) return;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    if (this.#drainingSinceMs !== undefined) return;
    this.#drainingSinceMs = performance.now();
    // Without calls nghttp2 reads nothing more behind a GOAWAY, so that there is nothing to wait for. The frame names the
    // last call that was taken: a client sends later ones elsewhere.
    if (this.#calls.size === 0) {
      this.#session.close();
      return;
    }
    // RFC 9113 section 6.8: calls that were sent before the client knew are taken; the answer to a ping says that it knows.
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, lastStreamId);
    const close = () => {
      clearTimeout(timer);
      if (!this.#session.destroyed) this.#session.close();
    };
    const timer = setTimeout(close, Math.min(drainPingMs, graceMs));
    timer.unref();
    if (!tryPing(this.#session, close)) close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  #keepAlive(nowMs: number): void {
    const { timeMs, timeoutMs } = this.#settings.keepalive;
    if (this.#pingSentMs !== undefined) {
      if (nowMs - this.#pingSentMs >= timeoutMs) this.#session.destroy();
    } else if (nowMs - this.#lastHeardMs >= timeMs && this.#isGreeted) {
      const isSent = tryPing(this.#session, () => {
        this.#pingSentMs = undefined;
        this.#lastHeardMs = performance.now();
      });
      if (isSent) this.#pingSentMs = nowMs;
    }
  }

  /** As grpc-go enforces it: two pings too many are forgiven. */
  #pinged(): void {
    const { minPingIntervalMs, permitWithoutStream } = this.#settings.keepalive;
    const nowMs = performance.now();
    this.#lastHeardMs = nowMs;
    const mayPing = this.#calls.size > 0 || permitWithoutStream;
    const allowedMs = this.#lastPingMs + (mayPing ? minPingIntervalMs : idlePingIntervalMs);
    this.#lastPingMs = nowMs;
    if (nowMs >= allowedMs) return;
    this.#pingStrikes += 1;
    if (this.#pingStrikes > maxPingStrikes) this.#calm("too_many_pings");
  }

  /** Opening calls and giving them up at once costs a client nothing and a server much (rapid reset). */
  #countReset(nowMs: number): void {
    this.#resets = Math.max(0, this.#resets - ((nowMs - this.#resetsAtMs) / 1000) * resetsPerSecond) + 1;
    this.#resetsAtMs = nowMs;
    if (this.#resets > resetBurst) this.#calm("too_many_resets");
  }

  #calm(reason: string): void {
    if (this.#session.destroyed) return;
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from(reason));
    // The frame leaves before the socket does.
    setImmediate(() => this.#session.destroy());
  }
}

/** False where the session is ending, or has too many pings under way. */
export function tryPing(session: Http2Session, answered: () => void): boolean {
  if (session.destroyed || session.closed) return false;
  try {
    return session.ping((error) => {
      if (error === null) answered();
    });
  } catch {
    return false;
  }
}
