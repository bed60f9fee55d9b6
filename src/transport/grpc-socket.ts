/** Opens what a gRPC client's connection goes over: TCP, TLS with HTTP/2, a socket file, or a proxy's tunnel. */

import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { toError } from "../model/errors.ts";
import { openTunnel } from "./connect-tunnel.ts";
import { addressText, type GrpcAddress } from "./grpc-target.ts";
import type { HttpProxy } from "./proxy-choice.ts";
import { type ClientReads, clientChunks, connectShared } from "./socket-reads.ts";
import type { TlsMaterial, TlsSource } from "./tls-files.ts";

export interface SocketSettings {
  readonly authority: string;
  readonly tls: TlsSource | undefined;
  readonly userAgent: string;
  /** The proxy to an address; throws HttpError PROXY_INVALID. */
  readonly proxyFor: (address: GrpcAddress) => HttpProxy | undefined;
  /** For the connection, TLS and HTTP/2 to be ready. */
  readonly connectTimeoutMs: number;
}

/** What a connection goes over: a new socket, or one that leads through a tunnel. */
type Where = { readonly path: string } | { readonly host: string; readonly port: number } | { readonly socket: Socket };

/** A connection to the address, with TLS where that is wanted. Rejects with why there is none, and with the signal's reason. */
export async function openGrpcSocket(
  address: GrpcAddress,
  settings: SocketSettings,
  signal: AbortSignal,
): Promise<ClientReads> {
  const material = settings.tls?.();
  const proxy = settings.proxyFor(address);
  const name = hostOf(settings.authority);
  const serverName = material?.serverName ?? (isIP(name) === 0 ? name : "");
  if (proxy === undefined) {
    const where = "socketPath" in address ? { path: address.socketPath } : address;
    const open = (onread: OnReadOpts) =>
      material === undefined
        ? connectTcp({ ...where, onread, noDelay: true })
        : openTls(where, material, serverName, onread);
    return await untilConnected(connectShared(open), material !== undefined, signal);
  }
  const tunnel = await openThrough(proxy, address, { settings, tls: material, signal });
  if (material === undefined) return clientChunks(tunnel);
  return await untilConnected(clientChunks(openTls({ socket: tunnel }, material, serverName)), true, signal);
}

function openTls(where: Where, material: TlsMaterial, serverName: string, onread?: OnReadOpts): Socket {
  const socket = connectTls({
    ...where,
    // Declared for sockets only, and handed on to the one beneath.
    ...(onread === undefined ? {} : { onread }),
    secureContext: material.secureContext,
    rejectUnauthorized: material.rejectUnauthorized,
    servername: serverName,
    ...(material.checkServerIdentity === undefined ? {} : { checkServerIdentity: material.checkServerIdentity }),
    ALPNProtocols: ["h2"],
  });
  // As an option it is passed over.
  return socket.setNoDelay(true);
}

function untilConnected(reads: ClientReads, isSecure: boolean, signal: AbortSignal): Promise<ClientReads> {
  const { socket } = reads;
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
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      signal.removeEventListener("abort", abort);
      if ("alpnProtocol" in socket && socket.alpnProtocol !== "h2") {
        fail(new Error("the server does not offer HTTP/2 (ALPN h2)"));
        return;
      }
      resolve(reads);
    });
  });
}

function openThrough(
  proxy: HttpProxy,
  address: GrpcAddress,
  {
    settings,
    tls,
    signal,
  }: { readonly settings: SocketSettings; readonly tls: TlsMaterial | undefined; readonly signal: AbortSignal },
): Promise<Socket> {
  const { userAgent, connectTimeoutMs } = settings;
  const authority = addressText(address);
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

/** The host of an authority, without brackets and port. */
function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]+)?$/.exec(authority);
  return match?.[1] ?? match?.[2] ?? authority;
}
