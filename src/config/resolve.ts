/** Makes one configuration tree of the `--config` and `--set` arguments: read, merge, expand. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { isNullNode } from "../codec/yaml/config-node.ts";
import { parseYaml } from "../codec/yaml/parse-yaml.ts";
import type { ConfigIssue, SourcePosition } from "../model/errors.ts";
import { Expander } from "./expand.ts";
import { mergeNodes, moveTo, nestAt, openPathKeys } from "./merge.ts";
import type { Location, ProviderInput } from "./providers.ts";
import { fetchText, parseLocation, readTextFile } from "./providers.ts";

export interface ResolveInput {
  /** The `--config` values in order: `file:PATH`, a plain path, `env:NAME`, `yaml:TEXT`; later ones win. */
  readonly uris: readonly string[];
  /** The `--set` values in order: `a.b.c=value` or `a::b::c=value`; laid over everything else. */
  readonly sets: readonly string[];
  /** The environment for `env:` and `${...}`; the process' own when left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text, throws when it cannot; from the disk when left out. */
  readonly readFile?: (path: string) => string;
}

export interface ResolvedConfig {
  /** The merged and expanded tree; undefined when every source is empty or unreadable. */
  readonly root: ConfigNode | undefined;
  /** Everything that is wrong; with any, the root may lack parts. */
  readonly issues: ConfigIssue[];
  /** What is worth a line in the log, such as variables that are not set. */
  readonly warnings: ConfigIssue[];
  /** The files that were read, by the path as written, each once. */
  readonly files: string[];
}

/** Resolves a configuration; reads files, but changes nothing. Never throws for what it finds. */
export function resolveConfig(input: ResolveInput): ResolvedConfig {
  const providers: ProviderInput = { env: input.env ?? process.env, readFile: input.readFile ?? readTextFile };
  const issues: ConfigIssue[] = [];
  const warnings: ConfigIssue[] = [];
  const files = new Set<string>();
  let merged: ConfigNode | undefined;
  for (const uri of input.uris) {
    const source = readSource(uri, providers, { issues, warnings, files });
    if (source !== undefined) merged = mergeNodes(merged, source);
  }
  for (const set of input.sets) {
    const source = readSet(set, issues);
    if (source !== undefined) merged = mergeNodes(merged, source);
  }
  if (merged === undefined) return { root: undefined, issues, warnings, files: [...files] };
  const expander = new Expander(providers);
  const root = expander.expand(merged);
  for (const file of expander.files) files.add(file);
  return {
    root,
    issues: [...issues, ...expander.issues],
    warnings: [...warnings, ...expander.warnings],
    files: [...files],
  };
}

interface Findings {
  readonly issues: ConfigIssue[];
  readonly warnings: ConfigIssue[];
  readonly files: Set<string>;
}

function readSource(
  uri: string,
  providers: ProviderInput,
  { issues, warnings, files }: Findings,
): ConfigNode | undefined {
  const location: Location = parseLocation(uri) ?? { scheme: "file", opaque: uri };
  const name = nameOf(location);
  const fetched = fetchText(location, providers);
  if (fetched.kind === "problem") {
    issues.push({ path: "", message: fetched.problem, at: undefined });
    return undefined;
  }
  if (fetched.file !== undefined) files.add(fetched.file);
  if (fetched.unset !== undefined) {
    warnings.push({ path: "", message: `the environment variable ${JSON.stringify(fetched.unset)} is not set` });
  }
  const parsed = parseYaml(fetched.text, name, { furtherDocuments: "ignore" });
  issues.push(...parsed.issues);
  if (parsed.secondDocumentAt !== undefined) {
    warnings.push({ path: "", message: "only the first YAML document is read", at: parsed.secondDocumentAt });
  }
  const { root } = parsed;
  if (root === undefined || isNullNode(root)) return undefined;
  if (root.kind === "map") return openPathKeys(root);
  issues.push({ path: "", message: "expected a map with receivers, exporters and service", at: root.at });
  return undefined;
}

/** What positions call a source; inline YAML itself may hold secrets and is not named. */
function nameOf({ scheme, opaque }: Location): string {
  if (scheme === "file") return opaque;
  return scheme === "yaml" ? "yaml:" : `${scheme}:${opaque}`;
}

function readSet(set: string, issues: ConfigIssue[]): ConfigNode | undefined {
  const equals = set.indexOf("=");
  if (equals < 0) {
    issues.push({ path: "", message: 'expected --set in the form "a.b.c=value", found no "="' });
    return undefined;
  }
  const key = set.slice(0, equals).trim();
  const at: SourcePosition = { file: `--set ${key}`, line: 1, column: 1 };
  const keys = key.split(key.includes("::") ? "::" : ".");
  if (keys.some((part) => part === "")) {
    issues.push({ path: "", message: `expected --set in the form "a.b.c=value", got ${JSON.stringify(`${key}=`)}` });
    return undefined;
  }
  const parsed = parseYaml(set.slice(equals + 1), at.file);
  for (const issue of parsed.issues) issues.push({ ...issue, at });
  if (parsed.issues.length > 0) return undefined;
  const value = parsed.root ?? { kind: "scalar", value: null, text: "", quoted: false, at };
  return nestAt(keys, moveTo(value, at), at);
}
