/** Tells from a row's name and its declared family which OTLP metric the row belongs to and which part of a point it is. */

import type { Attributes } from "../../model/attributes.ts";
import { rowPart } from "../../model/layout.ts";
import type { Family, FamilyType, Metric } from "../../model/series.ts";
import { trimMetricSuffixes } from "./trim-suffixes.ts";
import { ucumUnit } from "./unit-name.ts";

/** The label that tells the rows of one point apart; it is no attribute. */
export type BoundLabel = "le" | "quantile" | undefined;

/** What all rows with one name and one family have in common. */
export interface NameReading {
  readonly metric: Metric;
  /** One of `rowPart`. */
  readonly part: number;
  readonly boundLabel: BoundLabel;
}

/** What the rows of a layout tell about one another, gathered before any is read. */
export interface LayoutFacts {
  /** Families of the layout by declared name. */
  readonly families: ReadonlyMap<string, Family>;
  /** New names of renamed histograms and summaries that still have a `_count` row. */
  readonly countedRenames: ReadonlySet<string>;
}

/** In the order in which the first match is cut (otelcol-contrib's family lookup). */
const suffixes = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

/** Metrics that the scrape itself writes, with the Collector's words. */
const scrapeMetrics: ReadonlyMap<string, { help: string; unit: string }> = new Map([
  ["up", { help: "The scraping was successful", unit: "" }],
  ["scrape_duration_seconds", { help: "Duration of the scrape", unit: "seconds" }],
  ["scrape_samples_scraped", { help: "The number of samples the target exposed", unit: "" }],
  [
    "scrape_samples_post_metric_relabeling",
    { help: "The number of samples remaining after metric relabeling was applied", unit: "" },
  ],
  ["scrape_series_added", { help: "The approximate number of new series in this scrape", unit: "" }],
]);

/** A row's family as it stands after metric relabeling. */
export interface CurrentFamily {
  readonly family: Family;
  /** Name of the family now. */
  readonly base: string;
  /** What follows the family's name in the exposed name; one of `suffixes` or empty. */
  readonly suffix: string;
  readonly renamed: boolean;
}

function cutSuffix(name: string): string {
  const suffix = suffixes.find((end) => name.endsWith(end) && name.length > end.length);
  return suffix === undefined ? name : name.slice(0, -suffix.length);
}

function suffixIn(family: Family, name: string): string | undefined {
  if (name === family.name) return "";
  const suffix = name.startsWith(family.name) ? name.slice(family.name.length) : undefined;
  return suffix !== undefined && suffixes.includes(suffix) ? suffix : undefined;
}

/** The family of a name by declaration alone, as otelcol-contrib looks it up. */
function declaredFamily(name: string, families: ReadonlyMap<string, Family>): CurrentFamily | undefined {
  for (const base of [name, cutSuffix(name)]) {
    const family = families.get(base);
    if (family !== undefined) return { family, base, suffix: name.slice(base.length), renamed: false };
  }
  return undefined;
}

/**
 * The family of a row called `name` that was exposed as `declared.exposedName`.
 *
 * Type and metadata follow a renamed row when the new name still ends as the family's part did: `foo_bucket` of `foo`
 * may become `bar_bucket`, of `bar`; a counter that was exposed with `_total` must keep `_total`. A row that lost its
 * ending is what its new name says (for otelcol-contrib every renamed row is): the family declared under that name, or
 * a gauge of unknown type. So nobody's series get a suffix that a rename took away.
 */
export function currentFamily(
  name: string,
  declared: Family | undefined,
  families: ReadonlyMap<string, Family>,
): CurrentFamily | undefined {
  if (declared === undefined || declared.exposedName === name) {
    const suffix = declared === undefined ? undefined : suffixIn(declared, name);
    if (declared === undefined || suffix === undefined) return declaredFamily(name, families);
    return { family: declared, base: declared.name, suffix, renamed: false };
  }
  const exposed = declared.exposedName;
  const suffix = suffixIn(declared, exposed);
  if (suffix === undefined) return declaredFamily(name, families);
  const ending = declared.type === "counter" && exposed.endsWith("_total") ? "_total" : suffix;
  if (!name.endsWith(ending) || name.length === ending.length) return declaredFamily(name, families);
  return { family: declared, base: name.slice(0, name.length - suffix.length), suffix, renamed: true };
}

