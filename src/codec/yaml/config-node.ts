/** Configuration as a tree that remembers where each part was written and how a scalar was spelt. */

import type { SourcePosition } from "../../model/errors.ts";

export type ScalarValue = string | number | bigint | boolean | null;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  /** The text as written (unquoted), which is what a string field receives: `0123` stays "0123". */
  readonly text: string;
  /** True when the text was quoted or a block scalar, hence a string whatever it looks like. */
  readonly quoted: boolean;
  readonly at: SourcePosition | undefined;
}

export interface MapEntry {
  readonly key: string;
  readonly keyAt: SourcePosition | undefined;
  readonly value: ConfigNode;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: readonly MapEntry[];
  readonly at: SourcePosition | undefined;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
  readonly at: SourcePosition | undefined;
}

export type ConfigNode = ScalarNode | MapNode | ListNode;

/** The plain value of a node: objects, arrays and scalars. */
export function plainValue(node: ConfigNode): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(plainValue);
    case "map":
      return Object.fromEntries(node.entries.map((entry) => [entry.key, plainValue(entry.value)]));
  }
}

/** The child of a map or list, or undefined. */
export function childNode(node: ConfigNode | undefined, key: string | number): ConfigNode | undefined {
  if (node?.kind === "map") return node.entries.find((entry) => entry.key === String(key))?.value;
  if (node?.kind === "list" && typeof key === "number") return node.items[key];
  return undefined;
}

/** The node at a path, or undefined where the path leaves the tree. */
export function nodeAt(root: ConfigNode, path: readonly (string | number)[]): ConfigNode | undefined {
  let node: ConfigNode | undefined = root;
  for (const key of path) node = childNode(node, key);
  return node;
}

/** `["a", "b", 0, "c"]` as `a::b[0]::c`, the Collector's way to write a path. */
export function formatPath(path: readonly (string | number)[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? part : `::${part}`;
  }
  return text;
}
