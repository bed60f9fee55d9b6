/** The configuration of the otlp_http exporter, with the Collector's keys. */

import { z } from "zod";
import { duration, headers } from "../../codec/yaml/field-types.ts";
import { clientAuthField } from "../../component/client-auth.ts";
import type { CompleteContext } from "../../component/define.ts";
import { clientTls, completeClientTls, toClientTls } from "../../component/exporting/client-tls.ts";
import { completeExporting, exportingFields } from "../../component/exporting/config.ts";
import { isFilled, isWritten, sectionIssue } from "../../component/section-issues.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { HttpClientConfig } from "../../transport/http-client-config.ts";

const size = () => z.number().int().min(0);
const url = (what: string) => z.string().default("").describe(what);

export const otlpHttpSchema = z.strictObject({
  endpoint: url("Where to send; /v1/metrics, /v1/traces and /v1/logs are added."),
  metrics_endpoint: url("The whole URL for metrics; goes before endpoint."),
  traces_endpoint: url("The whole URL for traces; goes before endpoint."),
  logs_endpoint: url("The whole URL for logs; goes before endpoint."),
  profiles_endpoint: url("Accepted; profiles are not sent."),
  encoding: z.enum(["proto", "json"]).default("proto").describe("How requests are written."),
  compression: z
    .enum(["", "none", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed"])
    .default("gzip")
    .describe("How requests are packed."),
  compression_params: z
    .strictObject({
      level: z.number().int().min(-1).max(22).default(0).describe("0 or -1 is the fastest, 1; gzip and zlib go to 9."),
    })
    .prefault({})
    .describe("How hard to pack."),
  headers: headers().optional().describe("Headers of every request."),
  tls: clientTls.prefault({}).describe("TLS towards the endpoint."),
  auth: clientAuthField(),
  proxy_url: z.string().optional().describe("Proxy to send through. Default: that of the environment."),
  read_buffer_size: size().optional().describe("Accepted, without effect."),
  write_buffer_size: size().optional().describe("Accepted, without effect."),
  max_idle_conns: size().default(100).describe("Most idle connections."),
  max_idle_conns_per_host: size().optional().describe("Accepted, without effect."),
  max_conns_per_host: size().default(0).describe("Most connections to a host. 0 means no limit."),
  idle_conn_timeout: duration().default(90_000).describe("Time after which an idle connection is closed."),
  disable_keep_alives: z.boolean().default(false).describe("A new connection for every request."),
  http2_read_idle_timeout: duration().optional().describe("Accepted, without effect."),
  http2_ping_timeout: duration().optional().describe("Accepted, without effect."),
  force_attempt_http2: z.boolean().default(true).describe("Accepted; HTTP/1.1 is used."),
  cookies: z.unknown().optional().describe("Accepted, without effect."),
  middlewares: z.unknown().optional().describe("Comes later: an error."),
  ...exportingFields({ timeoutMs: 30_000 }),
});

export type OtlpHttpConfig = z.output<typeof otlpHttpSchema>;

/** Where each signal goes. */
export const signalPaths: Readonly<Record<Signal, string>> = {
  metrics: "v1/metrics",
  traces: "v1/traces",
  logs: "v1/logs",
};

const inertKeys = [
  "profiles_endpoint",
  "read_buffer_size",
  "write_buffer_size",
  "max_idle_conns_per_host",
  "http2_read_idle_timeout",
  "http2_ping_timeout",
  "force_attempt_http2",
  "cookies",
];

/** Checks what the schema cannot say, and notices keys without effect. */
export function completeOtlpHttp(config: OtlpHttpConfig, section: CompleteContext): OtlpHttpConfig {
  const urls = ["endpoint", "metrics_endpoint", "traces_endpoint", "logs_endpoint"] as const;
  for (const key of urls) {
    if (config[key] !== "" && !/^https?:$/.test(URL.parse(config[key])?.protocol ?? "")) {
      section.issue(sectionIssue(section, [key], "expected an http or https URL"));
    }
  }
  if (urls.every((key) => config[key] === "")) {
    section.issue(sectionIssue(section, ["endpoint"], "at least one endpoint must be specified"));
  }
  if (isFilled(section, ["middlewares"])) {
    section.issue(sectionIssue(section, ["middlewares"], "is not supported yet, it comes in a later version"));
  }
  const { level } = config.compression_params;
  const most = { gzip: 9, zlib: 9, deflate: 9, zstd: 22 }[config.compression as string] ?? 0;
  if (level > most) {
    const message = most === 0 ? `has no meaning for ${config.compression || "none"}` : `expected at most ${most}`;
    section.issue(sectionIssue(section, ["compression_params", "level"], message));
  }
  for (const key of inertKeys) {
    if (isWritten(section, [key])) section.notice(sectionIssue(section, [key], "accepted, but has no effect"));
  }
  completeClientTls(config.tls, section);
  return completeExporting(config, section);
}

/** The URL of a signal; undefined where the configuration names none. */
export function signalUrl(config: OtlpHttpConfig, signal: Signal): URL | undefined {
  const own = config[`${signal}_endpoint`];
  if (own !== "") return new URL(own);
  if (config.endpoint === "") return undefined;
  return new URL(`${config.endpoint}${config.endpoint.endsWith("/") ? "" : "/"}${signalPaths[signal]}`);
}

/** The transport's view of the client keys. */
export function httpClientConfig(config: OtlpHttpConfig): HttpClientConfig {
  return {
    proxyUrl: config.proxy_url,
    proxyFromEnvironment: config.proxy_url === undefined,
    tls: toClientTls(config.tls),
    maxConnectionsPerHost: config.max_conns_per_host,
    maxIdleConnections: config.max_idle_conns,
    idleConnectionTimeoutMs: config.idle_conn_timeout,
    disableKeepAlives: config.disable_keep_alives,
    followRedirects: true,
  };
}
