/** Plans a collector: checks everything in a configuration that is not a component's own, all at once. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, isNullNode } from "../codec/yaml/config-node.ts";
import { nearestKey } from "../codec/yaml/nearest-key.ts";
import type { ConfigIssue, SourcePosition } from "../model/errors.ts";
import { describeNode, listed } from "./issue-wording.ts";
import type { Findings, Section } from "./plan-components.ts";
import { readSection, sectionOf } from "./plan-components.ts";
import { orderPipelines, planConnections } from "./plan-connections.ts";
import type { Sections } from "./plan-pipelines.ts";
import { notConfigured, readPipelines, readReferences } from "./plan-pipelines.ts";
import type { CollectorPlan, ComponentCatalog } from "./plan-types.ts";
import { decodeTelemetry } from "./telemetry-config.ts";

export interface PlannedCollector {
  /** As much of the plan as could be made; to be run only when there are no issues. */
  readonly plan: CollectorPlan;
  readonly issues: ConfigIssue[];
  /** Deprecated spellings, and keys that are accepted but have no effect yet. */
  readonly warnings: ConfigIssue[];
}

const topLevelKeys = [...Object.values(sectionOf), "service"];
const serviceKeys = ["extensions", "pipelines", "telemetry", "components"];

/**
 * Plans a collector from a resolved configuration. Component sections are checked for their ids and types only: the
 * caller runs each component's schema over `config` of every planned component, used or not.
 */
export function planCollector(root: ConfigNode | undefined, catalog: ComponentCatalog): PlannedCollector {
  const findings: Findings = { issues: [], warnings: [] };
  const isEmpty = root === undefined || isNullNode(root) || (root.kind === "map" && root.entries.length === 0);
  const isPrometheus = looksLikePrometheus(root);
  if (isEmpty) findings.issues.push({ path: "", message: "the configuration is empty", at: root?.at });
  else if (isPrometheus) findings.issues.push({ path: "", message: prometheusHint, at: root?.at });
  else checkKeys(root, [], topLevelKeys, findings);
  const isUsable = !isEmpty && !isPrometheus;
  const section = (kind: Parameters<typeof readSection>[1]) => readSection(root, kind, catalog, findings);
  const byKind = {
    receiver: section("receiver"),
    processor: section("processor"),
    exporter: section("exporter"),
    connector: section("connector"),
    extension: section("extension"),
  };
  const sections: Sections = { byKind, catalog };
  if (isUsable) checkPresence(root, byKind, findings);
  checkAmbiguity(byKind, findings);
  const service = childNode(root, "service");
  checkKeys(service, ["service"], serviceKeys, findings);
  const pipelines = isUsable ? readPipelines(service, sections, findings) : [];
  const connections = planConnections(pipelines, byKind.connector, findings);
  const buildOrder = orderPipelines(pipelines, connections, findings);
  const activeExtensions = readActiveExtensions(service, sections, findings);
  const telemetry = decodeTelemetry(childNode(service, "telemetry"));
  const plan: CollectorPlan = {
    receivers: byKind.receiver.planned(),
    processors: byKind.processor.planned(),
    exporters: byKind.exporter.planned(),
    connectors: byKind.connector.planned(),
    extensions: byKind.extension.planned(),
    pipelines,
    buildOrder,
    connections,
    activeExtensions,
    telemetry: telemetry.settings,
  };
  return {
    plan,
    issues: [...findings.issues, ...telemetry.issues],
    warnings: [...findings.warnings, ...telemetry.warnings],
  };
}

const prometheusHint =
  "this looks like a prometheus.yml, which is for millrace agent --config.file; millrace run takes a collector's configuration";

/** Whether somebody gave the file of a Prometheus: a dozen unknown keys would not say so. */
function looksLikePrometheus(root: ConfigNode | undefined): boolean {
  const has = (...keys: string[]) => keys.some((key) => childNode(root, key) !== undefined);
  return has("scrape_configs", "remote_write") && !has("receivers", "exporters", "service");
}

function checkKeys(
  node: ConfigNode | undefined,
  path: readonly string[],
  valid: readonly string[],
  { issues }: Findings,
): void {
  if (node === undefined || isNullNode(node)) return;
  if (node.kind !== "map") {
    issues.push({ path: formatPath(path), message: `expected a map, got ${describeNode(node)}`, at: node.at });
    return;
  }
  for (const { key, keyAt } of node.entries) {
    if (valid.includes(key)) continue;
    const nearest = nearestKey(key, valid);
    const message = nearest === undefined ? `unknown key, expected ${listed(valid)}` : "unknown key";
    issues.push({ path: formatPath([...path, key]), message, at: keyAt, nearest });
  }
}

function checkPresence(root: ConfigNode | undefined, byKind: Sections["byKind"], { issues }: Findings): void {
  for (const kind of ["receiver", "exporter"] as const) {
    if (byKind[kind].byId.size > 0 || byKind.connector.byId.size > 0) continue;
    const node = childNode(root, sectionOf[kind]);
    const isThere = node?.kind === "map" && node.entries.length > 0;
    if (!isThere)
      issues.push({ path: sectionOf[kind], message: `expected at least one ${kind}`, at: node?.at ?? root?.at });
  }
}

/** A connector stands in the lists of receivers and exporters, so it must not be called like one of them. */
function checkAmbiguity(byKind: Sections["byKind"], { issues }: Findings): void {
  for (const connector of byKind.connector.byId.values()) {
    for (const kind of ["receiver", "exporter"] as const) {
      if (!byKind[kind].byId.has(connector.id)) continue;
      const message = `ambiguous: ${JSON.stringify(connector.id)} is the id of a connector and of ${kind === "receiver" ? "a receiver" : "an exporter"}`;
      issues.push({ path: formatPath(connector.path), message, at: connector.at });
    }
  }
}

function readActiveExtensions(
  service: ConfigNode | undefined,
  { byKind, catalog }: Sections,
  findings: Findings,
): string[] {
  const section: Section = byKind.extension;
  const active = new Set<string>();
  for (const reference of readReferences(childNode(service, "extensions"), ["service", "extensions"], findings)) {
    const extension = section.find(reference.text, catalog);
    if (extension === undefined) {
      findings.issues.push(notConfigured(reference, "extension", [...section.byId.keys()]));
      continue;
    }
    if (active.has(extension.id)) {
      const message = `the extension ${JSON.stringify(extension.id)} is named twice`;
      findings.warnings.push({ path: formatPath(reference.path), message, at: reference.at });
    }
    active.add(extension.id);
    section.used.add(extension.id);
  }
  return [...active];
}

/** A component from outside that a configuration names. */
export interface OutsideComponent {
  /** A path that begins with `./`, `../` or `/`, or the name of a package. */
  readonly specifier: string;
  readonly path: string;
  readonly at: SourcePosition | undefined;
}

/** What `service::components` names: to be loaded before planning, since it adds to the catalog. */
export function readOutsideComponents(root: ConfigNode | undefined): {
  readonly components: OutsideComponent[];
  readonly issues: ConfigIssue[];
} {
  const findings: Findings = { issues: [], warnings: [] };
  const node = childNode(childNode(root, "service"), "components");
  const references = readReferences(node, ["service", "components"], findings);
  const components = references.flatMap(({ text, path, at }): OutsideComponent[] => {
    if (text !== "") return [{ specifier: text, path: formatPath(path), at }];
    findings.issues.push({ path: formatPath(path), message: "expected a file or a package, got an empty text", at });
    return [];
  });
  return { components, issues: findings.issues };
}
