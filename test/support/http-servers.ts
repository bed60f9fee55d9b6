/** Real servers on free loopback ports for tests, closed with everything on them when the test ends. */

import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A server that is listening. */
export interface TestServer {
  readonly port: number;
  /** `http://127.0.0.1:port` or with https. */
  readonly url: string;
  /** Sockets accepted so far. */
  readonly connections: () => number;
  /** Sockets open now. */
  readonly open: () => number;
  readonly closeConnections: () => void;
  readonly stop: () => Promise<void>;
}

export function serveHttp(listener: RequestListener): Promise<TestServer> {
  return listen(createServer(listener), "http");
}

export function serveHttps(options: ServerOptions, listener: RequestListener): Promise<TestServer> {
  return listen(createSecureServer(options, listener), "https");
}

/** A server that gets the bare socket. */
export function serveTcp(onSocket: (socket: Socket) => void): Promise<TestServer> {
  return listen(createTcpServer(onSocket) as Server, "http");
}

/** A forward proxy that records what it is asked for. */
export interface TestProxy extends TestServer {
  /** `METHOD target` with the headers of each request to the proxy. */
  readonly asked: { readonly line: string; readonly headers: IncomingMessage["headers"] }[];
}

/** Tunnels CONNECT and answers requests in absolute form with `forwarded`; `refuse` gives every CONNECT that status. */
export async function serveProxy(refuse?: number): Promise<TestProxy> {
  const asked: TestProxy["asked"] = [];
  const server = createServer((request, response) => {
    asked.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    response.end("forwarded");
  });
  server.on("connect", (request: IncomingMessage, client: Socket, head: Buffer) => {
    asked.push({ line: `CONNECT ${request.url}`, headers: request.headers });
    client.on("error", () => {});
    if (refuse !== undefined) {
      client.end(`HTTP/1.1 ${refuse} No\r\n\r\n`);
      return;
    }
    const port = Number((request.url ?? "").split(":").at(-1));
    const target = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      target.write(head);
      target.pipe(client).pipe(target);
    });
    target.on("error", () => client.destroy());
    client.on("close", () => target.destroy());
  });
  return { ...(await listen(server, "http")), asked };
}

async function listen(server: Server, scheme: string): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on("connection", (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const closeConnections = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      closeConnections();
    });
  onTestFinished(stop);
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    connections: () => accepted,
    open: () => sockets.size,
    closeConnections,
    stop,
  };
}
