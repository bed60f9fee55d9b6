/** One connection at a gRPC server: keepalive, age, and what a hostile client may not do. */

import type { Socket } from "node:net";
import { type CallOwner, type CallSettings, ServerCall } from "./grpc-server-call.ts";
import type { MessageHeaders } from "./http2-message-headers.ts";
import { type ConnectionOwner, type ConnectionSettings, ServerConnection } from "./http2-server-connection.ts";
import type { ServerStream } from "./http2-server-stream.ts";
import { http2Codes } from "./http2-wire.ts";
import type { SocketReads } from "./socket-reads.ts";

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
  readonly http2: ConnectionSettings;
  readonly onClose: (session: ServerSession) => void;
}

/** Without calls a client may ping this often, where it may not at all. */
const idlePingIntervalMs = 2 * 3_600_000;
const maxPingStrikes = 2;
/** Calls that a client gave up: so many at once, and so many a second after that. */
const resetBurst = 500;
const resetsPerSecond = 33;
/** For a client's answer to the ping that ends the first half of a graceful end. */
const drainPingMs = 5000;

export class ServerSession implements CallOwner, ConnectionOwner {
  readonly #settings: SessionSettings;
  readonly #socket: Socket;
  readonly #connection: ServerConnection;
  /** No set: it would cost more than the rest of a call's beginning and end. */
  readonly #calls: ServerCall[] = [];
  readonly #startedMs: number;
  readonly #drainAtMs: number;
  #lastPongMs: number;
  #idleSinceMs: number;
  #pingSentMs: number | undefined;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  #resets = 0;
  #resetsAtMs = 0;
  #drainingSinceMs: number | undefined;
  #graceMs = Number.POSITIVE_INFINITY;
  #remoteAddress: string | undefined;
  receivingBytes = 0;

  constructor(settings: SessionSettings, reads: SocketReads) {
    this.#settings = settings;
    this.#socket = reads.socket;
    const nowMs = performance.now();
    this.#startedMs = nowMs;
    this.#lastPongMs = nowMs;
    this.#idleSinceMs = nowMs;
    const jitter = 0.9 + Math.random() * 0.2;
    this.#drainAtMs = nowMs + settings.keepalive.maxConnectionAgeMs * jitter;
    this.#connection = new ServerConnection(reads, settings.http2, this);
  }

  get remoteAddress(): string {
    // Node asks the system: once for a connection.
    this.#remoteAddress ??= this.#socket.remoteAddress ?? "";
    return this.#remoteAddress;
  }

  opened(stream: ServerStream, headers: MessageHeaders): void {
    this.#pingStrikes = 0;
    const call = new ServerCall(this.#settings.calls, this, stream, headers);
    call.place = this.#calls.push(call) - 1;
    call.begin(performance.now());
  }

  refused(): void {
    this.#countReset(performance.now());
  }

  idle(): void {
    this.#idleSinceMs = performance.now();
  }

  closed(): void {
    this.#settings.onClose(this);
  }

  callEnded(call: ServerCall, wasReset: boolean): void {
    const last = this.#calls.pop();
    if (last !== undefined && last !== call) {
      this.#calls[call.place] = last;
      last.place = call.place;
    }
    if (wasReset) this.#countReset(performance.now());
    if (this.#drainingSinceMs !== undefined && this.#calls.length === 0) this.#connection.close();
  }

  /** Looks at every time limit; called a few times a second. */
  check(nowMs: number): void {
    const { keepalive, handshakeTimeoutMs } = this.#settings;
    for (const call of [...this.#calls]) call.checkTime(nowMs);
    this.#connection.check(nowMs);
    if (!this.#connection.isGreeted && nowMs - this.#startedMs >= handshakeTimeoutMs) {
      this.destroy();
      return;
    }
    if (this.#drainingSinceMs !== undefined) {
      if (nowMs - this.#drainingSinceMs >= this.#graceMs) this.destroy();
    } else if (nowMs >= this.#drainAtMs) {
      this.drain(keepalive.maxConnectionAgeGraceMs);
    } else if (this.#calls.length === 0 && nowMs - this.#idleSinceMs >= keepalive.maxConnectionIdleMs) {
      this.drain(keepalive.maxConnectionAgeGraceMs);
    }
    this.#keepAlive(nowMs);
  }

  /** Lets calls under way end, for so long, and takes no more of them. */
  drain(graceMs: number): void {
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    if (this.#drainingSinceMs !== undefined) return;
    this.#drainingSinceMs = performance.now();
    // The frame names the last call that was taken: a client sends later ones elsewhere.
    if (this.#calls.length === 0) {
      this.#connection.close();
      return;
    }
    // RFC 9113 section 6.8: calls that were sent before the client knew are taken; the answer to a ping says that it knows.
    this.#connection.announceEnd();
    const close = () => {
      clearTimeout(timer);
      this.#connection.close();
    };
    const timer = setTimeout(close, Math.min(drainPingMs, graceMs));
    timer.unref();
    if (!this.#connection.ping(close)) close();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #keepAlive(nowMs: number): void {
    const { timeMs, timeoutMs } = this.#settings.keepalive;
    const lastHeardMs = Math.max(this.#lastPongMs, this.#connection.lastHeardMs);
    if (this.#pingSentMs !== undefined) {
      if (nowMs - this.#pingSentMs >= timeoutMs) this.destroy();
    } else if (nowMs - lastHeardMs >= timeMs && this.#connection.isGreeted) {
      const isSent = this.#connection.ping(() => {
        this.#pingSentMs = undefined;
        this.#lastPongMs = performance.now();
      });
      if (isSent) this.#pingSentMs = nowMs;
    }
  }

  /** As grpc-go enforces it: two pings too many are forgiven, and one behind every answer, by which a client measures. */
  pinged(): void {
    const { minPingIntervalMs, permitWithoutStream } = this.#settings.keepalive;
    const nowMs = performance.now();
    const mayPing = this.#calls.length > 0 || permitWithoutStream;
    const allowedMs = this.#lastPingMs + (mayPing ? minPingIntervalMs : idlePingIntervalMs);
    this.#lastPingMs = nowMs;
    if (this.#connection.takeAnswered()) {
      this.#pingStrikes = 0;
      return;
    }
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
    this.#connection.fail(http2Codes.ENHANCE_YOUR_CALM, reason);
  }
}
