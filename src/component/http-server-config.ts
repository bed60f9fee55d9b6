/** The configuration of an HTTP server with the Collector's keys, for every component that listens. */

import { z } from "zod";
import { duration, headers, optionalSection, secret } from "../codec/yaml/field-types.ts";
import type { ServerTlsConfig } from "../transport/server-tls.ts";
import type { CompleteContext } from "./define.ts";
import { isWritten, sectionIssue } from "./section-issues.ts";

/** Where a server listens. */
export interface Endpoint {
  /** Empty for all addresses. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`; the host may be empty, and an IPv6 address stands in brackets. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

/** An `endpoint` key that must be `host:port`. */
export function endpointField() {
  return z.string().refine((text) => parseEndpoint(text) !== undefined, 'expected an address like "localhost:13133"');
}

const tlsVersions = ["1.0", "1.1", "1.2", "1.3"] as const;
const tlsVersion = () => z.enum(tlsVersions).optional();

const serverTls = z.strictObject({
  cert_file: z.string().optional().describe("File with the server's certificate, read again when it changes."),
  cert_pem: z.string().optional().describe("The certificate itself."),
  key_file: z.string().optional().describe("File with the private key."),
  key_pem: secret().optional().describe("The private key itself."),
  client_ca_file: z
    .string()
    .optional()
    .describe("Certificates that clients must be signed by; without it none is asked."),
  client_ca_file_reload: z.boolean().default(false).describe("Accepted: changed files are always read again."),
  ca_file: z.string().optional().describe("Accepted without effect on a server."),
  ca_pem: z.string().optional().describe("Accepted without effect on a server."),
  include_system_ca_certs_pool: z.boolean().default(false).describe("Accepted without effect on a server."),
  min_version: tlsVersion().describe("Lowest TLS version. Default 1.2."),
  max_version: tlsVersion().describe("Highest TLS version. Default 1.3."),
  cipher_suites: z.array(z.string()).optional().describe("Accepted without effect yet."),
  curve_preferences: z.array(z.string()).optional().describe("Accepted without effect yet."),
  reload_interval: duration().optional().describe("Accepted: changed files are always read again."),
});

const later = (what: string) => z.unknown().optional().describe(`${what} Not built yet: an error.`);
const unused = (what: string) => z.unknown().optional().describe(`${what} Accepted without effect yet.`);

/** The keys of a server, to be spread into the schema of a component. */
export function serverFields(endpoint: string) {
  return {
    endpoint: endpointField().default(endpoint).describe("Address to listen on, host:port."),
    transport: z.enum(["tcp", "tcp4", "tcp6"]).default("tcp").describe("Accepted: the address decides."),
    tls: optionalSection(serverTls).describe("Serves TLS; absent, plain HTTP."),
    response_headers: headers().optional().describe("Headers added to every answer."),
    read_timeout: duration().default(0).describe("Longest time for a whole request. 0 means 300 s."),
    read_header_timeout: duration().default(0).describe("Longest time for the headers of a request. 0 means 60 s."),
    write_timeout: duration().default(0).describe("Accepted without effect yet."),
    idle_timeout: duration().default(0).describe("Longest time that a connection may idle. 0 means 60 s."),
    keep_alives_enabled: z.boolean().default(false).describe("Keeps connections open between requests."),
    max_request_body_size: z.number().int().min(0).default(0).describe("Largest body of a request in bytes."),
    include_metadata: z
      .boolean()
      .default(false)
      .describe("Hands properties of the client on. Accepted without effect yet."),
    compression_algorithms: z.array(z.string()).optional().describe("Accepted codings of bodies. Without effect yet."),
    cors: unused("Access from pages of other origins."),
    auth: later("Extension that checks who asks."),
    middlewares: later("Extensions around every request."),
  };
}

/** Reports what a section asks for that no server can do yet. */
export function checkServer(section: CompleteContext): void {
  for (const key of ["auth", "middlewares"]) {
    if (isWritten(section, [key])) {
      section.issue(sectionIssue(section, [key], "is not supported yet, it comes in a later version"));
    }
  }
  for (const path of [["cors"], ["write_timeout"], ["tls", "cipher_suites"], ["tls", "curve_preferences"]]) {
    if (isWritten(section, path)) section.notice(sectionIssue(section, path, "has no effect yet"));
  }
}

/** The TLS configuration as the transport takes it. */
export function toServerTls(tls: z.output<typeof serverTls> | undefined): ServerTlsConfig | undefined {
  if (tls === undefined) return undefined;
  return {
    cert: tls.cert_pem,
    certFile: tls.cert_file,
    key: tls.key_pem?.reveal(),
    keyFile: tls.key_file,
    clientCaFile: tls.client_ca_file,
    minVersion: toVersion(tls.min_version),
    maxVersion: toVersion(tls.max_version),
  };
}

function toVersion(version: (typeof tlsVersions)[number] | undefined) {
  if (version === undefined) return undefined;
  return version === "1.0" ? ("TLSv1" as const) : (`TLSv${version}` as const);
}
