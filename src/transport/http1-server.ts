/** An HTTP/1.1 server for requests with bodies that come again and again: without the objects of node:http, which cost more than such a request does. */

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, Server as TlsServer } from "node:tls";
import { ByteBudget } from "./byte-budget.ts";
import { closeServer } from "./close-server.ts";
import type { HttpServerLimits } from "./http-server.ts";
import { keepAliveLines } from "./http1-answer.ts";
import { type ConnectionSettings, Http1Connection } from "./http1-connection.ts";
import type { Http1Handler } from "./http1-exchange.ts";
import { type ListenAddress, listen } from "./listen.ts";
import { createServerTls, type ServerTlsConfig } from "./server-tls.ts";
import { readChunks, readShared, type SocketReads } from "./socket-reads.ts";
import { TlsHandshakes } from "./tls-handshakes.ts";

export interface Http1ServerOptions {
  readonly at: ListenAddress;
  readonly tls?: ServerTlsConfig | undefined;
  readonly handler: Http1Handler;
  readonly limits?: HttpServerLimits | undefined;
  /** For what comes on connections behind a request that is not answered, or of a body that is not asked for yet: 64 MiB of all unless given. */
  readonly held?: ByteBudget | undefined;
  /** Told what a handler threw. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** A server that listens. */
export interface RunningHttp1Server {
  /** 0 for a socket file. */
  readonly port: number;
  /**
   * Takes no more connections and ends those that idle, waits up to `deadlineMs` for requests under way, or until `hurry` aborts,
   * then closes them. With `replaced`, connections that are open are kept until it is settled. May be called twice.
   */
  close(deadlineMs: number, hurry?: AbortSignal, replaced?: Promise<void>): Promise<void>;
}

const defaultMaxConnections = 1000;
const defaultHeadersTimeoutMs = 60_000;
const defaultRequestTimeoutMs = 300_000;
const defaultKeepAliveTimeoutMs = 60_000;
const defaultMaxHeaderBytes = 16 * 1024;
/** Where headers may take their time. */
const defaultHandshakeTimeoutMs = 120_000;
const defaultHeldBytes = 64 * 1024 * 1024;
const maxTickMs = 500;
const minTickMs = 10;

/** Resolves when the server listens. Rejects with HttpError as `startHttpServer` does. */
export async function startHttp1Server(options: Http1ServerOptions): Promise<RunningHttp1Server> {
  const { limits = {}, handler, onError = () => {} } = options;
  const headersTimeoutMs = limits.headersTimeoutMs ?? defaultHeadersTimeoutMs;
  const keepAliveTimeoutMs = limits.keepAliveTimeoutMs ?? defaultKeepAliveTimeoutMs;
  const server = createListener(options.tls, headersTimeoutMs);
  server.maxConnections = limits.maxConnections || defaultMaxConnections;
  const connections = new ConnectionList(server, {
    handler,
    maxHeaderBytes: limits.maxHeaderBytes ?? defaultMaxHeaderBytes,
    headersTimeoutMs,
    requestTimeoutMs: limits.requestTimeoutMs ?? defaultRequestTimeoutMs,
    keepAliveTimeoutMs,
    keepAlive: keepAliveLines(keepAliveTimeoutMs),
    held: options.held ?? new ByteBudget(defaultHeldBytes),
    onError,
  });
  await listen(server, options.at);
  const address = server.address();
  let closing: Promise<void> | undefined;
  return {
    port: typeof address === "string" ? 0 : (address as AddressInfo).port,
    close(deadlineMs, hurry, replaced) {
      closing ??= closeServer(server, connections, { deadlineMs, hurry, replaced });
      return closing;
    },
  };
}

/** Emits `connection` for plain sockets, paused, `secureConnection` for those whose TLS is up. */
function createListener(tls: ServerTlsConfig | undefined, headersTimeoutMs: number): Server {
  if (tls === undefined) return createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true });
  const files = createServerTls(tls);
  const handshakeTimeout = headersTimeoutMs || defaultHandshakeTimeoutMs;
  const server = createTlsServer({ ...files.read(), noDelay: true, ALPNProtocols: ["http/1.1"], handshakeTimeout });
  // Before TLS begins on the connection, so that it is the first to see a new certificate.
  server.prependListener("connection", () => {
    const changed = files.readChanged();
    if (changed !== undefined) server.setSecureContext(changed);
  });
  return server;
}

/** The connections of a server and the one timer that watches them. */
class ConnectionList {
  readonly #settings: ConnectionSettings;
  readonly #connections = new Set<Http1Connection>();
  /** Those whose TLS is not up yet as well. */
  readonly #sockets = new Set<Socket>();
  readonly #handshakes: TlsHandshakes | undefined;
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(server: Server, settings: Omit<ConnectionSettings, "onClose">) {
    this.#settings = { ...settings, onClose: (connection) => this.#remove(connection) };
    this.#tickMs = tickMs(settings);
    this.#handshakes = server instanceof TlsServer ? new TlsHandshakes(server) : undefined;
    server.on("connection", (accepted: Socket) => {
      const reads = this.#handshakes !== undefined ? undefined : readShared(accepted);
      const socket = reads?.socket ?? accepted;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      if (reads !== undefined) this.#open(reads);
    });
    server.on("secureConnection", (socket: Socket) => {
      // Not before: in the handshake nobody would answer the client's end.
      socket.allowHalfOpen = true;
      this.#open(readChunks(socket));
    });
  }

  /** Ends connections when nothing is under way on them. */
  drain(): void {
    this.#isDraining = true;
    this.#handshakes?.destroy();
    for (const connection of this.#connections) connection.drain();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(reads: SocketReads): void {
    const connection = new Http1Connection(reads, this.#settings);
    this.#connections.add(connection);
    this.#timer ??= setInterval(() => this.#check(), this.#tickMs);
    // Its TLS was under way when the end began.
    if (this.#isDraining) connection.drain();
  }

  #check(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.check(nowMs);
  }

  #remove(connection: Http1Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Often enough for the shortest limit. */
function tickMs({
  handler,
  headersTimeoutMs,
  requestTimeoutMs,
  keepAliveTimeoutMs,
}: Omit<ConnectionSettings, "onClose">): number {
  const limits = [handler.writeTimeoutMs, headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs];
  const shortest = Math.min(...limits.filter((limit) => limit > 0));
  return Math.max(minTickMs, Math.min(maxTickMs, Math.floor(shortest / 4)));
}
