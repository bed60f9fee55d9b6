/** Reads one map of a configuration: every key checked, every fault recorded with its path, nothing thrown. */

import { type ConfigNode, formatPath, type MapEntry, type ScalarNode } from "../../codec/yaml/config-node.ts";
import { nearestKey } from "../../codec/yaml/nearest-key.ts";
import { isSecretPath, withoutUrlSecrets } from "../../codec/yaml/secret-keys.ts";
import type { SourcePosition } from "../../model/errors.ts";
import { parseByteSize } from "./byte-size.ts";
import { type ConfigPath, type DecodeContext, fail } from "./decode-context.ts";
import { parseGoBoolean, parseGoNumber, parseGoUnsigned } from "./go-scalar.ts";
import { parsePromDuration } from "./prom-duration.ts";

const MAX_SHOWN = 60;

/** Names a node for a message: its text, shortened, or its kind. What may be a secret, or came from `${...}`, is not shown. */
export function describeNode(node: ConfigNode, path: ConfigPath): string {
  if (node.expansion !== undefined) {
    return `the value of ${isSecretPath(path) ? "a reference" : withoutUrlSecrets(node.expansion.reference, "xxxxx")}`;
  }
  if (node.kind !== "scalar") return `a ${node.kind}`;
  if (isNull(node)) return "nothing";
  if (isSecretPath(path)) return "a text";
  const text = withoutUrlSecrets(node.text, "xxxxx");
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text);
}

/** True for a key that is written without a value. */
export function isNull(node: ConfigNode | undefined): boolean {
  return node?.kind === "scalar" && node.value === null && !node.quoted;
}

/** What a string field receives; undefined for a map or a list. */
function scalarText(node: ConfigNode): string | undefined {
  if (node.kind !== "scalar") return undefined;
  return isNull(node) ? "" : node.text;
}

/**
 * One map, with the keys it may hold. As in Prometheus a key that is absent has its default, and a key that is
 * written without a value has the zero value of its type.
 */
export class SectionReader {
  readonly context: DecodeContext;
  readonly path: ConfigPath;
  readonly at: SourcePosition | undefined;
  /** True where the section was written as nothing. */
  readonly isNull: boolean;
  readonly #entries = new Map<string, MapEntry>();

  constructor(context: DecodeContext, node: ConfigNode | undefined, path: ConfigPath, keys: readonly string[]) {
    this.context = context;
    this.path = path;
    this.at = node?.at;
    this.isNull = isNull(node);
    if (node === undefined || this.isNull) return;
    if (node.kind !== "map") {
      fail(context, path, `expected a map, found ${describeNode(node, path)}`, node.at);
      return;
    }
    for (const entry of node.entries) this.#add(entry, keys);
  }

