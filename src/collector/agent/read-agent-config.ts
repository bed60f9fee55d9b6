/** Reads a prometheus.yml for the agent, with every fault at its place. */

import { dirname, resolve } from "node:path";
import { type ConfigNode, childNode } from "../../codec/yaml/config-node.ts";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { fetchText, readTextFile } from "../../config/providers.ts";
import { ConfigError, type ConfigIssue } from "../../model/errors.ts";
import { decodePrometheusConfig } from "../../prometheus/config/decode-prometheus-config.ts";
import type { PrometheusConfig } from "../../prometheus/config/types.ts";
import { inOrder } from "../issue-order.ts";

export interface ReadAgentConfig {
  readonly config: PrometheusConfig;
  /** Accepted keys that have no effect, to be logged once. */
  readonly notices: readonly ConfigIssue[];
  readonly text: string;
}

/** Throws ConfigError with every issue of the file. `syntaxOnly` checks what `promtool check config --syntax-only` does. */
export function readAgentConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  syntaxOnly = false,
): ReadAgentConfig {
  const fetched = fetchText({ scheme: "file", opaque: file }, { env, readFile: readTextFile });
  if (fetched.kind === "problem") throw new ConfigError([{ path: "--config.file", message: fetched.problem }]);
  const { text } = fetched;
  const { root, issues } = parseYaml(text, file, { furtherDocuments: "ignore" });
  if (issues.length > 0) throw new ConfigError(issues);
  if (looksLikeCollector(root)) throw new ConfigError([{ path: "", message: collectorHint, at: root?.at }]);
  const notices: ConfigIssue[] = [];
  const decoded = decodePrometheusConfig(root, {
    mode: "agent",
    basePath: [],
    baseDir: dirname(resolve(file)),
    env: (name) => env[name],
    notice: (notice) => notices.push(notice),
    syntaxOnly,
  });
  if (decoded.issues.length > 0 || decoded.config === undefined) throw new ConfigError(inOrder(decoded.issues));
  return { config: decoded.config, notices: inOrder(notices), text };
}

const collectorHint =
  "this looks like a collector's configuration, which is for millrace run --config; millrace agent takes a prometheus.yml";

/** Whether somebody gave the file of a collector: its unknown keys would not say so. */
function looksLikeCollector(root: ConfigNode | undefined): boolean {
  const has = (...keys: string[]) => keys.some((key) => childNode(root, key) !== undefined);
  return has("receivers", "exporters", "service") && !has("scrape_configs", "remote_write");
}
