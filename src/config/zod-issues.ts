/** Runs a component's schema over its configuration section and says what is wrong, where, in plain words. */

import type { ZodType } from "zod";
import type * as core from "zod/v4/core";
import type { ConfigNode, MapNode } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, isNullNode, nodeAt, positionAt } from "../codec/yaml/config-node.ts";
import { nearestKey } from "../codec/yaml/nearest-key.ts";
import type { ConfigIssue, SourcePosition } from "../model/errors.ts";
import { describeNode, listed, wordIssue } from "./issue-wording.ts";
import { schemaInput } from "./schema-input.ts";
import { acceptsNull, knownKeys, shapeOf } from "./schema-shape.ts";

export interface Decoded<T> {
  /** The decoded section; undefined when there are issues. */
  readonly value: T | undefined;
  readonly issues: ConfigIssue[];
}

type Path = readonly (string | number)[];

/** Most valid keys that are listed for an unknown key that resembles none of them. */
const maxKeysListed = 12;

/**
 * Decodes a section with a schema. An absent or empty section is decoded as an empty map, so that defaults apply, unless
 * the schema accepts null. `basePath` is the section's own path, e.g. `["processors", "batch"]`; paths and positions of all
 * issues are complete. Never throws for what a configuration contains.
 */
export function decodeWithSchema<T>(schema: ZodType<T>, node: ConfigNode | undefined, basePath: Path): Decoded<T> {
  const run = new DecodeRun(node, basePath);
  const result = schema.safeParse(run.input(schema), { error: (issue) => run.word(issue) });
  if (result.success) return { value: result.data, issues: [] };
  run.addAll(result.error.issues, []);
  return { value: undefined, issues: run.issues };
}

class DecodeRun {
  readonly issues: ConfigIssue[] = [];
  readonly #root: ConfigNode | undefined;
  readonly #basePath: Path;
  /** The valid keys of the objects that found unknown ones; zod's final issues carry only a message, so that names them. */
  readonly #validKeys = new Map<string, string[]>();

  constructor(root: ConfigNode | undefined, basePath: Path) {
    this.#root = root;
    this.#basePath = basePath;
  }

  input(schema: ZodType): unknown {
    const node = this.#root;
    if (node === undefined || (isNullNode(node) && !acceptsNull(shapeOf(schema)))) return {};
    return schemaInput(node, schema);
  }

  word(issue: core.$ZodRawIssue): string {
    if (issue.code !== "unrecognized_keys") return wordIssue(issue);
    const token = `unknown key #${this.#validKeys.size}`;
    this.#validKeys.set(token, issue.inst === undefined ? [] : knownKeys(issue.inst as core.$ZodType));
    return token;
  }

  addAll(issues: readonly core.$ZodIssue[], prefix: Path): void {
    for (const issue of issues) this.#add(issue, [...prefix, ...issue.path.map(pathPart)]);
  }

  #add(issue: core.$ZodIssue, path: Path): void {
    switch (issue.code) {
      case "unrecognized_keys":
        for (const key of issue.keys) this.#addUnknownKey(path, key, this.#validKeys.get(issue.message) ?? []);
        return;
      case "invalid_union":
        this.#addUnion(issue, path);
        return;
      case "invalid_key":
        this.#addKey(path, issue.issues[0]?.message ?? issue.message);
        return;
      case "custom":
        if (Array.isArray(issue.params?.["configIssues"]))
          this.#addNested(issue.params["configIssues"] as ConfigIssue[], path);
        else this.#addMessage(issue.message, path);
        return;
      case "invalid_value":
        this.#addMessage(issue.message, path, issue.values);
        return;
      default:
        this.#addMessage(issue.message, path);
    }
  }

  #addMessage(message: string, path: Path, values: readonly unknown[] = []): void {
    const node = this.#root === undefined ? undefined : nodeAt(this.#root, path);
    const found = node === undefined ? "" : foundText(message, node, [...this.#basePath, ...path]);
    const text =
      node?.kind === "scalar" && typeof node.value === "string" && node.expansion === undefined ? node.value : "";
    const nearest = nearestKey(
      text,
      values.filter((value) => typeof value === "string"),
    );
    this.#push(path, message + found, positionAt(this.#root, path), nearest);
  }

  #addUnknownKey(path: Path, key: string, validKeys: readonly string[]): void {
    const nearest = nearestKey(key, validKeys);
    const hint = nearest === undefined && validKeys.length > 0 && validKeys.length <= maxKeysListed;
    const message = hint ? `unknown key, expected ${listed(validKeys)}` : "unknown key";
    this.#push([...path, key], message, this.#keyPosition(path, key), nearest);
  }

  #addKey(path: Path, message: string): void {
    const key = String(path.at(-1) ?? "");
    const found = message.startsWith("expected ") ? `, got ${JSON.stringify(key)}` : "";
    this.#push(path, message + found, this.#keyPosition(path.slice(0, -1), key));
  }

  #addNested(nested: readonly ConfigIssue[], path: Path): void {
    const head = formatPath([...this.#basePath, ...path]);
    for (const issue of nested) {
      const joined = issue.path === "" || issue.path.startsWith("[") ? head + issue.path : `${head}::${issue.path}`;
      this.issues.push({ ...issue, path: joined, at: issue.at ?? positionAt(this.#root, path) });
    }
  }

  /** Reports the alternative that came nearest: the one that took the value's kind and only minds something inside. */
  #addUnion(issue: core.$ZodIssueInvalidUnion, path: Path): void {
    if (issue.message !== "expected another kind of value" || issue.errors.length === 0) {
      this.#addMessage(issue.message, path, "options" in issue && Array.isArray(issue.options) ? issue.options : []);
      return;
    }
    const deep = issue.errors.filter((errors) =>
      errors.every((error) => error.path.length > 0 || error.code !== "invalid_type"),
    );
    const nearest = deep.toSorted((a, b) => a.length - b.length)[0];
    if (nearest !== undefined) {
      this.addAll(nearest, path);
      return;
    }
    const expected = issue.errors.flat().map((error) => error.message);
    const names = [...new Set(expected)].map((message) => message.replace(/^expected /, ""));
    this.#addMessage(names.includes("required") ? "required" : `expected ${names.join(" or ")}`, path);
  }

  #keyPosition(path: Path, key: string): SourcePosition | undefined {
    const parent = this.#root === undefined ? undefined : nodeAt(this.#root, path);
    const entry = (parent as MapNode | undefined)?.entries?.find((one) => one.key === key);
    return entry?.keyAt ?? childNode(parent, key)?.at ?? positionAt(this.#root, path);
  }

  #push(path: Path, message: string, at: SourcePosition | undefined, nearest?: string | undefined): void {
    this.issues.push({ path: formatPath([...this.#basePath, ...path]), message, at, nearest });
  }
}

/** `, got "200"`, for messages that say what was expected; others speak for themselves. */
function foundText(message: string, node: ConfigNode, path: Path): string {
  if (!message.startsWith("expected ") || message.includes(", got ")) return "";
  const isUnquoted = node.kind === "scalar" && typeof node.value !== "string" && node.value !== null;
  const quote =
    isUnquoted && message === "expected a text" && node.expansion === undefined ? ` (put quotes around it)` : "";
  return `, got ${describeNode(node, path)}${quote}`;
}

function pathPart(part: PropertyKey): string | number {
  return typeof part === "symbol" ? String(part) : part;
}
