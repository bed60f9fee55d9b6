/** Lays configuration sources over one another: maps deep, lists and scalars replaced, null replaces too. */

import type { ConfigNode, MapEntry, MapNode } from "../codec/yaml/config-node.ts";
import type { SourcePosition } from "../model/errors.ts";

/** Lays `over` on `base`; every part keeps the position of the source it came from. */
export function mergeNodes(base: ConfigNode | undefined, over: ConfigNode): ConfigNode {
  if (base?.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries.map((entry) => [entry.key, entry]));
  for (const entry of over.entries) {
    const earlier = entries.get(entry.key);
    const isMerged = earlier?.value.kind === "map" && entry.value.kind === "map";
    entries.set(entry.key, {
      key: entry.key,
      keyAt: isMerged ? earlier.keyAt : entry.keyAt,
      value: mergeNodes(earlier?.value, entry.value),
    });
  }
  return { kind: "map", entries: [...entries.values()], at: base.at };
}

/** Opens top-level keys that are paths: `exporters::debug::verbosity: x` is three maps deep. */
export function openPathKeys(root: MapNode): MapNode {
  if (!root.entries.some((entry) => entry.key.includes("::"))) return root;
  let opened: ConfigNode = { kind: "map", entries: [], at: root.at };
  for (const entry of root.entries)
    opened = mergeNodes(opened, nestAt(entry.key.split("::"), entry.value, entry.keyAt));
  return opened as MapNode;
}

/** A map that holds the value at a path of keys. */
export function nestAt(keys: readonly string[], value: ConfigNode, at: SourcePosition | undefined): ConfigNode {
  return keys.reduceRight<ConfigNode>((inner, key) => {
    const entry: MapEntry = { key, keyAt: at, value: inner };
    return { kind: "map", entries: [entry], at };
  }, value);
}

/** The same tree with every position replaced. */
export function moveTo(node: ConfigNode, at: SourcePosition | undefined): ConfigNode {
  switch (node.kind) {
    case "scalar":
      return { ...node, at };
    case "list":
      return { ...node, at, items: node.items.map((item) => moveTo(item, at)) };
    case "map":
      return {
        ...node,
        at,
        entries: node.entries.map(({ key, value }) => ({ key, keyAt: at, value: moveTo(value, at) })),
      };
  }
}
