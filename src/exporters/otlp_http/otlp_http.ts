/** Sends metrics, traces and logs to an OTLP server over HTTP. */

import { joinRequests } from "../../codec/otlp/join-requests.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import { ClientAuth } from "../../component/client-auth.ts";
import { defineExporter } from "../../component/define.ts";
import { createExporting, type OutgoingRequest } from "../../component/exporting/exporting.ts";
import { LimitedWarning } from "../../component/exporting/limited-warning.ts";
import { ConfigError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { findFileIssue } from "../../transport/check-files.ts";
import { type ContentCoding, pack } from "../../transport/content-coding.ts";
import { createHttpClient } from "../../transport/http-client.ts";
import { completeOtlpHttp, httpClientConfig, type OtlpHttpConfig, otlpHttpSchema, signalUrl } from "./config.ts";
import { postOtlp } from "./post.ts";

/** Header and coding of each compression. */
const codings: Readonly<Record<string, readonly [header: string, coding: ContentCoding]>> = {
  gzip: ["gzip", "gzip"],
  zstd: ["zstd", "zstd"],
  zlib: ["zlib", "zlib"],
  deflate: ["deflate", "zlib"],
  snappy: ["snappy", "snappy"],
  "x-snappy-framed": ["x-snappy-framed", "snappy-framed"],
};

export default defineExporter<OtlpHttpConfig>({
  type: "otlp_http",
  aliases: ["otlphttp"],
  description: "Sends metrics, traces and logs by OTLP over HTTP.",
  stability: { metrics: "beta", traces: "beta", logs: "beta" },
  config: otlpHttpSchema,
  complete: completeOtlpHttp,

  create(context) {
    const { id, config, log, clock, host } = context;
    const client = createHttpClient(httpClientConfig(config), {
      userAgent: `Millrace/${host.version}`,
      tlsKey: "tls",
      env: host.env,
    });
    const urls: Partial<Record<Signal, URL>> = {
      metrics: signalUrl(config, "metrics"),
      traces: signalUrl(config, "traces"),
      logs: signalUrl(config, "logs"),
    };
    const compress = createCompressor(config);
    const auth = new ClientAuth(config.auth);
    const warning = new LimitedWarning(log, clock);
    const exporting = createExporting(context, config, {
      maxBytes: Number.POSITIVE_INFINITY,
      saysSent: true,
      async send(request, signal) {
        const url = urls[request.signal];
        if (url === undefined) throw new Error(`no endpoint for ${request.signal}`);
        const body = compress.body(request);
        const answer = await postOtlp(
          client,
          {
            signal: request.signal,
            url,
            headers: { ...compress.headers, ...(await auth.headers()) },
            body,
            timeoutMs: config.timeout,
            nowMs: clock.now(),
          },
          signal,
        );
        if (answer.rejectedItems > 0 || answer.message !== "") {
          warning.warn("Partial success response", {
            message: answer.message,
            [`dropped_${request.signal}`]: answer.rejectedItems,
          });
        }
        // What was joined, packed or written as JSON is a copy. Of the bytes themselves it is not known when they have been sent.
        return { ...answer, isSent: request.requests.every(({ bytes }) => bytes !== body) };
      },
    });
    return {
      ...exporting,
      async start() {
        const missing = (context.signals ?? []).filter((signal) => urls[signal] === undefined);
        if (missing.length > 0) {
          const message = `expected endpoint or ${missing.map((signal) => `${signal}_endpoint`).join(" and ")}`;
          throw new ConfigError([{ path: `exporters::${id}::endpoint`, message }]);
        }
        auth.attach(host, `exporters::${id}`);
        const issue = findFileIssue(client, `exporters::${id}`);
        if (issue !== undefined) throw new ConfigError([issue]);
        await exporting.start();
      },
      async shutdown(deadline) {
        await exporting.shutdown(deadline);
        await client.close();
      },
    };
  },
});

/** Makes bodies, and the headers that say what they are. */
function createCompressor(config: OtlpHttpConfig) {
  const own = Object.fromEntries((config.headers ?? []).map(({ name, value }) => [name, value.reveal()]));
  const coding = codings[config.compression];
  const level = config.compression_params.level > 0 ? config.compression_params.level : 1;
  return {
    headers: {
      ...own,
      "content-type": config.encoding === "json" ? "application/json" : "application/x-protobuf",
      ...(coding === undefined ? {} : { "content-encoding": coding[0] }),
    },
    body({ signal, requests }: OutgoingRequest): Uint8Array {
      const joined = joinRequests(signal, requests);
      const bytes = config.encoding === "json" ? Buffer.from(requestToJson(joined)) : joined.bytes;
      return coding === undefined ? bytes : pack(coding[1], bytes, level);
    },
  };
}
