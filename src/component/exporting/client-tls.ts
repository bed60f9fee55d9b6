/** The TLS keys of clients, with the Collector's names. */

import { z } from "zod";
import { duration, secret } from "../../codec/yaml/field-types.ts";
import type { TlsConfig, TlsVersion } from "../../transport/http-client-config.ts";
import type { CompleteContext } from "../define.ts";
import { isWritten, sectionIssue } from "../section-issues.ts";

const tlsVersion = z.enum(["1.0", "1.1", "1.2", "1.3"]);

/** The schema of a client's `tls` section. */
export const clientTls = z.strictObject({
  ca_file: z
    .string()
    .optional()
    .describe("Certificate authorities that the server is checked against; read again when it changes."),
  ca_pem: secret().optional().describe("The same as text."),
  cert_file: z.string().optional().describe("Client certificate; read again when it changes."),
  cert_pem: secret().optional().describe("The same as text."),
  key_file: z.string().optional().describe("Key of the client certificate; read again when it changes."),
  key_pem: secret().optional().describe("The same as text."),
  min_version: tlsVersion.default("1.2").describe("Lowest TLS version."),
  max_version: tlsVersion.optional().describe("Highest TLS version."),
  cipher_suites: z.array(z.string()).default([]).describe("Accepted; the runtime's choice is used."),
  curve_preferences: z.array(z.string()).default([]).describe("Accepted; the runtime's choice is used."),
  include_system_ca_certs_pool: z.boolean().default(false).describe("Trusts the system's authorities beside ca_file."),
  include_insecure_cipher_suites: z.boolean().default(false).describe("Accepted, without effect."),
  reload_interval: duration()
    .default(0)
    .describe("Accepted; files are looked at with every connection, at most once a second."),
  tpm: z.unknown().optional().describe("Accepted, without effect: keys in a TPM come later."),
  insecure: z.boolean().default(false).describe("No TLS; of an endpoint with a scheme, the scheme decides."),
  insecure_skip_verify: z.boolean().default(false).describe("Takes any server certificate."),
  server_name_override: z.string().optional().describe("Name that the server's certificate must have."),
});

export type ClientTls = z.output<typeof clientTls>;

const inert = ["cipher_suites", "curve_preferences", "include_insecure_cipher_suites", "reload_interval", "tpm"];

/** Checks the section and notices keys that are accepted without effect. */
export function completeClientTls(tls: ClientTls, section: CompleteContext): void {
  for (const key of inert) {
    if (isWritten(section, ["tls", key])) {
      section.notice(sectionIssue(section, ["tls", key], "accepted, but has no effect"));
    }
  }
  for (const part of ["ca", "cert", "key"] as const) {
    if (tls[`${part}_file`] !== undefined && tls[`${part}_pem`] !== undefined) {
      section.issue(sectionIssue(section, ["tls", `${part}_pem`], `is not possible together with ${part}_file`));
    }
  }
  if (tls.max_version !== undefined && tls.max_version < tls.min_version) {
    section.issue(sectionIssue(section, ["tls", "max_version"], `expected at least min_version, ${tls.min_version}`));
  }
  const hasCert = tls.cert_file !== undefined || tls.cert_pem !== undefined;
  const hasKey = tls.key_file !== undefined || tls.key_pem !== undefined;
  if (hasCert !== hasKey) {
    section.issue(sectionIssue(section, ["tls"], "a client certificate needs both a certificate and a key"));
  }
}

const versions: Readonly<Record<string, TlsVersion>> = {
  "1.0": "TLSv1",
  "1.1": "TLSv1.1",
  "1.2": "TLSv1.2",
  "1.3": "TLSv1.3",
};

/** The section as the transport takes it. */
export function toClientTls(tls: ClientTls): TlsConfig {
  return {
    ca: tls.ca_pem?.reveal(),
    caFile: tls.ca_file,
    cert: tls.cert_pem?.reveal(),
    certFile: tls.cert_file,
    key: tls.key_pem?.reveal(),
    keyFile: tls.key_file,
    serverName: tls.server_name_override,
    insecureSkipVerify: tls.insecure_skip_verify,
    minVersion: versions[tls.min_version],
    maxVersion: tls.max_version === undefined ? undefined : versions[tls.max_version],
    includeSystemCa: tls.include_system_ca_certs_pool,
  };
}
