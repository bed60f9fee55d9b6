/** The order in which faults and notices of a configuration are told. */

import type { ConfigIssue } from "../model/errors.ts";

/** By file, in the order in which files are first named, then by line; what has no place comes first. */
export function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const files = [...new Set(issues.map((issue) => issue.at?.file))];
  const rank = ({ at }: ConfigIssue) => (at === undefined ? -1 : files.indexOf(at.file));
  return [...issues].sort(
    (a, b) => rank(a) - rank(b) || (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0),
  );
}
