/** Reads YAML text into a configuration tree with positions, the way Go's yaml.v3 understands it. */

import type { Alias, Node, Pair, ParsedNode, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser } from "yaml";
import type { ConfigIssue, SourcePosition } from "../../model/errors.ts";
import type { ConfigNode, ListNode, MapEntry, MapNode, ScalarNode, ScalarValue } from "./config-node.ts";
import { parsePlainScalar } from "./plain-scalar.ts";

/** Longest text that is parsed, in UTF-16 units. */
export const maxYamlLength = 32 * 1024 * 1024;
/** Deepest nesting of maps and lists. */
export const maxYamlDepth = 200;
/** Most values that aliases may add to a document, which stops "billion laughs". */
export const maxAliasedValues = 100_000;
/** Issues reported for one text; a file that is not YAML at all would give one per line. */
const maxIssues = 50;

export interface ParseYamlOptions {
  /** What a second document is: an error (default), or ignored as the Collector does. */
  readonly furtherDocuments?: "refuse" | "ignore";
}

export interface ParsedYaml {
  /** The tree; undefined when the text is empty or cannot be read. */
  readonly root: ConfigNode | undefined;
  readonly issues: ConfigIssue[];
  /** Where a second document begins, if there is one. */
  readonly secondDocumentAt: SourcePosition | undefined;
}

/** Parses one YAML document. Never throws; `file` is the name that positions carry. */
export function parseYaml(text: string, file: string, options: ParseYamlOptions = {}): ParsedYaml {
  const failed = (message: string): ParsedYaml => ({
    root: undefined,
    issues: [{ path: "", message, at: { file, line: 1, column: 1 } }],
    secondDocumentAt: undefined,
  });
  if (text.length > maxYamlLength)
    return failed(`expected at most ${maxYamlLength} characters of YAML, got ${text.length}`);
  try {
    return parseDocument(text, file, options);
  } catch (caught) {
    if (caught instanceof RangeError) return failed(`nested deeper than ${maxYamlDepth} levels`);
    throw caught;
  }
}

