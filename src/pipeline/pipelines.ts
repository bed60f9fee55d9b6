/** The running pipelines of a process: start, reload that keeps what did not change, and an end that loses nothing in time. */

import type { ComponentStatus, Host } from "../component/define.ts";
import { ConfigError, type ConfigIssue, toError } from "../model/errors.ts";
import { Graph, type Stage } from "./graph.ts";
import { type GraphEnvironment, GraphNode, type NodePlace } from "./graph-node.ts";
import type { ComponentSetup, GraphSetup } from "./graph-setup.ts";
import { deadlineAfter } from "./wait.ts";

/** Part of the time for an end that receivers and processors may use; the rest is for what exporters still hold. */
const upstreamShare = 2 / 3;

export interface PipelinesOptions extends GraphEnvironment {
  /** How long a component may take to end that a reload replaced or removed. */
  readonly retireDeadlineMs: number;
}

export class Pipelines {
  readonly #options: PipelinesOptions;
  readonly #host: Omit<Host, "reportStatus">;
  #graph: Graph | undefined;
  /** The graph that a start or a reload is making. */
  #coming: Graph | undefined;
  #state: "new" | "running" | "ended" = "new";
  readonly #retiring = new Set<Promise<void>>();
  /** Nodes that left the graph and have not ended, by key: one that takes such a place again comes after it. */
  readonly #leaving = new Map<string, GraphNode>();
  #ended: Promise<void> | undefined;

  constructor(options: PipelinesOptions) {
    this.#options = options;
    this.#host = {
      version: options.version,
      extension: (id) => (this.#coming?.extension(id) ?? this.#graph?.extension(id))?.instance,
      isReady: () => this.isReady(),
      statuses: () => this.statuses(),
    };
  }

  /** Whether everything has started and nothing failed for good. */
  isReady(): boolean {
    return this.#state === "running" && [...this.statuses().values()].every(({ state }) => state !== "permanent");
  }

  /** The state of every component by `kind:id`, processors with their pipeline between. */
  statuses(): ReadonlyMap<string, ComponentStatus> {
    const nodes = this.#graph?.nodes ?? new Map<string, GraphNode>();
    return new Map([...nodes].map(([key, node]) => [key, node.status]));
  }

  /** Creates everything and starts nothing. Throws ConfigError with what cannot be created. */
  check(setup: GraphSetup): void {
    this.#create(setup, undefined);
  }

