/** Configuration as a tree that remembers where each part was written and how a scalar was spelt. */

import type { SourcePosition } from "../../model/errors.ts";

export type ScalarValue = string | number | bigint | boolean | null;

/** Says that a value was not written in the configuration but came from `${...}`. */
export interface Expansion {
  /** The reference as written, e.g. `${env:PORT}`; messages show it instead of the value, which may be a secret. */
  readonly reference: string;
  /** The text that the reference stands for, which is what a string field receives. */
  readonly text: string;
}

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  /** The text as written (unquoted), which is what a string field receives: `0123` stays "0123". */
  readonly text: string;
  /** True when the text was quoted or a block scalar, hence a string whatever it looks like. */
  readonly quoted: boolean;
  readonly at: SourcePosition | undefined;
  readonly expansion?: Expansion | undefined;
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
  readonly expansion?: Expansion | undefined;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
  readonly at: SourcePosition | undefined;
  readonly expansion?: Expansion | undefined;
}

export type ConfigNode = ScalarNode | MapNode | ListNode;

/** Whether a value is a configuration tree, as far as its outside shows. */
export function isConfigNode(value: unknown): value is ConfigNode {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  return value.kind === "scalar" || value.kind === "map" || value.kind === "list";
}

/** Whether a section is empty: absent, or `key:` with nothing behind it. */
export function isNullNode(node: ConfigNode | undefined): boolean {
  return node === undefined || (node.kind === "scalar" && node.value === null);
}

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

/** The position of the node at a path, or of the deepest part of the path that exists. */
export function positionAt(
  root: ConfigNode | undefined,
  path: readonly (string | number)[],
): SourcePosition | undefined {
  let node = root;
  let at = root?.at;
  for (const key of path) {
    node = childNode(node, key);
    if (node === undefined) break;
    at = node.at ?? at;
  }
  return at;
}
