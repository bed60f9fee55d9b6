/** A gRPC server for unary calls on node:http2. */

import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, Server as NetServer } from "node:net";
import { ByteBudget } from "./byte-budget.ts";
import type { CallSettings, GrpcMethod } from "./grpc-server-call.ts";
import { type ServerKeepalive, ServerSession } from "./grpc-server-session.ts";
import { listen } from "./listen.ts";
import { createServerTls, type ServerTlsConfig } from "./server-tls.ts";

/** Limits of a server. */
export interface GrpcServerLimits {
  /** Of a message, as it comes and unpacked: 4 MiB unless given. */
  readonly maxMessageBytes?: number | undefined;
  /** Of all calls together, until they are answered: 128 MiB unless given. Beyond it calls are refused with RetryInfo. */
  readonly budget?: ByteBudget | undefined;
  /** Calls at once on a connection: 1,000 unless given. */
  readonly maxConcurrentStreams?: number | undefined;
  /** 10,000 unless given; further ones are closed at once. */
  readonly maxConnections?: number | undefined;
  /** For a client to begin with HTTP/2: 20 s unless given. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** For a message to come whole: 300 s unless given. */
  readonly receiveTimeoutMs?: number | undefined;
  /** For an answer to be read: 30 s unless given. */
  readonly sendTimeoutMs?: number | undefined;
}

export interface GrpcServerOptions {
  /** An address or name to listen on, empty for all; or the path of a socket file. */
  readonly at: { readonly host: string; readonly port: number } | { readonly socketPath: string };
  readonly tls?: ServerTlsConfig | undefined;
  readonly methodAt: (path: string) => GrpcMethod | undefined;
  readonly authenticate?: ((headers: IncomingHttpHeaders) => void | Promise<void>) | undefined;
  readonly limits?: GrpcServerLimits | undefined;
  /** What is not given has grpc-go's default. */
  readonly keepalive?: Partial<ServerKeepalive> | undefined;
  /** Told what a method threw that was no GrpcError; nothing is logged without it. */
  readonly onError?: ((error: Error, path: string) => void) | undefined;
}

/** A server that listens. */
export interface RunningGrpcServer {
  /** 0 for a socket file. */
  readonly port: number;
  /** Open connections. */
  readonly connections: number;
  /**
   * Takes no more connections and calls, waits up to `deadlineMs` for those under way, or until `hurry` aborts, then closes
   * them. May be called twice.
   */
  close(deadlineMs: number, hurry?: AbortSignal): Promise<void>;
}

const mebibyte = 1024 * 1024;
/** Read before the process looks: for a connection, and for each of its calls. */
const connectionWindowBytes = 16 * mebibyte;
const streamWindowBytes = mebibyte;
const maxHeaderBytes = 16 * 1024;
/** Of what node:http2 keeps for a connection; streams above it are refused. */
const sessionMemoryMebibytes = 64;
const maxTickMs = 250;
const minTickMs = 10;

/** grpc-go's. */
const defaultKeepalive: ServerKeepalive = {
  maxConnectionIdleMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeGraceMs: Number.POSITIVE_INFINITY,
  timeMs: 2 * 3_600_000,
  timeoutMs: 20_000,
  minPingIntervalMs: 300_000,
  permitWithoutStream: false,
};

