/** One Collector configuration for Millrace and otelcol-contrib: only paths and addresses of outputs differ. */

import { stringify } from "yaml";
import type { PageExporter } from "./page-exporter.ts";
import type { RecordingSink } from "./recording-sink.ts";
import { type OracleCase, slotMs } from "./scrape-oracle.ts";
import type { TempFolder } from "./temp.ts";

/** Pipelines of the configuration, which are also the ends of the paths of their sinks and names of their files. */
export const runPipelines = ["whole", "changed", "plain"] as const;

export type RunPipeline = (typeof runPipelines)[number];

/** A receiver of the configuration. */
export interface RunReceiver {
  /** What follows `prometheus` in the id, empty or with a slash. */
  readonly suffix: string;
  readonly cases: readonly OracleCase[];
  readonly global?: Readonly<Record<string, unknown>>;
  readonly keys?: Readonly<Record<string, unknown>>;
}

/** Path of the recording sink that a pipeline of a subject writes to. */
export function sinkPath(subject: string, pipeline: RunPipeline): string {
  return `/${subject}/${pipeline}`;
}

/** File that a pipeline of a subject writes to. */
export function outputFile(folder: TempFolder, subject: string, pipeline: RunPipeline): string {
  return folder.file(`${subject}-${pipeline}.json`);
}

/** Writes the configuration for a subject and returns its path. */
export function writeRunConfig(
  folder: TempFolder,
  subject: string,
  sink: RecordingSink,
  receivers: readonly RunReceiver[],
  exporterOf: (name: string) => PageExporter,
): string {
  const remoteWrite = (pipeline: RunPipeline, keys: Readonly<Record<string, unknown>>) => ({
    endpoint: sink.url(sinkPath(subject, pipeline)),
    ...keys,
  });
  const names = receivers.map(({ suffix }) => `prometheus${suffix}`);
  const exporters: Record<string, unknown> = {
    "prometheusremotewrite/whole": remoteWrite("whole", { send_metadata: true }),
    "prometheusremotewrite/changed": remoteWrite("changed", {
      namespace: "spaced",
      add_metric_suffixes: false,
      disable_scope_info: true,
      resource_to_telemetry_conversion: { enabled: true },
    }),
    "prometheusremotewrite/plain": remoteWrite("plain", {
      external_labels: { region: "r1", _private: "p", code: "external", __replica__: "x" },
      translation_strategy: "UnderscoreEscapingWithoutSuffixes",
      target_info: { enabled: false },
    }),
  };
  for (const pipeline of runPipelines)
    exporters[`file/${pipeline}`] = { path: outputFile(folder, subject, pipeline), flush_interval: "100ms" };
  const pipeline = (name: RunPipeline, ...processors: string[]) => ({
    receivers: names,
    processors: [...processors, "batch"],
    exporters: [`prometheusremotewrite/${name}`, `file/${name}`],
  });
  const config = {
    receivers: Object.fromEntries(
      receivers.map(({ suffix, cases, global = {}, keys = {} }) => [
        `prometheus${suffix}`,
        {
          ...keys,
          config: {
            global: { scrape_interval: `${slotMs}ms`, scrape_timeout: "900ms", ...global },
            scrape_configs: cases.map((one) => jobOf(one, exporterOf(one.name))),
          },
        },
      ]),
    ),
    processors: {
      batch: { timeout: "200ms" },
      attributes: { actions: pointActions },
      resource: { attributes: resourceActions },
    },
    exporters,
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: {
        "metrics/whole": pipeline("whole"),
        "metrics/changed": pipeline("changed", "attributes", "resource"),
        "metrics/plain": pipeline("plain"),
      },
    },
  };
  // A dollar that is not doubled begins a reference.
  return folder.write(`${subject}.yaml`, stringify(config).replaceAll("$", "$$$$"));
}

const pointActions = [
  { key: "stage", action: "insert", value: "test" },
  { key: "method", action: "update", value: "changed" },
  { key: "path", action: "upsert", value: "hidden" },
  { key: "copied", action: "upsert", from_attribute: "code" },
  { key: "id", action: "delete" },
  { key: "room", action: "hash" },
  { key: "turn", action: "convert", converted_type: "int" },
  { key: "zone", action: "extract", pattern: "^(?P<zone_start>.)(?P<zone_rest>.*)$" },
];

const resourceActions = [
  { key: "deployment.environment", action: "insert", value: "e2e" },
  { key: "server.port", action: "update", value: "0" },
  { key: "url.scheme", action: "delete" },
  { key: "copied.instance", action: "upsert", from_attribute: "service.instance.id" },
];

function jobOf({ name, job = {}, labels = {} }: OracleCase, exporter: PageExporter): Record<string, unknown> {
  return {
    job_name: name,
    metrics_path: `/${name}`,
    ...job,
    static_configs: [{ targets: [exporter.address], labels: { ...labels, case: name } }],
  };
}