  /** Throws ConfigError when a component cannot be created or started; whatever had started has ended then. */
  async start(setup: GraphSetup): Promise<void> {
    const { graph } = this.#create(setup, undefined);
    graph.wire();
    this.#graph = graph;
    try {
      for (const stage of graph.startOrder()) await startStage(stage);
    } catch (error) {
      await this.#retireAll(graph.stopOrder());
      this.#graph = undefined;
      throw error;
    }
    if (this.#state === "new") this.#state = "running";
  }

  /**
   * Makes the running graph the one of `setup`. Components whose definition and section did not change go on, only their
   * outputs are led elsewhere; a receiver that can be reconfigured is; everything else that changed is created and started
   * beside its predecessor, switched in, and the predecessor is drained and ended behind. Receivers and extensions, which
   * may own a port, end before their successors start. Throws ConfigError when anything cannot be created or started: then
   * all goes on as before. Not to be called while another reload runs.
   */
  async reload(setup: GraphSetup): Promise<void> {
    const old = this.#graph;
    if (old === undefined || this.#state !== "running") throw new Error("the pipelines are not running");
    const { graph, fresh } = this.#create(setup, old);
    graph.wire(fresh);
    this.#coming = graph;
    const undo: (() => Promise<void>)[] = [];
    try {
      for (const stage of graph.startOrder()) {
        for (const node of stage) await this.#bringIn(node, setup, old, fresh, undo);
      }
    } catch (error) {
      for (const step of undo.toReversed()) await step();
      throw error;
    } finally {
      this.#coming = undefined;
    }
    graph.wire();
    this.#graph = graph;
    this.#retireRest(old, graph);
  }

  /** Ends everything, receivers first, within about `deadlineMs`. Works before `start` and twice. */
  shutdown(deadlineMs: number): Promise<void> {
    this.#ended ??= this.#shutdown(deadlineMs);
    return this.#ended;
  }

  async #shutdown(deadlineMs: number): Promise<void> {
    this.#state = "ended";
    const graph = this.#graph;
    if (graph !== undefined) await this.#retireAll(graph.stopOrder(), deadlineMs);
    await Promise.all(this.#retiring);
  }

  /** Starts a new node, or gives a kept one its configuration; adds to `undo` what takes it back. */
  async #bringIn(
    node: GraphNode,
    setup: GraphSetup,
    old: Graph,
    fresh: ReadonlySet<GraphNode>,
    undo: (() => Promise<void>)[],
  ): Promise<void> {
    if (!fresh.has(node)) {
      const next = setup.components.get(node.place.key);
      if (next === undefined || !node.canBecome(next)) return;
      const before = node.setup;
      undo.push(() => node.reconfigure(before).catch((error: unknown) => this.#logUndo(node, error)));
      await node.reconfigure(next);
      return;
    }
    const { kind } = node.setup;
    const predecessor = old.nodes.get(node.place.key);
    if (predecessor !== undefined && (kind === "receiver" || kind === "extension")) {
      await this.#retireOne(predecessor);
      undo.push(() => this.#revive(predecessor, old));
    }
    undo.push(() => this.#retireOne(node));
    await node.start();
  }

  /** Puts a node like the one that was ended into its place. */
  async #revive(ended: GraphNode, graph: Graph): Promise<void> {
    try {
      const node = new GraphNode(ended.setup, ended.place, this.#options, this.#host);
      node.next.switchTo(ended.next.targets);
      graph.nodes.set(node.place.key, node);
      await node.start();
    } catch (error) {
      this.#logUndo(ended, error);
    }
  }

  #logUndo(node: GraphNode, error: unknown): void {
    const { message } = toError(error);
    this.#options.log.error("Component could not be put back after a failed reload", {
      component: node.path,
      error: message,
    });
  }

  /** Creates a graph, keeping from the old one what can go on. */
  #create(setup: GraphSetup, old: Graph | undefined): { graph: Graph; fresh: Set<GraphNode> } {
    const fresh = new Set<GraphNode>();
    const source = (component: ComponentSetup, place: NodePlace): GraphNode => {
      const kept = old?.nodes.get(place.key);
      if (kept !== undefined && (kept.isSameAs(component) || kept.canBecome(component))) return kept;
      const before = kept ?? this.#leaving.get(place.key);
      const node = new GraphNode(component, place, this.#options, this.#host, before);
      fresh.add(node);
      return node;
    };
    try {
      return { graph: new Graph(setup, source), fresh };
    } catch (error) {
      for (const node of fresh) node.hideMetrics();
      throw error;
    }
  }

  /** Ends what the new graph does not have, in order, while the new graph already runs. */
  #retireRest(old: Graph, graph: Graph): void {
    const gone = old.stopOrder().map((stage) => stage.filter((node) => graph.nodes.get(node.place.key) !== node));
    const ids = new Set([...graph.nodes.values()].map((node) => node.path));
    for (const node of gone.flat()) {
      node.hideMetrics();
      if (!ids.has(node.path)) node.forgetMetrics();
      const { key } = node.place;
      this.#leaving.set(key, node);
      void node.ended.then(() => this.#leaving.get(key) === node && this.#leaving.delete(key));
    }
    const work = this.#retireAll(gone).finally(() => this.#retiring.delete(work));
    this.#retiring.add(work);
  }

  async #retireOne(node: GraphNode): Promise<void> {
    await this.#retireAll([[node]]);
  }

  async #retireAll(stages: readonly Stage[], deadlineMs = this.#options.retireDeadlineMs): Promise<void> {
    const upstream = deadlineAfter(deadlineMs * upstreamShare);
    const whole = deadlineAfter(deadlineMs);
    try {
      for (const stage of stages) {
        await Promise.all(
          stage.map((node) => {
            const { kind } = node.setup;
            const isLate = kind === "exporter" || kind === "extension";
            return node.retire(isLate ? whole.signal : upstream.signal);
          }),
        );
      }
    } finally {
      upstream.clear();
      whole.clear();
    }
  }
}

/** Starts all of a stage; throws one ConfigError with the issues of all that failed. */
async function startStage(stage: Stage): Promise<void> {
  const results = await Promise.allSettled(stage.map((node) => node.start()));
  const issues: ConfigIssue[] = [];
  for (const result of results) {
    if (result.status === "fulfilled") continue;
    if (!(result.reason instanceof ConfigError)) throw result.reason;
    issues.push(...result.reason.issues);
  }
  if (issues.length > 0) throw new ConfigError(issues);
}
