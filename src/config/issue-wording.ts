/** Says in plain words what a zod schema expected, and what stood there instead. */

import type * as core from "zod/v4/core";
import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { isSecretPath, withoutUrlSecrets } from "../codec/yaml/secret-keys.ts";

const expectedNames: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  bigint: "a whole number",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  map: "a map",
  array: "a list",
  tuple: "a list",
  set: "a list",
  null: "nothing",
};

const maxListedValues = 20;
const maxShownLength = 60;

/** What was expected, beginning with `expected `; what was found is added by the decoder. */
export function wordIssue(issue: core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "required";
      return `expected ${expectedName(issue.expected)}`;
    case "invalid_value":
      return `expected ${listed(issue.values)}`;
    case "too_small":
      return wordBound(issue, "least", issue.minimum, issue.inclusive !== false);
    case "too_big":
      return wordBound(issue, "most", issue.maximum, issue.inclusive !== false);
    case "not_multiple_of":
      return `expected a multiple of ${issue.divisor}`;
    case "invalid_format":
      return issue.format === "regex"
        ? `expected a text that matches ${issue.pattern}`
        : `expected ${formatName(issue.format)}`;
    case "invalid_union":
      return Array.isArray(issue.options) ? `expected ${listed(issue.options)}` : "expected another kind of value";
    case "invalid_key":
      return "expected another key";
    default:
      return "expected a valid value";
  }
}

function expectedName(expected: unknown): string {
  return expectedNames[String(expected)] ?? String(expected);
}

function formatName(format: unknown): string {
  const name = String(format);
  const names: Readonly<Record<string, string>> = {
    url: "a URL",
    ipv4: "an IPv4 address",
    ipv6: "an IPv6 address",
    uuid: "a UUID",
  };
  return names[name] ?? `a text in the form ${name}`;
}

function wordBound(issue: core.$ZodRawIssue, side: "least" | "most", bound: unknown, inclusive: boolean): string {
  const origin = "origin" in issue ? String(issue.origin) : "number";
  if (origin === "string") {
    return side === "least" && Number(bound) === 1
      ? "expected a text that is not empty"
      : `expected at ${side} ${bound} characters`;
  }
  if (origin === "array" || origin === "set" || origin === "map" || origin === "object") {
    return `expected at ${side} ${bound} ${Number(bound) === 1 ? "item" : "items"}`;
  }
  if (origin === "int" && Math.abs(Number(bound)) === Number.MAX_SAFE_INTEGER)
    return "expected a whole number of at most 53 bits";
  if (inclusive) return `expected at ${side} ${bound}`;
  return `expected ${side === "least" ? "more" : "less"} than ${bound}`;
}

/** `"a", "b" or "c"`, cut short when there are many. */
export function listed(values: readonly unknown[]): string {
  const shown = values
    .slice(0, maxListedValues)
    .map((value) => (typeof value === "string" ? JSON.stringify(value) : String(value)));
  if (values.length > maxListedValues) return `${shown.join(", ")} or one of ${values.length - maxListedValues} more`;
  const last = shown.pop() ?? "nothing";
  return shown.length === 0 ? last : `${shown.join(", ")} or ${last}`;
}

/**
 * What stands at a place of the configuration, for messages. A value that came from `${...}` is named by its reference,
 * because it may be a secret; one whose path sounds like a secret is not shown.
 */
export function describeNode(node: ConfigNode, path: readonly (string | number)[] = []): string {
  if (node.expansion !== undefined) return `the value of ${shownText(node.expansion.reference, path)}`;
  if (node.kind === "map") return "a map";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "nothing";
  if (typeof node.value === "boolean") return node.text;
  if (isSecretPath(path)) return typeof node.value === "string" ? "a text" : "a number";
  return typeof node.value === "string" ? JSON.stringify(shownText(node.value, path)) : cut(node.text);
}

/** Of a text with more than a reference in it, that may be a secret too, only the references are shown. */
function shownText(text: string, path: readonly (string | number)[]): string {
  const shown = isSecretPath(path) ? (text.match(/\$\{[^{}]*\}/g) ?? []).join(" and ") : text;
  return cut(withoutUrlSecrets(shown, "xxxxx"));
}

function cut(text: string): string {
  return text.length > maxShownLength ? `${text.slice(0, maxShownLength)}...` : text;
}
