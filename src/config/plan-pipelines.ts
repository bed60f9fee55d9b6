/** Checks `service::pipelines`: ids, references, signals. */

import { parseComponentId } from "../codec/yaml/component-id.ts";
import type { ConfigNode, MapEntry, ScalarNode } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, isNullNode } from "../codec/yaml/config-node.ts";
import { nearestKey } from "../codec/yaml/nearest-key.ts";
import type { ComponentKind } from "../component/define.ts";
import type { SourcePosition } from "../model/errors.ts";
import type { Signal } from "../model/otlp-request.ts";
import { describeNode, listed } from "./issue-wording.ts";
import type { DeclaredComponent, Findings, Section } from "./plan-components.ts";
import type { CatalogEntry, ComponentCatalog, PlannedPipeline } from "./plan-types.ts";

/** The component sections by kind, with the catalog that names their types. */
export interface Sections {
  readonly byKind: Readonly<Record<ComponentKind, Section>>;
  readonly catalog: ComponentCatalog;
}

/** One name in a list, with its place. */
export interface Reference {
  readonly text: string;
  readonly path: readonly (string | number)[];
  readonly at: SourcePosition | undefined;
}

const signals: readonly Signal[] = ["metrics", "traces", "logs"];
const pipelineKeys = ["receivers", "processors", "exporters"];

/** Reads all pipelines, and marks the components that they use. */
export function readPipelines(
  service: ConfigNode | undefined,
  sections: Sections,
  findings: Findings,
): PlannedPipeline[] {
  const node = childNode(service, "pipelines");
  const path = ["service", "pipelines"];
  if (node !== undefined && !isNullNode(node) && node.kind !== "map") {
    findings.issues.push({
      path: formatPath(path),
      message: `expected a map of pipelines, got ${describeNode(node)}`,
      at: node.at,
    });
    return [];
  }
  if (node?.kind !== "map" || node.entries.length === 0) {
    findings.issues.push({
      path: formatPath(path),
      message: "expected at least one pipeline",
      at: node?.at ?? service?.at,
    });
    return [];
  }
  const pipelines = new Map<string, PlannedPipeline>();
  for (const entry of node.entries) {
    const pipeline = readPipeline(entry, sections, findings);
    if (pipeline === undefined) continue;
    if (pipelines.has(pipeline.id)) {
      findings.issues.push({
        path: formatPath([...path, entry.key]),
        message: "this pipeline is configured twice",
        at: entry.keyAt,
      });
    }
    pipelines.set(pipeline.id, pipeline);
  }
  return [...pipelines.values()];
}

function readPipeline(
  { key, keyAt, value }: MapEntry,
  sections: Sections,
  findings: Findings,
): PlannedPipeline | undefined {
  const path = ["service", "pipelines", key];
  const report = (message: string, at: SourcePosition | undefined, nearest?: string) => {
    findings.issues.push({ path: formatPath(path), message, at, nearest });
  };
  const parsed = parseComponentId(key);
  const signal = signals.find((one) => one === parsed.id?.type);
  if (parsed.id?.type === "profiles") {
    report("pipelines of profiles come later: this version does not have them yet", keyAt);
    return undefined;
  }
  if (parsed.id === undefined || signal === undefined) {
    const type = key.split("/", 1)[0] ?? "";
    const expected = `expected a pipeline id that begins with ${listed(signals)}, got ${JSON.stringify(key)}`;
    report(signal === undefined ? expected : (parsed.problem ?? expected), keyAt, nearestKey(type, signals));
    return undefined;
  }
  if (!isNullNode(value) && value.kind !== "map") {
    report(`expected a map with receivers, processors and exporters, got ${describeNode(value)}`, value.at);
    return undefined;
  }
  for (const entry of value.kind === "map" ? value.entries : []) {
    if (pipelineKeys.includes(entry.key)) continue;
    const nearest = nearestKey(entry.key, pipelineKeys);
    findings.issues.push({ path: formatPath([...path, entry.key]), message: "unknown key", at: entry.keyAt, nearest });
  }
  const reader = new PipelineReader({ signal, path, at: keyAt }, sections, findings);
  const receivers = reader.read(value, "receivers", "receiver");
  const processors = reader.read(value, "processors", "processor");
  const exporters = reader.read(value, "exporters", "exporter");
  return {
    id: parsed.id.name === "" ? signal : `${signal}/${parsed.id.name}`,
    signal,
    name: parsed.id.name,
    receivers: idsOf(receivers, "receiver"),
    fromConnectors: idsOf(receivers, "connector"),
    processors: idsOf(processors, "processor"),
    exporters: idsOf(exporters, "exporter"),
    toConnectors: idsOf(exporters, "connector"),
    at: keyAt,
  };
}

