/** Reads scalars as the YAML package of Prometheus does: only unquoted text is a number or a boolean. */

import type { ScalarNode } from "../../codec/yaml/config-node.ts";

/** Spellings of YAML 1.1 that the tree holds as text. */
const TRUE = /^(?:y|Y|yes|Yes|YES|on|On|ON)$/;
const FALSE = /^(?:n|N|no|No|NO|off|Off|OFF)$/;
const MAX_UINT64 = (1n << 64n) - 1n;

/** A boolean, in every spelling of YAML 1.1; undefined for anything else. */
export function parseGoBoolean(node: ScalarNode): boolean | undefined {
  if (typeof node.value === "boolean") return node.value;
  if (node.quoted) return undefined;
  if (TRUE.test(node.text)) return true;
  return FALSE.test(node.text) ? false : undefined;
}

/** A number; undefined for anything else. */
export function parseGoNumber(node: ScalarNode): number | undefined {
  return typeof node.value === "number" || typeof node.value === "bigint" ? Number(node.value) : undefined;
}

/** A whole number from 0 to 2^64-1, fractions cut; undefined for anything else. */
export function parseGoUnsigned(node: ScalarNode): bigint | undefined {
  const { value } = node;
  if (typeof value === "bigint") return value >= 0n && value <= MAX_UINT64 ? value : undefined;
  // A number just above the largest is taken for it: 64-bit floats cannot tell them apart.
  if (typeof value !== "number" || !(value >= 0 && value <= 2 ** 64)) return undefined;
  const whole = BigInt(Math.trunc(value));
  return whole > MAX_UINT64 ? MAX_UINT64 : whole;
}
