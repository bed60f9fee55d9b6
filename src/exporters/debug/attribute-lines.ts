/** Pieces of debug text that all signals share. */

import type { EntityRefData, ResourceData } from "../../codec/otlp/traces-data.ts";
import { attributeText, attributeTypeName } from "../../codec/otlp-json/attribute-text.ts";
import { type Attributes, noAttributes } from "../../model/attributes.ts";

/** Stands before every item of a list. */
export const indent = "     ->";

/** A heading and a line per attribute; below a heading that is an item itself, they are indented further. */
export function attributeLines(heading: string, attributes: Attributes): string[] {
  if (attributes.size === 0) return [];
  const prefix = heading.startsWith(indent) ? `     ${indent}` : indent;
  const items = Array.from(attributes, ([key, value]) => {
    return `${prefix} ${key}: ${attributeTypeName(value)}(${attributeText(value)})`;
  });
  return [`${heading}:`, ...items];
}

/** What a resource is: its attributes, and the entities that it describes. */
export function resourceLines(resource: Pick<ResourceData, "attributes" | "entityRefs"> | undefined): string[] {
  const { attributes = noAttributes, entityRefs = [] } = resource ?? {};
  const lines = attributeLines("Resource attributes", attributes);
  if (entityRefs.length > 0) lines.push("Resource entity refs:");
  for (const [i, ref] of entityRefs.entries()) lines.push(...entityLines(i, ref));
  return lines;
}

function entityLines(index: number, { type, schemaUrl, idKeys, descriptionKeys }: EntityRefData): string[] {
  const prefix = `     ${indent}`;
  const keyLines = (heading: string, keys: readonly string[]) =>
    keys.length === 0 ? [] : [`${prefix} ${heading}:`, ...keys.map((key) => `          ${indent} ${key}`)];
  return [
    `${indent} Entity ref #${index}:`,
    `${prefix} Type: ${type}`,
    ...(schemaUrl === "" ? [] : [`${prefix} Schema URL: ${schemaUrl}`]),
    ...keyLines("ID keys", idKeys),
    ...keyLines("Description keys", descriptionKeys),
  ];
}

/** `key=value` of every attribute. */
export function attributePairs(attributes: Attributes): string[] {
  return Array.from(attributes, ([key, value]) => `${key}=${attributeText(value)}`);
}

/** Each text behind a blank. */
export function spaced(texts: readonly string[]): string {
  return texts.map((text) => ` ${text}`).join("");
}

/** Name, version and schema of a scope, as far as there are. */
export function scopeDetails(name: string, version: string, schemaUrl: string): string {
  const nameText = name + (version === "" ? "" : `@${version}`);
  const schema = schemaUrl === "" ? "" : `[${schemaUrl}]`;
  return spaced([nameText, schema].filter((text) => text !== ""));
}

/** As Go prints a time in UTC, for example `2023-11-14 22:13:20.12 +0000 UTC`. */
export function timeText(nanos: bigint): string {
  // Go keeps nanoseconds in a signed integer.
  const signed = BigInt.asIntN(64, nanos);
  const fraction = ((signed % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const date = new Date(Number((signed - fraction) / 1_000_000n)).toISOString();
  const digits = fraction === 0n ? "" : `.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
  return `${date.slice(0, 10)} ${date.slice(11, 19)}${digits} +0000 UTC`;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
