/** How a component is written: data plus one function. Nothing is registered by importing a definition. */

import type { ZodType } from "zod";
import type { ConfigNode } from "../codec/yaml/config-node.ts";
import type { MetricsBatch } from "../model/batch.ts";
import type { ConfigIssue } from "../model/errors.ts";
import type { Identities } from "../model/identities.ts";
import type { LogsBatch, Signal, TracesBatch } from "../model/otlp-request.ts";
import type { Consumers, LogsConsumer, MetricsConsumer, Output, TracesConsumer } from "./consumer.ts";
import type { Clock, Logger, Meter } from "./telemetry.ts";

export type ComponentKind = "receiver" | "processor" | "exporter" | "connector" | "extension";
export type Stability = "development" | "alpha" | "beta" | "stable";

/** Stability per signal: also the list of the signals that the component supports. */
export type SignalStability = Partial<Readonly<Record<Signal, Stability>>>;

/** Overall state of a component as health checks see it. */
export interface ComponentStatus {
  readonly state: "ok" | "recoverable" | "permanent";
  readonly message: string;
}

/** What the process offers to a component. */
export interface Host {
  /** Product name and version, for User-Agent headers and scopes. */
  readonly version: string;
  /** The environment of the process, for proxies. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The started extension with this id, or undefined. */
  extension(id: string): unknown;
  /** Reports a change of the component's state. */
  reportStatus(status: ComponentStatus): void;
  /** True when every component has started and none has failed for good. */
  isReady(): boolean;
  /** Worst status of all components, for health checks. */
  statuses(): ReadonlyMap<string, ComponentStatus>;
}

/** Given to `create`; everything a component may use of the outside. */
export interface CreateContext<C> {
  /** `type` or `type/name`, as in the configuration. */
  readonly id: string;
  readonly config: C;
  readonly identities: Identities;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly host: Host;
  /** The signals that pass through it when it is created: of a processor the one of its pipeline. A reload may add some. */
  readonly signals?: readonly Signal[] | undefined;
  /**
   * Set when a reload puts this component into the place of another with the same id: settles when that one, and
   * those before it, have drained. An exporter that keeps series in order sends nothing before.
   */
  readonly after?: Promise<void> | undefined;
  /**
   * Runs a loop in the background: started at start, aborted and awaited at shutdown; a loop that throws becomes a
   * permanent status of the component, never the end of the process.
   */
  spawn(name: string, loop: (signal: AbortSignal) => Promise<void>): void;
}

/** What a component may do at the edges of its life. */
export interface Lifecycle {
  /** May do I/O. Rejects with ConfigError when a configured thing cannot be had (a port, a file). */
  start?(): Promise<void>;
  /** Drains and frees everything. Works before `start` and twice; ends by the deadline, when the signal aborts. */
  shutdown?(deadline: AbortSignal): Promise<void>;
}

export interface Receiver<C> extends Lifecycle {
  /**
   * Takes a new configuration without a stop, so that what did not change goes on undisturbed. Without this function a
   * changed receiver is stopped and created anew.
   */
  reconfigure?(config: C): Promise<void>;
}

/** A processor is a function for each signal, from a batch to what follows; `next` is where its output goes. */
export interface Processor extends Lifecycle {
  metrics?(batch: MetricsBatch, next: MetricsConsumer): Promise<void>;
  traces?(batch: TracesBatch, next: TracesConsumer): Promise<void>;
  logs?(batch: LogsBatch, next: LogsConsumer): Promise<void>;
}

/** One instance takes all of its signals. */
export interface Exporter extends Lifecycle, Partial<Consumers> {}

interface DefinitionBase<C> {
  /** The id in configurations: lower_snake_case, the Collector's own name where it has one. */
  readonly type: string;
  /** Older or other spellings that are accepted as well. */
  readonly aliases?: readonly string[];
  /** One line for lists. */
  readonly description?: string;
  /** Schema of the section; every key with default and description. */
  readonly config: ZodType<C>;
  /**
   * Second look at a section that the schema accepted: decodes parts that have a language of their own and checks what
   * a schema cannot say. Reports issues with paths below the section and returns the configuration for `create`.
   */
  complete?(config: C, section: CompleteContext): C;
}

/** Given to `complete`. */
export interface CompleteContext {
  /** The section as written. */
  readonly node: ConfigNode | undefined;
  /** The path of the section, e.g. ["receivers", "prometheus"]. */
  readonly path: readonly (string | number)[];
  readonly env: Readonly<Record<string, string | undefined>>;
  issue(issue: ConfigIssue): void;
  /** Something accepted that has no effect yet, or is deprecated: logged once with its place. */
  notice(issue: ConfigIssue): void;
}

export interface ReceiverDefinition<C> extends DefinitionBase<C> {
  readonly kind: "receiver";
  readonly stability: SignalStability;
  /** One instance feeds the pipelines of all signals. */
  create(context: CreateContext<C> & { readonly next: Output }): Receiver<C>;
}

export interface ProcessorDefinition<C> extends DefinitionBase<C> {
  readonly kind: "processor";
  readonly stability: SignalStability;
  create(context: CreateContext<C>): Processor;
}

export interface ExporterDefinition<C> extends DefinitionBase<C> {
  readonly kind: "exporter";
  readonly stability: SignalStability;
  create(context: CreateContext<C>): Exporter;
}

/** From which signal to which a connector leads. */
export interface SignalPair {
  readonly from: Signal;
  readonly to: Signal;
  readonly stability: Stability;
}

export interface ConnectorDefinition<C> extends DefinitionBase<C> {
  readonly kind: "connector";
  readonly pairs: readonly SignalPair[];
  /** An instance for each pair of signals in use; `next` fans out to the pipelines of `to` that have it as a receiver. */
  create(context: CreateContext<C> & { readonly next: Output; readonly from: Signal; readonly to: Signal }): Exporter;
}

export interface ExtensionDefinition<C> extends DefinitionBase<C> {
  readonly kind: "extension";
  readonly stability?: Stability;
  create(context: CreateContext<C>): Lifecycle;
}

export type ComponentDefinition<C = unknown> =
  | ReceiverDefinition<C>
  | ProcessorDefinition<C>
  | ExporterDefinition<C>
  | ConnectorDefinition<C>
  | ExtensionDefinition<C>;

/** A definition whose configuration type is not known, as lists of components hold it. */
export type AnyDefinition = ComponentDefinition<unknown>;

export function defineReceiver<C>(definition: Omit<ReceiverDefinition<C>, "kind">): ReceiverDefinition<C> {
  return { kind: "receiver", ...definition };
}

export function defineProcessor<C>(definition: Omit<ProcessorDefinition<C>, "kind">): ProcessorDefinition<C> {
  return { kind: "processor", ...definition };
}

export function defineExporter<C>(definition: Omit<ExporterDefinition<C>, "kind">): ExporterDefinition<C> {
  return { kind: "exporter", ...definition };
}

export function defineConnector<C>(definition: Omit<ConnectorDefinition<C>, "kind">): ConnectorDefinition<C> {
  return { kind: "connector", ...definition };
}

export function defineExtension<C>(definition: Omit<ExtensionDefinition<C>, "kind">): ExtensionDefinition<C> {
  return { kind: "extension", ...definition };
}