/** Resolves when the server listens. Rejects with HttpError as `startHttpServer` does. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningGrpcServer> {
  const limits = options.limits ?? {};
  const server = createListener(options);
  server.maxConnections = limits.maxConnections ?? 10_000;
  const keepalive = { ...defaultKeepalive, ...options.keepalive };
  const calls: CallSettings = {
    methodAt: options.methodAt,
    authenticate: options.authenticate,
    maxMessageBytes: limits.maxMessageBytes ?? 4 * mebibyte,
    budget: limits.budget ?? new ByteBudget(128 * mebibyte),
    receiveTimeoutMs: limits.receiveTimeoutMs ?? 300_000,
    sendTimeoutMs: limits.sendTimeoutMs ?? 30_000,
    onError: options.onError ?? (() => {}),
  };
  const handshakeTimeoutMs = limits.handshakeTimeoutMs ?? 20_000;
  const sessions = new SessionList(server, { keepalive, calls, handshakeTimeoutMs });
  await listen(server, options.at);
  const address = server.address();
  let closing: Promise<void> | undefined;
  return {
    port: typeof address === "string" ? 0 : (address as AddressInfo).port,
    get connections() {
      return sessions.size;
    },
    close(deadlineMs, hurry) {
      closing ??= closeServer(server, sessions, { deadlineMs, hurry });
      return closing;
    },
  };
}

function createListener({ tls, limits }: GrpcServerOptions): Http2Server | Http2SecureServer {
  const http2Options = {
    settings: {
      maxConcurrentStreams: limits?.maxConcurrentStreams ?? 1000,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderBytes,
      enablePush: false,
    },
    maxSessionMemory: sessionMemoryMebibytes,
    // nghttp2's own defence says INTERNAL_ERROR: it is to come behind ours, which says what is wrong.
    streamResetBurst: 5000,
    streamResetRate: 1000,
  };
  if (tls === undefined) return createServer(http2Options);
  const files = createServerTls(tls);
  const handshakeTimeout = limits?.handshakeTimeoutMs ?? 20_000;
  const server = createSecureServer({ ...http2Options, ...files.read(), ALPNProtocols: ["h2"], handshakeTimeout });
  // Before TLS begins on the connection, so that it is the first to see a new certificate.
  server.prependListener("connection", () => {
    const changed = files.readChanged();
    if (changed !== undefined) server.setSecureContext(changed);
  });
  server.on("unknownProtocol", (socket) => socket.destroy());
  return server;
}

interface ListSettings {
  readonly keepalive: ServerKeepalive;
  readonly calls: CallSettings;
  readonly handshakeTimeoutMs: number;
}

/** The connections of a server and the one timer that watches them. */
class SessionList {
  readonly #sessions = new Map<object, ServerSession>();
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Http2Server | Http2SecureServer, { keepalive, calls, handshakeTimeoutMs }: ListSettings) {
    this.#tickMs = tickMs(keepalive, calls, handshakeTimeoutMs);
    server.on("session", (session: ServerHttp2Session) => {
      const onClose = () => this.#remove(session);
      const settings = { keepalive, handshakeTimeoutMs, calls, onClose };
      this.#sessions.set(session, new ServerSession(settings, session, connectionWindowBytes));
      this.#timer ??= setInterval(() => this.#check(), this.#tickMs);
    });
    const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      const owner = stream.session === undefined ? undefined : this.#sessions.get(stream.session);
      if (owner === undefined) stream.destroy();
      else owner.open(stream, { headers, rawHeaders: raw });
    };
    server.on("stream", onStream);
  }

  get size(): number {
    return this.#sessions.size;
  }

  drain(graceMs: number): void {
    for (const session of this.#sessions.values()) session.drain(graceMs);
  }

  destroy(): void {
    for (const session of this.#sessions.values()) session.destroy();
  }

  #check(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions.values()) session.check(nowMs);
  }

  #remove(session: object): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Often enough for the shortest limit. */
function tickMs(keepalive: ServerKeepalive, calls: CallSettings, handshakeTimeoutMs: number): number {
  const { maxConnectionIdleMs, maxConnectionAgeMs, maxConnectionAgeGraceMs, timeMs, timeoutMs } = keepalive;
  const ofKeepalive = [maxConnectionIdleMs, maxConnectionAgeMs, maxConnectionAgeGraceMs, timeMs, timeoutMs];
  const shortest = Math.min(...ofKeepalive, handshakeTimeoutMs, calls.receiveTimeoutMs, calls.sendTimeoutMs);
  return Math.max(minTickMs, Math.min(maxTickMs, Math.floor(shortest / 4)));
}

function closeServer(
  server: Http2Server | Http2SecureServer,
  sessions: SessionList,
  { deadlineMs, hurry }: { readonly deadlineMs: number; readonly hurry: AbortSignal | undefined },
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => sessions.destroy();
    const timer = setTimeout(end, deadlineMs);
    hurry?.addEventListener("abort", end, { once: true });
    // The method of http2 would end its sessions at once, before calls on their way have come.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(timer);
      hurry?.removeEventListener("abort", end);
      resolve();
    });
    if (hurry?.aborted) end();
    else sessions.drain(deadlineMs);
  });
}
