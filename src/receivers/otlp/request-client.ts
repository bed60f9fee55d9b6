/** Who sent a request: what the receiver hands on of its address, its headers or metadata, and its credentials. */

import type { RequestHeaders, ServerAuthenticator } from "../../component/server-auth.ts";
import type { ClientInfo } from "../../model/client-info.ts";
import type { GrpcRequest } from "../../transport/grpc-server-call.ts";
import { decodeBinaryHeader } from "../../transport/grpc-wire.ts";
import type { Http1Exchange } from "../../transport/http1-exchange.ts";

/** What a protocol hands on. */
export interface ClientSettings {
  readonly includeMetadata: boolean;
  readonly authenticator: ServerAuthenticator | undefined;
}

interface Sent {
  /** What an authenticator sees. */
  readonly headers: RequestHeaders;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly remoteAddress: string;
}

type Metadata = Map<string, string[]>;

const noHeaders: RequestHeaders = {};
const none: readonly string[] = [];

/** Headers of gRPC itself, which are no metadata: those that Go's gRPC keeps from its callers too. */
const reserved = new Set(["te", "grpc-encoding", "grpc-timeout", "grpc-message-type", "grpc-message", "grpc-status"]);

/** The client of a request over HTTP; `callerHeaders` are those that an authenticator saw. */
export function httpClientInfo(
  exchange: Http1Exchange,
  callerHeaders: RequestHeaders | undefined,
  settings: ClientSettings,
): ClientInfo {
  // Nothing that a batch keeps refers to the connection.
  const sent = {
    headers: callerHeaders ?? noHeaders,
    rawHeaders: settings.includeMetadata ? exchange.rawHeaders : none,
    remoteAddress: exchange.remoteAddress,
  };
  return new RequestClient(sent, settings, httpMetadata);
}

/** The client of a call over gRPC. */
export function grpcClientInfo(request: GrpcRequest, settings: ClientSettings): ClientInfo {
  return new RequestClient(request, settings, grpcMetadata);
}

/** Looks at nothing before somebody asks: mostly nobody does. */
class RequestClient implements ClientInfo {
  readonly address: string;
  readonly #headers: RequestHeaders;
  readonly #rawHeaders: readonly string[];
  readonly #authenticator: ServerAuthenticator | undefined;
  readonly #parse: (rawHeaders: readonly string[]) => Metadata;
  #metadata: Metadata | undefined;

  constructor(
    { headers, rawHeaders, remoteAddress }: Sent,
    { includeMetadata, authenticator }: ClientSettings,
    parse: (rawHeaders: readonly string[]) => Metadata,
  ) {
    this.address = plainAddress(remoteAddress);
    this.#headers = headers;
    this.#rawHeaders = includeMetadata ? rawHeaders : [];
    this.#authenticator = authenticator;
    this.#parse = parse;
  }

  metadata(name: string): readonly string[] {
    this.#metadata ??= this.#parse(this.#rawHeaders);
    return this.#metadata.get(name.toLowerCase()) ?? [];
  }

  auth(name: string): string | readonly string[] | undefined {
    return this.#authenticator?.callerAttribute?.(this.#headers, name);
  }
}

function httpMetadata(rawHeaders: readonly string[]): Metadata {
  const metadata: Metadata = new Map();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    add(metadata, (rawHeaders[i] as string).toLowerCase(), rawHeaders[i + 1] as string);
  }
  return metadata;
}

/** With `host`, which is the authority, as over HTTP. */
function grpcMetadata(rawHeaders: readonly string[]): Metadata {
  const metadata: Metadata = new Map();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (reserved.has(name) || (name.startsWith(":") && name !== ":authority")) continue;
    const value = rawHeaders[i + 1] as string;
    add(metadata, name, name.endsWith("-bin") ? decodeBinaryHeader(value).toString("utf8") : value);
  }
  const authority = metadata.get(":authority");
  if (authority !== undefined && !metadata.has("host")) metadata.set("host", authority);
  return metadata;
}

function add(metadata: Metadata, name: string, value: string): void {
  const known = metadata.get(name);
  if (known === undefined) metadata.set(name, [value]);
  else known.push(value);
}

/** An IPv4 address as such, also where the socket is one of IPv6. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
