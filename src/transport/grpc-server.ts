/** A gRPC server for unary calls. */

import type { IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, Server as TlsServer } from "node:tls";
import { ByteBudget } from "./byte-budget.ts";
import { closeServer } from "./close-server.ts";
import type { CallSettings, GrpcMethod } from "./grpc-server-call.ts";
import { type ServerKeepalive, ServerSession } from "./grpc-server-session.ts";
import type { ConnectionSettings } from "./http2-server-connection.ts";
import { listen } from "./listen.ts";
import { createServerTls, type ServerTlsConfig } from "./server-tls.ts";
import { readChunks, readShared, type SocketReads } from "./socket-reads.ts";
import { TlsHandshakes } from "./tls-handshakes.ts";

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
   * them. With `replaced`, calls on connections that are open are taken until it is settled. May be called twice.
   */
  close(deadlineMs: number, hurry?: AbortSignal, replaced?: Promise<void>): Promise<void>;
}

const mebibyte = 1024 * 1024;
/** Read before the process looks: for a connection, and for each of its calls. */
const connectionWindowBytes = 16 * mebibyte;
const streamWindowBytes = mebibyte;
const maxHeaderBytes = 16 * 1024;
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
  const http2: ConnectionSettings = {
    maxStreams: limits.maxConcurrentStreams ?? 1000,
    maxHeaderBytes,
    streamWindowBytes,
    connectionWindowBytes,
    sendTimeoutMs: calls.sendTimeoutMs,
  };
  const sessions = new SessionList(server, { keepalive, calls, handshakeTimeoutMs, http2 });
  await listen(server, options.at);
  const address = server.address();
  let closing: Promise<void> | undefined;
  return {
    port: typeof address === "string" ? 0 : (address as AddressInfo).port,
    get connections() {
      return sessions.size;
    },
    close(deadlineMs, hurry, replaced) {
      closing ??= closeServer(
        server,
        { drain: () => sessions.drain(deadlineMs), destroy: () => sessions.destroy() },
        { deadlineMs, hurry, replaced },
      );
      return closing;
    },
  };
}

/** Emits `connection` for plain sockets, paused, `secureConnection` for those whose TLS is up. */
function createListener({ tls, limits }: GrpcServerOptions): Server {
  if (tls === undefined) return createServer({ noDelay: true, pauseOnConnect: true });
  const files = createServerTls(tls);
  const handshakeTimeout = limits?.handshakeTimeoutMs ?? 20_000;
  const server = createTlsServer({ ...files.read(), noDelay: true, ALPNProtocols: ["h2"], handshakeTimeout });
  // Before TLS begins on the connection, so that it is the first to see a new certificate.
  server.prependListener("connection", () => {
    const changed = files.readChanged();
    if (changed !== undefined) server.setSecureContext(changed);
  });
  return server;
}

interface ListSettings {
  readonly keepalive: ServerKeepalive;
  readonly calls: CallSettings;
  readonly handshakeTimeoutMs: number;
  readonly http2: ConnectionSettings;
}

/** The connections of a server and the one timer that watches them. */
class SessionList {
  readonly #settings: ListSettings;
  readonly #sessions = new Set<ServerSession>();
  /** Those whose TLS is not up yet as well. */
  readonly #sockets = new Set<Socket>();
  readonly #handshakes: TlsHandshakes | undefined;
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Server, settings: ListSettings) {
    this.#settings = settings;
    this.#tickMs = tickMs(settings);
    this.#handshakes = server instanceof TlsServer ? new TlsHandshakes(server) : undefined;
    server.on("connection", (accepted: Socket) => {
      const reads = this.#handshakes !== undefined ? undefined : readShared(accepted);
      const socket = reads?.socket ?? accepted;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      if (reads !== undefined) this.#open(reads);
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      if (socket.alpnProtocol === "h2") this.#open(readChunks(socket));
      else socket.destroy();
    });
  }

  #open(reads: SocketReads): void {
    const onClose = (session: ServerSession) => this.#remove(session);
    this.#sessions.add(new ServerSession({ ...this.#settings, onClose }, reads));
    this.#timer ??= setInterval(() => this.#check(), this.#tickMs);
  }

  get size(): number {
    return this.#sessions.size;
  }

  drain(graceMs: number): void {
    this.#handshakes?.destroy();
    for (const session of this.#sessions) session.drain(graceMs);
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #check(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions) session.check(nowMs);
  }

  #remove(session: ServerSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Often enough for the shortest limit. */
function tickMs({ keepalive, calls, handshakeTimeoutMs }: ListSettings): number {
  const { maxConnectionIdleMs, maxConnectionAgeMs, maxConnectionAgeGraceMs, timeMs, timeoutMs } = keepalive;
  const ofKeepalive = [maxConnectionIdleMs, maxConnectionAgeMs, maxConnectionAgeGraceMs, timeMs, timeoutMs];
  const shortest = Math.min(...ofKeepalive, handshakeTimeoutMs, calls.receiveTimeoutMs, calls.sendTimeoutMs);
  return Math.max(minTickMs, Math.min(maxTickMs, Math.floor(shortest / 4)));
}
