/** Tells over HTTP whether the process is ready. */

import type { ServerResponse } from "node:http";
import { z } from "zod";
import { optionalSection } from "../../codec/yaml/field-types.ts";
import { formatGoDuration } from "../../codec/yaml/go-duration.ts";
import { defineExtension } from "../../component/define.ts";
import { checkServer, parseEndpoint, serverFields, toServerTls } from "../../component/http-server-config.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import { type RunningHttpServer, startHttpServer } from "../../transport/http-server.ts";
import { Readiness } from "./readiness.ts";

const responseBody = z.strictObject({
  healthy: z.string().default("").describe("Text of the answer when ready."),
  unhealthy: z.string().default("").describe("Text of the answer when not ready."),
});

const pipelineCheck = z.strictObject({
  enabled: z.boolean().default(false).describe("Accepted without effect, as in the Collector."),
  interval: z.string().default("5m").describe("Accepted without effect."),
  exporter_failure_threshold: z.number().int().default(5).describe("Accepted without effect."),
});

const later = z.unknown().optional().describe("The newer kind of health check. Not built yet: an error.");

export default defineExtension({
  type: "health_check",
  description: "Tells over HTTP whether the process is ready.",
  stability: "beta",

  config: z.strictObject({
    ...serverFields("localhost:13133"),
    path: z
      .string()
      .startsWith("/", "expected a path that begins with a slash")
      .default("/")
      .describe("Path of the answer; a path that ends with a slash stands for all paths below it as well."),
    response_body: optionalSection(responseBody).describe("Texts to answer with; absent, JSON is answered."),
    check_collector_pipeline: pipelineCheck.prefault({}).describe("Accepted without effect, as in the Collector."),
    use_v2: z.boolean().default(false).describe("Accepted without effect."),
    http: later,
    grpc: later,
    component_health: later,
  }),

  complete(config, section) {
    checkServer(config, section);
    for (const key of ["http", "grpc", "component_health"]) {
      if (isWritten(section, [key])) {
        section.issue(sectionIssue(section, [key], "is not supported yet, it comes in a later version"));
      }
    }
    return config;
  },

  create({ id, config, clock, host, log, spawn }) {
    const readiness = new Readiness(() => host.isReady(), clock);
    let server: RunningHttpServer | undefined;
    spawn("readiness", (signal) => readiness.watch(signal));
    return {
      async start() {
        const { host: address, port } = parseEndpoint(config.endpoint) ?? { host: "localhost", port: 0 };
        try {
          server ??= await startHttpServer({
            host: address,
            port,
            tls: toServerTls(config.tls),
            limits: {
              requestTimeoutMs: config.read_timeout || undefined,
              headersTimeoutMs: config.read_header_timeout || undefined,
              keepAliveTimeoutMs: config.idle_timeout || undefined,
            },
            onError: (error) => log.warn("Cannot answer a health check", { error: error.message }),
            handler(request, response) {
              request.resume();
              if (!config.keep_alives_enabled) response.setHeader("connection", "close");
              for (const { name, value } of config.response_headers ?? []) response.setHeader(name, value.reveal());
              const path = (request.url ?? "/").split("?")[0] ?? "/";
              if (matchesPath(config.path, path)) answer(response, readiness, config.response_body);
              else response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
            },
          });
        } catch (caught) {
          const { code, message } = toError(caught) as Error & { code?: unknown };
          const key = code === "FILE_UNREADABLE" || code === "TLS_INVALID" ? "tls" : "endpoint";
          throw new ConfigError([{ path: `extensions::${id}::${key}`, message }], { cause: caught });
        }
        log.info("Health check listens", { endpoint: config.endpoint, url: server.url });
      },
      async shutdown() {
        const running = server;
        server = undefined;
        await running?.close(0);
      },
    };
  },
});

/** As Go's mux: exact, or everything below a path that ends with a slash. */
function matchesPath(configured: string, path: string): boolean {
  return configured.endsWith("/") ? path.startsWith(configured) : path === configured;
}

function answer(
  response: ServerResponse,
  readiness: Readiness,
  texts: z.output<typeof responseBody> | undefined,
): void {
  const { isReady, upSinceMs, uptimeMs } = readiness.now();
  response.statusCode = isReady ? 200 : 503;
  if (texts !== undefined) {
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end(isReady ? texts.healthy : texts.unhealthy);
    return;
  }
  response.setHeader("content-type", "application/json");
  const body = isReady
    ? { status: "Server available", upSince: new Date(upSinceMs).toISOString(), uptime: formatGoDuration(uptimeMs) }
    : { status: "Server not available", upSince: "0001-01-01T00:00:00Z", uptime: "" };
  response.end(JSON.stringify(body));
}
