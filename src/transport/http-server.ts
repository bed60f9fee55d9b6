/** A small HTTP or HTTPS server for health, own metrics and APIs, with limits and an end that comes in time. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { toError } from "../model/errors.ts";
import { codeOf, HttpError } from "./http-error.ts";
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
  /** Takes no more connections, waits up to `deadlineMs` for requests under way, then closes them. May be called twice. */
  close(deadlineMs: number): Promise<void>;
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
  await listen(server, options.host, options.port);
  const port = (server.address() as AddressInfo).port;
  const scheme = options.tls === undefined ? "http" : "https";
  let closing: Promise<void> | undefined;
  return {
    port,
    url: `${scheme}://${hostPort(options.host === "" ? "localhost" : options.host, port)}`,
    close(deadlineMs) {
      closing ??= closeServer(server, deadlineMs);
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

function listen(server: Server | SecureServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(listenError(error, host, port));
    server.once("error", fail);
    server.listen({ port, ...(host === "" ? {} : { host }) }, () => {
      server.off("error", fail);
      // Without a listener a failing accept, for want of file handles, would end the process.
      server.on("error", () => {});
      resolve();
    });
  });
}

const listenWords: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EACCES: "permission denied",
  EADDRNOTAVAIL: "address not available on this machine",
  ENOTFOUND: "host name not found",
};

function listenError(error: Error, host: string, port: number): HttpError {
  const code = codeOf(error) ?? "UNKNOWN";
  const words = listenWords[code] ?? error.message;
  return new HttpError(code, `listen on ${hostPort(host, port)}: ${words} (${code})`, { cause: error });
}

function hostPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function closeServer(server: Server | SecureServer, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
