/** Sends metrics, traces and logs to an OTLP server over gRPC. */

import { ClientAuth } from "../../component/client-auth.ts";
import { defineExporter, type Host } from "../../component/define.ts";
import { toClientTls } from "../../component/exporting/client-tls.ts";
import { createExporting } from "../../component/exporting/exporting.ts";
import { LimitedWarning } from "../../component/exporting/limited-warning.ts";
import { ConfigError } from "../../model/errors.ts";
import { findFileIssue } from "../../transport/check-files.ts";
import { createGrpcClient, type GrpcClient, type GrpcCompression } from "../../transport/grpc-client.ts";
import { callOtlp } from "./call.ts";
import { completeOtlpGrpc, isPlainText, type OtlpGrpcConfig, otlpGrpcSchema } from "./config.ts";

/** Below the 4 MiB (4,194,304 bytes) that gRPC servers take unless told otherwise. */
const maxRequestBytes = 4_000_000;

export default defineExporter<OtlpGrpcConfig>({
  type: "otlp_grpc",
  aliases: ["otlp"],
  description: "Sends metrics, traces and logs by OTLP over gRPC.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },
  config: otlpGrpcSchema,
  complete: completeOtlpGrpc,

  create(context) {
    const { id, config, log, clock, host } = context;
    const client = createClient(config, host);
    const headers = metadataOf(config);
    const { compression } = config;
    const isPacked = compression === "gzip" || compression === "zstd" || compression === "snappy";
    const auth = new ClientAuth(config.auth);
    const warning = new LimitedWarning(log, clock);
    const options = {
      compression: isPacked ? (compression satisfies GrpcCompression) : undefined,
      compressionLevel: config.compression_params.level > 0 ? config.compression_params.level : undefined,
      timeoutMs: config.timeout > 0 ? config.timeout : undefined,
      waitForReady: config.wait_for_ready,
    };
    const exporting = createExporting(context, config, {
      maxBytes: maxRequestBytes,
      saysSent: true,
      async send(request, signal) {
        const all = { ...headers, ...(await auth.headers()) };
        const answer = await callOtlp(client, request, { ...options, headers: all, signal });
        if (answer.rejectedItems > 0 || answer.message !== "") {
          warning.warn("Partial success response", {
            message: answer.message,
            [`dropped_${request.signal}`]: answer.rejectedItems,
          });
        }
        return answer;
      },
    });
    return {
      ...exporting,
      async start() {
        auth.attach(host, `exporters::${id}`);
        const issue = findFileIssue(client, `exporters::${id}`);
        if (issue !== undefined) throw new ConfigError([issue]);
        await exporting.start();
      },
      async shutdown(deadline) {
        await exporting.shutdown(deadline);
        client.destroy();
      },
    };
  },
});

function createClient(config: OtlpGrpcConfig, { version, env }: Pick<Host, "version" | "env">): GrpcClient {
  const own = `Millrace/${version}`;
  return createGrpcClient({
    target: config.endpoint.replace(/^https?:\/\//, "").replace(/(:[0-9]+)\/$/, "$1"),
    tls: isPlainText(config) ? undefined : toClientTls(config.tls),
    authority: config.authority || undefined,
    userAgent: config.user_agent === undefined ? own : `${config.user_agent} ${own}`,
    proxy: { proxyUrl: config.proxy_url, proxyFromEnvironment: config.proxy_url === undefined, env },
    balancer: config.balancer_name || "pick_first",
    keepalive:
      config.keepalive === undefined
        ? undefined
        : {
            timeMs: config.keepalive.time,
            timeoutMs: config.keepalive.timeout,
            permitWithoutStream: config.keepalive.permit_without_stream,
          },
  });
}

/** Names are lower case in gRPC; those that end with -bin carry bytes. */
function metadataOf(config: OtlpGrpcConfig): Record<string, string | Uint8Array> {
  return Object.fromEntries(
    (config.headers ?? []).map(({ name, value }) => {
      const key = name.toLowerCase();
      return [key, key.endsWith("-bin") ? Buffer.from(value.reveal()) : value.reveal()];
    }),
  );
}
