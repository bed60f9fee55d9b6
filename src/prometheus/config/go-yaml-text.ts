/** Writes a tree as YAML text byte for byte as Prometheus prints its configuration; queue names are hashes of it. */

import { BEST_WIDTH, goYamlScalar } from "./go-yaml-scalar.ts";

/** A string, a number or boolean, a list (`flow`: on one line), or a map in the order it is to be written. */
export type GoYaml =
  | string
  | number
  | bigint
  | boolean
  | readonly GoYaml[]
  | { readonly flow: readonly string[] }
  | GoYamlMap;

type GoYamlMap = { readonly map: readonly (readonly [key: string, value: GoYaml])[] };

function isList(value: GoYaml): value is readonly GoYaml[] {
  return Array.isArray(value);
}

function isMap(value: GoYaml): value is GoYamlMap {
  return typeof value === "object" && !isList(value) && "map" in value;
}

/** The text of a map, with a line break at its end. */
export function goYamlText(map: readonly (readonly [key: string, value: GoYaml])[]): string {
  return mapLines(map, 0).join("\n") + "\n";
}

function mapLines(map: readonly (readonly [string, GoYaml])[], indent: number): string[] {
  return map.flatMap(([key, value]) => {
    const keyText = goYamlScalar(key, { column: indent, indent, inFlow: false, isKey: true });
    return entryLines(`${" ".repeat(indent)}${keyText}:`, value, indent, indent);
  });
}

/** The lines of `head` and the value behind it; a list begins in the column of its key. */
function entryLines(head: string, value: GoYaml, indent: number, listIndent: number): string[] {
  if (isMap(value)) return value.map.length === 0 ? [`${head} {}`] : [head, ...mapLines(value.map, indent + 2)];
  if (isList(value)) return value.length === 0 ? [`${head} []`] : [head, ...listLines(value, listIndent)];
  return [`${head} ${inline(value, Array.from(head).length + 1, indent + 2)}`];
}

function listLines(items: readonly GoYaml[], indent: number): string[] {
  return items.flatMap((item) => {
    const head = `${" ".repeat(indent)}-`;
    const lines = isMap(item) ? mapLines(item.map, indent + 2) : isList(item) ? listLines(item, indent + 2) : [];
    if (lines.length === 0) return entryLines(head, item, indent, indent);
    return [`${head} ${(lines[0] ?? "").slice(indent + 2)}`, ...lines.slice(1)];
  });
}

type GoYamlScalar = string | number | bigint | boolean | { readonly flow: readonly string[] };

function inline(value: GoYamlScalar, column: number, indent: number): string {
  if (typeof value === "string") return goYamlScalar(value, { column, indent, inFlow: false, isKey: false });
  return typeof value === "object" ? flowText(value.flow, column, indent) : String(value);
}

function flowText(items: readonly string[], startColumn: number, indent: number): string {
  let out = "[";
  let column = startColumn + 1;
  for (const [index, item] of items.entries()) {
    if (index > 0) {
      out += ",";
      column += 1;
    }
    if (column > BEST_WIDTH) {
      out += `\n${" ".repeat(indent)}`;
      column = indent;
    } else if (index > 0) {
      out += " ";
      column += 1;
    }
    const text = goYamlScalar(item, { column, indent: indent + 2, inFlow: true, isKey: false });
    out += text;
    const lastBreak = text.lastIndexOf("\n");
    column = lastBreak < 0 ? column + Array.from(text).length : Array.from(text).length - lastBreak - 1;
  }
  return `${out}]`;
}

/** Sorts map keys as the YAML package does: letters behind other characters, runs of digits by their number. */
export function compareGoYamlKeys(left: string, right: string): number {
  const a = Array.from(left);
  const b = Array.from(right);
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x = "", y = ""] = [a[i], b[i]];
    if (x === y) continue;
    const [xIsLetter, yIsLetter] = [/\p{L}/u.test(x), /\p{L}/u.test(y)];
    if (xIsLetter && yIsLetter) return compareCodePoints(x, y);
    if (xIsLetter || yIsLetter) return yIsLetter ? -1 : 1;
    return compareNumbers(a.slice(i), b.slice(i)) || compareCodePoints(x, y);
  }
  return a.length - b.length;
}

function compareNumbers(a: readonly string[], b: readonly string[]): number {
  const digits = (text: readonly string[]): string => /^\d*/.exec(text.join(""))?.[0] ?? "";
  const [left, right] = [digits(a), digits(b)];
  const difference = BigInt(left || "0") - BigInt(right || "0");
  if (difference !== 0n) return difference < 0n ? -1 : 1;
  return left.length - right.length;
}

function compareCodePoints(x: string, y: string): number {
  return (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0);
}
