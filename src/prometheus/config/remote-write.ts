/** Decodes one entry of `remote_write`. */

import { type ConfigNode, formatPath } from "../../codec/yaml/config-node.ts";
import type { NameScheme } from "../relabel/names.ts";
import { checkUrlKey } from "./client-parts.ts";
import { type ConfigPath, type DecodeContext, fail, noticeOnce } from "./decode-context.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { decodeHttpClient, HTTP_CLIENT_KEYS, RESERVED_HEADERS } from "./http-client.ts";
import { decodeRelabelRules } from "./relabel-rules.ts";
import { remoteWriteHash } from "./remote-write-hash.ts";
import { isNull, SectionReader } from "./section-reader.ts";
import type { MetadataConfig, QueueConfig, RemoteWriteConfig, RemoteWriteMessage } from "./types.ts";

const CLOUD_KEYS = ["sigv4", "azuread", "google_iam"] as const;

const REMOTE_WRITE_KEYS = [
  "url",
  "remote_timeout",
  "headers",
  "write_relabel_configs",
  "name",
  "send_exemplars",
  "send_native_histograms",
  "round_robin_dns",
  "protobuf_message",
  "failed_request_logging",
  "queue_config",
  "metadata_config",
  ...HTTP_CLIENT_KEYS,
  ...CLOUD_KEYS,
];

const QUEUE_KEYS = [
  "capacity",
  "max_shards",
  "min_shards",
  "max_samples_per_send",
  "batch_send_deadline",
  "min_backoff",
  "max_backoff",
  "retry_on_http_429",
  "sample_age_limit",
];

const METADATA_KEYS = ["send", "send_interval", "max_samples_per_send"];
const MESSAGES: readonly RemoteWriteMessage[] = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];

/** An endpoint; undefined where the entry is nothing. Faults are reported and leave defaults behind. */
export function decodeRemoteWrite(
  context: DecodeContext,
  node: ConfigNode,
  path: ConfigPath,
  scheme: NameScheme,
): RemoteWriteConfig | undefined {
  if (isNull(node)) {
    fail(context, path, "expected a remote write configuration, found nothing", node.at);
    return undefined;
  }
  const section = new SectionReader(context, node, path, REMOTE_WRITE_KEYS);
  if (node.kind !== "map") return undefined;
  checkCloudAuthentication(section);
  const writeRelabelConfigs = decodeRelabelRules(section, "write_relabel_configs", scheme);
  const content = {
    url: decodeUrl(section),
    name: section.string("name"),
    remoteTimeoutMs: section.durationMs("remote_timeout", 30_000),
    headers: decodeHeaders(section),
    writeRelabelConfigs,
    sendExemplars: section.boolean("send_exemplars", false),
    sendNativeHistograms: section.boolean("send_native_histograms", false),
    roundRobinDns: section.boolean("round_robin_dns", false),
    failedRequestLogging: section.boolean("failed_request_logging", false),
    protobufMessage: decodeMessage(section),
    http: decodeHttpClient(section, { enableHttp2: false }),
    queueConfig: decodeQueue(section),
    metadataConfig: decodeMetadata(section),
  };
  noticeLater(section, content);
  const name = content.name || remoteWriteHash(content, writeRelabelConfigs).slice(0, 6);
  return { ...content, name, isNamed: content.name !== "", fingerprint: fingerprintOf(content), at: node.at };
}

function decodeUrl(section: SectionReader): string {
  if (!section.hasValue("url")) {
    section.fail("url", "url is missing");
    return "";
  }
  const url = section.secret("url");
  checkUrlKey(section, "url", url);
  const { protocol } = URL.parse(url) ?? {};
  if (protocol !== "http:" && protocol !== "https:") {
    // As in Prometheus it is no fault, though no request can be made.
    const message = "expected an http or https URL: nothing can be sent to this one";
    section.context.notice({ path: formatPath(section.pathOf("url")), message, at: section.node("url")?.at });
  }
  return url;
}

function checkCloudAuthentication(section: SectionReader): void {
  const cloud = CLOUD_KEYS.filter((key) => section.hasValue(key));
  for (const key of cloud) {
    const message = `cloud authentication comes later: ${key} is not built yet`;
    fail(section.context, section.pathOf(key), message, section.keyAt(key));
  }
  const others = ["basic_auth", "authorization", "oauth2"].filter((key) => section.hasValue(key));
  const all = [...others, ...cloud];
  if (cloud.length > 0 && all.length > 1) section.fail(all[1] ?? "", `only one of ${all.join(", ")} may be set`);
}

