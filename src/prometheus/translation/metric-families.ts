/** What remote write says of a metric: its Prometheus name, the names of its parts, and its metadata. */

import type { Identities } from "../../model/identities.ts";
import type { FamilyType, Metric } from "../../model/series.ts";
import { metricName, type TranslationStrategy } from "./metric-name.ts";
import { metadataUnit } from "./unit-name.ts";

/** Metadata of one metric family. */
export interface MetricMetadata {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
}

/** The suffixes of the rows of a histogram or summary; empty for all other rows. */
export type RowSuffix = "" | "_sum" | "_count" | "_bucket";

/** A metric under its Prometheus name. */
export class TranslatedMetric {
  readonly metric: Metric;
  readonly metadata: MetricMetadata;
  readonly #identities: Identities;
  readonly #families = new Map<RowSuffix, number>();

  constructor(identities: Identities, metric: Metric, name: string) {
    this.#identities = identities;
    this.metric = metric;
    this.metadata = { name, type: metadataType(metric), help: metric.description, unit: metadataUnit(metric.unit) };
  }

  rowName(suffix: RowSuffix): string {
    return this.metadata.name + suffix;
  }

  /** The number of the row's Family. */
  family(suffix: RowSuffix): number {
    let id = this.#families.get(suffix);
    if (id === undefined) {
      id = this.#identities.internFamily({ ...this.metadata, exposedName: this.rowName(suffix) });
      this.#families.set(suffix, id);
    }
    return id;
  }
}

/** The metric under its Prometheus name, or undefined when it cannot be given one. */
export function translateMetric(
  identities: Identities,
  metric: Metric,
  naming: { readonly translationStrategy: TranslationStrategy; readonly namespace: string },
): TranslatedMetric | undefined {
  const name = metricName(metric, naming.translationStrategy, naming.namespace);
  return name === undefined ? undefined : new TranslatedMetric(identities, metric, name);
}

function metadataType(metric: Metric): FamilyType {
  const declared = metric.metadata.get("prometheus.type");
  switch (metric.type) {
    case "gauge":
      return declared === "unknown" ? "unknown" : "gauge";
    case "sum":
      if (metric.isMonotonic) return "counter";
      return declared === "info" || declared === "stateset" ? declared : "gauge";
    case "summary":
      return "summary";
    default:
      return "histogram";
  }
}

/** Metadata without repetitions, in the order given. */
export function distinctMetadata(entries: Iterable<MetricMetadata>): MetricMetadata[] {
  const distinct = new Map<string, MetricMetadata>();
  for (const entry of entries) {
    const key = JSON.stringify([entry.name, entry.type, entry.help, entry.unit]);
    if (!distinct.has(key)) distinct.set(key, entry);
  }
  return [...distinct.values()];
}
