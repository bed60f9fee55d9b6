/** Loads components from outside: files and packages that `service::components` names. */

import { statSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyDefinition, ComponentKind } from "../component/define.ts";
import type { OutsideComponent } from "../config/collector-config.ts";
import { type ConfigIssue, toError } from "../model/errors.ts";
import { Registry } from "../registry.ts";

export interface OutsideComponents {
  readonly definitions: readonly AnyDefinition[];
  readonly issues: readonly ConfigIssue[];
}

/**
 * Loads every named component; a local file is looked up from the folder of the configuration file that names it, a package
 * as if that file imported it. A file that changed since it was loaded is loaded anew, though not what it imports.
 */
export async function loadOutsideComponents(named: readonly OutsideComponent[]): Promise<OutsideComponents> {
  if (named.length > 0) mapPublicEntries();
  const definitions: AnyDefinition[] = [];
  const issues: ConfigIssue[] = [];
  const builtIn = new Registry();
  for (const component of named) {
    const loaded = await loadOne(component);
    const definition = typeof loaded === "string" ? loaded : checkedDefinition(loaded);
    const problem = typeof definition === "string" ? definition : conflict(definition, builtIn, definitions);
    if (problem !== undefined) issues.push({ path: component.path, message: problem, at: component.at });
    else if (typeof definition !== "string") definitions.push(definition);
  }
  return { definitions, issues };
}

/** The default export, or what is wrong. */
async function loadOne({ specifier, at }: OutsideComponent): Promise<{ readonly default?: unknown } | string> {
  const folder = dirname(resolve(at?.file ?? "config.yaml"));
  const isFile = /^\.{0,2}\//.test(specifier);
  try {
    return await import(isFile ? fileUrl(resolve(folder, specifier)) : packageUrl(specifier, folder));
  } catch (caught) {
    const file = isFile ? resolve(folder, specifier) : `the package ${JSON.stringify(specifier)}`;
    const error = toError(caught);
    const isMissing = isFile && "code" in error && error.code === "ENOENT";
    return `cannot load ${file}: ${isMissing ? "no such file" : error.message}`;
  }
}

/** With the time of the last change, so that a reload sees a changed file and an unchanged one stays the same module. */
function fileUrl(path: string): string {
  const { mtimeMs } = statSync(path);
  return `${pathToFileURL(path).href}?changed=${mtimeMs}`;
}

const packagePrefix = "millrace-package:";

function packageUrl(name: string, folder: string): string {
  return `${packagePrefix}${encodeURIComponent(name)}:${encodeURIComponent(folder)}`;
}

/** Where the running copy has its public entries. */
const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const publicEntries: Readonly<Record<string, string>> = {
  millrace: new URL(`../index${extension}`, import.meta.url).href,
  "millrace/component": new URL(`../component/index${extension}`, import.meta.url).href,
  "millrace/testing": new URL(`../testing/index${extension}`, import.meta.url).href,
};

let isMapped = false;

/** `import ... from "millrace/component"` means the running copy, wherever the file lies that says so. */
function mapPublicEntries(): void {
  if (isMapped) return;
  isMapped = true;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const url = publicEntries[specifier];
      if (url !== undefined) return { url, shortCircuit: true };
      if (!specifier.startsWith(packagePrefix)) return nextResolve(specifier, context);
      const [name = "", folder = ""] = specifier.slice(packagePrefix.length).split(":").map(decodeURIComponent);
      return nextResolve(name, { ...context, parentURL: pathToFileURL(join(folder, "config.yaml")).href });
    },
  });
}

const kinds: readonly ComponentKind[] = ["receiver", "processor", "exporter", "connector", "extension"];
const typePattern = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;

/** The default export when it is a definition, or what is wrong with it. */
function checkedDefinition(module: { readonly default?: unknown }): AnyDefinition | string {
  const found = module.default;
  if (found === undefined) return "expected a default export made with defineProcessor or one of its siblings";
  if (typeof found !== "object" || found === null) return `expected a definition, got a ${typeof found}`;
  const { kind, type, config, create, stability, pairs } = found as Record<string, unknown>;
  if (!kinds.some((one) => one === kind)) return `expected a definition of one of ${kinds.join(", ")}`;
  if (typeof type !== "string" || !typePattern.test(type)) {
    return `expected a type like "my_processor", got ${JSON.stringify(type) ?? "none"}`;
  }
  if (typeof config !== "object" || config === null || !("safeParse" in config)) {
    return `${type}: expected a schema in "config"`;
  }
  if (typeof create !== "function") return `${type}: expected a function "create"`;
  if (kind === "connector" && !Array.isArray(pairs)) return `${type}: expected a list "pairs"`;
  if (kind !== "connector" && kind !== "extension" && (typeof stability !== "object" || stability === null)) {
    return `${type}: expected "stability", for example { metrics: "alpha" }`;
  }
  return found as AnyDefinition;
}

function conflict(definition: AnyDefinition, builtIn: Registry, earlier: readonly AnyDefinition[]): string | undefined {
  const { kind, type, aliases = [] } = definition;
  for (const name of [type, ...aliases]) {
    if (builtIn.entry(kind, name) !== undefined) return `there is a built-in ${kind} ${JSON.stringify(name)}`;
    const other = earlier.some((one) => one.kind === kind && [one.type, ...(one.aliases ?? [])].includes(name));
    if (other) return `the ${kind} ${JSON.stringify(name)} is there twice`;
  }
  return undefined;
}
