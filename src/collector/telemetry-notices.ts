/** Names what `service::telemetry` asks for and Millrace accepts without effect. */

import { type ConfigNode, formatPath, nodeAt } from "../codec/yaml/config-node.ts";
import type { ConfigIssue } from "../model/errors.ts";

const telemetryPath = ["service", "telemetry"];

/** Keys that have no effect, whatever they say. */
const unusedKeys = [["logs", "sampling"], ["logs", "error_output_paths"], ["traces"], ["resource", "detectors"]];
/** Keys of a reader that have no effect when they are false: own metrics have neither scopes nor units. */
const unusedWhenFalse = ["without_scope_info", "without_units"];

/** Notices for what was written. */
export function telemetryNotices(root: ConfigNode | undefined): ConfigIssue[] {
  const telemetry = root === undefined ? undefined : nodeAt(root, telemetryPath);
  if (telemetry === undefined) return [];
  const notice = (path: readonly (string | number)[], node: ConfigNode): ConfigIssue => ({
    path: formatPath([...telemetryPath, ...path]),
    message: "has no effect",
    at: node.at,
  });
  const notices = unusedKeys.flatMap((path) => {
    const node = nodeAt(telemetry, path);
    return node === undefined ? [] : [notice(path, node)];
  });
  const readers = nodeAt(telemetry, ["metrics", "readers"]);
  const count = readers?.kind === "list" ? readers.items.length : 0;
  for (let i = 0; i < count; i++) {
    for (const key of unusedWhenFalse) {
      const path = ["metrics", "readers", i, "pull", "exporter", "prometheus", key];
      const node = nodeAt(telemetry, path);
      if (node?.kind === "scalar" && node.value === false) notices.push(notice(path, node));
    }
  }
  return notices;
}
