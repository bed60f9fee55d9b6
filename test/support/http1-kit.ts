/** Servers that write down what requests they see, one of ours and one of node:http, and a client that sends bytes. */

import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { Http1Exchange, Http1Handler } from "../../src/transport/http1-exchange.ts";
import {
  type Http1ServerOptions,
  type RunningHttp1Server,
  startHttp1Server,
} from "../../src/transport/http1-server.ts";

/** A request that came whole. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** Collects the body as Latin-1, then calls back; `cut` where it does not come whole. */
export function collect(exchange: Http1Exchange, done: (body: string) => void, cut: () => void = () => {}): void {
  const parts: string[] = [];
  exchange.readBody({
    bodyPart: (part) => parts.push(part.toString("latin1")),
    bodyEnded: () => done(parts.join("")),
    bodyCut: cut,
  });
}

/** A handler that answers 200 with what it saw. */
export function recorder(seen: SeenRequest[]): Http1Handler {
  return {
    writeTimeoutMs: 1000,
    handle(exchange) {
      collect(exchange, (body) => {
        const { method, url, rawHeaders } = exchange;
        seen.push({ method, url, rawHeaders, body });
        exchange.answer({ status: 200, fields: "content-type: text/plain\r\n", body: `${seen.length}` });
      });
    },
  };
}

/** Our server on a free port; it ends with the test. */
export async function startHttp1(options: Partial<Http1ServerOptions> = {}): Promise<RunningHttp1Server> {
  const handler = options.handler ?? recorder([]);
  const server = await startHttp1Server({ at: { host: "127.0.0.1", port: 0 }, ...options, handler });
  onTestFinished(() => server.close(0));
  return server;
}

/** A server of node:http with the same limits. */
export async function startNodeRecorder(seen: SeenRequest[]): Promise<number> {
  const server = createServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
    const parts: string[] = [];
    request.on("data", (part: Buffer) => parts.push(part.toString("latin1")));
    request.on("error", () => {});
    request.on("end", () => {
      const { method = "", url = "", rawHeaders } = request;
      seen.push({ method, url, rawHeaders, body: parts.join("") });
      response.end(`${seen.length}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const maxExchangeMs = 8000;

/** Sends the pieces, each in a turn of its own, ends its side where it is to, and returns what came until the server ended the connection. */
export async function exchangeBytes(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  ends = false,
): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (const piece of pieces) {
    socket.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  if (ends) socket.end();
  const timer = setTimeout(() => {
    received += " (never closed)";
    socket.destroy();
  }, maxExchangeMs);
  await closed;
  clearTimeout(timer);
  return received;
}

/** The status codes of the answers in what came. */
export function statusesOf(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

/** A handler that does this. */
export function handlerOf(handle: (exchange: Http1Exchange) => void): Http1Handler {
  return { writeTimeoutMs: 1000, handle };
}

/** An answer with a header of its own. */
export const plain = (status: number, body: string | Uint8Array = "", more: object = {}) => ({
  status,
  fields: "x-own: yes\r\n",
  body,
  ...more,
});

/** A request for `/`, with these lines. */
export const ask = (method: string, more = "") => `${method} / HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

/** A connection that ends with the test, and what has come on it. */
export async function open(port: number): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  await once(socket, "connect");
  return { socket, text: () => received };
}
