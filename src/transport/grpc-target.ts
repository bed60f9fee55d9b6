/** Names of gRPC servers, as gRPC's naming.md has them, and the addresses behind them. */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** Where one connection goes. */
export type GrpcAddress = { readonly host: string; readonly port: number } | { readonly socketPath: string };

/** A parsed name. */
export interface GrpcTarget {
  /** What `:authority` says unless told otherwise. */
  readonly authority: string;
  /** Fixed addresses; undefined where `lookUp` is to be asked. */
  readonly addresses: readonly GrpcAddress[] | undefined;
  /** A name for the system's resolver. */
  readonly lookUp: { readonly host: string; readonly port: number } | undefined;
}

const defaultPort = 443;

/**
 * Reads `host:port`, `dns:///host:port`, `passthrough:///host:port`, `unix:path`, `unix:///path`, `unix-abstract:name`,
 * `ipv4:a:port,b:port` and `ipv6:[a]:port`. Undefined for anything else.
 */
export function parseTarget(text: string): GrpcTarget | undefined {
  const match = /^([a-z][a-z0-9-]*):(.*)$/s.exec(text);
  const [scheme, rest] = [match?.[1] ?? "", match?.[2] ?? ""];
  switch (scheme) {
    case "unix":
      return socketTarget(rest.startsWith("//") ? rest.slice(2) : rest);
    case "unix-abstract":
      return rest === "" ? undefined : socketTarget(`\0${rest}`);
    case "ipv4":
    case "ipv6":
      return addressList(rest);
    case "dns":
    case "passthrough": {
      const name = /^(?:\/\/[^/]*\/)?(.+)$/s.exec(rest)?.[1];
      return name === undefined ? undefined : nameTarget(name);
    }
    default:
      return nameTarget(text);
  }
}

function socketTarget(path: string): GrpcTarget | undefined {
  return path === "" ? undefined : { authority: "localhost", addresses: [{ socketPath: path }], lookUp: undefined };
}

function addressList(text: string): GrpcTarget | undefined {
  const parts = text.split(",").map(parseHostPort);
  const addresses = parts.filter((part) => part !== undefined && isIP(part.host) !== 0);
  if (addresses.length !== parts.length) return undefined;
  return { authority: text.split(",")[0] ?? "", addresses: addresses as GrpcAddress[], lookUp: undefined };
}

function nameTarget(text: string): GrpcTarget | undefined {
  const at = parseHostPort(text);
  if (at === undefined) return undefined;
  const fixed = isIP(at.host) !== 0;
  return { authority: text, addresses: fixed ? [at] : undefined, lookUp: fixed ? undefined : at };
}

function parseHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s,]+))(?::([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  return port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? "", port };
}

/** The addresses of a target as they are now; rejects with the resolver's error. */
export async function resolveTarget(target: GrpcTarget): Promise<readonly GrpcAddress[]> {
  if (target.lookUp === undefined) return target.addresses ?? [];
  const { host, port } = target.lookUp;
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => ({ host: address, port }));
}

/** A key by which an address is known again, and how messages show it. */
export function addressText(address: GrpcAddress): string {
  if ("socketPath" in address) return `unix:${address.socketPath}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
