/** The file format of target groups, `[{targets: [...], labels: {...}}]`, as files and HTTP endpoints give it. */

import type { ConfigNode } from "../../codec/yaml/config-node.ts";
import { parseYaml } from "../../codec/yaml/parse-yaml.ts";
import { DecodeError, formatConfigIssue, toError } from "../../model/errors.ts";
import type { Labels } from "./target-group.ts";
import { toLabels } from "./target-group.ts";

/** A group as written, its source not yet known. */
export interface WrittenGroup {
  readonly addresses: readonly string[];
  readonly labels: Labels;
}

const format = "target groups";
/** The byte order mark stays in the text: in JSON it is an error. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function fail(message: string, offset = 0): never {
  throw new DecodeError(format, offset, message);
}

/** Reads JSON. Unknown keys, null groups and anything that is no string are errors; throws DecodeError. */
export function parseJsonGroups(bytes: Uint8Array): WrittenGroup[] {
  const root = parseJson(decoder.decode(bytes));
  if (root === null) return [];
  if (!Array.isArray(root)) return fail(`expected a list of groups, got ${kindOf(root)}`);
  return root.map(readJsonGroup);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's message repeats a piece of the input, which may be somebody's error page; only the place is kept.
    const position = /at position (\d+)/.exec(toError(error).message)?.[1];
    return fail(text.trim() === "" ? "empty, not JSON" : "not valid JSON", Number(position ?? "0"));
  }
}

function readJsonGroup(group: unknown, index: number): WrittenGroup {
  const place = `[${index}]`;
  if (group === null) return fail(`${place}: a group is null`);
  if (!isObject(group)) return fail(`${place}: expected a group, got ${kindOf(group)}`);
  let addresses: string[] = [];
  let labels: Labels = toLabels([]);
  for (const [key, value] of Object.entries(group)) {
    // Go's decoder takes keys in any case.
    const name = key.toLowerCase();
    if (name === "targets") addresses = readJsonTargets(value, place);
    else if (name === "labels") labels = readJsonLabels(value, place);
    else fail(`${place}: unknown field ${JSON.stringify(key)}`);
  }
  return { addresses, labels };
}

function readJsonTargets(value: unknown, place: string): string[] {
  if (value === null) return [];
  if (!Array.isArray(value)) return fail(`${place}::targets: expected a list of strings, got ${kindOf(value)}`);
  return value.map((target: unknown, index) => readJsonString(target, `${place}::targets[${index}]`));
}

function readJsonLabels(value: unknown, place: string): Labels {
  if (value === null) return toLabels([]);
  if (!isObject(value)) return fail(`${place}::labels: expected a map of strings, got ${kindOf(value)}`);
  return toLabels(
    Object.entries(value).map(([name, text]) => {
      if (name === "") fail(`${place}::labels: "" is not a valid label name`);
      return [name.toWellFormed(), readJsonString(text, `${place}::labels::${name}`)] as const;
    }),
  );
}

function readJsonString(value: unknown, place: string): string {
  if (value === null) return "";
  if (typeof value !== "string") return fail(`${place}: expected a string, got ${kindOf(value)}`);
  return value.toWellFormed();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : typeof value;
}

/** Reads YAML as strictly; an empty document is an empty list. Throws DecodeError. `file` names it in messages. */
export function parseYamlGroups(bytes: Uint8Array, file: string): WrittenGroup[] {
  const { root, issues } = parseYaml(new TextDecoder().decode(bytes), file);
  const issue = issues[0];
  if (issue !== undefined) return fail(formatConfigIssue(issue));
  if (root === undefined || isNull(root)) return [];
  if (root.kind !== "list") return fail(`expected a list of groups, got a ${root.kind}`);
  return root.items.map(readYamlGroup);
}

function readYamlGroup(node: ConfigNode, index: number): WrittenGroup {
  const place = `[${index}]`;
  if (isNull(node)) return fail(`${place}: a group is null`);
  if (node.kind !== "map") return fail(`${place}: expected a group, got a ${node.kind}`);
  let addresses: string[] = [];
  let labels: Labels = toLabels([]);
  for (const { key, value } of node.entries) {
    if (key === "targets") addresses = readYamlTargets(value, place);
    else if (key === "labels") labels = readYamlLabels(value, place);
    else fail(`${place}: unknown field ${JSON.stringify(key)}`);
  }
  return { addresses, labels };
}

function readYamlTargets(node: ConfigNode, place: string): string[] {
  if (isNull(node)) return [];
  if (node.kind !== "list") return fail(`${place}::targets: expected a list of strings, got a ${node.kind}`);
  return node.items.map((item, index) => readYamlString(item, `${place}::targets[${index}]`));
}

function readYamlLabels(node: ConfigNode, place: string): Labels {
  if (isNull(node)) return toLabels([]);
  if (node.kind !== "map") return fail(`${place}::labels: expected a map of strings, got a ${node.kind}`);
  return toLabels(
    node.entries.map(({ key, value }) => {
      if (key === "") fail(`${place}::labels: "" is not a valid label name`);
      return [key, readYamlString(value, `${place}::labels::${key}`)] as const;
    }),
  );
}

/** The text of a scalar as written, so that `port: 0080` keeps its zeros; nothing for null. */
function readYamlString(node: ConfigNode, place: string): string {
  if (node.kind !== "scalar") return fail(`${place}: expected a string, got a ${node.kind}`);
  return isNull(node) ? "" : node.text;
}

function isNull(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null;
}
