/** What a graph is built from: decoded components and the plan of how they are connected. */

import type { AnyDefinition, ComponentKind } from "../component/define.ts";
import type { CollectorPlan } from "../config/plan-types.ts";

/** A component ready to be created. */
export interface ComponentSetup {
  readonly kind: ComponentKind;
  /** `type` or `type/name`. */
  readonly id: string;
  readonly definition: AnyDefinition;
  /** The decoded and completed section. */
  readonly config: unknown;
  /** Equal for equal sections as written: what did not change is kept at a reload. */
  readonly fingerprint: string;
  /** Label of a receiver's metrics. */
  readonly transport: string;
  /** Whether a receiver or an exporter counts what it handed on or sent itself. */
  readonly countsItself: boolean;
}

export interface GraphSetup {
  readonly plan: Pick<CollectorPlan, "pipelines" | "buildOrder" | "connections" | "activeExtensions">;
  /** Every component that the plan uses, by `setupKey`. */
  readonly components: ReadonlyMap<string, ComponentSetup>;
}

export function setupKey(kind: ComponentKind, id: string): string {
  return `${kind}:${id}`;
}
