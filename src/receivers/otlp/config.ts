/** The configuration of the otlp receiver: the Collector's keys for its two protocols, and bounds of Millrace's own. */

import { z } from "zod";
import { byteSize, switchedSection } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../../component/define.ts";
import { checkGrpcServer, grpcServerSchema } from "../../component/grpc-server-config.ts";
import { checkServer, serverFields } from "../../component/http-server-config.ts";
import { sectionIssue } from "../../component/section-issues.ts";
import { checkListener, listenerFields } from "../../component/server-fields.ts";

const urlPath = (signal: string) =>
  z
    .string()
    .default(`/v1/${signal}`)
    .transform((path) => (path.startsWith("/") ? path : `/${path}`))
    .describe(`Path of ${signal}.`);

const httpSchema = z.strictObject({
  ...serverFields("localhost:4318", { keepAlives: true, idle: "300 s" }),
  ...listenerFields("localhost:4318"),
  traces_url_path: urlPath("traces"),
  metrics_url_path: urlPath("metrics"),
  logs_url_path: urlPath("logs"),
});

export type OtlpHttpConfig = z.output<typeof httpSchema>;

const limitsSchema = z.strictObject({
  connections: z
    .number()
    .int()
    .positive()
    .default(10_000)
    .describe("Most connections of each protocol; further ones are closed at once."),
  in_flight_size: byteSize()
    .default(128 * 1024 * 1024)
    .describe(
      "Most bytes of requests that are being received or wait for their answer, of both protocols together. Beyond it requests are refused for now.",
    ),
});

export const otlpSchema = z.strictObject({
  protocols: z
    .strictObject({
      grpc: switchedSection(grpcServerSchema("localhost:4317")).describe("OTLP over gRPC; absent, it is off."),
      http: switchedSection(httpSchema).describe("OTLP over HTTP, protobuf and JSON; absent, it is off."),
    })
    .prefault({})
    .describe("What to listen with; at least one."),
  limits: limitsSchema.prefault({}).describe("Millrace's own bounds on what clients may hold."),
});

export type OtlpReceiverConfig = z.output<typeof otlpSchema>;

/** Checks what the schema cannot say, and notices keys without effect. */
export function completeOtlp(config: OtlpReceiverConfig, section: CompleteContext): OtlpReceiverConfig {
  const { grpc, http } = config.protocols;
  if (grpc === undefined && http === undefined) {
    section.issue(sectionIssue(section, ["protocols"], "must specify at least one protocol: grpc, http"));
  }
  if (grpc !== undefined) checkGrpcServer(grpc, section, ["protocols", "grpc"]);
  if (http !== undefined) {
    const path = ["protocols", "http"];
    checkListener(http, section, path);
    checkServer(http, section, { path, takesData: true });
    if (http.compression_algorithms?.includes("lz4")) {
      section.notice(
        sectionIssue(section, [...path, "compression_algorithms"], "lz4 is not built: such bodies are refused"),
      );
    }
  }
  return config;
}
