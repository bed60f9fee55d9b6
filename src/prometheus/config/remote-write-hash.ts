/** The hash that names a remote write queue: MD5 of the entry as Prometheus prints it, secrets masked. */

import { createHash } from "node:crypto";
import type {
  HttpClientConfig,
  OAuth2Config,
  ProxyConfig,
  TlsConfig,
  TlsVersion,
} from "../../transport/http-client-config.ts";
import { redactUrl } from "./go-url.ts";
import { compareGoYamlKeys, type GoYaml, goYamlText } from "./go-yaml-text.ts";
import { formatPromDuration } from "./prom-duration.ts";
import type { DecodedRelabelRule } from "./relabel-rules.ts";
import type { RemoteWriteConfig } from "./types.ts";

type Entry = readonly [key: string, value: GoYaml];

const MASK = "<secret>";
const TLS_NAMES: Readonly<Record<TlsVersion, string>> = {
  TLSv1: "TLS10",
  "TLSv1.1": "TLS11",
  "TLSv1.2": "TLS12",
  "TLSv1.3": "TLS13",
};

/** 32 hex digits; an entry without a name takes the first six of them. */
export function remoteWriteHash(
  config: Omit<RemoteWriteConfig, "isNamed" | "fingerprint" | "at">,
  rules: readonly DecodedRelabelRule[],
): string {
  return createHash("md5").update(remoteWriteText(config, rules)).digest("hex");
}

/** The entry as `/api/v1/status/config` shows it, with its defaults, less the indentation. */
export function remoteWriteText(
  config: Omit<RemoteWriteConfig, "isNamed" | "fingerprint" | "at">,
  rules: readonly DecodedRelabelRule[],
): string {
  const { queueConfig: queue, metadataConfig: metadata } = config;
  const queueEntries = [
    ...filled("capacity", queue.capacity),
    ...filled("max_shards", queue.maxShards),
    ...filled("min_shards", queue.minShards),
    ...filled("max_samples_per_send", queue.maxSamplesPerSend),
    ...duration("batch_send_deadline", queue.batchSendDeadlineMs),
    ...duration("min_backoff", queue.minBackoffMs),
    ...duration("max_backoff", queue.maxBackoffMs),
    ...filled("retry_on_http_429", queue.retryOnHttp429 ?? false),
    ...duration("sample_age_limit", queue.sampleAgeLimitMs),
  ];
  const metadataIsZero = !metadata.send && metadata.sendIntervalMs === 0 && metadata.maxSamplesPerSend === 0;
  const metadataEntries: Entry[] = [
    ["send", metadata.send],
    ["send_interval", formatPromDuration(metadata.sendIntervalMs)],
    ...filled("max_samples_per_send", metadata.maxSamplesPerSend),
  ];
  return goYamlText([
    ["url", redactUrl(config.url)],
    ...duration("remote_timeout", config.remoteTimeoutMs),
    ...sortedMap("headers", Object.entries(config.headers)),
    ...list("write_relabel_configs", rules.map(relabelRule)),
    ...filled("name", config.name),
    ...filled("send_exemplars", config.sendExemplars),
    ...filled("send_native_histograms", config.sendNativeHistograms),
    ...filled("round_robin_dns", config.roundRobinDns),
    ["protobuf_message", config.protobufMessage],
    ...filled("failed_request_logging", config.failedRequestLogging),
    ...httpClient(config.http),
    ["queue_config", { map: queueEntries }],
    ...(metadataIsZero ? [] : ([["metadata_config", { map: metadataEntries }]] as const)),
  ]);
}

/** An entry unless its value is empty, 0 or false. */
function filled(key: string, value: string | number | boolean | undefined): Entry[] {
  return value === undefined || value === "" || value === 0 || value === false ? [] : [[key, value]];
}

function secret(key: string, value: string | undefined): Entry[] {
  return filled(key, value === undefined ? undefined : MASK);
}

function duration(key: string, ms: number): Entry[] {
  return ms === 0 ? [] : [[key, formatPromDuration(ms)]];
}

function list(key: string, items: readonly GoYaml[] | undefined): Entry[] {
  return items === undefined || items.length === 0 ? [] : [[key, items]];
}

function sortedMap(key: string, entries: readonly Entry[]): Entry[] {
  if (entries.length === 0) return [];
  return [[key, { map: entries.toSorted(([a], [b]) => compareGoYamlKeys(a, b)) }]];
}

