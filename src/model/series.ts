/** What an author of a component sees of a series: views made for the moment, immutable. */

import type { Attributes } from "./attributes.ts";

export interface Resource {
  readonly attributes: Attributes;
  readonly schemaUrl: string;
  readonly droppedAttributesCount: number;
  /** OTLP's `entity_refs` as encoded fields, in base64; undefined when there are none. */
  readonly entityRefs?: string | undefined;
}

export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly attributes: Attributes;
  readonly schemaUrl: string;
  readonly droppedAttributesCount: number;
}

export type MetricType = "gauge" | "sum" | "histogram" | "exponential_histogram" | "summary";

/** `unspecified` is OTLP's 0; gauges and summaries have none. */
export type Temporality = "unspecified" | "delta" | "cumulative" | "none";

/** A metric of OTLP: what its points have in common. */
export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly type: MetricType;
  readonly temporality: Temporality;
  /** Only sums can be monotonic. */
  readonly isMonotonic: boolean;
  /** OTLP metadata of the metric, e.g. `prometheus.type`; empty when there is none. */
  readonly metadata: Attributes;
}

/** The identity of a stream of points. */
export interface Series {
  readonly resource: Resource;
  readonly scope: Scope;
  readonly metric: Metric;
  readonly attributes: Attributes;
}

/** The type words of the Prometheus exposition formats. */
export type FamilyType =
  | "counter"
  | "gauge"
  | "histogram"
  | "gaugehistogram"
  | "summary"
  | "info"
  | "stateset"
  | "unknown";

/** A metric family as a page declared it, and the name under which the series was exposed before relabeling. */
export interface Family {
  /** The family's name in its TYPE, HELP or UNIT line. */
  readonly name: string;
  /** The exposed name of the series; with `name` it tells the suffix. */
  readonly exposedName: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

export function familyKey(family: Family): string {
  return JSON.stringify([family.name, family.exposedName, family.type, family.help, family.unit]);
}

export function metricKey(metric: Metric): string {
  const metadata = metric.metadata.size === 0 ? "" : JSON.stringify([...metric.metadata], writeValue);
  return JSON.stringify([
    metric.name,
    metric.description,
    metric.unit,
    metric.type,
    metric.temporality,
    metric.isMonotonic,
    metadata,
  ]);
}

/** Values that JSON cannot tell apart get a form of their own. */
function writeValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return { int: String(value) };
  if (typeof value === "number" && !Number.isInteger(value)) return { double: String(value) };
  if (Object.is(value, -0)) return { double: "-0" };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Map) return { map: [...value] };
  return value;
}
