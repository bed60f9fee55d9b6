/** From `--config` and `--set` to a plan with decoded components, or to everything that is wrong at once. */

import { createHash } from "node:crypto";
import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { formatPath } from "../codec/yaml/config-node.ts";
import type { AnyDefinition } from "../component/define.ts";
import { planCollector, readOutsideComponents } from "../config/collector-config.ts";
import type { CollectorPlan, PlannedComponent } from "../config/plan-types.ts";
import { resolveConfig } from "../config/resolve.ts";
import { decodeWithSchema } from "../config/zod-issues.ts";
import { ConfigError, type ConfigIssue, toError } from "../model/errors.ts";
import { type ComponentSetup, type GraphSetup, setupKey } from "../pipeline/graph-setup.ts";
import { Registry } from "../registry.ts";
import { inOrder } from "./issue-order.ts";
import { loadOutsideComponents } from "./outside-components.ts";
import { telemetryNotices } from "./telemetry-notices.ts";

export interface ConfigSources {
  /** The `--config` values, merged in order. */
  readonly uris: readonly string[];
  /** The `--set` values, laid over the rest. */
  readonly sets: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface LoadedConfig {
  /** The merged and expanded tree. */
  readonly root: ConfigNode | undefined;
  readonly plan: CollectorPlan;
  readonly setup: GraphSetup;
  /** Deprecated spellings and accepted keys without effect, to be logged once. */
  readonly notices: readonly ConfigIssue[];
}

/** Throws ConfigError with every issue of the configuration. Starts nothing. */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const resolved = resolveConfig(sources);
  const issues: ConfigIssue[] = [...resolved.issues];
  const notices: ConfigIssue[] = [...resolved.warnings];
  if (resolved.root === undefined && issues.length > 0) throw new ConfigError(issues);
  const named = readOutsideComponents(resolved.root);
  const outside = await loadOutsideComponents(named.components);
  issues.push(...named.issues, ...outside.issues);
  const registry = new Registry(outside.definitions);
  const planned = planCollector(resolved.root, registry);
  issues.push(...planned.issues);
  notices.push(...planned.warnings, ...telemetryNotices(resolved.root));
  const { plan } = planned;
  const all = [plan.receivers, plan.processors, plan.exporters, plan.connectors, plan.extensions];
  const decoder = new Decoder(registry, sources.env, issues, notices);
  await Promise.all(all.flatMap((section) => [...section.values()].map((component) => decoder.decode(component))));
  if (issues.length > 0) throw new ConfigError(inOrder(issues));
  return { root: resolved.root, plan, setup: { plan, components: decoder.components }, notices: inOrder(notices) };
}

class Decoder {
  /** The decoded components that are used. */
  readonly components = new Map<string, ComponentSetup>();
  readonly #registry: Registry;
  readonly #env: ConfigSources["env"];
  readonly #issues: ConfigIssue[];
  readonly #notices: ConfigIssue[];

  constructor(registry: Registry, env: ConfigSources["env"], issues: ConfigIssue[], notices: ConfigIssue[]) {
    this.#registry = registry;
    this.#env = env;
    this.#issues = issues;
    this.#notices = notices;
  }

  async decode(component: PlannedComponent): Promise<void> {
    const { kind, id, type, used } = component;
    const definition = await this.#registry.load(kind, type);
    const config = this.#decode(component, definition);
    if (config === undefined || !used) return;
    const facts = this.#registry.entry(kind, type);
    this.components.set(setupKey(kind, id), {
      kind,
      id,
      definition,
      config: config.value,
      fingerprint: fingerprintOf(component.config),
      transport: facts?.transport ?? "",
      countsItself: facts?.countsItself ?? false,
    });
  }

  #decode(component: PlannedComponent, definition: AnyDefinition): { readonly value: unknown } | undefined {
    const { config: node, path } = component;
    const decoded = decodeWithSchema<unknown>(definition.config, node, path);
    this.#issues.push(...decoded.issues);
    if (decoded.issues.length > 0) {
      this.#issues.push(...issuesBeside(decoded.issues, component, definition, this.#env));
      return undefined;
    }
    if (definition.complete === undefined) return { value: decoded.value };
    const found: ConfigIssue[] = [];
    try {
      const value: unknown = definition.complete(decoded.value, {
        node,
        path,
        env: this.#env,
        issue: (issue) => found.push(issue),
        notice: (notice) => this.#notices.push(notice),
      });
      this.#issues.push(...found);
      return found.length > 0 ? undefined : { value };
    } catch (caught) {
      this.#issues.push(...found, { path: formatPath(path), message: toError(caught).message, at: component.at });
      return undefined;
    }
  }
}

/** What the second look at a section finds when keys that the schema refused are left out: so that they hide nothing. */
function issuesBeside(
  refused: readonly ConfigIssue[],
  { config: node, path }: PlannedComponent,
  definition: AnyDefinition,
  env: ConfigSources["env"],
): ConfigIssue[] {
  if (definition.complete === undefined || node?.kind !== "map") return [];
  const isAt = (key: string) => {
    const start = formatPath([...path, key]);
    return (issue: ConfigIssue) =>
      issue.path === start || issue.path.startsWith(`${start}::`) || issue.path.startsWith(`${start}[`);
  };
  const wrong = node.entries.map(({ key }) => key).filter((key) => refused.some(isAt(key)));
  const rest = { ...node, entries: node.entries.filter(({ key }) => !wrong.includes(key)) };
  const decoded = decodeWithSchema<unknown>(definition.config, rest, path);
  if (wrong.length === 0 || decoded.issues.length > 0) return [];
  const found: ConfigIssue[] = [];
  try {
    definition.complete(decoded.value, {
      node: rest,
      path,
      env,
      issue: (issue) => found.push(issue),
      notice: () => {},
    });
  } catch {
    // What it says is told when the section is right.
  }
  return found.filter((issue) => !wrong.some((key) => isAt(key)(issue)));
}

/** Equal for sections that say the same in the same order; a hash, so that no secret stays in memory for it. */
export function fingerprintOf(node: ConfigNode | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify(canonical(node)))
    .digest("base64");
}

function canonical(node: ConfigNode | undefined): unknown {
  switch (node?.kind) {
    case undefined:
      return null;
    case "scalar":
      return [typeof node.value, node.text];
    case "list":
      return node.items.map(canonical);
    case "map":
      return { entries: node.entries.map(({ key, value }) => [key, canonical(value)]) };
  }
}
