/** Writes docs/components.md: every component with its keys, read from the definitions' schemas. Run by `npm run docs`. */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ZodType } from "zod";
import type * as core from "zod/v4/core";
import { fieldMarks } from "../src/codec/yaml/field-types.ts";
import { formatGoDuration } from "../src/codec/yaml/go-duration.ts";
import type { AnyDefinition, ComponentKind } from "../src/component/define.ts";
import { Registry, type RegistryEntry } from "../src/registry.ts";

type Schema = core.$ZodTypes;

/** One row of an option table. */
interface OptionRow {
  readonly path: string;
  readonly type: string;
  readonly fallback: string;
  readonly description: string;
}

/** What the wrappers around a schema say. */
interface Unwrapped {
  readonly schema: Schema;
  readonly description: string;
  readonly fallback: { readonly value: unknown } | undefined;
  readonly isOptional: boolean;
}

export const componentDocsFile = fileURLToPath(new URL("../docs/components.md", import.meta.url));

const kinds: readonly ComponentKind[] = ["receiver", "processor", "exporter", "connector", "extension"];
/** Schemas may refer to themselves. */
const maxDepth = 16;

/** The whole page. */
export async function renderComponentDocs(): Promise<string> {
  const { all } = new Registry();
  const parts = [
    "# Components",
    "",
    "Made from the components' schemas by `npm run docs`; do not edit. A path such as `tls::ca_file` is the key `ca_file` in the",
    "section `tls`; `[]` stands for each entry of a list or map. A key that is not in the table of its component is an error.",
    "How the keys are used together: [collector.md](collector.md).",
    "",
  ];
  for (const kind of kinds) {
    parts.push(`## ${titled(kind)}s`, "");
    for (const entry of all.filter((one) => one.kind === kind)) parts.push(...(await renderComponent(entry)));
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

async function renderComponent(entry: RegistryEntry): Promise<string[]> {
  const definition = await entry.load();
  const lines = [`### ${entry.type}`, ""];
  const aliases =
    entry.aliases.length === 0 ? "" : ` Also accepted: ${entry.aliases.map((name) => `\`${name}\``).join(", ")}.`;
  lines.push(`${definition.description ?? ""} ${stabilityOf(entry)}.${aliases}`.trim(), "");
  const rows = optionRows(definition.config);
  if (rows.length === 0) lines.push("No keys.", "");
  else lines.push("| key | type | default | meaning |", "| --- | --- | --- | --- |", ...rows.map(tableRow), "");
  lines.push("Example:", "", "```yaml", exampleOf(definition), "```", "");
  return lines;
}

function stabilityOf(entry: RegistryEntry): string {
  if (entry.kind === "extension") return `Stability: ${entry.extensionStability ?? "undefined"}`;
  const signals =
    entry.kind === "connector"
      ? entry.pairs.map(({ from, to, stability }) => `${from} to ${to} (${stability})`)
      : Object.entries(entry.stability).map(([signal, stability]) => `${signal} (${stability})`);
  return `Signals: ${signals.join(", ")}`;
}

function exampleOf({ kind, type }: AnyDefinition): string {
  return readFileSync(new URL(`../src/${kind}s/${type}/example.yaml`, import.meta.url), "utf8").trimEnd();
}

function tableRow({ path, type, fallback, description }: OptionRow): string {
  return `| ${[`\`${path}\``, type, fallback, description].map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** Every key of a section with its path, in the order of the schema. */
export function optionRows(schema: ZodType): OptionRow[] {
  const rows: OptionRow[] = [];
  collect(schema as unknown as Schema, [], rows);
  return rows;
}

function collect(outer: Schema, path: readonly string[], rows: OptionRow[]): void {
  if (path.length > maxDepth) return;
  const { schema } = unwrap(outer);
  const definition = schema._zod.def;
  if (definition.type === "array") collect(definition.element as Schema, inside(path), rows);
  else if (definition.type === "record") collect(definition.valueType as Schema, inside(path), rows);
  else if (definition.type === "object") {
    for (const [key, value] of Object.entries(definition.shape)) {
      const keyPath = [...path, key];
      rows.push(toRow(value as Schema, keyPath));
      collect(value as Schema, keyPath, rows);
    }
  }
  // A choice of shapes is one field type, such as headers, which its description explains.
}

/** `actions[]` for what is inside the list `actions`. */
function inside(path: readonly string[]): string[] {
  return [...path.slice(0, -1), `${path.at(-1) ?? ""}[]`];
}

function toRow(outer: Schema, path: readonly string[]): OptionRow {
  const { schema, description, fallback, isOptional } = unwrap(outer);
  const type = typeText(outer);
  const isSection = schema._zod.def.type === "object";
  const shown =
    fallback !== undefined ? (isSection ? "" : valueText(fallback.value, type)) : isOptional ? "" : "required";
  return { path: path.join("::"), type, fallback: shown, description };
}

/** The schema within its wrappers, with the outermost description and default. */
function unwrap(outer: Schema): Unwrapped {
  let schema = outer;
  let description = "";
  let fallback: Unwrapped["fallback"];
  let isOptional = false;
  for (let i = 0; i < maxDepth; i++) {
    description ||= (schema as unknown as ZodType).description ?? "";
    const definition = schema._zod.def;
    if (definition.type === "optional" || definition.type === "nullable") isOptional = true;
    if (definition.type === "default" || definition.type === "prefault") {
      fallback ??= { value: definition.defaultValue };
    }
    const inner = innerOf(schema);
    if (inner === undefined) break;
    schema = inner;
  }
  return { schema, description, fallback, isOptional };
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

function typeText(outer: Schema): string {
  const field = fieldTypeOf(outer);
  if (field !== undefined) return field;
  const { schema } = unwrap(outer);
  const definition = schema._zod.def;
  switch (definition.type) {
    case "string":
      return "text";
    case "number":
      return isWhole(schema) ? "whole number" : "number";
    case "boolean":
      return "true or false";
    case "enum":
      return Object.values(definition.entries)
        .map((word) => (word === "" ? '`""`' : `\`${word}\``))
        .join(", ");
    case "array":
      return listText(definition.element as Schema);
    case "record":
      return `map of ${plural(typeText(definition.valueType as Schema))}`;
    case "object":
      return "section";
    case "union":
      return [...new Set(definition.options.map((option) => typeText(option as Schema)))].join(" or ");
    case "never":
      return "nothing";
    default:
      return "any";
  }
}

function listText(element: Schema): string {
  const inner = unwrap(element).schema._zod.def.type;
  return inner === "object" ? "list of sections" : `list of ${plural(typeText(element))}`;
}

function plural(type: string): string {
  if (type === "any") return "anything";
  return /^(secret )?text$|number$|^section$/.test(type) ? `${type}s` : type;
}

function isWhole(schema: Schema): boolean {
  return "isInt" in schema && schema.isInt === true;
}

/** The field types that many components share are known by what they make of a text. */
function fieldTypeOf(outer: Schema): string | undefined {
  for (let schema: Schema | undefined = outer, i = 0; schema !== undefined && i < maxDepth; i++) {
    if (fieldMarks.get(schema as unknown as ZodType)?.mark === "secret") return "secret text";
    const definition = schema._zod.def;
    if (definition.type === "pipe" && (definition.in as Schema)._zod.def.type === "union") {
      const probed = schema as unknown as ZodType;
      if (probe(probed, "90m") === 5_400_000 || probe(probed, "1s") === 1000) return "duration";
      if (probe(probed, "20MiB") === 20_971_520) return "size";
      if (probe(probed, "50%") === 50) return "percentage";
    }
    schema = innerOf(schema);
  }
  return undefined;
}

function probe(schema: ZodType, text: string): unknown {
  return schema.safeParse(text).data;
}

function valueText(value: unknown, type: string): string {
  if (value === undefined) return "";
  if (type === "duration" && typeof value === "number") return `\`${shortDuration(value)}\``;
  return `\`${JSON.stringify(value)}\``;
}

/** `5m` rather than `5m0s`. */
function shortDuration(ms: number): string {
  return formatGoDuration(ms)
    .replace(/(?<=m)0s$/, "")
    .replace(/(?<=h)0m$/, "");
}

function titled(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(componentDocsFile, await renderComponentDocs());
  console.log("docs/components.md is written");
}