function relabelRule(rule: DecodedRelabelRule): GoYaml {
  const sourceLabels: Entry[] = rule.sourceLabels.length === 0 ? [] : [["source_labels", { flow: rule.sourceLabels }]];
  const regex: Entry[] = rule.regexWritten ? [["regex", rule.regex]] : [];
  const modulus: Entry[] = rule.modulus === 0n ? [] : [["modulus", rule.modulus]];
  return {
    map: [
      ...sourceLabels,
      ["separator", rule.separator],
      ...regex,
      ...modulus,
      ...filled("target_label", rule.targetLabel),
      ["replacement", rule.replacement],
      ["action", rule.action],
    ],
  };
}

function httpClient(http: HttpClientConfig): Entry[] {
  const { basicAuth, authorization, oauth2 } = http;
  const basic: Entry[] = [
    ...filled("username", basicAuth?.username),
    ...filled("username_file", basicAuth?.usernameFile),
    ...secret("password", basicAuth?.password),
    ...filled("password_file", basicAuth?.passwordFile),
  ];
  const token: Entry[] = [
    ...filled("type", authorization?.type),
    ...secret("credentials", authorization?.credentials),
    ...filled("credentials_file", authorization?.credentialsFile),
  ];
  return [
    ...(basicAuth === undefined ? [] : ([["basic_auth", { map: basic }]] as const)),
    ...(authorization === undefined ? [] : ([["authorization", { map: token }]] as const)),
    ...(oauth2 === undefined ? [] : ([["oauth2", { map: oauth2Entries(oauth2) }]] as const)),
    ...tlsConfig(http.tls),
    ["follow_redirects", http.followRedirects ?? true],
    ["enable_http2", http.enableHttp2 ?? false],
    ...proxy(http),
    ...sortedMap("http_headers", (http.httpHeaders ?? []).map(headerEntry)),
  ];
}

function headerEntry(header: NonNullable<HttpClientConfig["httpHeaders"]>[number]): Entry {
  const masked = header.secrets.map(() => MASK);
  return [
    header.name,
    { map: [...list("values", header.values), ...list("secrets", masked), ...list("files", header.files)] },
  ];
}

function oauth2Entries(oauth2: OAuth2Config): Entry[] {
  return [
    ...filled("client_id", oauth2.clientId),
    ...secret("client_secret", oauth2.clientSecret),
    ...filled("client_secret_file", oauth2.clientSecretFile),
    ...filled("client_certificate_key_id", oauth2.clientCertificateKeyId),
    ...secret("client_certificate_key", oauth2.clientCertificateKey),
    ...filled("client_certificate_key_file", oauth2.clientCertificateKeyFile),
    ...filled("grant_type", oauth2.grantType),
    ...filled("signature_algorithm", oauth2.signatureAlgorithm),
    ...filled("iss", oauth2.iss),
    ...filled("audience", oauth2.audience),
    ...sortedMap(
      "claims",
      Object.entries(oauth2.claims ?? {}).map(([key, value]) => [key, claim(value)] as const),
    ),
    ...list("scopes", oauth2.scopes),
    ...filled("token_url", oauth2.tokenUrl),
    ...sortedMap("endpoint_params", Object.entries(oauth2.endpointParams ?? {})),
    ...tlsConfig(oauth2.tls),
    ...proxy(oauth2),
  ];
}

function claim(value: unknown): GoYaml {
  if (Array.isArray(value)) return value.map(claim);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, claim(item)] as const);
    return { map: entries.toSorted(([a], [b]) => compareGoYamlKeys(a, b)) };
  }
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return value;
  return typeof value === "string" ? value : "";
}

function tlsConfig(tls: TlsConfig | undefined): Entry[] {
  if (tls === undefined) return [];
  const entries: Entry[] = [
    ...filled("ca", tls.ca),
    ...filled("cert", tls.cert),
    ...secret("key", tls.key),
    ...filled("ca_file", tls.caFile),
    ...filled("cert_file", tls.certFile),
    ...filled("key_file", tls.keyFile),
    ...filled("server_name", tls.serverName),
  ];
  const versions: Entry[] = [
    ...filled("min_version", tls.minVersion && TLS_NAMES[tls.minVersion]),
    ...filled("max_version", tls.maxVersion && TLS_NAMES[tls.maxVersion]),
  ];
  const skips = tls.insecureSkipVerify ?? false;
  if (entries.length === 0 && versions.length === 0 && !skips) return [];
  return [["tls_config", { map: [...entries, ["insecure_skip_verify", skips], ...versions] }]];
}

function proxy(config: ProxyConfig): Entry[] {
  const connect = Object.entries(config.proxyConnectHeader ?? {});
  return [
    ...filled("proxy_url", config.proxyUrl && redactUrl(config.proxyUrl)),
    ...filled("no_proxy", config.noProxy),
    ...filled("proxy_from_environment", config.proxyFromEnvironment),
    ...sortedMap(
      "proxy_connect_header",
      connect.map(([name, values]) => [name, values.map(() => MASK)] as const),
    ),
  ];
}