function parseDocument(text: string, file: string, options: ParseYamlOptions): ParsedYaml {
  const lines = new LineCounter();
  const parser = new Parser(lines.addNewLine);
  // Only the failsafe schema leaves every unquoted scalar as the text it was; types are given here, by Go's rules.
  const composer = new Composer<ParsedNode>({
    schema: "failsafe",
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  const documents = composer.compose(parser.parse(text));
  const at = (offset: number): SourcePosition => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const first = documents.next();
  if (first.done === true) return { root: undefined, issues: [], secondDocumentAt: undefined };
  const builder = new TreeBuilder(at);
  for (const error of first.value.errors) {
    if (error.code === "RESOURCE_EXHAUSTION") throw new RangeError("too deep");
    builder.report(syntaxMessage(error.message), error.pos[0]);
  }
  const root =
    first.value.contents === null || builder.issues.length > 0 ? undefined : builder.build(first.value.contents);
  const second = documents.next();
  const secondDocumentAt = second.done === true ? undefined : at(second.value.range[0]);
  if (secondDocumentAt !== undefined && options.furtherDocuments !== "ignore") {
    builder.issues.push({ path: "", message: "expected one YAML document, found a second", at: secondDocumentAt });
  }
  return { root: builder.issues.length > 0 ? undefined : root, issues: builder.issues, secondDocumentAt };
}

function syntaxMessage(message: string): string {
  const line = message.split("\n", 1)[0] ?? "";
  return `YAML: ${line.charAt(0).toLowerCase()}${line.slice(1)}`.replace(/[.:]$/, "");
}

/** Turns the nodes of the `yaml` package into a configuration tree; aliases share the tree of their anchor. */
class TreeBuilder {
  readonly issues: ConfigIssue[] = [];
  readonly #at: (offset: number) => SourcePosition;
  readonly #anchors = new Map<string, { readonly node: ConfigNode | undefined; readonly size: number }>();
  #size = 0;
  #aliased = 0;

  constructor(at: (offset: number) => SourcePosition) {
    this.#at = at;
  }

  report(message: string, offset: number): void {
    if (this.issues.length < maxIssues) this.issues.push({ path: "", message, at: this.#at(offset) });
  }

  build(node: Node | null, depth = 0): ConfigNode {
    const offset = offsetOf(node);
    this.#size++;
    if (depth > maxYamlDepth) throw new RangeError("too deep");
    if (node === null) return nullNode(this.#at(offset));
    if (isAlias(node)) return this.#alias(node, offset);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, { node: undefined, size: 0 });
    const before = this.#size + this.#aliased;
    const built = this.#buildNode(node, depth, offset);
    if (anchor !== undefined) this.#anchors.set(anchor, { node: built, size: this.#size + this.#aliased - before + 1 });
    return built;
  }

  #buildNode(node: Node, depth: number, offset: number): ConfigNode {
    if (isScalar(node)) return this.#scalar(node, offset);
    if (isMap(node)) return this.#map(node, depth, offset);
    if (isSeq(node)) return this.#list(node, depth, offset);
    return nullNode(this.#at(offset));
  }

  #alias(alias: Alias, offset: number): ConfigNode {
    const anchor = this.#anchors.get(alias.source);
    const at = this.#at(offset);
    if (anchor?.node === undefined) {
      const problem = anchor === undefined ? "has no anchor before it" : "contains itself";
      this.report(`YAML: alias ${JSON.stringify(alias.source)} ${problem}`, offset);
      return nullNode(at);
    }
    this.#aliased += anchor.size;
    if (this.#aliased <= maxAliasedValues) return anchor.node;
    if (this.#aliased - anchor.size <= maxAliasedValues) {
      this.report(`YAML: aliases stand for more than ${maxAliasedValues} values`, offset);
    }
    return nullNode(at);
  }

  #scalar(node: Scalar, offset: number): ScalarNode {
    const text = typeof node.source === "string" ? node.source : String(node.value ?? "");
    const quoted = node.type !== "PLAIN" || node.tag === "!";
    const at = this.#at(offset);
    if (node.tag === undefined || !node.tag.startsWith(coreTag)) {
      return { kind: "scalar", value: quoted ? text : parsePlainScalar(text), text, quoted, at };
    }
    const value = taggedValue(node.tag.slice(coreTag.length), text);
    if (value === undefined)
      this.report(`YAML: the tag !!${node.tag.slice(coreTag.length)} does not fit this value`, offset);
    const isText = typeof value === "string";
    return { kind: "scalar", value: value ?? null, text: isText ? value : text, quoted: isText, at };
  }

  #list(node: YAMLSeq, depth: number, offset: number): ListNode {
    const items = node.items.map((item) => this.build(item as Node | null, depth + 1));
    return { kind: "list", items, at: this.#at(offset) };
  }

  #map(node: YAMLMap, depth: number, offset: number): MapNode {
    const entries = new Map<string, MapEntry>();
    const merged: ConfigNode[] = [];
    let mergeAt: SourcePosition | undefined;
    for (const pair of node.items as Pair<Node | null, Node | null>[]) {
      const keyOffset = offsetOf(pair.key);
      const key = this.#key(pair.key, keyOffset);
      const value = this.build(pair.value, depth + 1);
      if (isMergeKey(pair.key) && mergeAt === undefined) {
        mergeAt = this.#at(keyOffset);
        merged.push(...this.#mergeSources(value, keyOffset));
        continue;
      }
      const earlier = entries.get(key)?.keyAt ?? (key === "<<" ? mergeAt : undefined);
      if (earlier !== undefined) {
        this.report(`duplicate key ${JSON.stringify(key)}, first given in line ${earlier.line}`, keyOffset);
      } else {
        // The value of `key:` sits where the parser stopped, often on a later line; the key is the better place.
        const keyAt = this.#at(keyOffset);
        entries.set(key, { key, keyAt, value: isEmptyScalar(value) ? { ...value, at: keyAt } : value });
      }
    }
    for (const source of merged) {
      if (source.kind !== "map") continue;
      for (const entry of source.entries) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    }
    return { kind: "map", entries: [...entries.values()], at: this.#at(offset) };
  }

  #key(node: Node | null, offset: number): string {
    if (node === null) return "";
    if (isAlias(node)) {
      const target = this.#alias(node, offset);
      if (target.kind === "scalar") return target.text;
    } else if (isScalar(node)) {
      const key = this.#scalar(node, offset);
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, { node: key, size: 1 });
      return key.text;
    }
    this.report("expected a plain key, got a map or a list", offset);
    return "";
  }

  #mergeSources(value: ConfigNode, offset: number): readonly ConfigNode[] {
    const sources = value.kind === "list" ? value.items : [value];
    if (sources.every((source) => source.kind === "map")) return sources;
    this.report('expected a map or a list of maps behind "<<"', offset);
    return [];
  }
}

const coreTag = "tag:yaml.org,2002:";

/** The value of a scalar with an explicit `!!tag`; undefined where they do not fit. */
function taggedValue(tag: string, text: string): ScalarValue | undefined {
  if (tag === "str" || tag === "timestamp") return text;
  if (tag === "binary") return Buffer.from(text, "base64").toString("utf8");
  const value = parsePlainScalar(text);
  if (tag === "null") return value === null ? null : undefined;
  if (tag === "bool") return typeof value === "boolean" ? value : undefined;
  if (tag === "float") return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
  if (tag === "int") return typeof value === "bigint" || Number.isInteger(value) ? value : undefined;
  return undefined;
}

function isMergeKey(node: Node | null): boolean {
  if (!isScalar(node)) return false;
  return node.tag === `${coreTag}merge` || (node.type === "PLAIN" && node.source === "<<");
}

function isEmptyScalar(node: ConfigNode): node is ScalarNode {
  return node.kind === "scalar" && !node.quoted && node.text === "";
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function nullNode(at: SourcePosition | undefined): ScalarNode {
  return { kind: "scalar", value: null, text: "", quoted: false, at };
}

/** A configuration tree for a plain value, every node at the one given position. Functions and symbols become null. */
export function nodeFromValue(value: unknown, at?: SourcePosition): ConfigNode {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => nodeFromValue(item, at)), at };
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => ({ key, keyAt: at, value: nodeFromValue(item, at) }));
    return { kind: "map", entries, at };
  }
  if (typeof value === "string") return { kind: "scalar", value, text: value, quoted: true, at };
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    return { kind: "scalar", value, text: String(value), quoted: false, at };
  }
  return nullNode(at);
}