function idsOf(components: readonly DeclaredComponent[], kind: ComponentKind): string[] {
  return components.filter((one) => one.kind === kind).map((one) => one.id);
}

interface PipelinePlace {
  readonly signal: Signal;
  readonly path: readonly string[];
  readonly at: SourcePosition | undefined;
}

class PipelineReader {
  readonly #place: PipelinePlace;
  readonly #sections: Sections;
  readonly #findings: Findings;

  constructor(place: PipelinePlace, sections: Sections, findings: Findings) {
    this.#place = place;
    this.#sections = sections;
    this.#findings = findings;
  }

  /** The components that one list of the pipeline names, each once. */
  read(pipeline: ConfigNode, key: string, kind: "receiver" | "processor" | "exporter"): DeclaredComponent[] {
    const path = [...this.#place.path, key];
    const node = childNode(pipeline, key);
    const references = readReferences(node, path, this.#findings);
    if (
      references.length === 0 &&
      kind !== "processor" &&
      (node === undefined || isNullNode(node) || node.kind === "list")
    ) {
      const at = node?.at ?? this.#place.at;
      this.#findings.issues.push({ path: formatPath(path), message: `expected at least one ${kind}`, at });
    }
    const found = new Map<string, DeclaredComponent>();
    for (const reference of references) {
      const component = this.#find(reference, kind);
      if (component === undefined) continue;
      const identity = `${component.kind}:${component.id}`;
      if (found.has(identity)) this.#reportDouble(reference, kind);
      found.set(identity, component);
      this.#sections.byKind[component.kind].used.add(component.id);
      if (component.entry !== undefined) this.#checkSignal(component, component.entry, kind, reference);
    }
    return [...found.values()];
  }

  #find(reference: Reference, kind: "receiver" | "processor" | "exporter"): DeclaredComponent | undefined {
    const { byKind, catalog } = this.#sections;
    const kinds: ComponentKind[] = kind === "processor" ? [kind] : [kind, "connector"];
    for (const one of kinds) {
      const component = byKind[one].find(reference.text, catalog);
      if (component !== undefined) return component;
    }
    const candidates = kinds.flatMap((one) => [...byKind[one].byId.keys()]);
    this.#findings.issues.push(notConfigured(reference, kind, candidates));
    return undefined;
  }

  #reportDouble(reference: Reference, kind: ComponentKind): void {
    const message = `the ${kind} ${JSON.stringify(reference.text)} is named twice`;
    // The Collector refuses a processor that runs twice, and takes the others once.
    const to = kind === "processor" ? this.#findings.issues : this.#findings.warnings;
    to.push({ path: formatPath(reference.path), message, at: reference.at });
  }

  #checkSignal(component: DeclaredComponent, entry: CatalogEntry, role: ComponentKind, reference: Reference): void {
    const { signal } = this.#place;
    const supported =
      component.kind === "connector"
        ? [...new Set(entry.connectorPairs.map((pair) => (role === "receiver" ? pair.to : pair.from)))]
        : entry.signals;
    if (supported.includes(signal)) return;
    const as = component.kind === "connector" ? ` as ${role === "receiver" ? "a receiver" : "an exporter"}` : "";
    const message = `telemetry type is not supported: the ${component.kind} ${JSON.stringify(component.id)} does not support ${signal}${as}, only ${supported.join(", ") || "nothing"}`;
    this.#findings.issues.push({ path: formatPath(reference.path), message, at: reference.at });
  }
}

/** The issue for a name that no section configures. */
export function notConfigured(reference: Reference, kind: ComponentKind, configured: readonly string[]) {
  return {
    path: formatPath(reference.path),
    message: `references the ${kind} ${JSON.stringify(reference.text)} which is not configured`,
    at: reference.at,
    nearest: nearestKey(reference.text, configured),
  };
}

/** The names in a list; a text is a list of one, or several with commas. */
export function readReferences(
  node: ConfigNode | undefined,
  path: readonly (string | number)[],
  findings: Findings,
): Reference[] {
  if (node === undefined || isNullNode(node)) return [];
  if (isText(node)) return node.value.split(",").map((text) => ({ text: text.trim(), path, at: node.at }));
  if (node.kind !== "list") {
    findings.issues.push({
      path: formatPath(path),
      message: `expected a list of names, got ${describeNode(node)}`,
      at: node.at,
    });
    return [];
  }
  return node.items.flatMap((item, index): Reference[] => {
    if (isText(item)) return [{ text: item.value.trim(), path: [...path, index], at: item.at }];
    const message = `expected a name, got ${describeNode(item)}`;
    findings.issues.push({ path: formatPath([...path, index]), message, at: item.at });
    return [];
  });
}

function isText(node: ConfigNode): node is ScalarNode & { readonly value: string } {
  return node.kind === "scalar" && typeof node.value === "string";
}
