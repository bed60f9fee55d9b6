/** The graph of a collector: which instances there are, who feeds whom, in which order they start and end. */

import type { Consumers } from "../component/consumer.ts";
import type { PlannedPipeline } from "../config/plan-types.ts";
import { signals } from "../model/any-batch.ts";
import type { Signal } from "../model/otlp-request.ts";
import { fanOut } from "./fan-out.ts";
import type { GraphNode, NodePlace } from "./graph-node.ts";
import { type ComponentSetup, type GraphSetup, setupKey } from "./graph-setup.ts";
import type { Targets } from "./junction.ts";

/** Gives the node for a place: a new one, or the one that goes on from the graph before. */
export type NodeSource = (setup: ComponentSetup, place: NodePlace) => GraphNode;

/** Nodes that start or end at the same time. */
export type Stage = readonly GraphNode[];

export class Graph {
  /** By key; a node that a failed reload had to create again takes its predecessor's place. */
  readonly nodes = new Map<string, GraphNode>();
  readonly #wiring = new Map<string, Targets>();
  readonly #stopOrder: string[][] = [];

  /** Creates what `source` does not keep, and changes nothing of what is running: see `wire`. */
  constructor(setup: GraphSetup, source: NodeSource) {
    new GraphBuilder(setup, source, this.nodes, this.#wiring, this.#stopOrder).build();
  }

  /** Leads the output of these nodes, or of all, to where this graph says. */
  wire(nodes: Iterable<GraphNode> = this.nodes.values()): void {
    for (const node of nodes) {
      const target = this.#wiring.get(node.place.key);
      if (target !== undefined) node.next.switchTo(target);
    }
  }

  /** Receivers first, then what they feed, exporters, at last extensions. */
  stopOrder(): Stage[] {
    return this.#stopOrder.map((keys) => keys.flatMap((key) => this.nodes.get(key) ?? []));
  }

  /** Extensions in their order, exporters, then what feeds them; receivers last. */
  startOrder(): Stage[] {
    return this.stopOrder().reverse();
  }

  extension(id: string): GraphNode | undefined {
    return this.nodes.get(setupKey("extension", id));
  }
}

class GraphBuilder {
  readonly #setup: GraphSetup;
  readonly #source: NodeSource;
  readonly #nodes: Map<string, GraphNode>;
  readonly #wiring: Map<string, Targets>;
  readonly #stopOrder: string[][];
  /** The input of each pipeline that was built. */
  readonly #heads = new Map<string, Consumers>();
  /** The keys of each pipeline's processors, first one first. */
  readonly #processors = new Map<string, string[]>();

  constructor(
    setup: GraphSetup,
    source: NodeSource,
    nodes: Map<string, GraphNode>,
    wiring: Map<string, Targets>,
    stopOrder: string[][],
  ) {
    this.#setup = setup;
    this.#source = source;
    this.#nodes = nodes;
    this.#wiring = wiring;
    this.#stopOrder = stopOrder;
  }

  build(): void {
    const { plan } = this.#setup;
    const pipelines = new Map(plan.pipelines.map((pipeline) => [pipeline.id, pipeline]));
    for (const id of plan.activeExtensions)
      this.#node("extension", id, { key: setupKey("extension", id), signals: [] });
    // Each pipeline stands behind all that it feeds, so the inputs that a connector leads to are there.
    for (const id of plan.buildOrder) {
      const pipeline = pipelines.get(id);
      if (pipeline !== undefined) this.#buildPipeline(pipeline);
    }
    this.#buildReceivers();
    this.#orderStops();
  }

