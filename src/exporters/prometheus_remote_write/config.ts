/** The configuration of the prometheus_remote_write exporter, with the Collector's keys. */

import { z } from "zod";
import { formatPath, nodeAt } from "../../codec/yaml/config-node.ts";
import { componentIdString, duration, headers, secret } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../../component/define.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import type { HttpClientConfig, TlsVersion } from "../../transport/http-client-config.ts";

const tlsVersion = z.enum(["1.0", "1.1", "1.2", "1.3"]);

const tlsSchema = z.strictObject({
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
    .describe("Accepted; files are looked at with every request, at most once a second."),
  tpm: z.unknown().optional().describe("Accepted, without effect: keys in a TPM come later."),
  insecure: z.boolean().default(false).describe("Accepted; the scheme of the endpoint decides."),
  insecure_skip_verify: z.boolean().default(false).describe("Takes any server certificate."),
  server_name_override: z.string().optional().describe("Name that the server's certificate must have."),
});

const retrySchema = z.strictObject({
  enabled: z.boolean().default(true).describe("Repeats requests after network errors, 5xx and 429."),
  initial_interval: duration().default(50).describe("Wait before the first repeat."),
  randomization_factor: z.number().min(0).max(1).default(0.5).describe("Share of a wait that is random."),
  multiplier: z.number().min(1).default(1.5).describe("Growth of the wait from repeat to repeat."),
  max_interval: duration().default(30_000).describe("Longest wait."),
  max_elapsed_time: duration()
    .default(300_000)
    .describe("Time after which a request is dropped, counted. 0 means never."),
});

const storage = () =>
  componentIdString()
    .optional()
    .describe(
      "Id of an extension that keeps the queue on disk (Millrace's own key). Then queue_size and max_bytes do not count, and requests are repeated for ever unless max_elapsed_time is written.",
    );

const queueSchema = z.strictObject({
  enabled: z.boolean().default(true).describe("Without a queue a batch is answered when it was delivered."),
  queue_size: z.number().int().min(0).default(10_000).describe("Most batches that are accepted and not yet delivered."),
  num_consumers: z
    .number()
    .int()
    .min(1)
    .default(5)
    .describe("Most requests under way at the same time; series stay in order."),
  max_bytes: z
    .number()
    .int()
    .positive()
    .default(256 * 1024 * 1024)
    .describe(
      "Most bytes of batches that are accepted and not yet delivered; an empty queue takes a larger batch too (Millrace's own key).",
    ),
  storage: storage(),
});

const resourceSchema = z.strictObject({
  enabled: z.boolean().default(false).describe("Copies resource attributes to every series."),
  exclude_service_attributes: z
    .boolean()
    .default(false)
    .describe("Leaves service.name, service.namespace and service.instance.id out of that."),
});

