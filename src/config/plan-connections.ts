/** Works out which pipelines feed which through connectors, and that none feeds itself. */

import { formatPath } from "../codec/yaml/config-node.ts";
import type { ConfigIssue } from "../model/errors.ts";
import type { Signal } from "../model/otlp-request.ts";
import type { Findings, Section } from "./plan-components.ts";
import type { PlannedConnection, PlannedPipeline } from "./plan-types.ts";

/** The connections of all connectors in use; reports those that lead nowhere or come from nowhere. */
export function planConnections(
  pipelines: readonly PlannedPipeline[],
  connectors: Section,
  findings: Findings,
): PlannedConnection[] {
  const connections: PlannedConnection[] = [];
  for (const connector of connectors.byId.values()) {
    if (connector.entry === undefined || !connectors.used.has(connector.id)) continue;
    const report = (message: string) => {
      findings.issues.push({ path: formatPath(connector.path), message, at: connector.at });
    };
    const from = pipelines.filter((pipeline) => pipeline.toConnectors.includes(connector.id));
    const to = pipelines.filter((pipeline) => pipeline.fromConnectors.includes(connector.id));
    const name = JSON.stringify(connector.id);
    const pairs = connector.entry.connectorPairs;
    const leads = (source: Signal, target: Signal) => pairs.some((pair) => pair.from === source && pair.to === target);
    for (const pipeline of from) {
      if (to.some((target) => leads(pipeline.signal, target.signal))) continue;
      report(
        `the connector ${name} is an exporter of ${pipeline.id}, but no pipeline has it as a receiver of what it makes of ${pipeline.signal}`,
      );
    }
    for (const pipeline of to) {
      if (from.some((source) => leads(source.signal, pipeline.signal))) continue;
      report(
        `the connector ${name} is a receiver of ${pipeline.id}, but no pipeline has it as an exporter of what it makes ${pipeline.signal} of`,
      );
    }
    for (const pair of uniquePairs(pairs)) {
      const fromPipelines = from.filter((one) => one.signal === pair.from).map((one) => one.id);
      const toPipelines = to.filter((one) => one.signal === pair.to).map((one) => one.id);
      if (fromPipelines.length === 0 || toPipelines.length === 0) continue;
      connections.push({ connector: connector.id, from: pair.from, to: pair.to, fromPipelines, toPipelines });
    }
  }
  return connections;
}

interface Pair {
  readonly from: Signal;
  readonly to: Signal;
}

function uniquePairs(pairs: readonly Pair[]): Pair[] {
  return [...new Map(pairs.map((pair) => [`${pair.from} ${pair.to}`, pair])).values()];
}

interface Edge {
  readonly connector: string;
  readonly to: string;
}

/** The pipelines in an order in which each stands behind all that it feeds; a cycle is reported once. */
export function orderPipelines(
  pipelines: readonly PlannedPipeline[],
  connections: readonly PlannedConnection[],
  findings: Findings,
): string[] {
  const edges = new Map<string, Edge[]>();
  for (const { connector, fromPipelines, toPipelines } of connections) {
    for (const from of fromPipelines) {
      edges.set(from, [...(edges.get(from) ?? []), ...toPipelines.map((to) => ({ connector, to }))]);
    }
  }
  const order: string[] = [];
  const done = new Set<string>();
  const trail: Edge[] = [];
  const visit = (edge: Edge): void => {
    if (done.has(edge.to)) return;
    const start = trail.findIndex((earlier) => earlier.to === edge.to);
    if (start >= 0) {
      findings.issues.push(cycleIssue([...trail.slice(start), edge], pipelines));
      return;
    }
    trail.push(edge);
    for (const next of edges.get(edge.to) ?? []) visit(next);
    trail.pop();
    done.add(edge.to);
    order.push(edge.to);
  };
  for (const pipeline of pipelines) visit({ connector: "", to: pipeline.id });
  return order;
}

function cycleIssue(cycle: readonly Edge[], pipelines: readonly PlannedPipeline[]): ConfigIssue {
  const [first, ...rest] = cycle;
  const steps = rest.map((edge) => ` -> connector ${edge.connector} -> ${edge.to}`).join("");
  const at = pipelines.find((pipeline) => pipeline.id === first?.to)?.at;
  return { path: "service::pipelines", message: `cycle of pipelines: ${first?.to}${steps}`, at };
}
