/** Replaces `${...}` in the values of a configuration by what they refer to, by the Collector's rules. */

import type { ConfigNode, Expansion, ScalarNode } from "../codec/yaml/config-node.ts";
import { formatPath } from "../codec/yaml/config-node.ts";
import { parseYaml } from "../codec/yaml/parse-yaml.ts";
import type { ConfigIssue } from "../model/errors.ts";
import { moveTo } from "./merge.ts";
import type { Location, ProviderInput } from "./providers.ts";
import { fetchText, parseLocation } from "./providers.ts";

/** Most references that are followed for one value, and most levels of values within values. */
const maxReferencesPerValue = 1000;
const maxNesting = 100;
/** Most references of a whole configuration, and most text that they may give. */
const maxReferences = 100_000;
const maxTextLength = 64 * 1024 * 1024;

type Path = readonly (string | number)[];
interface Source {
  readonly node: ConfigNode | undefined;
  readonly text: string;
}

/** Expands one configuration; collects issues, warnings and the files that were read. */
export class Expander {
  readonly issues: ConfigIssue[] = [];
  readonly warnings: ConfigIssue[] = [];
  readonly files = new Set<string>();
  readonly #input: ProviderInput;
  readonly #fetched = new Map<string, Source>();
  #references = 0;
  #textLength = 0;

  constructor(input: ProviderInput) {
    this.#input = input;
  }

  /** The tree with every reference replaced, and `$$` in texts made `$`. Keys are left alone. */
  expand(node: ConfigNode, path: Path = [], nesting = 0): ConfigNode {
    switch (node.kind) {
      case "map": {
        const entries = node.entries.map((entry) => ({
          ...entry,
          value: this.expand(entry.value, [...path, entry.key], nesting),
        }));
        return { ...node, entries };
      }
      case "list":
        return { ...node, items: node.items.map((item, index) => this.expand(item, [...path, index], nesting)) };
      case "scalar":
        return typeof node.value === "string" && node.value.includes("$")
          ? this.#expandText(node, node.value, path, nesting)
          : node;
    }
  }

  #expandText(node: ScalarNode, written: string, path: Path, nesting: number): ConfigNode {
    let text = written;
    let isExpanded = false;
    for (let i = 0; ; i++) {
      const found = findReference(text);
      if (found === undefined) break;
      const reference = text.slice(found.start, found.end);
      if (i >= maxReferencesPerValue || nesting > maxNesting) {
        return this.#fail(node, path, `${shown(written)} refers to itself, or to too many others`);
      }
      const source = this.#fetch(reference, node, path);
      if (source === undefined) return nullAt(node);
      const next = text.slice(0, found.start) + source.text + text.slice(found.end);
      this.#textLength += next.length;
      if (this.#textLength > maxTextLength) return this.#fail(node, path, `${shown(written)} stands for too much text`);
      if (reference === text && source.node !== undefined) {
        return this.#expandWhole(source.node, { reference: written, text: source.text }, node, path, nesting);
      }
      text = next;
      isExpanded = true;
    }
    const value = text.replaceAll("$$", "$");
    const expansion = isExpanded ? { reference: written, text: value } : undefined;
    return { kind: "scalar", value, text: value, quoted: true, at: node.at, expansion };
  }

  /** A value that consists of one reference keeps the YAML type of what it refers to. */
  #expandWhole(found: ConfigNode, expansion: Expansion, node: ScalarNode, path: Path, nesting: number): ConfigNode {
    const isFromFile = found.at?.file !== undefined && this.files.has(found.at.file);
    const expanded = this.expand(isFromFile ? found : moveTo(found, node.at), path, nesting + 1);
    if (expanded.kind === "scalar") return { ...expanded, at: node.at, expansion };
    return { ...expanded, expansion: { ...expansion, text: expansion.text.replaceAll("$$", "$") } };
  }

  #fetch(reference: string, node: ScalarNode, path: Path): Source | undefined {
    if (++this.#references > maxReferences) {
      // Said once: what comes behind the limit is not even looked at.
      return this.#references === maxReferences + 1
        ? this.#issue(node, path, `more than ${maxReferences} references`)
        : undefined;
    }
    const known = this.#fetched.get(reference);
    if (known !== undefined) return known;
    const location = locationOf(reference);
    if (location === undefined) {
      return this.#issue(node, path, `expected a reference like "\${env:NAME}", got ${shown(reference)}`);
    }
    if (location.opaque.includes("$"))
      return this.#issue(node, path, `a "$" may not stand inside of ${shown(reference)}`);
    const fetched = fetchText(location, this.#input);
    if (fetched.kind === "problem") return this.#issue(node, path, fetched.problem);
    if (fetched.file !== undefined) this.files.add(fetched.file);
    if (fetched.unset !== undefined) {
      const message = `the environment variable ${JSON.stringify(fetched.unset)} is not set, which leaves the value empty`;
      this.warnings.push({ path: formatPath(path), message, at: node.at });
    }
    const source = readSource(fetched.text, fetched.file);
    if (fetched.unset === undefined) this.#fetched.set(reference, source);
    return source;
  }

  #fail(node: ScalarNode, path: Path, message: string): ConfigNode {
    this.#issue(node, path, message);
    return nullAt(node);
  }

  #issue(node: ScalarNode, path: Path, message: string): undefined {
    this.issues.push({ path: formatPath(path), message, at: node.at });
  }
}

/** What a reference gives: a typed value, or (no node) a text that is taken as it is, quotes and all. */
function readSource(fetched: string, file: string | undefined): Source {
  const { root, issues } = parseYaml(fetched, file ?? "", { furtherDocuments: "ignore" });
  if (issues.length === 0 && !(root?.kind === "scalar" && typeof root.value === "string")) {
    return {
      node: root ?? { kind: "scalar", value: null, text: fetched, quoted: false, at: undefined },
      text: fetched,
    };
  }
  // Editors end a file with a line break, which no password or token means.
  const isOneLine = file !== undefined && /^[^\r\n]*\r?\n$/.test(fetched);
  return { node: undefined, text: isOneLine ? fetched.trimEnd() : fetched };
}

function locationOf(reference: string): Location | undefined {
  const body = reference.slice(2, -1);
  return body.includes(":") ? parseLocation(body) : { scheme: "env", opaque: body };
}

/**
 * The first `${...}` that is not escaped, innermost first: of `${env:${X}}` it is `${X}`. An odd number of `$` before it
 * escapes it. Undefined when there is none; an unclosed one is text.
 */
function findReference(text: string): { readonly start: number; readonly end: number } | undefined {
  let from = 0;
  for (;;) {
    const close = text.indexOf("}", from);
    if (close < 0) return undefined;
    const open = text.lastIndexOf("${", close);
    if (open >= from) {
      let dollars = 0;
      while (open - dollars - 1 >= from && text[open - dollars - 1] === "$") dollars++;
      if (dollars % 2 === 0) return { start: open, end: close + 1 };
    }
    from = close + 1;
  }
}

const maxShownLength = 80;

function shown(text: string): string {
  return JSON.stringify(text.length > maxShownLength ? `${text.slice(0, maxShownLength)}...` : text);
}

function nullAt(node: ScalarNode): ScalarNode {
  return { kind: "scalar", value: null, text: "", quoted: false, at: node.at };
}