function decodeHeaders(section: SectionReader): Readonly<Record<string, string>> {
  const entries = section.entries("headers");
  const headers = new SectionReader(
    section.context,
    section.node("headers"),
    section.pathOf("headers"),
    entries.map((entry) => entry.key),
  );
  for (const { key, keyAt } of entries) {
    const path = headers.pathOf(key);
    const name = key.toLowerCase();
    if (name === "authorization") {
      fail(section.context, path, "this header is set by basic_auth, authorization or oauth2", keyAt);
    } else if (RESERVED_HEADERS.has(name)) {
      fail(section.context, path, "this header is reserved and cannot be set", keyAt);
    }
  }
  return Object.fromEntries(entries.map(({ key }) => [key, headers.secret(key)]));
}

function decodeMessage(section: SectionReader): RemoteWriteMessage {
  const text = section.string("protobuf_message", "prometheus.WriteRequest");
  const message = MESSAGES.find((known) => known === text);
  if (message === undefined) section.failWord("protobuf_message", MESSAGES);
  return message ?? "prometheus.WriteRequest";
}

function decodeQueue(section: SectionReader): QueueConfig {
  const queue = section.section("queue_config", QUEUE_KEYS);
  // A section that is written as nothing has zeros, which the checks below refuse, as in Prometheus.
  const or = (value: number): number => (queue.isNull ? 0 : value);
  const config: QueueConfig = {
    capacity: queue.integer("capacity", or(10_000)),
    maxShards: queue.integer("max_shards", or(50)),
    minShards: queue.integer("min_shards", or(1)),
    maxSamplesPerSend: queue.integer("max_samples_per_send", or(2_000)),
    batchSendDeadlineMs: queue.durationMs("batch_send_deadline", or(5_000)),
    minBackoffMs: queue.durationMs("min_backoff", or(30)),
    maxBackoffMs: queue.durationMs("max_backoff", or(5_000)),
    retryOnHttp429: queue.has("retry_on_http_429") ? queue.boolean("retry_on_http_429", false) : undefined,
    sampleAgeLimitMs: queue.durationMs("sample_age_limit", 0),
  };
  const positive: Readonly<Record<string, number>> = {
    capacity: config.capacity,
    max_shards: config.maxShards,
    min_shards: config.minShards,
    max_samples_per_send: config.maxSamplesPerSend,
  };
  for (const [key, value] of Object.entries(positive)) if (value <= 0) queue.fail(key, `${key} must be above 0`);
  if (config.minShards > config.maxShards) queue.fail("min_shards", "min_shards is above max_shards");
  if (config.maxBackoffMs < config.minBackoffMs) queue.fail("max_backoff", "max_backoff is shorter than min_backoff");
  return config;
}

function decodeMetadata(section: SectionReader): MetadataConfig {
  const metadata = section.section("metadata_config", METADATA_KEYS);
  const isNull = metadata.isNull;
  return {
    send: metadata.boolean("send", !isNull),
    sendIntervalMs: metadata.durationMs("send_interval", isNull ? 0 : 60_000),
    maxSamplesPerSend: metadata.integer("max_samples_per_send", isNull ? 0 : 2_000),
  };
}

type Later = Pick<RemoteWriteConfig, "protobufMessage" | "sendNativeHistograms">;

function noticeLater(section: SectionReader, content: Later): void {
  const notice = (key: string, message: string): void =>
    noticeOnce(section.context, `remote_write ${key}`, section.pathOf(key), message, section.keyAt(key));
  if (content.protobufMessage !== "prometheus.WriteRequest") {
    notice("protobuf_message", "remote write 2.0 is not built yet: 1.0 is sent");
  }
  if (content.sendNativeHistograms) {
    notice("send_native_histograms", "native histograms are not built yet: the key is accepted and has no effect");
  }
  for (const key of ["round_robin_dns", "failed_request_logging"]) {
    if (section.boolean(key, false)) notice(key, "accepted, but has no effect yet");
  }
}
