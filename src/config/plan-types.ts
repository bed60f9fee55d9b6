/** What a collector's configuration becomes before anything is created: components, pipelines, and who feeds whom. */

import type { ConfigNode } from "../codec/yaml/config-node.ts";
import type { ComponentKind } from "../component/define.ts";
import type { SourcePosition } from "../model/errors.ts";
import type { Signal } from "../model/otlp-request.ts";
import type { TelemetrySettings } from "./telemetry-config.ts";

/** A component type as the registry knows it. */
export interface CatalogEntry {
  /** The type's own name, also where it was found by an older spelling. */
  readonly type: string;
  /** True when it was found by an older spelling. */
  readonly deprecatedAlias: boolean;
  /** The signals that a receiver, processor or exporter supports; empty for the others. */
  readonly signals: readonly Signal[];
  /** From which signal to which a connector leads; empty for the others. */
  readonly connectorPairs: readonly { readonly from: Signal; readonly to: Signal }[];
}

/** Which component types there are. */
export interface ComponentCatalog {
  /** The type with this name or older spelling. */
  find(kind: ComponentKind, type: string): CatalogEntry | undefined;
  /** The names of all types of a kind, without older spellings. */
  types(kind: ComponentKind): readonly string[];
  /** Whether a type that is not there yet is one that Millrace will have. */
  later(kind: ComponentKind, type: string): boolean;
}

/** A configured component. */
export interface PlannedComponent {
  readonly kind: ComponentKind;
  /** The id as written, without blanks around its parts: `type` or `type/name`, an older spelling of the type kept. */
  readonly id: string;
  /** The type's own name, never an older spelling. */
  readonly type: string;
  /** The part behind the `/`, or empty. */
  readonly name: string;
  readonly entry: CatalogEntry;
  /** The section as written, for the component's schema; undefined when it is absent. */
  readonly config: ConfigNode | undefined;
  /** The section's path, e.g. `["receivers", "otlp/2"]`. */
  readonly path: readonly string[];
  readonly at: SourcePosition | undefined;
  /** Whether a pipeline or the list of extensions names it. Unused ones are checked, never created. */
  readonly used: boolean;
}

/** A pipeline; all ids are those of planned components. */
export interface PlannedPipeline {
  /** `metrics` or `metrics/name`. */
  readonly id: string;
  readonly signal: Signal;
  readonly name: string;
  /** Receivers in order, each once; connectors that feed the pipeline are in `fromConnectors`. */
  readonly receivers: readonly string[];
  readonly fromConnectors: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
  readonly toConnectors: readonly string[];
  readonly at: SourcePosition | undefined;
}

/** One instance of a connector: what comes from pipelines of one signal and goes to pipelines of another. */
export interface PlannedConnection {
  /** The connector's id. */
  readonly connector: string;
  readonly from: Signal;
  readonly to: Signal;
  /** Ids of the pipelines that feed it and that it feeds. */
  readonly fromPipelines: readonly string[];
  readonly toPipelines: readonly string[];
}

/** A collector's configuration, checked at its outside. */
export interface CollectorPlan {
  /** Every configured component of a known type, by id, in the order of the file. */
  readonly receivers: ReadonlyMap<string, PlannedComponent>;
  readonly processors: ReadonlyMap<string, PlannedComponent>;
  readonly exporters: ReadonlyMap<string, PlannedComponent>;
  readonly connectors: ReadonlyMap<string, PlannedComponent>;
  readonly extensions: ReadonlyMap<string, PlannedComponent>;
  /** In the order of the file. */
  readonly pipelines: readonly PlannedPipeline[];
  /** Ids of the pipelines such that each stands behind all that it feeds: the order to build in. */
  readonly buildOrder: readonly string[];
  readonly connections: readonly PlannedConnection[];
  /** Ids of the extensions to start, in order. */
  readonly activeExtensions: readonly string[];
  readonly telemetry: TelemetrySettings;
}
