/** The configuration of the prometheus receiver: the Collector's keys around a Prometheus configuration. */

import { z } from "zod";
import { formatPath, nodeAt } from "../../codec/yaml/config-node.ts";
import { byteSize, duration } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../../component/define.ts";
import { decodePrometheusConfig } from "../../prometheus/config/decode-prometheus-config.ts";
import type { PrometheusConfig } from "../../prometheus/config/types.ts";

const limitsSchema = z.strictObject({
  page_size: byteSize()
    .optional()
    .describe(
      "Largest uncompressed page of a target without body_size_limit; default 256MiB. A larger one fails its scrape.",
    ),
  all_pages_size: byteSize()
    .optional()
    .describe(
      "Memory for the pages of all targets that are under way at a time; default a quarter of the machine's or container's. A page that would take more than it leaves free fails its scrape.",
    ),
  line_size: byteSize().optional().describe("Longest line of a page; default 1MiB. A longer one fails its scrape."),
  series_per_target: z
    .number()
    .int()
    .positive()
    .default(1_000_000)
    .describe("Most series of one target. More of them fail its scrape."),
  labels_per_series: z
    .number()
    .int()
    .positive()
    .default(512)
    .describe("Most labels of one series. More of them fail its scrape."),
});

export const prometheusSchema = z.strictObject({
  config: z.unknown().describe("A Prometheus configuration: global, scrape_configs, scrape_config_files."),
  trim_metric_suffixes: z
    .boolean()
    .default(false)
    .describe("Cuts type and unit suffixes from metric names, where the page declares them."),
  scrape_on_shutdown: z.boolean().default(false).describe("Scrapes every target once more when the process ends."),
  discovery_reload_on_startup: z
    .boolean()
    .default(false)
    .describe("Discovered targets are always scraped from the start; true is how it is."),
  initial_scrape_offset: duration()
    .default(0)
    .describe("How much later than its place in the interval a target is scraped first."),
  limits: limitsSchema
    .prefault({})
    .describe(
      "Millrace's own bounds on what a target may send; a page over a bound fails as a whole, counted and logged.",
    ),
  api_server: z.unknown().optional().describe("Comes later."),
  target_allocator: z.unknown().optional().describe("Comes later: an error, because its targets would be missing."),
});

export type PrometheusReceiverConfig = z.infer<typeof prometheusSchema> & {
  /** Set by `complete`. */
  decoded?: PrometheusConfig | undefined;
};

/** What `complete` decoded. */
export function scrapeConfiguration(config: PrometheusReceiverConfig): PrometheusConfig {
  if (config.decoded === undefined) throw new TypeError("the configuration of the prometheus receiver is not complete");
  return config.decoded;
}

/** Decodes the Prometheus configuration inside the section. */
export function completePrometheus(
  config: PrometheusReceiverConfig,
  section: CompleteContext,
): PrometheusReceiverConfig {
  const path = (key: string) => [...section.path, key];
  const at = (key: string) => (section.node === undefined ? undefined : nodeAt(section.node, [key])?.at);
  if (config.target_allocator !== undefined && config.target_allocator !== null) {
    section.issue({
      path: formatPath(path("target_allocator")),
      message: "target_allocator comes in a later version of Millrace",
      at: at("target_allocator"),
    });
  }
  if (config.api_server !== undefined && config.api_server !== null) {
    section.notice({
      path: formatPath(path("api_server")),
      message: "accepted, but has no effect yet",
      at: at("api_server"),
    });
  }
  const node = section.node === undefined ? undefined : nodeAt(section.node, ["config"]);
  if (node === undefined || (node.kind === "scalar" && node.value === null)) {
    section.issue({
      path: formatPath(section.path),
      message: "no Prometheus scrape_configs: expected a Prometheus configuration in config",
      at: section.node?.at,
    });
    return config;
  }
  const decoded = decodePrometheusConfig(node, {
    mode: "receiver",
    basePath: path("config"),
    baseDir: "",
    env: (name) => section.env[name],
    notice: section.notice,
  });
  for (const issue of decoded.issues) section.issue(issue);
  const jobs = decoded.config?.scrapeConfigs.length ?? 0;
  if (decoded.issues.length === 0 && jobs === 0) {
    section.issue({ path: formatPath(path("config")), message: "no Prometheus scrape_configs specified", at: node.at });
  }
  return { ...config, decoded: decoded.config };
}
