/** The configuration of the agent as its API shows it: the file as it was written, without its secrets. */

import { stringify } from "yaml";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { redactedConfig } from "../redacted-config.ts";

/** How Prometheus writes a value that it does not show. */
const secret = "<secret>";

/** YAML of a configuration that was read before. */
export function shownConfig(text: string): string {
  const { root } = parseYaml(text, "", { furtherDocuments: "ignore" });
  return root === undefined ? "" : stringify(redactedConfig(root, secret), { lineWidth: 0 });
}
