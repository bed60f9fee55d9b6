/** Templates such as `$1:${port}`, expanded from a match by the rules of Go's `regexp.Expand`. */

/** What a match captured: the whole match first, undefined for a group that took no part. */
export type Groups = readonly (string | undefined)[];

type Part = string | number;

/** A template whose group names have been looked up. */
export interface Template {
  /** True when the text has no `$` at all, hence expands to itself. */
  readonly isLiteral: boolean;
  expand(groups: Groups): string;
}

const groupName = /^[\p{L}\p{Nd}_]+/u;
const groupNumber = /^(0|[1-9][0-9]{0,8})$/;

/** True when a text contains `$`, hence may expand to something else. */
export function hasVariables(text: string): boolean {
  return text.includes("$");
}

/**
 * Prepares a template for the groups of one expression. `$$` is a dollar sign; a name takes as many letters, digits and
 * underscores as follow (`$1x` is the group `1x`); an unknown group is empty; a malformed reference keeps its dollar sign.
 */
export function compileTemplate(text: string, groupIndexes: ReadonlyMap<string, number>): Template {
  if (!hasVariables(text)) return { isLiteral: true, expand: () => text };
  const parts = parseTemplate(text, groupIndexes);
  const only = parts[0];
  if (parts.length === 1 && typeof only === "number") {
    return { isLiteral: false, expand: (groups) => groups[only] ?? "" };
  }
  return {
    isLiteral: false,
    expand(groups) {
      let result = "";
      for (const part of parts) result += typeof part === "string" ? part : (groups[part] ?? "");
      return result;
    },
  };
}

function parseTemplate(text: string, groupIndexes: ReadonlyMap<string, number>): Part[] {
  const parts: Part[] = [];
  let rest = text;
  for (;;) {
    const dollar = rest.indexOf("$");
    if (dollar < 0) break;
    if (dollar > 0) parts.push(rest.slice(0, dollar));
    rest = rest.slice(dollar + 1);
    if (rest.startsWith("$")) {
      parts.push("$");
      rest = rest.slice(1);
      continue;
    }
    const reference = readReference(rest);
    if (reference === undefined) {
      parts.push("$");
      continue;
    }
    const index = groupNumber.test(reference.name) ? Number(reference.name) : groupIndexes.get(reference.name);
    if (index !== undefined) parts.push(index);
    rest = rest.slice(reference.length);
  }
  if (rest !== "") parts.push(rest);
  return parts;
}

/** The name after a dollar sign and how many characters the reference takes, or undefined when it is malformed. */
function readReference(text: string): { name: string; length: number } | undefined {
  const isBraced = text.startsWith("{");
  const name = groupName.exec(isBraced ? text.slice(1) : text)?.[0];
  if (name === undefined) return undefined;
  if (!isBraced) return { name, length: name.length };
  return text[name.length + 1] === "}" ? { name, length: name.length + 2 } : undefined;
}
