/** A hash by which a reload sees whether a part of the configuration changed. */

import { createHash } from "node:crypto";

/** SHA-256 of the content, secrets included; equal content gives equal text whatever the order of map keys. */
export function fingerprintOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content, stableValue)).digest("hex");
}

function stableValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