/** True for types whose points take several rows. */
export function isComposite(type: FamilyType): boolean {
  return type === "histogram" || type === "summary";
}

/** Reads a row's name. */
export function readName(
  name: string,
  declared: Family | undefined,
  facts: LayoutFacts,
  trimSuffixes: boolean,
): NameReading {
  const scraped = scrapeMetrics.get(name);
  if (scraped !== undefined) {
    const { help, unit } = scraped;
    return reading({ name, type: "gauge", help, unit }, rowPart.value, undefined, trimSuffixes);
  }
  let current = currentFamily(name, declared, facts.families);
  // Half a renamed histogram (its _count kept the old name) makes no point: its rows are what their names say.
  if (current?.renamed && isComposite(current.family.type) && !facts.countedRenames.has(current.base)) {
    current = declaredFamily(name, facts.families);
  }
  const part = current && partOf(current);
  if (current === undefined || part === undefined) {
    return reading({ name, type: "unknown", help: "", unit: "" }, rowPart.value, undefined, trimSuffixes);
  }
  const { family, base } = current;
  const unit = current.renamed && !base.endsWith(`_${family.unit}`) ? "" : family.unit;
  const emitted = emittedName(name, current, part);
  return reading(
    { name: emitted, type: family.type, help: family.help, unit },
    part,
    family.type === "histogram" ? "le" : family.type === "summary" ? "quantile" : undefined,
    trimSuffixes,
  );
}

const compositeParts: Readonly<Record<string, number>> = {
  _sum: rowPart.sum,
  _count: rowPart.count,
  _created: rowPart.created,
};

/** The part of a row in its family, or undefined when the name does not belong to a family of this type. */
function partOf({ family, suffix }: CurrentFamily): number | undefined {
  switch (family.type) {
    case "counter":
      return suffix === "_created" ? rowPart.created : rowPart.value;
    case "info":
      return suffix === "" || suffix === "_info" ? rowPart.value : undefined;
    // otelcol-contrib makes a gauge of every bucket and of nothing else of a gauge histogram.
    case "gaugehistogram":
      return suffix === "" || suffix === "_bucket" ? rowPart.value : undefined;
    case "histogram":
      return suffix === "" || suffix === "_bucket" ? rowPart.bucket : compositeParts[suffix];
    case "summary":
      return suffix === "" ? rowPart.quantile : compositeParts[suffix];
    default:
      return suffix === "" ? rowPart.value : undefined;
  }
}

function emittedName(name: string, current: CurrentFamily, part: number): string {
  if (current.family.type !== "counter") return current.base;
  return part === rowPart.created ? `${current.base}_total` : name;
}

function reading(
  family: { name: string; type: FamilyType; help: string; unit: string },
  part: number,
  boundLabel: BoundLabel,
  trimSuffixes: boolean,
): NameReading {
  const type = metricType(family.type);
  const metadata: Attributes = new Map([["prometheus.type", family.type]]);
  const metric: Metric = {
    name: trimSuffixes ? trimMetricSuffixes(family.name, type, family.unit) : family.name,
    description: family.help,
    unit: ucumUnit(family.unit),
    type,
    temporality: type === "gauge" || type === "summary" ? "none" : "cumulative",
    isMonotonic: family.type === "counter",
    metadata,
  };
  return { metric, part, boundLabel };
}

function metricType(type: FamilyType): Metric["type"] {
  if (type === "histogram" || type === "summary") return type;
  return type === "counter" || type === "info" || type === "stateset" ? "sum" : "gauge";
}
