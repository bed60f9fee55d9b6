/** The configuration of the otlp_grpc exporter, with the Collector's keys. */

import { z } from "zod";
import { duration, filledSection, headers } from "../../codec/yaml/field-types.ts";
import { clientAuthField } from "../../component/client-auth.ts";
import type { CompleteContext } from "../../component/define.ts";
import { clientTls, completeClientTls } from "../../component/exporting/client-tls.ts";
import { completeExporting, exportingFields } from "../../component/exporting/config.ts";
import { isFilled, isWritten, sectionIssue } from "../../component/section-issues.ts";

const minKeepaliveMs = 10_000;
const size = () => z.number().int().min(0);

const keepaliveSchema = z.strictObject({
  time: duration()
    .default(10_000)
    .describe("Idle time after which the server is asked whether it lives; at least 10 s."),
  timeout: duration().default(10_000).describe("Longest wait for that answer; then the connection is given up."),
  permit_without_stream: z.boolean().default(false).describe("Asks also while no request is under way."),
});

export const otlpGrpcSchema = z.strictObject({
  endpoint: z.string().default("").describe('Where to send: "host:port", "http://...", "dns:///..." or "unix://...".'),
  compression: z.enum(["", "none", "gzip", "zstd", "snappy"]).default("gzip").describe("How requests are packed."),
  compression_params: z
    .strictObject({
      level: z.number().int().min(-1).max(22).default(0).describe("0 or -1 is the fastest, 1; gzip goes to 9."),
    })
    .prefault({})
    .describe("How hard to pack (Millrace's own key here)."),
  headers: headers().optional().describe("Metadata of every request."),
  tls: clientTls.prefault({}).describe("TLS towards the endpoint; on unless insecure is true."),
  auth: clientAuthField(),
  authority: z.string().default("").describe("Name of the server in requests. Default: the host of the endpoint."),
  balancer_name: z
    .enum(["", "round_robin", "pick_first"])
    .default("round_robin")
    .describe("round_robin: a connection to each address of the name; pick_first: to the first that answers."),
  keepalive: filledSection(keepaliveSchema).describe("Finds connections that are dead; absent, none is asked."),
  wait_for_ready: z
    .boolean()
    .default(false)
    .describe("Waits for a connection, up to timeout, instead of failing at once."),
  user_agent: z.string().optional().describe("Stands before that of Millrace."),
  proxy_url: z
    .string()
    .optional()
    .describe("HTTP proxy to tunnel through (Millrace's own key here). Default: HTTPS_PROXY and NO_PROXY."),
  read_buffer_size: size().optional().describe("Accepted, without effect."),
  write_buffer_size: size().optional().describe("Accepted, without effect."),
  middlewares: z.unknown().optional().describe("Comes later: an error."),
  ...exportingFields({ timeoutMs: 5000 }),
});

export type OtlpGrpcConfig = z.output<typeof otlpGrpcSchema>;

const schemes =
  /^(?:https?:\/\/|dns:\/\/[^/]*\/|passthrough:\/\/[^/]*\/)?(?:\[[0-9a-fA-F:.%]+\]|[^:/\s[\]]+)(?::[0-9]{1,5})?\/?$/;

/** Whether requests go without TLS: the scheme says so, or `insecure` where there is none. */
export function isPlainText({ endpoint, tls }: Pick<OtlpGrpcConfig, "endpoint" | "tls">): boolean {
  const scheme = /^(https?):\/\//.exec(endpoint)?.[1];
  return scheme === "http" || (scheme === undefined && tls.insecure);
}

/** Checks what the schema cannot say, and notices keys without effect. */
export function completeOtlpGrpc(config: OtlpGrpcConfig, section: CompleteContext): OtlpGrpcConfig {
  const { endpoint, compression } = config;
  if (endpoint === "") section.issue(sectionIssue(section, ["endpoint"], "required: where to send"));
  else if (!schemes.test(endpoint) && !/^unix:(?:\/\/)?./.test(endpoint)) {
    section.issue(sectionIssue(section, ["endpoint"], 'expected an address like "localhost:4317"'));
  } else if (!/:[0-9]{1,5}\/?$/.test(endpoint) && !endpoint.startsWith("unix:")) {
    section.issue(sectionIssue(section, ["endpoint"], "expected a port, as in localhost:4317"));
  }
  if (isFilled(section, ["middlewares"])) {
    section.issue(sectionIssue(section, ["middlewares"], "is not supported yet, it comes in a later version"));
  }
  const { level } = config.compression_params;
  const most = { gzip: 9, zstd: 22 }[compression as string] ?? 0;
  if (level > most) {
    const message = most === 0 ? `has no meaning for ${compression || "none"}` : `expected at most ${most}`;
    section.issue(sectionIssue(section, ["compression_params", "level"], message));
  }
  for (const key of ["read_buffer_size", "write_buffer_size"]) {
    if (isWritten(section, [key])) section.notice(sectionIssue(section, [key], "accepted, but has no effect"));
  }
  if (config.auth !== undefined && isPlainText(config) && !endpoint.startsWith("unix:")) {
    section.issue(sectionIssue(section, ["auth"], "credentials are not sent without TLS: tls::insecure must be false"));
  }
  completeClientTls(config.tls, section);
  return completeExporting({ ...config, keepalive: allowedKeepalive(config, section) }, section);
}

/** gRPC allows no client to ask more often; a shorter time is raised, as Go's gRPC does it. */
function allowedKeepalive({ keepalive }: OtlpGrpcConfig, section: CompleteContext): OtlpGrpcConfig["keepalive"] {
  if (keepalive === undefined || keepalive.time >= minKeepaliveMs) return keepalive;
  section.notice(sectionIssue(section, ["keepalive", "time"], "is raised to 10s, the least that gRPC allows"));
  return { ...keepalive, time: minKeepaliveMs };
}
