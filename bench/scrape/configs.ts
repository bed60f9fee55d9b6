/** Configuration files of the subjects, as JSON, which is YAML too. */

import type { Row } from "./rows.ts";

/** Where the targets and the remote-write endpoint of a run are. */
export interface Endpoints {
  readonly ports: readonly number[];
  readonly sink: string;
}

/** Where the exporter of a run has its pages: nobody else asks for them there (see `path` in bench/load/exporter.go). */
export function metricsPath({ ports }: Endpoints): string {
  return `/metrics/${ports[0]}`;
}

interface RelabelRule {
  readonly action: string;
  readonly source_labels?: string[];
  readonly regex: string;
  readonly target_label?: string;
  readonly replacement?: string;
}

/** The three rules of mode "relabel"; the load program expects what they leave. */
function relabelRules(dollar: string): RelabelRule[] {
  return [
    { action: "drop", source_labels: ["__name__"], regex: "(v[0-9]+_)?cache_.*" },
    {
      action: "replace",
      source_labels: ["pod"],
      regex: "(.+)-[0-9a-f]+-[0-9]+",
      target_label: "workload",
      replacement: `${dollar}1`,
    },
    { action: "labeldrop", regex: "container" },
  ];
}

function scrapePart(row: Row, endpoints: Endpoints, dollar: string) {
  const interval = `${row.intervalS}s`;
  return {
    global: { scrape_interval: interval, scrape_timeout: interval },
    scrape_configs: [
      {
        job_name: "bench",
        metrics_path: metricsPath(endpoints),
        static_configs: [{ targets: endpoints.ports.map((port) => `127.0.0.1:${port}`) }],
        ...(row.mode === "relabel" ? { metric_relabel_configs: relabelRules(dollar) } : {}),
      },
    ],
  };
}

/** Of a Prometheus agent and of `millrace agent`. */
export function prometheusConfig(row: Row, endpoints: Endpoints): string {
  return json({ ...scrapePart(row, endpoints, "$"), remote_write: [{ url: endpoints.sink }] });
}

/** Of vmagent, which takes the endpoint by flag. */
export function vmagentConfig(row: Row, endpoints: Endpoints): string {
  return json(scrapePart(row, endpoints, "$"));
}

/** Of otelcol-contrib and of `millrace run`; a dollar sign is doubled, since the Collector expands variables. */
export function collectorConfig(row: Row, endpoints: Endpoints): string {
  return json({
    receivers: { prometheus: { config: scrapePart(row, endpoints, "$$") } },
    processors: { batch: {} },
    exporters: { prometheusremotewrite: { endpoint: endpoints.sink } },
    service: {
      telemetry: { logs: { level: "warn" }, metrics: { level: "none" } },
      pipelines: {
        metrics: { receivers: ["prometheus"], processors: ["batch"], exporters: ["prometheusremotewrite"] },
      },
    },
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 1)}\n`;
}
