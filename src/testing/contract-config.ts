/** Rules 1 to 4: the definition and its configuration. */

import type { AnyDefinition } from "../component/define.ts";
import type { ContractOptions } from "./contract.ts";
import { walkSchema } from "./schema-walk.ts";
import { parseConfig } from "./test-context.ts";

const typePattern = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/;

export function checkDefinition(definition: AnyDefinition): void {
  if (!typePattern.test(definition.type)) throw new Error(`the type ${definition.type} is not lower_snake_case`);
  const signals = definition.kind === "connector" ? definition.pairs : Object.keys(definition.stability ?? {});
  if (definition.kind !== "extension" && signals.length === 0) throw new Error("no signal is supported");
}

export function checkDescriptions(definition: AnyDefinition): void {
  const silent = walkSchema(definition.config).keys.filter((key) => !key.isDescribed);
  if (silent.length > 0) throw new Error(`keys without a description: ${silent.map((key) => key.path).join(", ")}`);
}

const misspelt = "misspellt_key";

export function checkUnknownKeys(definition: AnyDefinition, options: ContractOptions): void {
  const open = walkSchema(definition.config).openObjects;
  if (open.length > 0) throw new Error(`unknown keys pass in: ${open.map((path) => path || "the section").join(", ")}`);
  const result = definition.config.safeParse({ ...plainSection(options.example), [misspelt]: 1 });
  if (result.success) throw new Error("a misspelt key was accepted");
  if (!JSON.stringify(result.error.issues).includes(misspelt)) throw new Error("the error does not name the key");
}

export function checkExample(definition: AnyDefinition, options: ContractOptions): void {
  parseConfig(definition, options.example);
}

function plainSection(section: unknown): object {
  return typeof section === "object" && section !== null ? section : {};
}
