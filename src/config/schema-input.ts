/** Makes of a configuration tree the plain value that a schema is to see, with the Collector's few conversions. */

import type { ConfigNode, ListNode, MapNode, ScalarNode } from "../codec/yaml/config-node.ts";
import { plainValue } from "../codec/yaml/config-node.ts";
import type { AnySchema, SchemaShape, ValueKind } from "./schema-shape.ts";
import {
  acceptsKind,
  acceptsNull,
  acceptsText,
  alternatives,
  schemaOfItem,
  schemaOfKey,
  shapeOf,
} from "./schema-shape.ts";

/**
 * The plain value of a node for a schema. A key that is there but empty counts as left out, so that its default
 * applies, unless the schema accepts null; what came from `${...}` reaches a text field as the text it was; a text where
 * a list is wanted is split at commas; integers become bigints and back as the schema asks.
 */
export function schemaInput(node: ConfigNode, schema: AnySchema | undefined): unknown {
  if (schema === undefined) return plainValue(node);
  const shape = shapeOf(schema);
  if (shape.mark === "node") return node;
  switch (node.kind) {
    case "scalar":
      return scalarInput(node, shape);
    case "list":
      return textOf(node, shape, "list") ?? listInput(node, shape);
    case "map":
      return textOf(node, shape, "map") ?? mapInput(node, shape);
  }
}

/** The text that a value from `${...}` was, where the field takes texts but not what the text means in YAML. */
function textOf(node: ConfigNode, shape: SchemaShape, kind: ValueKind): string | undefined {
  if (node.expansion === undefined || !acceptsText(shape) || acceptsKind(shape, kind)) return undefined;
  return node.expansion.text;
}

function scalarInput(node: ScalarNode, shape: SchemaShape): unknown {
  const { value } = node;
  if (typeof value === "string") {
    const lists = alternatives(shape).filter(({ definition }) => definition.type === "array");
    if (acceptsText(shape) || lists.length === 0) return value;
    if (value === "") return [];
    // Of anything but texts a list in one text is a mistake, which is told best as such.
    return lists.some(isListOfTexts) ? value.split(",") : value;
  }
  if (value === null) {
    if (node.expansion !== undefined && acceptsText(shape)) return node.expansion.text;
    return acceptsNull(shape) ? null : undefined;
  }
  const kind = kindOf(value);
  if (acceptsKind(shape, kind)) return value;
  if (kind === "bigint" && acceptsKind(shape, "number")) return Number(value);
  if (Number.isInteger(value) && acceptsKind(shape, "bigint")) return BigInt(value);
  return textOf(node, shape, kind) ?? value;
}

function isListOfTexts(shape: SchemaShape): boolean {
  const item = schemaOfItem(shape, 0);
  return item === undefined || acceptsText(shapeOf(item));
}

function kindOf(value: number | bigint | boolean): ValueKind {
  if (typeof value === "number") return "number";
  return typeof value === "bigint" ? "bigint" : "boolean";
}

function listInput(node: ListNode, shape: SchemaShape): unknown[] {
  const list = alternatives(shape).find(({ definition }) => definition.type === "array" || definition.type === "tuple");
  return node.items.map((item, index) => {
    const input = schemaInput(item, list === undefined ? undefined : schemaOfItem(list, index));
    return input === undefined ? null : input;
  });
}

function mapInput(node: MapNode, shape: SchemaShape): Record<string, unknown> {
  const chosen = chooseMap(node, shape);
  const isRecord = chosen?.definition.type === "record";
  const entries: [string, unknown][] = [];
  for (const entry of node.entries) {
    const schema = chosen === undefined ? undefined : schemaOfKey(chosen, entry.key);
    const input = schemaInput(entry.value, schema);
    if (input !== undefined) entries.push([entry.key, input]);
    // Go gives a map's empty value the zero value of its type, which for texts is the empty text.
    else if (isRecord && schema !== undefined && acceptsText(shapeOf(schema))) entries.push([entry.key, ""]);
  }
  return Object.fromEntries(entries);
}

/** The alternative of a union that fits a map best: the one that knows most of its keys and whose literals agree. */
function chooseMap(node: MapNode, shape: SchemaShape): SchemaShape | undefined {
  let best: SchemaShape | undefined;
  let bestScore = -1;
  for (const one of alternatives(shape)) {
    const { type } = one.definition;
    if (type !== "object" && type !== "record" && type !== "intersection") continue;
    let score = 0;
    for (const entry of node.entries) score += keyScore(one, entry.key, entry.value);
    if (score > bestScore) {
      best = one;
      bestScore = score;
    }
  }
  return best;
}

const matchingLiteral = 10;

function keyScore(shape: SchemaShape, key: string, value: ConfigNode): number {
  const schema = schemaOfKey(shape, key);
  if (schema === undefined) return 0;
  const { definition } = shapeOf(schema);
  if (definition.type !== "literal") return 1;
  return value.kind === "scalar" && definition.values.some((literal) => literal === value.value) ? matchingLiteral : 0;
}
