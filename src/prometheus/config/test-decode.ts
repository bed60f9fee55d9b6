/** Decodes configuration text in tests. */

import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { formatConfigIssue } from "../../model/errors.ts";
import { type DecodeOptions, decodePrometheusConfig } from "./decode-prometheus-config.ts";
import type { PrometheusConfig, RemoteWriteConfig, ScrapeConfig } from "./types.ts";

export interface TestDecoded {
  readonly config: PrometheusConfig | undefined;
  readonly issues: readonly string[];
  readonly notices: readonly string[];
}

/** The outcome of decoding, with issues and notices as text. */
export function testDecode(text: string, options: Partial<DecodeOptions> = {}): TestDecoded {
  const notices: string[] = [];
  const { root, issues } = parseYaml(text, "test.yml", { furtherDocuments: "ignore" });
  if (issues.length > 0) return { config: undefined, issues: issues.map(formatConfigIssue), notices };
  const decoded = decodePrometheusConfig(root, {
    mode: "agent",
    basePath: [],
    baseDir: "",
    notice: (issue) => notices.push(formatConfigIssue(issue)),
    env: () => undefined,
    ...options,
  });
  return { config: decoded.config, issues: decoded.issues.map(formatConfigIssue), notices };
}

/** A job of which only some keys are given; throws the issues where there are any. */
export function testJob(keys: string, options: Partial<DecodeOptions> & { global?: string } = {}): ScrapeConfig {
  const { config, issues } = testDecode(
    `global: {${options.global ?? ""}}\nscrape_configs: [{job_name: a, ${keys}}]`,
    options,
  );
  const job = config?.scrapeConfigs[0];
  if (job === undefined) throw new Error(issues.join("\n"));
  return job;
}

/** A remote write entry of which only some keys are given; throws the issues where there are any. */
export function testRemoteWrite(keys: string): RemoteWriteConfig {
  const { config, issues } = testDecode(`remote_write: [{url: "http://h/w", ${keys}}]`);
  const entry = config?.remoteWrite[0];
  if (entry === undefined) throw new Error(issues.join("\n"));
  return entry;
}
