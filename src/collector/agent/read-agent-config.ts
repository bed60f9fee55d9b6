/** Reads a prometheus.yml for the agent, with every fault at its place. */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { ConfigError, type ConfigIssue, toError } from "../../model/errors.ts";
import { decodePrometheusConfig } from "../../prometheus/config/decode-prometheus-config.ts";
import type { PrometheusConfig } from "../../prometheus/config/types.ts";

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
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (caught) {
    throw new ConfigError([{ path: "", message: `cannot read ${file}: ${toError(caught).message}` }], {
      cause: caught,
    });
  }
  const { root, issues } = parseYaml(text, file, { furtherDocuments: "ignore" });
  if (issues.length > 0) throw new ConfigError(issues);
  const notices: ConfigIssue[] = [];
  const decoded = decodePrometheusConfig(root, {
    mode: "agent",
    basePath: [],
    baseDir: dirname(resolve(file)),
    env: (name) => env[name],
    notice: (notice) => notices.push(notice),
    syntaxOnly,
  });
  if (decoded.issues.length > 0 || decoded.config === undefined) throw new ConfigError(decoded.issues);
  return { config: decoded.config, notices, text };
}
