/** Gives issues that were found only at the start the places in the files that their paths mean. */

import { type ConfigNode, positionAt } from "../codec/yaml/config-node.ts";
import { ConfigError } from "../model/errors.ts";

/** The error with positions, as far as its issues lack them; any other error as it is. */
export function locateIssues(error: unknown, root: ConfigNode | undefined): unknown {
  if (!(error instanceof ConfigError)) return error;
  if (error.issues.every((issue) => issue.at !== undefined || issue.path === "")) return error;
  const issues = error.issues.map((issue) => {
    if (issue.at !== undefined || issue.path === "") return issue;
    return { ...issue, at: positionAt(root, parsePath(issue.path)) };
  });
  return new ConfigError(issues, { cause: error });
}

/** `a::b[0]::c` as `["a", "b", 0, "c"]`. */
function parsePath(path: string): (string | number)[] {
  return path.split("::").flatMap((part) => {
    const match = /^(.*?)((?:\[\d+\])*)$/.exec(part);
    const indexes = [...(match?.[2] ?? "").matchAll(/\d+/g)].map(([digits]) => Number(digits));
    return [match?.[1] ?? part, ...indexes];
  });
}
