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
  /** Where the row stands among the families of its page; undefined when a rename put it where it is. */
  readonly place: FamilyPlace | undefined;
}

/** A row's place among the families of its page. */
export interface FamilyPlace {
  /** The family's name in OTLP, with no suffix trimmed. */
  readonly name: string;
  /** The declared name; that of the row when nothing was declared. */
  readonly declared: string;
  readonly type: FamilyType;
  /** What follows the declared name in the row's; one of `suffixes` or empty. */
  readonly suffix: string;
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

/** The name without the first of the known endings that it has. */
export function cutSuffix(name: string): string {
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
  if (scraped !== undefined) return lone({ name, type: "gauge", ...scraped }, trimSuffixes);
  let current = currentFamily(name, declared, facts.families);
  // Half a renamed histogram (its _count kept the old name) makes no point: its rows are what their names say.
  if (current?.renamed && isComposite(current.family.type) && !facts.countedRenames.has(current.base)) {
    current = declaredFamily(name, facts.families);
  }
  if (current === undefined) return lone({ name, type: "unknown", help: "", unit: "" }, trimSuffixes);
  const { family, base, suffix, renamed } = current;
  const part = partOf(name, current);
  if (part === undefined) return lone({ name, type: "unknown", help: "", unit: "" }, trimSuffixes);
  const unit = renamed && !base.endsWith(`_${family.unit}`) ? "" : family.unit;
  const emitted = emittedName(name, current, part);
  return {
    metric: metricOf({ name: emitted, type: family.type, help: family.help, unit }, trimSuffixes),
    part,
    boundLabel: family.type === "histogram" ? "le" : family.type === "summary" ? "quantile" : undefined,
    place: renamed ? undefined : { name: emitted, declared: base, type: family.type, suffix },
  };
}

type Description = Pick<Family, "name" | "type" | "help" | "unit">;

/** A row that is a metric by itself. */
function lone(family: Description, trimSuffixes: boolean): NameReading {
  const { name, type } = family;
  return {
    metric: metricOf(family, trimSuffixes),
    part: rowPart.value,
    boundLabel: undefined,
    place: { name, declared: name, type, suffix: "" },
  };
}

/** The endings of rows that a family of the type has by right: only such rows take it with them through a rename. */
const ownSuffixes: Readonly<Record<FamilyType, readonly string[]>> = {
  counter: ["", ...suffixes],
  gauge: [""],
  unknown: [""],
  stateset: [""],
  info: ["", "_info"],
  gaugehistogram: ["", "_bucket"],
  histogram: ["", "_bucket", "_sum", "_count", "_created"],
  summary: ["", "_sum", "_count", "_created"],
};

/** The part of a row in its family; undefined when a rename makes it none of it. */
function partOf(name: string, { family: { type }, base, suffix, renamed }: CurrentFamily): number | undefined {
  if (renamed && !ownSuffixes[type].includes(suffix)) return undefined;
  if (isComposite(type)) {
    // otelcol-contrib looks at the end of the name only, whatever the family is called.
    if (name.endsWith("_sum")) return rowPart.sum;
    if (name.endsWith("_count")) return rowPart.count;
    if (name === `${base}_created`) return rowPart.created;
    return type === "histogram" ? rowPart.bucket : rowPart.quantile;
  }
  const hasStart = type === "counter" || type === "info" || type === "stateset";
  return hasStart && suffix === "_created" ? rowPart.created : rowPart.value;
}

function emittedName(name: string, current: CurrentFamily, part: number): string {
  if (current.family.type !== "counter") return current.base;
  return part === rowPart.created ? `${current.base}_total` : name;
}

function metricOf(family: Description, trimSuffixes: boolean): Metric {
  const type = metricType(family.type);
  const metadata: Attributes = new Map([["prometheus.type", family.type]]);
  return {
    name: trimSuffixes ? trimMetricSuffixes(family.name, type, family.unit) : family.name,
    description: family.help,
    unit: ucumUnit(family.unit),
    type,
    temporality: type === "gauge" || type === "summary" ? "none" : "cumulative",
    isMonotonic: family.type === "counter",
    metadata,
  };
}

function metricType(type: FamilyType): Metric["type"] {
  if (type === "histogram" || type === "summary") return type;
  return type === "counter" || type === "info" || type === "stateset" ? "sum" : "gauge";
}