  #buildPipeline(pipeline: PlannedPipeline): void {
    const exporters = pipeline.exporters.map((id) => {
      const using = signalsOf(this.#setup.plan.pipelines.filter((one) => one.exporters.includes(id)));
      return inputOf(this.#node("exporter", id, { key: setupKey("exporter", id), signals: using }));
    });
    const connectors = pipeline.toConnectors.flatMap((id) => this.#connectors(id, pipeline));
    let head = fanOut([...exporters, ...connectors]);
    const keys: string[] = [];
    for (const id of pipeline.processors.toReversed()) {
      const key = `processor:${pipeline.id}:${id}`;
      const node = this.#node("processor", id, { key, pipeline: pipeline.id, signals: [pipeline.signal] });
      this.#wiring.set(key, { [pipeline.signal]: head });
      head = inputOf(node);
      keys.unshift(key);
    }
    this.#heads.set(pipeline.id, head);
    this.#processors.set(pipeline.id, keys);
  }

  #connectors(id: string, pipeline: PlannedPipeline): Consumers[] {
    return this.#setup.plan.connections
      .filter((connection) => connection.connector === id && connection.fromPipelines.includes(pipeline.id))
      .map((connection) => {
        const key = connectorKey(connection);
        const known = this.#nodes.get(key);
        if (known !== undefined) return inputOf(known);
        const { from, to } = connection;
        const node = this.#node("connector", id, { key, signals: [from], to });
        this.#wiring.set(key, { [to]: fanOut(this.#headsOf(connection.toPipelines)) });
        return inputOf(node);
      });
  }

  #buildReceivers(): void {
    const { pipelines } = this.#setup.plan;
    for (const id of new Set(pipelines.flatMap((pipeline) => pipeline.receivers))) {
      const key = setupKey("receiver", id);
      const fed = pipelines.filter((pipeline) => pipeline.receivers.includes(id));
      this.#node("receiver", id, { key, signals: signalsOf(fed) });
      const targets = signalsOf(fed).map((signal) => {
        const ids = fed.filter((pipeline) => pipeline.signal === signal).map((pipeline) => pipeline.id);
        return [signal, fanOut(this.#headsOf(ids))] as const;
      });
      this.#wiring.set(key, Object.fromEntries(targets));
    }
  }

  #headsOf(pipelines: readonly string[]): Consumers[] {
    return pipelines.flatMap((id) => this.#heads.get(id) ?? []);
  }

  #node(kind: ComponentSetup["kind"], id: string, place: NodePlace): GraphNode {
    const known = this.#nodes.get(place.key);
    if (known !== undefined) return known;
    const setup = this.#setup.components.get(setupKey(kind, id));
    if (setup === undefined) throw new Error(`no ${kind} ${JSON.stringify(id)} in the setup`);
    const node = this.#source(setup, place);
    this.#nodes.set(place.key, node);
    return node;
  }

  #orderStops(): void {
    const { plan } = this.#setup;
    const keysOf = (kind: ComponentSetup["kind"]) =>
      [...this.#nodes.keys()].filter((key) => key.startsWith(`${kind}:`));
    const stages = this.#stopOrder;
    stages.push(keysOf("receiver"));
    const stopped = new Set<string>();
    for (const id of plan.buildOrder.toReversed()) {
      // All that feeds the pipeline comes before it in this order, hence the connectors to it are done.
      for (const connection of plan.connections) {
        const key = connectorKey(connection);
        if (!connection.toPipelines.includes(id) || stopped.has(key)) continue;
        stopped.add(key);
        stages.push([key]);
      }
      for (const key of this.#processors.get(id) ?? []) stages.push([key]);
    }
    stages.push(keysOf("exporter"));
    for (const id of plan.activeExtensions.toReversed()) stages.push([setupKey("extension", id)]);
  }
}

function connectorKey(connection: { readonly connector: string; readonly from: string; readonly to: string }): string {
  return `connector:${connection.connector}:${connection.from}>${connection.to}`;
}

/** The signals of pipelines, each once. */
function signalsOf(pipelines: readonly PlannedPipeline[]): Signal[] {
  return signals.filter((signal) => pipelines.some((pipeline) => pipeline.signal === signal));
}

function inputOf(node: GraphNode): Consumers {
  if (node.input === undefined) throw new Error(`${node.path} takes nothing`);
  return node.input;
}
