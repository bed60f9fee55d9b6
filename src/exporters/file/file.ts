/** Writes what arrives to a file, one OTLP JSON request per line. */

import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { MetricsEncoder } from "../../codec/otlp/encode-metrics.ts";
import { joinRequests } from "../../codec/otlp/join-requests.ts";
import { encodeMetricsJson } from "../../codec/otlp-json/encode-metrics.ts";
import { batchPoints } from "../../codec/otlp-json/group-points.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import { defineExporter } from "../../component/define.ts";
import { isWritten, sectionIssue } from "../../component/section-issues.ts";
import { ConfigError, ConsumeError, toError } from "../../model/errors.ts";
import type { LogsBatch, TracesBatch } from "../../model/otlp-request.ts";
import { type FileConfig, fileConfig } from "./config.ts";
import { RotatingFile } from "./rotating-file.ts";

const compress = promisify(zstdCompress);

export default defineExporter({
  type: "file",
  description: "Writes OTLP JSON to a file.",
  stability: { metrics: "alpha", traces: "alpha", logs: "alpha" },
  config: fileConfig,

  complete(config, section) {
    if (isWritten(section, ["flush_interval"])) {
      section.notice(sectionIssue(section, ["flush_interval"], "has no effect: data is written before it is answered"));
    }
    return config;
  },

  create({ id, config, clock, log, host, after }) {
    const path = `exporters::${id}::path`;
    const file = new RotatingFile(
      config.path,
      {
        // What a reload replaces may still be writing: its file goes on.
        append: config.append || config.rotation !== undefined || after !== undefined,
        directoryMode: config.create_directory ? Number.parseInt(config.directory_permissions, 8) : undefined,
        rotation: config.rotation,
      },
      clock,
      log,
    );
    let isFailing = false;
    const report = (message: string | undefined) => {
      if (isFailing === (message !== undefined)) return;
      isFailing = message !== undefined;
      host.reportStatus({ state: isFailing ? "recoverable" : "ok", message: message ?? "" });
      if (message === undefined) log.info("The file can be written again", { path: config.path });
      else log.error("Cannot write to the file", { path: config.path, error: message });
    };
    const encoder = new MetricsEncoder();
    const write = async (message: string) => {
      const bytes = await frame(Buffer.from(message), config);
      if (!file.isOpen) {
        throw new ConsumeError("CONSUME_SHUTDOWN", `${path}: the file is not open`, { permanent: false });
      }
      try {
        await file.append(bytes);
      } catch (caught) {
        const message = `${path}: cannot write to ${JSON.stringify(config.path)}: ${toError(caught).message}`;
        report(message);
        throw new ConsumeError("CONSUME_REFUSED", message, { permanent: false, cause: caught });
      }
      report(undefined);
    };
    const writeRequests = async ({ signal, requests }: TracesBatch | LogsBatch) => {
      const request = joinRequests(signal, requests);
      if (request.bytes.length > 0) await write(requestToJson(request));
    };
    return {
      async start() {
        try {
          await file.open();
        } catch (caught) {
          const message = `cannot open ${JSON.stringify(config.path)} for writing: ${toError(caught).message}`;
          throw new ConfigError([{ path, message }], { cause: caught });
        }
      },
      shutdown: () => file.close(),
      async metrics(batch) {
        if (batch.segments.some((segment) => segment.form === "otlp")) {
          // What came as a request is written whole, also what points do not hold.
          const request = encoder.encode(batch.segments);
          if (request.bytes.length > 0) await write(requestToJson(request));
          return;
        }
        const segments = batchPoints(batch);
        if (segments.length > 0) await write(encodeMetricsJson(segments));
      },
      traces: writeRequests,
      logs: writeRequests,
    };
  },
});

/** A line; compressed, the message behind its length in 4 bytes (big-endian). */
async function frame(message: Buffer, config: FileConfig): Promise<Buffer> {
  if (config.compression === "") return Buffer.concat([message, Buffer.from("\n")]);
  const { level } = config.compression_params;
  const params = level === 0 ? {} : { [constants.ZSTD_c_compressionLevel]: level };
  const packed = await compress(message, { params });
  const length = Buffer.alloc(4);
  length.writeUInt32BE(packed.length);
  return Buffer.concat([length, packed]);
}
