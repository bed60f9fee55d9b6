/** Opens a tunnel through an HTTP proxy with CONNECT (RFC 9110 section 9.3.6). */

import { request } from "node:http";
import { isIP, type Socket, connect as tcpConnect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { HttpError } from "./http-error.ts";
import { type HttpProxy, portOf } from "./proxy-choice.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** How to reach the other end. */
export interface TunnelOptions {
  readonly proxy: HttpProxy;
  /** For a proxy with scheme https. */
  readonly tls: TlsMaterial | undefined;
  /** `host:port` of the other end. */
  readonly authority: string;
  readonly userAgent: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly timeoutMs: number;
  /** Called with the socket before it is connected, so that it can be closed by whoever owns the tunnel. */
  readonly track: (socket: Socket) => void;
}

/** Calls back once: with a socket to the other end, or with HttpError PROXY_REFUSED or the error of the connection. */
export function openTunnel(
  options: TunnelOptions,
  callback: (error: Error | null, socket: Socket | null) => void,
): void {
  const socket = connectToProxy(options);
  options.track(socket);
  let settled = false;
  const settle = (error: Error | null): void => {
    if (settled) {
      return;
    }
    settled = true;
    clearTimeout(timer);
    if (error === null) {
      callback(null, socket);
    } else {
      socket.destroy();
      callback(error, null);
    }
  };
  const timer = setTimeout(() => {
    settle(new HttpError("TIMEOUT", `proxy ${options.proxy.url.host} opened no tunnel within ${options.timeoutMs} ms`));
  }, options.timeoutMs);
  timer.unref();
  const connect = request({
    method: "CONNECT",
    path: options.authority,
    headers: connectHeaders(options),
    createConnection: () => socket,
  });
  connect.once("connect", (response, _socket: Duplex, head: Buffer) => {
    if (response.statusCode !== 200) {
      settle(refused(options, `${response.statusCode} ${response.statusMessage ?? ""}`.trim()));
      return;
    }
    if (head.length > 0) {
      socket.unshift(head);
    }
    settle(null);
  });
  // A proxy that answers without a tunnel gives a plain response for some status codes.
  connect.once("response", (response) => settle(refused(options, `${response.statusCode}`)));
  connect.on("error", settle);
  // Stays after the tunnel is handed on: an error of a socket that nobody listens to ends the process.
  socket.on("error", settle);
  socket.on("close", () => settle(refused(options, "a closed connection")));
  connect.end();
}

function connectToProxy({ proxy, tls }: TunnelOptions): Socket {
  const host = proxy.url.hostname.startsWith("[") ? proxy.url.hostname.slice(1, -1) : proxy.url.hostname;
  const port = portOf(proxy.url);
  if (proxy.url.protocol !== "https:") {
    return tcpConnect({ host, port }).setNoDelay(true);
  }
  const servername = tls?.serverName ?? (isIP(host) === 0 ? host : undefined);
  return tlsConnect({
    host,
    port,
    ALPNProtocols: ["http/1.1"],
    ...(servername === undefined ? {} : { servername }),
    ...(tls === undefined ? {} : { secureContext: tls.secureContext, rejectUnauthorized: tls.rejectUnauthorized }),
    ...(tls?.checkServerIdentity === undefined ? {} : { checkServerIdentity: tls.checkServerIdentity }),
  }).setNoDelay(true);
}

function connectHeaders({ proxy, authority, userAgent, headers }: TunnelOptions): Record<string, string | string[]> {
  const sent: Record<string, string | string[]> = {
    host: authority,
    "user-agent": userAgent,
    // Node would ask to close the connection that is to become the tunnel.
    connection: "keep-alive",
  };
  if (proxy.authorization !== undefined) {
    sent["proxy-authorization"] = proxy.authorization;
  }
  for (const [name, values] of Object.entries(headers)) {
    sent[name.toLowerCase()] = [...values];
  }
  return sent;
}

function refused(options: TunnelOptions, answer: string): HttpError {
  const message = `proxy ${options.proxy.url.host} answered ${answer} to CONNECT ${options.authority}`;
  return new HttpError("PROXY_REFUSED", message);
}