  #add(entry: MapEntry, keys: readonly string[]): void {
    const path = [...this.path, entry.key];
    if (!keys.includes(entry.key)) {
      const nearest = nearestKey(entry.key, keys);
      this.context.issues.push({ path: formatPath(path), message: "unknown key", at: entry.keyAt, nearest });
    } else if (this.#entries.has(entry.key)) {
      fail(this.context, path, "this key is set twice", entry.keyAt);
    } else {
      this.#entries.set(entry.key, entry);
    }
  }

  /** True where the key is written, with or without a value. */
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** True where the key is written with a value. */
  hasValue(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry !== undefined && !isNull(entry.value);
  }

  node(key: string): ConfigNode | undefined {
    return this.#entries.get(key)?.value;
  }

  keyAt(key: string): SourcePosition | undefined {
    return this.#entries.get(key)?.keyAt;
  }

  pathOf(key: string): ConfigPath {
    return [...this.path, key];
  }

  /** Records a fault of a key, or of the section itself where the key is not written. */
  fail(key: string, message: string): void {
    const entry = this.#entries.get(key);
    fail(this.context, this.pathOf(key), message, entry?.value.at ?? entry?.keyAt ?? this.at);
  }

  /** Records that a key has none of the words it may have, with the nearest one. */
  failWord(key: string, words: Iterable<string>): void {
    const node = this.node(key);
    const path = this.pathOf(key);
    const known = [...words];
    const found = node === undefined ? "" : `, found ${describeNode(node, path)}`;
    const nearest = node?.kind === "scalar" ? nearestKey(node.text, known) : undefined;
    const message = `expected one of ${known.join(", ")}${found}`;
    this.context.issues.push({ path: formatPath(path), message, at: node?.at ?? this.at, nearest });
  }

  section(key: string, keys: readonly string[]): SectionReader {
    return new SectionReader(this.context, this.node(key), this.pathOf(key), keys);
  }

  string(key: string, fallback = ""): string {
    return this.#scalar(key, fallback, "", "a string", (node) => node.text);
  }

  /** As `string`, but a fault never shows the value. */
  secret(key: string): string {
    const node = this.node(key);
    if (node === undefined) return "";
    const text = scalarText(node);
    if (text === undefined) this.fail(key, `expected a string, found a ${node.kind}`);
    return text ?? "";
  }

  boolean(key: string, fallback: boolean): boolean {
    return this.#scalar(key, fallback, false, "true or false", parseGoBoolean);
  }

  /** A boolean that inherits where it is absent or written as nothing. */
  optionalBoolean(key: string): boolean | undefined {
    return this.hasValue(key) ? this.boolean(key, false) : undefined;
  }

  /** A whole number of at least 0; fractions are cut. */
  unsigned(key: string, fallback = 0): number {
    const parse = (node: ScalarNode): number | undefined => {
      const value = parseGoUnsigned(node);
      return value === undefined ? undefined : Math.min(Number(value), Number.MAX_SAFE_INTEGER);
    };
    return this.#scalar(key, fallback, 0, "a whole number of at least 0", parse);
  }

  /** A whole number; fractions are cut. */
  integer(key: string, fallback = 0): number {
    const parse = (node: ScalarNode): number | undefined => {
      const value = parseGoNumber(node);
      return value === undefined || !Number.isFinite(value) ? undefined : Math.trunc(value);
    };
    return this.#scalar(key, fallback, 0, "a whole number", parse);
  }

  unsignedBig(key: string): bigint {
    return this.#scalar(key, 0n, 0n, "a whole number of at least 0", parseGoUnsigned);
  }

  number(key: string, fallback = 0): number {
    return this.#scalar(key, fallback, 0, "a number", parseGoNumber);
  }

  durationMs(key: string, fallbackMs: number): number {
    const expected = "a duration such as 30s or 1h30m";
    return this.#scalar(key, fallbackMs, 0, expected, (node) => parsePromDuration(node.text));
  }

  sizeBytes(key: string): number {
    return this.#scalar(key, 0, 0, "a size with its unit such as 15MB", (node) => parseByteSize(node.text));
  }

  /** The items of a list with their paths; a key that is absent or written as nothing has none. */
  items(key: string): { readonly node: ConfigNode; readonly path: ConfigPath }[] {
    const node = this.node(key);
    if (node === undefined || isNull(node)) return [];
    if (node.kind !== "list") {
      this.fail(key, `expected a list, found ${describeNode(node, this.pathOf(key))}`);
      return [];
    }
    return node.items.map((item, index) => ({ node: item, path: [...this.pathOf(key), index] }));
  }

  strings(key: string, options: { secret?: boolean } = {}): string[] {
    return this.items(key).map(({ node, path }) => {
      const text = scalarText(node);
      if (text === undefined) {
        const found = options.secret === true ? `a ${node.kind}` : describeNode(node, path);
        fail(this.context, path, `expected a string, found ${found}`, node.at);
      }
      return text ?? "";
    });
  }

  /** The entries of a map whose keys are free, each once. */
  entries(key: string): readonly MapEntry[] {
    const node = this.node(key);
    if (node === undefined || isNull(node)) return [];
    if (node.kind !== "map") {
      this.fail(key, `expected a map, found ${describeNode(node, this.pathOf(key))}`);
      return [];
    }
    const seen = new Set<string>();
    for (const entry of node.entries) {
      if (seen.has(entry.key))
        fail(this.context, [...this.pathOf(key), entry.key], "this key is set twice", entry.keyAt);
      seen.add(entry.key);
    }
    return node.entries;
  }

  stringMap(key: string): [name: string, value: string][] {
    return this.entries(key).map((entry) => {
      const text = scalarText(entry.value);
      if (text === undefined) {
        const path = [...this.pathOf(key), entry.key];
        fail(this.context, path, `expected a string, found ${describeNode(entry.value, path)}`, entry.value.at);
      }
      return [entry.key, text ?? ""];
    });
  }

  #scalar<Value>(
    key: string,
    fallback: Value,
    zero: Value,
    expected: string,
    parse: (node: ScalarNode) => Value | undefined,
  ): Value {
    const node = this.node(key);
    if (node === undefined) return fallback;
    if (isNull(node)) return zero;
    const value = node.kind === "scalar" ? parse(node) : undefined;
    if (value === undefined) this.fail(key, `expected ${expected}, found ${describeNode(node, this.pathOf(key))}`);
    return value ?? fallback;
  }
}
