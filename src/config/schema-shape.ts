/** Looks into zod schemas: what a schema accepts at its outside, and which schema its parts have. */

import type { ZodType } from "zod";
import type * as core from "zod/v4/core";
import { fieldMarks } from "../codec/yaml/field-types.ts";

type Definition = core.$ZodTypes["_zod"]["def"];
export type AnySchema = ZodType | core.$ZodType;
/** What a configuration value can be when it is neither a text nor empty. */
export type ValueKind = "number" | "bigint" | "boolean" | "map" | "list";

/** A schema without its wrappers (optional, default, pipe, ...). */
export interface SchemaShape {
  readonly schema: core.$ZodType;
  readonly definition: Definition;
  readonly nullable: boolean;
  readonly mark: "node" | "secret" | undefined;
}

/** Wrappers around a schema are few; more means that it refers to itself. */
const maxWrappers = 64;

/** Takes the wrappers off a schema. */
export function shapeOf(schema: AnySchema): SchemaShape {
  let current: core.$ZodType = schema;
  let nullable = false;
  for (let i = 0; i < maxWrappers; i++) {
    const definition = definitionOf(current);
    const mark = fieldMarks.get(current)?.mark;
    const inner = innerOf(definition);
    if (definition.type === "nullable") nullable = true;
    if (mark === "node" || inner === undefined) return { schema: current, definition, nullable, mark };
    current = inner;
  }
  return { schema: current, definition: definitionOf(current), nullable, mark: undefined };
}

function innerOf(definition: Definition): core.$ZodType | undefined {
  switch (definition.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "nonoptional":
    case "readonly":
    case "catch":
      return definition.innerType;
    case "pipe":
      return definitionOf(definition.in).type === "transform" ? definition.out : definition.in;
    case "lazy":
      return definition.getter();
    default:
      return undefined;
  }
}

function definitionOf(schema: core.$ZodType): Definition {
  return (schema as core.$ZodTypes)._zod.def;
}

/** The alternatives of a union, also of unions within it; a schema that is no union is its own alternative. */
export function alternatives(shape: SchemaShape, depth = 0): SchemaShape[] {
  if (shape.definition.type !== "union" || depth > maxWrappers) return [shape];
  return shape.definition.options.flatMap((option) => alternatives(shapeOf(option), depth + 1));
}

/** Whether `null` is a value of its own for the schema, and not the same as leaving the key out. */
export function acceptsNull(shape: SchemaShape): boolean {
  return alternatives(shape).some((one) => {
    if (shape.nullable || one.nullable || one.mark === "node") return true;
    const { definition } = one;
    if (definition.type === "literal") return definition.values.includes(null);
    return definition.type === "null" || definition.type === "any" || definition.type === "unknown";
  });
}

/** Whether the schema takes a text. */
export function acceptsText(shape: SchemaShape): boolean {
  return alternatives(shape).some(({ definition }) => {
    if (definition.type === "literal") return definition.values.some((value) => typeof value === "string");
    return definition.type === "string" || definition.type === "enum" || definition.type === "template_literal";
  });
}

/** Whether the schema takes a value of this kind. */
export function acceptsKind(shape: SchemaShape, kind: ValueKind): boolean {
  return alternatives(shape).some(({ definition, mark }) => {
    const { type } = definition;
    if (mark === "node" || type === "any" || type === "unknown") return true;
    if (kind === "map") return type === "object" || type === "record" || type === "intersection";
    if (kind === "list") return type === "array" || type === "tuple";
    if (type === "literal") return definition.values.some((value) => typeof value === kind);
    return type === kind;
  });
}

/** The schema of the value under a key; undefined when the schema does not know the key. */
export function schemaOfKey(shape: SchemaShape, key: string): core.$ZodType | undefined {
  const { definition } = shape;
  if (definition.type === "object") {
    if (Object.hasOwn(definition.shape, key)) return definition.shape[key];
    const { catchall } = definition;
    return catchall === undefined || definitionOf(catchall).type === "never" ? undefined : catchall;
  }
  if (definition.type === "record") return definition.valueType;
  if (definition.type === "intersection") {
    return schemaOfKey(shapeOf(definition.left), key) ?? schemaOfKey(shapeOf(definition.right), key);
  }
  return undefined;
}

/** The schema of the item at an index of a list. */
export function schemaOfItem(shape: SchemaShape, index: number): core.$ZodType | undefined {
  const { definition } = shape;
  if (definition.type === "array") return definition.element;
  if (definition.type === "tuple") return definition.items[index] ?? definition.rest ?? undefined;
  return undefined;
}

/** The keys that an object schema knows by name. */
export function knownKeys(schema: AnySchema): string[] {
  const { definition } = shapeOf(schema);
  if (definition.type === "object") return Object.keys(definition.shape);
  if (definition.type === "intersection") return [...knownKeys(definition.left), ...knownKeys(definition.right)];
  return [];
}