export const remoteWriteSchema = z.strictObject({
  endpoint: z
    .string()
    .min(1, "expected a URL")
    .describe("Where to send: http or https URL of a remote-write receiver."),
  namespace: z.string().default("").describe("Prefix of every metric name."),
  external_labels: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe("Labels added to every series that does not have them."),
  headers: headers().optional().describe("Headers of every request."),
  timeout: duration()
    .default(5000)
    .describe("Limit of one request. 0 means 30s. The Collector's limit covers all repeats and loses data."),
  retry_on_failure: retrySchema.prefault({}).describe("How requests are repeated."),
  remote_write_queue: queueSchema.prefault({}).describe("The queue, in memory unless storage is given."),
  sending_queue: z
    .strictObject({ storage: storage() })
    .prefault({})
    .describe("For storage, as other exporters have it; the rest of the queue is remote_write_queue."),
  max_batch_size_bytes: z
    .number()
    .int()
    .min(0)
    .default(3_000_000)
    .describe("Most bytes of a request before compression. 0 means 3000000."),
  max_batch_request_parallelism: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Most requests under way; goes before num_consumers."),
  resource_to_telemetry_conversion: resourceSchema.prefault({}).describe("Resource attributes as labels."),
  target_info: z
    .strictObject({ enabled: z.boolean().default(true).describe("Sends target_info.") })
    .prefault({})
    .describe("The series that carries resource attributes."),
  disable_scope_info: z.boolean().default(false).describe("Leaves out the otel_scope_ labels."),
  add_metric_suffixes: z
    .boolean()
    .default(true)
    .describe("Adds unit and type suffixes; translation_strategy goes before it."),
  translation_strategy: z
    .enum([
      "",
      "UnderscoreEscapingWithSuffixes",
      "UnderscoreEscapingWithoutSuffixes",
      "NoUTF8EscapingWithSuffixes",
      "NoTranslation",
    ])
    .default("")
    .describe("How names are made."),
  send_metadata: z.boolean().default(false).describe("Sends type, help and unit of metrics."),
  protobuf_message: z
    .enum(["prometheus.WriteRequest", "io.prometheus.write.v2.Request"])
    .default("prometheus.WriteRequest")
    .describe("2.0 comes later: 1.0 is sent."),
  wal: z
    .unknown()
    .optional()
    .describe("Accepted, without effect: with remote_write_queue::storage the queue is on disk."),
  compression: z.enum(["", "snappy"]).default("").describe("Always snappy."),
  compression_params: z.unknown().optional().describe("Accepted, without effect."),
  proxy_url: z.string().optional().describe("Proxy to send through."),
  tls: tlsSchema.prefault({}).describe("TLS towards the endpoint."),
  auth: z.unknown().optional().describe("Authentication by an extension comes later."),
  read_buffer_size: z.number().int().optional().describe("Accepted, without effect."),
  write_buffer_size: z.number().int().optional().describe("Accepted, without effect."),
  max_idle_conns: z.number().int().optional().describe("Most idle connections."),
  max_idle_conns_per_host: z.number().int().optional().describe("Accepted, without effect."),
  max_conns_per_host: z.number().int().optional().describe("Most connections."),
  idle_conn_timeout: duration().default(90_000).describe("Time after which an idle connection is closed."),
  disable_keep_alives: z.boolean().default(false).describe("A new connection for every request."),
  http2_read_idle_timeout: duration().optional().describe("Accepted, without effect."),
  http2_ping_timeout: duration().optional().describe("Accepted, without effect."),
  force_attempt_http2: z.boolean().default(true).describe("Accepted; HTTP/1.1 is used."),
  cookies: z.unknown().optional().describe("Accepted, without effect."),
  middlewares: z.unknown().optional().describe("Comes later: an error."),
});

export type RemoteWriteExporterConfig = z.infer<typeof remoteWriteSchema>;

/** Keys that need what is not built: an error, because data would go nowhere. */
const laterErrors = ["auth", "middlewares"] as const;
/** Keys that are accepted and wait for a later version. */
const laterNotices = ["cookies", "compression_params"] as const;
/** Keys that are accepted and have nothing to do here. */
const inertKeys = [
  ["read_buffer_size"],
  ["write_buffer_size"],
  ["max_idle_conns_per_host"],
  ["http2_read_idle_timeout"],
  ["http2_ping_timeout"],
  ["force_attempt_http2"],
  ["tls", "cipher_suites"],
  ["tls", "curve_preferences"],
  ["tls", "include_insecure_cipher_suites"],
  ["tls", "reload_interval"],
  ["tls", "tpm"],
];

