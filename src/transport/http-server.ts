/** A small HTTP or HTTPS server for health, own metrics and APIs, with limits and an end that comes in time. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { toError } from "../model/errors.ts";
import { listen } from "./listen.ts";
import { createServerTls, type ServerTlsConfig } from "./server-tls.ts";

/** Answers one request. What it throws or rejects with becomes a 500 without details. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Limits of a server; times in milliseconds, 0 is unlimited. */
export interface HttpServerLimits {
  /** 1,000 unless given; further connections are closed at once. */
  readonly maxConnections?: number | undefined;
  /** From the first byte of a request to the end of its headers: 60 s unless given. */
  readonly headersTimeoutMs?: number | undefined;
  /** To the end of the request's body: 300 s unless given. */
  readonly requestTimeoutMs?: number | undefined;
  /** Of an idle connection: 60 s unless given. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** 16 KiB unless given; more is answered with 431. */
  readonly maxHeaderBytes?: number | undefined;
}

export interface HttpServerOptions {
  /** An address or name to listen on; empty for all. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Listens on a socket file instead. */
  readonly socketPath?: string | undefined;
  readonly tls?: ServerTlsConfig | undefined;
  readonly handler: HttpHandler;
  readonly limits?: HttpServerLimits | undefined;
  /** Told what a handler threw; nothing is logged without it. */
  readonly onError?: ((error: Error, request: IncomingMessage) => void) | undefined;
}

/** A server that listens. */
export interface RunningHttpServer {
  readonly port: number;
  /** Where it can be reached, with the host as configured. */
  readonly url: string;
  /**
   * Takes no more connections, waits up to `deadlineMs` for requests under way, or until `hurry` aborts, then closes them.
   * May be called twice.
   */
  close(deadlineMs: number, hurry?: AbortSignal): Promise<void>;
}

/**
 * Resolves when the server listens. Rejects with HttpError: EADDRINUSE, EACCES or EADDRNOTAVAIL with host and port in
 * the message, FILE_UNREADABLE or TLS_INVALID with the key.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const server = createListener(options);
  const limits = options.limits ?? {};
  server.maxConnections = limits.maxConnections || defaultMaxConnections;
  server.keepAliveTimeout = limits.keepAliveTimeoutMs ?? defaultKeepAliveTimeoutMs;
  const { host, port: wanted, socketPath } = options;
  await listen(server, socketPath === undefined ? { host, port: wanted } : { socketPath });
  const address = server.address();
  const port = typeof address === "string" ? 0 : (address as AddressInfo).port;
  const scheme = options.tls === undefined ? "http" : "https";
  let closing: Promise<void> | undefined;
  return {
    port,
    url: `${scheme}://${hostPort(options.host === "" ? "localhost" : options.host, port)}`,
    close(deadlineMs, hurry) {
      closing ??= closeServer(server, deadlineMs, hurry);
      return closing;
    },
  };
}

const defaultMaxConnections = 1000;
const defaultHeadersTimeoutMs = 60_000;
const defaultRequestTimeoutMs = 300_000;
const defaultKeepAliveTimeoutMs = 60_000;
const defaultMaxHeaderBytes = 16 * 1024;
const timeoutCheckMs = 1000;
const closeSweepMs = 50;

function createListener({ handler, tls, limits, onError }: HttpServerOptions): Server | SecureServer {
  const options = {
    headersTimeout: limits?.headersTimeoutMs ?? defaultHeadersTimeoutMs,
    requestTimeout: limits?.requestTimeoutMs ?? defaultRequestTimeoutMs,
    connectionsCheckingInterval: timeoutCheckMs,
    maxHeaderSize: limits?.maxHeaderBytes ?? defaultMaxHeaderBytes,
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    run(handler, request, response).catch((caught: unknown) => {
      onError?.(toError(caught), request);
      answerFailure(response);
    });
  };
  if (tls === undefined) {
    return createServer(options, answer);
  }
  const files = createServerTls(tls);
  const server = createSecureServer({ ...options, ...files.read() }, answer);
  // Before TLS begins on the connection, so that it is the first to see a new certificate.
  server.prependListener("connection", () => {
    const changed = files.readChanged();
    if (changed !== undefined) {
      server.setSecureContext(changed);
    }
  });
  return server;
}

async function run(handler: HttpHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await handler(request, response);
}

function answerFailure(response: ServerResponse): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) {
    response.removeHeader(name);
  }
  response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end("internal error\n");
}

function hostPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function closeServer(server: Server | SecureServer, deadlineMs: number, hurry?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => server.closeAllConnections();
    const timer = setTimeout(end, deadlineMs);
    // A kept connection becomes idle when its request under way is answered.
    const sweep = setInterval(() => server.closeIdleConnections(), closeSweepMs);
    hurry?.addEventListener("abort", end, { once: true });
    server.close(() => {
      clearTimeout(timer);
      clearInterval(sweep);
      hurry?.removeEventListener("abort", end);
      resolve();
    });
    if (hurry?.aborted) end();
    server.closeIdleConnections();
  });
}
