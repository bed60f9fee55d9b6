/** The configuration file of a run, the same for Millrace and otelcol; as JSON, which is YAML too. */

import { metricsPath } from "../scrape/configs.ts";
import { addedAttribute, type OtlpRow, type ScrapeLoad } from "./rows.ts";

/** Where the load program and the receiver of a run are. */
export interface OtlpEndpoints {
  /** Of the scraped targets. */
  readonly ports: readonly number[];
  /** Host and port of the sink. */
  readonly sink: string;
  /** Host and port that the receiver is to listen on. */
  readonly receiver: string;
}

export function otlpConfig(row: OtlpRow, endpoints: OtlpEndpoints, scrape: ScrapeLoad): string {
  const processors = {
    ...(row.isOpened ? { attributes: { actions: [{ key: addedAttribute, value: "yes", action: "insert" }] } } : {}),
    ...(row.hasBatch ? { batch: {} } : {}),
  };
  const config = {
    ...(row.storage === undefined ? {} : { extensions: { file_storage: storage(row.storage === "synced") } }),
    receivers: receivers(row, endpoints, scrape),
    processors,
    exporters: exporters(row, endpoints.sink),
    service: {
      ...(row.storage === undefined ? {} : { extensions: ["file_storage"] }),
      telemetry: { logs: { level: "warn" }, metrics: { level: "none" } },
      pipelines: {
        [row.signal]: {
          receivers: [row.from === "scrape" ? "prometheus" : "otlp"],
          processors: Object.keys(processors),
          exporters: [exporterNames[row.to]],
        },
      },
    },
  };
  return `${JSON.stringify(config, undefined, 1)}\n`;
}

const exporterNames = { grpc: "otlp", http: "otlphttp", "remote-write": "prometheusremotewrite" } as const;

function receivers({ from }: OtlpRow, { ports, receiver, sink }: OtlpEndpoints, { intervalS }: ScrapeLoad) {
  if (from !== "scrape") return { otlp: { protocols: { [from]: { endpoint: receiver } } } };
  const interval = `${intervalS}s`;
  return {
    prometheus: {
      config: {
        global: { scrape_interval: interval, scrape_timeout: interval },
        scrape_configs: [
          {
            job_name: "bench",
            metrics_path: metricsPath({ ports, sink }),
            static_configs: [{ targets: ports.map((port) => `127.0.0.1:${port}`) }],
          },
        ],
      },
    },
  };
}

/** In the folder of the run. */
function storage(fsync: boolean) {
  return { directory: "storage", create_directory: true, fsync };
}

function exporters({ to, isGzip, storage: queue }: OtlpRow, sink: string) {
  const compression = isGzip ? "gzip" : "none";
  const onDisk = queue === undefined ? {} : { sending_queue: { storage: "file_storage" } };
  if (to === "remote-write") return { prometheusremotewrite: { endpoint: `http://${sink}/api/v1/write` } };
  if (to === "http") return { otlphttp: { endpoint: `http://${sink}`, compression, ...onDisk } };
  return { otlp: { endpoint: sink, tls: { insecure: true }, compression, ...onDisk } };
}
