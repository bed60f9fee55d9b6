/** A client's connection to one address: made when it is wanted, made anew after an end, with growing pauses. */

import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { toError } from "../model/errors.ts";
import { openTunnel } from "./connect-tunnel.ts";
import { addressText, type GrpcAddress } from "./grpc-target.ts";
import { codeOf } from "./http-error.ts";
import type { HttpProxy } from "./proxy-choice.ts";
import type { TlsMaterial, TlsSource } from "./tls-files.ts";

/** Pings of a client; Infinity is never. */
export interface ClientKeepalive {
  /** A connection that was silent for so long is pinged. */
  readonly timeMs: number;
  /** Time for the answer. */
  readonly timeoutMs: number;
  /** Pings while no call is under way, too. */
  readonly permitWithoutStream: boolean;
}

export interface ConnectionSettings {
  readonly authority: string;
  readonly tls: TlsSource | undefined;
  readonly userAgent: string;
  /** The proxy to an address; throws HttpError PROXY_INVALID. */
  readonly proxyFor: (address: GrpcAddress) => HttpProxy | undefined;
  readonly keepalive: ClientKeepalive;
  /** For the connection, TLS and HTTP/2 to be ready. */
  readonly connectTimeoutMs: number;
  /** The first pause after a failure; each is 1.6 times the one before, give or take a fifth. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

const backoffFactor = 1.6;
const backoffJitter = 0.2;
const sessionMemoryMebibytes = 256;
const maxHeaderBytes = 16 * 1024;
const tooManyPings = "too_many_pings";

/** What a connection goes over: a new socket, or one that leads through a tunnel. */
type Where = { readonly path: string } | { readonly host: string; readonly port: number } | { readonly socket: Socket };

export class GrpcConnection {
  readonly address: GrpcAddress;
  readonly #settings: ConnectionSettings;
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  #attempt: AbortController | undefined;
  #failures = 0;
  #retryAtMs = 0;
  #isClosed = false;
  #lastHeardMs = 0;
  #calls = 0;
  #keepaliveFactor = 1;
  /** Why there is no connection, for the statuses of calls. */
  failure: Error | undefined;

  constructor(address: GrpcAddress, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
  }

  /** A session that takes calls now. */
  get ready(): ClientHttp2Session | undefined {
    const session = this.#session;
    return session === undefined || session.destroyed || session.closed ? undefined : session;
  }

  /** Milliseconds until another attempt may be made; 0 where it may be now. */
  pauseMs(nowMs: number): number {
    return Math.max(0, this.#retryAtMs - nowMs);
  }

  /** The connection, made when there is none. Attempts are shared; rejects with the failure of the attempt. */
  connect(): Promise<ClientHttp2Session> {
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
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined && !session.destroyed) session.close();
  }

  destroy(): void {
    this.#isClosed = true;
    this.#attempt?.abort();
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #open(): Promise<ClientHttp2Session> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const timer = setTimeout(() => {
      attempt.abort(new Error(`no connection within ${this.#settings.connectTimeoutMs} ms`));
    }, this.#settings.connectTimeoutMs);
    try {
      const socket = await this.#openSocket(attempt.signal);
      const session = await this.#openSession(socket, attempt.signal);
      this.#failures = 0;
      this.#retryAtMs = 0;
      this.failure = undefined;
      this.#adopt(session, socket);
      return session;
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

  async #openSocket(signal: AbortSignal): Promise<Socket> {
    const material = this.#settings.tls?.();
    const proxy = this.#settings.proxyFor(this.address);
    if (proxy === undefined) {
      const where = "socketPath" in this.address ? { path: this.address.socketPath } : this.address;
      return await this.#openOver(where, material, signal);
    }
    const tunnel = await this.#openTunnel(proxy, material, signal);
    return material === undefined ? tunnel : await this.#openOver({ socket: tunnel }, material, signal);
  }

  #openTunnel(proxy: HttpProxy, tls: TlsMaterial | undefined, signal: AbortSignal): Promise<Socket> {
    const { userAgent, connectTimeoutMs } = this.#settings;
    const authority = addressText(this.address);
    return new Promise((resolve, reject) => {
      const track = (socket: Socket) => {
        const abort = () => void socket.destroy(toError(signal.reason));
        signal.addEventListener("abort", abort, { once: true });
        if (signal.aborted) abort();
      };
      const options = { proxy, tls, authority, userAgent, headers: {}, timeoutMs: connectTimeoutMs, track };
      openTunnel(options, (error, socket) => {
        if (socket === null) reject(error ?? new Error("no tunnel"));
        else resolve(socket.setNoDelay(true));
      });
    });
  }

