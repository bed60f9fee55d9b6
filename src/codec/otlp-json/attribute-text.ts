/** Attribute values as text, in the words of the Collector: for debug output, conversions and labels. */

import type { Attributes, AttributeValue } from "../../model/attributes.ts";

/** A double as JavaScript and JSON write it, and NaN, Infinity, -Infinity. */
function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value).replace("e+", "e+");
}

/** The text of a value: itself for a string, JSON for arrays and maps, base64 for bytes, nothing for an empty value. */
export function attributeText(value: AttributeValue): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return doubleText(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return nestedJson(value);
}

/** The type word that the Collector prints for a value. */
export function attributeTypeName(value: AttributeValue): string {
  if (value === null) return "Empty";
  if (typeof value === "string") return "Str";
  if (typeof value === "boolean") return "Bool";
  if (typeof value === "bigint") return "Int";
  if (typeof value === "number") return "Double";
  if (value instanceof Uint8Array) return "Bytes";
  return value instanceof Map ? "Map" : "Slice";
}

function nestedJson(value: AttributeValue): string {
  if (value === null) return "null";
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? doubleText(value) : JSON.stringify(doubleText(value));
  if (typeof value === "string") return quoteJson(value);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  if (value instanceof Map) {
    const entries = [...(value as Attributes)].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${quoteJson(key)}:${nestedJson(item)}`).join(",")}}`;
  }
  return `[${(value as readonly AttributeValue[]).map(nestedJson).join(",")}]`;
}

/** JSON strings as Go writes them: the two separators that JavaScript once could not read are escaped. */
export function quoteJson(text: string): string {
  const quoted = JSON.stringify(text);
  if (!/[\u2028\u2029]/.test(quoted)) return quoted;
  return quoted.replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
