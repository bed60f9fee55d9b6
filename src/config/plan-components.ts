/** Checks the five component sections of a collector's configuration: ids, types, doubles. */

import { formatComponentId, parseComponentId } from "../codec/yaml/component-id.ts";
import type { ConfigNode, MapEntry } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, isNullNode } from "../codec/yaml/config-node.ts";
import { nearestKey } from "../codec/yaml/nearest-key.ts";
import type { ComponentKind } from "../component/define.ts";
import type { ConfigIssue, SourcePosition } from "../model/errors.ts";
import { describeNode } from "./issue-wording.ts";
import type { CatalogEntry, ComponentCatalog, PlannedComponent } from "./plan-types.ts";

/** The section of each kind of component. */
export const sectionOf: Readonly<Record<ComponentKind, string>> = {
  receiver: "receivers",
  processor: "processors",
  exporter: "exporters",
  connector: "connectors",
  extension: "extensions",
};

export interface Findings {
  readonly issues: ConfigIssue[];
  readonly warnings: ConfigIssue[];
}

/** A component of a section; one without `entry` is named in the file but cannot be had, which was reported. */
export interface DeclaredComponent {
  readonly kind: ComponentKind;
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly entry: CatalogEntry | undefined;
  readonly config: ConfigNode;
  readonly path: readonly string[];
  readonly at: SourcePosition | undefined;
}

/** The components of one section, found by id in either spelling of the type. */
export class Section {
  readonly kind: ComponentKind;
  readonly byId = new Map<string, DeclaredComponent>();
  readonly used = new Set<string>();

  constructor(kind: ComponentKind) {
    this.kind = kind;
  }

  /** The component that a reference means: the one written the same, or one that is the same type by another spelling. */
  find(reference: string, catalog: ComponentCatalog): DeclaredComponent | undefined {
    const { id } = parseComponentId(reference);
    if (id === undefined) return undefined;
    const exact = this.byId.get(formatComponentId(id));
    if (exact !== undefined) return exact;
    const type = catalog.find(this.kind, id.type)?.type ?? id.type;
    return [...this.byId.values()].find((one) => one.type === type && one.name === id.name);
  }

  /** What the plan holds of the section: every component whose type is there. */
  planned(): Map<string, PlannedComponent> {
    const planned = new Map<string, PlannedComponent>();
    for (const one of this.byId.values()) {
      if (one.entry !== undefined) planned.set(one.id, { ...one, entry: one.entry, used: this.used.has(one.id) });
    }
    return planned;
  }
}

/** Reads one component section. */
export function readSection(
  root: ConfigNode | undefined,
  kind: ComponentKind,
  catalog: ComponentCatalog,
  findings: Findings,
): Section {
  const section = new Section(kind);
  const node = childNode(root, sectionOf[kind]);
  if (node === undefined || isNullNode(node)) return section;
  if (node.kind !== "map") {
    findings.issues.push({
      path: sectionOf[kind],
      message: `expected a map of ${kind}s, got ${describeNode(node)}`,
      at: node.at,
    });
    return section;
  }
  for (const entry of node.entries) {
    const declared = readComponent(entry, kind, catalog, findings);
    if (declared === undefined) continue;
    const earlier = section.byId.get(declared.id);
    if (earlier === undefined) section.byId.set(declared.id, declared);
    else {
      const line = earlier.at === undefined ? "" : `, first given in line ${earlier.at.line}`;
      const message = `the ${kind} ${JSON.stringify(declared.id)} is configured twice${line}`;
      findings.issues.push({ path: formatPath(declared.path), message, at: declared.at });
    }
  }
  return section;
}

function readComponent(
  { key, keyAt, value }: MapEntry,
  kind: ComponentKind,
  catalog: ComponentCatalog,
  { issues, warnings }: Findings,
): DeclaredComponent | undefined {
  const path = [sectionOf[kind], key];
  const parsed = parseComponentId(key);
  if (parsed.id === undefined) {
    issues.push({ path: formatPath(path), message: parsed.problem, at: keyAt });
    return undefined;
  }
  const { type, name } = parsed.id;
  const entry = catalog.find(kind, type);
  if (entry === undefined) issues.push(unknownType(formatPath(path), kind, type, keyAt, catalog));
  else if (entry.deprecatedAlias) {
    const message = `${JSON.stringify(type)} is an older name of the ${kind} ${JSON.stringify(entry.type)}`;
    warnings.push({ path: formatPath(path), message, at: keyAt });
  }
  return {
    kind,
    id: formatComponentId(parsed.id),
    type: entry?.type ?? type,
    name,
    entry,
    config: value,
    path,
    at: keyAt,
  };
}

function unknownType(
  path: string,
  kind: ComponentKind,
  type: string,
  at: SourcePosition | undefined,
  catalog: ComponentCatalog,
): ConfigIssue {
  if (catalog.later(kind, type)) {
    return { path, message: `the ${kind} ${JSON.stringify(type)} comes later: this version does not have it yet`, at };
  }
  const types = catalog.types(kind);
  const message = `unknown ${kind} type ${JSON.stringify(type)} (valid values: ${types.join(", ") || "none"})`;
  return { path, message, at, nearest: nearestKey(type, types) };
}
