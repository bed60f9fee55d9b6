/** Decodes a whole Prometheus configuration, with every fault of it at once. */

import { type ConfigNode, childNode } from "../../codec/yaml/config-node.ts";
import type { ConfigIssue } from "../../model/errors.ts";
import { type ConfigMode, type DecodeContext, fail } from "./decode-context.ts";
import { decodeGlobal } from "./global-config.ts";
import { checkInertSections, refuseUnsupported } from "./inert-sections.ts";
import { type ConfigFiles, nodeConfigFiles, pathResolver } from "./node-config-files.ts";
import { decodeRemoteWrite } from "./remote-write.ts";
import { decodeScrapeConfig } from "./scrape-config.ts";
import { decodeScrapeConfigFiles } from "./scrape-config-files.ts";
import { SectionReader } from "./section-reader.ts";
import type { GlobalConfig, PrometheusConfig, RemoteWriteConfig, ScrapeConfig } from "./types.ts";

const ROOT_KEYS = [
  "global",
  "runtime",
  "alerting",
  "rule_files",
  "scrape_config_files",
  "scrape_configs",
  "storage",
  "tracing",
  "remote_write",
  "remote_read",
  "otlp",
];

export interface DecodeOptions extends Partial<ConfigFiles> {
  readonly mode: ConfigMode;
  /** Where the block stands in its file: `[]` for a prometheus.yml. */
  readonly basePath: readonly (string | number)[];
  /** Directory that relative paths start from; empty leaves them to the working directory. */
  readonly baseDir: string;
  /** Told once of each key that is accepted but has no effect, or that has a surprising one. */
  readonly notice: (notice: ConfigIssue) => void;
  /** Environment for `external_labels`; the process's own by default. */
  readonly env?: ((name: string) => string | undefined) | undefined;
  /**
   * True checks what `promtool check config --syntax-only` does: `scrape_config_files` stay unread, and remote write
   * entries that only running would refuse for being equal pass. Default false.
   */
  readonly syntaxOnly?: boolean | undefined;
}

export interface DecodedPrometheusConfig {
  /** Undefined where there are issues. */
  readonly config: PrometheusConfig | undefined;
  readonly issues: ConfigIssue[];
}

/**
 * Decodes and validates a configuration as Prometheus does; an absent root is an empty configuration. Never throws:
 * whatever is wrong, unreadable files included, is in `issues`.
 */
export function decodePrometheusConfig(root: ConfigNode | undefined, options: DecodeOptions): DecodedPrometheusConfig {
  const context: DecodeContext = {
    mode: options.mode,
    issues: [],
    notice: options.notice,
    env: options.env ?? ((name) => process.env[name]),
    fileExists: options.fileExists ?? nodeConfigFiles.fileExists,
    resolvePath: pathResolver(options.baseDir),
    noticed: new Set(),
  };
  const section = new SectionReader(context, root, options.basePath, ROOT_KEYS);
  const global = decodeGlobal(context, section.node("global"), options.basePath);
  const own = decodeScrapeConfigs(section, global);
  const reader = {
    readFile: options.readFile ?? nodeConfigFiles.readFile,
    glob: options.glob ?? nodeConfigFiles.glob,
  };
  const files = decodeScrapeConfigFiles(section, global, options.syntaxOnly === true ? undefined : reader);
  const scrapeConfigs = [...own, ...files.scrapeConfigs];
  checkJobNames(section, scrapeConfigs);
  checkInertSections(section, global.metricNameValidationScheme);
  refuseUnsupported(section);
  const remoteWrite = options.mode === "agent" ? decodeRemoteWrites(section, global, options.syntaxOnly === true) : [];
  const issues = withoutRepeats(context.issues);
  if (issues.length > 0) return { config: undefined, issues };
  const config = {
    global,
    scrapeConfigs,
    scrapeConfigFiles: files.patterns,
    scrapeConfigFilesRead: files.read,
    remoteWrite,
  };
  return { config, issues };
}

function decodeScrapeConfigs(section: SectionReader, global: GlobalConfig): ScrapeConfig[] {
  return section
    .items("scrape_configs")
    .map(({ node, path }) => decodeScrapeConfig(section.context, node, path, global))
    .filter((config) => config !== undefined);
}

function checkJobNames({ context, path }: SectionReader, scrapeConfigs: readonly ScrapeConfig[]): void {
  const seen = new Set<string>();
  for (const { jobName, at } of scrapeConfigs) {
    if (seen.has(jobName) && jobName !== "") {
      fail(context, [...path, "scrape_configs"], `the job_name ${JSON.stringify(jobName)} is used twice`, at);
    }
    seen.add(jobName);
  }
}

function decodeRemoteWrites(section: SectionReader, global: GlobalConfig, syntaxOnly: boolean): RemoteWriteConfig[] {
  const { context } = section;
  const configs: RemoteWriteConfig[] = [];
  const names = new Set<string>();
  for (const { node, path } of section.items("remote_write")) {
    const config = decodeRemoteWrite(context, node, path, global.metricNameValidationScheme);
    if (config === undefined) continue;
    // Two entries without a name that differ in their secrets only have one hash too.
    const isNamed = childNode(node, "name") !== undefined;
    if (names.has(config.name) && (isNamed || !syntaxOnly)) {
      fail(context, [...path, "name"], `the name ${JSON.stringify(config.name)} is used twice`, node.at);
    }
    names.add(config.name);
    configs.push(config);
  }
  return configs;
}

/** A key that is read in two places reports its fault once. */
function withoutRepeats(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const seen = new Set<string>();
  return issues.filter((issue) => {
    const key = JSON.stringify([issue.path, issue.message, issue.at]);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}
