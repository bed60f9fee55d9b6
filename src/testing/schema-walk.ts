/** Walks through a zod schema: every object in it, with the path that leads there. */

import type { ZodType } from "zod";
import type * as core from "zod/v4/core";

type Schema = core.$ZodTypes;

export interface SchemaKey {
  /** For example `tls::cert_file`; items of lists and values of maps are `[]`. */
  readonly path: string;
  /** Whether the key, or the section around a choice of shapes, has a description. */
  readonly isDescribed: boolean;
}

export interface WalkedSchema {
  readonly keys: SchemaKey[];
  /** Paths of objects that let unknown keys pass. */
  readonly openObjects: string[];
}

/** Schemas may refer to themselves. */
const maxDepth = 32;

export function walkSchema(schema: ZodType): WalkedSchema {
  const walked: WalkedSchema = { keys: [], openObjects: [] };
  walk(schema as unknown as Schema, [], { walked, isExplained: false });
  return walked;
}

interface Walk {
  readonly walked: WalkedSchema;
  /** The parts of a field type, such as a header's name and value, are explained by the key that has it. */
  readonly isExplained: boolean;
}

function walk(outer: Schema, path: readonly string[], state: Walk): void {
  if (path.length > maxDepth) return;
  const { schema } = unwrap(outer);
  const definition = schema._zod.def;
  if (definition.type === "array") walk(definition.element as Schema, [...path, "[]"], state);
  else if (definition.type === "record") walk(definition.valueType as Schema, [...path, "[]"], state);
  else if (definition.type === "union") {
    const isExplained = state.isExplained || definition.options.length > 1;
    for (const option of definition.options) walk(option as Schema, path, { ...state, isExplained });
  } else if (definition.type === "object") walkObject(definition, path, state);
}

function walkObject(definition: core.$ZodObjectDef, path: readonly string[], state: Walk): void {
  const { catchall } = definition;
  if (catchall === undefined || (catchall as Schema)._zod.def.type !== "never") {
    state.walked.openObjects.push(path.join("::"));
  }
  for (const [key, value] of Object.entries(definition.shape)) {
    const keyPath = [...path, key];
    const isDescribed = state.isExplained || unwrap(value as Schema).isDescribed;
    state.walked.keys.push({ path: keyPath.join("::"), isDescribed });
    walk(value as Schema, keyPath, state);
  }
}

function unwrap(outer: Schema): { schema: Schema; isDescribed: boolean } {
  let schema = outer;
  let isDescribed = false;
  for (let i = 0; i < maxDepth; i++) {
    isDescribed ||= ((schema as unknown as ZodType).description ?? "") !== "";
    const inner = innerOf(schema);
    if (inner === undefined) break;
    schema = inner;
  }
  return { schema, isDescribed };
}

function innerOf(schema: Schema): Schema | undefined {
  const definition = schema._zod.def;
  switch (definition.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "nonoptional":
    case "readonly":
    case "catch":
      return definition.innerType as Schema;
    case "pipe": {
      const input = definition.in as Schema;
      return input._zod.def.type === "transform" ? (definition.out as Schema) : input;
    }
    case "lazy":
      return definition.getter() as Schema;
    default:
      return undefined;
  }
}