  #openOver(where: Where, material: TlsMaterial | undefined, signal: AbortSignal): Promise<Socket> {
    const name = hostOf(this.#settings.authority);
    const serverName = material?.serverName ?? (isIP(name) === 0 ? name : "");
    const socket =
      material === undefined
        ? connectTcp({ ...(where as Exclude<Where, { socket: Socket }>), noDelay: true })
        : connectTls({
            ...where,
            secureContext: material.secureContext,
            rejectUnauthorized: material.rejectUnauthorized,
            servername: serverName,
            ...(material.checkServerIdentity === undefined
              ? {}
              : { checkServerIdentity: material.checkServerIdentity }),
            ALPNProtocols: ["h2"],
          });
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      const abort = () => fail(toError(signal.reason));
      socket.once("error", fail);
      socket.once("close", () => reject(new Error("the connection was closed")));
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      socket.once(material === undefined ? "connect" : "secureConnect", () => {
        signal.removeEventListener("abort", abort);
        if ("alpnProtocol" in socket && socket.alpnProtocol !== "h2") {
          fail(new Error("the server does not offer HTTP/2 (ALPN h2)"));
          return;
        }
        resolve(socket);
      });
    });
  }

  /** Ready is a connection whose server has sent its settings: an HTTP/1 server never does. */
  #openSession(socket: Socket, signal: AbortSignal): Promise<ClientHttp2Session> {
    const scheme = this.#settings.tls === undefined ? "http" : "https";
    const session = connectHttp2(`${scheme}://localhost`, {
      createConnection: () => socket,
      settings: { enablePush: false, maxHeaderListSize: maxHeaderBytes },
      maxSessionMemory: sessionMemoryMebibytes,
    });
    return new Promise((resolve, reject) => {
      const abort = () => {
        session.destroy();
        reject(toError(signal.reason));
      };
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      session.on("error", reject);
      // A server that refuses a certificate says so after TLS 1.3 is up, and the session does not hear of it.
      socket.on("error", reject);
      socket.once("close", () => session.destroy());
      session.once("close", () => reject(new Error("the server closed the connection, or does not speak HTTP/2")));
      session.once("remoteSettings", () => {
        signal.removeEventListener("abort", abort);
        resolve(session);
      });
    });
  }

  #adopt(session: ClientHttp2Session, socket: Socket): void {
    if (this.#isClosed) {
      session.destroy();
      return;
    }
    this.#session = session;
    this.#lastHeardMs = performance.now();
    session.on("goaway", (code, _last, data) => {
      if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM && String(data) === tooManyPings) this.#keepaliveFactor *= 2;
      // Node 24 ends a session without calls here, but leaves its socket open.
      setImmediate(() => {
        if (session.destroyed) socket.destroy();
      });
    });
    this.#keepAlive(session, socket);
  }

  /** gRPC's keepalive.md: a server that is gone without a word is noticed. */
  #keepAlive(session: ClientHttp2Session, socket: Socket): void {
    const { timeMs, timeoutMs, permitWithoutStream } = this.#settings.keepalive;
    if (!Number.isFinite(timeMs)) return;
    let sentMs: number | undefined;
    let readBytes = socket.bytesRead;
    const tickMs = Math.max(10, Math.min(1000, timeMs / 4, timeoutMs / 4));
    const timer = setInterval(() => {
      const nowMs = performance.now();
      // What comes says that the server lives; that a call has ended does not: it may have run out of time.
      if (socket.bytesRead !== readBytes) {
        readBytes = socket.bytesRead;
        this.#lastHeardMs = nowMs;
        sentMs = undefined;
      }
      if (sentMs !== undefined) {
        if (nowMs - sentMs >= timeoutMs) session.destroy(new Error("no answer to a keepalive ping"));
        return;
      }
      const mayPing = this.#calls > 0 || permitWithoutStream;
      if (!mayPing || nowMs - this.#lastHeardMs < timeMs * this.#keepaliveFactor) return;
      const isSent = tryPing(session, () => {
        sentMs = undefined;
        this.#lastHeardMs = performance.now();
      });
      if (isSent) sentMs = nowMs;
    }, tickMs);
    timer.unref();
    session.once("close", () => clearInterval(timer));
  }
}

/** The host of an authority, without brackets and port. */
function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]+)?$/.exec(authority);
  return match?.[1] ?? match?.[2] ?? authority;
}

/** False where the session is ending, or has too many pings under way. */
function tryPing(session: ClientHttp2Session, answered: () => void): boolean {
  if (session.destroyed || session.closed) return false;
  try {
    return session.ping((error) => {
      if (error === null) answered();
    });
  } catch {
    return false;
  }
}
