/** The keys that servers of every protocol share: address, TLS, who may call. */

import { z } from "zod";
import { nodeAt } from "../codec/yaml/config-node.ts";
import { componentIdString, duration, filledSection, secret } from "../codec/yaml/field-types.ts";
import type { ListenAddress } from "../transport/listen.ts";
import type { ServerTlsConfig } from "../transport/server-tls.ts";
import type { CompleteContext } from "./define.ts";
import { isFilled, isWritten, sectionIssue } from "./section-issues.ts";

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

const endpointExpected = 'expected an address like "localhost:4317"';

/** An `endpoint` key that must be `host:port`. */
export function endpointField() {
  return z.string().refine((text) => parseEndpoint(text) !== undefined, endpointExpected);
}

/** Keys of a server that may listen on a socket file as well; `checkListener` belongs to them. */
export function listenerFields(endpoint: string) {
  return {
    endpoint: z.string().default(endpoint).describe("Address to listen on, host:port, or the path of a socket file."),
    transport: z
      .enum(["tcp", "tcp4", "tcp6", "unix"])
      .default("tcp")
      .describe(
        "unix: the endpoint is the path of a socket file, or @name without a file (Linux); else the address decides.",
      ),
    dialer: z
      .strictObject({ timeout: duration().default(0).describe("Accepted without effect.") })
      .optional()
      .describe("Accepted without effect: a server connects to nobody."),
  };
}

interface Listener {
  readonly endpoint: string;
  readonly transport: string;
}

/** Reports an endpoint that does not fit its transport. `path` is the server's, below the section. */
export function checkListener(listener: Listener, section: CompleteContext, path: readonly string[]): void {
  const dialer = [...path, "dialer"];
  if (isWritten(section, dialer)) section.notice(sectionIssue(section, dialer, "has no effect on a server"));
  if (listener.transport === "unix" ? listener.endpoint !== "" : parseEndpoint(listener.endpoint) !== undefined) return;
  const expected = listener.transport === "unix" ? "expected the path of a socket file" : endpointExpected;
  const endpointPath = [...path, "endpoint"];
  // What came from a reference is not shown: it may be a secret in the wrong place.
  const isShown = section.node !== undefined && nodeAt(section.node, endpointPath)?.expansion === undefined;
  const found = isShown ? `, got ${JSON.stringify(listener.endpoint)}` : "";
  section.issue(sectionIssue(section, endpointPath, expected + found));
}

/** The address of a listener that was checked. */
export function listenAddress({ endpoint, transport }: Listener): ListenAddress {
  // As in Go: a name without a file, where the system has such names.
  if (transport === "unix") return { socketPath: endpoint.startsWith("@") ? `\0${endpoint.slice(1)}` : endpoint };
  return parseEndpoint(endpoint) ?? { host: "localhost", port: 0 };
}

const tlsVersions = ["1.0", "1.1", "1.2", "1.3"] as const;
const tlsVersion = () => z.enum(tlsVersions).optional();

/** The `tls` section of a server. */
export const serverTls = z.strictObject({
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
  include_insecure_cipher_suites: z.boolean().default(false).describe("Accepted without effect."),
  min_version: tlsVersion().describe("Lowest TLS version. Default 1.2."),
  max_version: tlsVersion().describe("Highest TLS version. Default 1.3."),
  cipher_suites: z.array(z.string()).optional().describe("Accepted without effect yet."),
  curve_preferences: z.array(z.string()).optional().describe("Accepted without effect yet."),
  tpm: z.unknown().optional().describe("Accepted without effect yet: keys in a TPM."),
  reload_interval: duration().optional().describe("Accepted: changed files are always read again."),
});

const inertTlsKeys = ["cipher_suites", "curve_preferences", "include_insecure_cipher_suites", "tpm"];
const clientTlsKeys = ["ca_file", "ca_pem", "include_system_ca_certs_pool"];

/** Notices the keys of a `tls` section without effect, and reports one that no server can serve with. */
export function checkServerTls(
  tls: z.output<typeof serverTls> | undefined,
  section: CompleteContext,
  path: readonly string[],
): void {
  noticeEmpty(section, path);
  if (tls === undefined) return;
  const at = [...path, "tls"];
  const notices = [
    ...inertTlsKeys.map((key) => [key, "has no effect yet"] as const),
    ...clientTlsKeys.map((key) => [key, "has no effect on a server: client_ca_file checks clients"] as const),
  ];
  for (const [key, message] of notices) {
    if (isWritten(section, [...at, key])) section.notice(sectionIssue(section, [...at, key], message));
  }
  const hasCert = tls.cert_file !== undefined || tls.cert_pem !== undefined;
  const hasKey = tls.key_file !== undefined || tls.key_pem !== undefined;
  if (!hasCert || !hasKey) section.issue(sectionIssue(section, at, "a server needs both a certificate and a key"));
}

/** What was left without content may have been meant to guard the server. */
function noticeEmpty(section: CompleteContext, path: readonly string[]): void {
  const effects = [
    ["tls", "the server speaks plain text"],
    ["auth", "callers are not checked"],
  ] as const;
  for (const [key, effect] of effects) {
    const at = [...path, key];
    if (!isWritten(section, at) || isFilled(section, at)) continue;
    section.notice(sectionIssue(section, at, `is empty, so ${effect}`));
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

/** The `auth` key of a server. */
export function serverAuthField() {
  return filledSection(
    z.strictObject({
      authenticator: componentIdString().describe("Id of the extension that checks who asks."),
      request_params: z
        .array(z.string())
        .optional()
        .describe("Parameters of the URL that the extension sees beside the headers (HTTP)."),
    }),
  ).describe("Extension that checks who asks.");
}
