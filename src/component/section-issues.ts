/** Issues that a component finds in its section after the schema took it. */

import { formatPath, isNullNode, nodeAt, positionAt } from "../codec/yaml/config-node.ts";
import type { ConfigIssue } from "../model/errors.ts";
import type { CompleteContext } from "./define.ts";

type Path = readonly (string | number)[];

/** An issue at a path below the section, with its full path and its position. */
export function sectionIssue(section: CompleteContext, path: Path, message: string): ConfigIssue {
  return { path: formatPath([...section.path, ...path]), message, at: positionAt(section.node, path) };
}

/** Whether the key was written in the section, with whatever value. */
export function isWritten(section: CompleteContext, path: Path): boolean {
  return section.node !== undefined && nodeAt(section.node, path) !== undefined;
}

/** Whether something was written under the key: neither nothing nor an empty list. */
export function isFilled(section: CompleteContext, path: Path): boolean {
  const node = section.node === undefined ? undefined : nodeAt(section.node, path);
  return !isNullNode(node) && !(node?.kind === "list" && node.items.length === 0);
}