export function completeRemoteWrite(
  config: RemoteWriteExporterConfig,
  section: CompleteContext,
): RemoteWriteExporterConfig {
  const report = (key: string, message: string, as: "issue" | "notice" = "issue") => {
    const at = section.node === undefined ? undefined : (nodeAt(section.node, key.split("::"))?.at ?? section.node.at);
    section[as]({ path: formatPath([...section.path, ...key.split("::")]), message, at });
  };
  if (!/^https?:$/.test(URL.parse(config.endpoint)?.protocol ?? "")) {
    report("endpoint", "expected an http or https URL");
  }
  for (const key of laterErrors) if (config[key] != null) report(key, `${key} comes in a later version of Millrace`);
  for (const key of laterNotices) if (config[key] != null) report(key, "accepted, but has no effect yet", "notice");
  if (config.wal != null) {
    report("wal", "accepted, but has no effect: remote_write_queue::storage keeps the queue on disk", "notice");
  }
  for (const key of inertKeys) {
    if (isWritten(section, key)) section.notice(sectionIssue(section, key, "accepted, but has no effect"));
  }
  if (config.protobuf_message !== "prometheus.WriteRequest") {
    report("protobuf_message", "remote write 2.0 comes later: 1.0 is sent", "notice");
  }
  const { retry_on_failure: retry, remote_write_queue: queue } = config;
  if (retry.max_elapsed_time !== 0) {
    for (const key of ["initial_interval", "max_interval"] as const) {
      if (retry[key] > retry.max_elapsed_time) {
        report(`retry_on_failure::${key}`, "must not be longer than max_elapsed_time");
      }
    }
  }
  if (queue.enabled && queue.queue_size === 0)
    report("remote_write_queue::queue_size", "must not be 0 while the queue is enabled");
  if (/UTF8|NoTranslation/.test(config.translation_strategy)) {
    report("translation_strategy", `${config.translation_strategy} needs remote write 2.0, which comes later`);
  }
  return completeStorage(config, section, report);
}

/** A queue on disk is named in either section, and has defaults of its own. */
function completeStorage(
  config: RemoteWriteExporterConfig,
  section: CompleteContext,
  report: (key: string, message: string, as?: "issue" | "notice") => void,
): RemoteWriteExporterConfig {
  const { retry_on_failure: retry, remote_write_queue: queue } = config;
  const named = config.sending_queue.storage;
  if (named !== undefined && queue.storage !== undefined && named !== queue.storage) {
    report("sending_queue::storage", "names another extension than remote_write_queue::storage");
  }
  const found = queue.storage ?? named;
  if (found === undefined) return config;
  const key = queue.storage === undefined ? "sending_queue::storage" : "remote_write_queue::storage";
  if (!queue.enabled) {
    report(key, "has no effect while the queue is not enabled", "notice");
    return { ...config, remote_write_queue: { ...queue, storage: undefined } };
  }
  for (const bound of ["queue_size", "max_bytes"]) {
    if (isWritten(section, ["remote_write_queue", bound])) {
      report(`remote_write_queue::${bound}`, `has no effect with storage: the limits are those of ${found}`, "notice");
    }
  }
  const isGiven = isWritten(section, ["retry_on_failure", "max_elapsed_time"]);
  return {
    ...config,
    remote_write_queue: { ...queue, storage: found },
    retry_on_failure: { ...retry, max_elapsed_time: isGiven ? retry.max_elapsed_time : 0 },
  };
}

const versions: Readonly<Record<string, TlsVersion>> = {
  "1.0": "TLSv1",
  "1.1": "TLSv1.1",
  "1.2": "TLSv1.2",
  "1.3": "TLSv1.3",
};

/** The transport's view of the client keys. */
export function httpClientConfig(config: RemoteWriteExporterConfig): HttpClientConfig {
  const { tls } = config;
  return {
    proxyUrl: config.proxy_url,
    proxyFromEnvironment: config.proxy_url === undefined,
    tls: {
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
    },
    maxConnectionsPerHost: config.max_conns_per_host,
    maxIdleConnections: config.max_idle_conns,
    idleConnectionTimeoutMs: config.idle_conn_timeout,
    disableKeepAlives: config.disable_keep_alives,
    followRedirects: true,
  };
}
