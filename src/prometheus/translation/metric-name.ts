/** Turns OTLP metric names into Prometheus ones (the metric namer of the OTLP to Prometheus translation). */

import type { Metric } from "../../model/series.ts";
import { escapedUnitSuffixes, rawUnitSuffixes, type UnitSuffixes } from "./unit-name.ts";

export const translationStrategies = [
  "UnderscoreEscapingWithSuffixes",
  "UnderscoreEscapingWithoutSuffixes",
  "NoUTF8EscapingWithSuffixes",
  "NoTranslation",
] as const;

export type TranslationStrategy = (typeof translationStrategies)[number];

/** What decides the name besides the name itself. */
export type NamedMetric = Pick<Metric, "name" | "unit" | "type" | "isMonotonic">;

/** True for the strategies that keep characters outside letters, digits, `_` and `:`. */
export function allowsUtf8(strategy: TranslationStrategy): boolean {
  return strategy === "NoTranslation" || strategy === "NoUTF8EscapingWithSuffixes";
}

/** The Prometheus name of a metric, or undefined when nothing but underscores would be left of it. */
export function metricName(metric: NamedMetric, strategy: TranslationStrategy, namespace = ""): string | undefined {
  if (metric.name === "") return undefined;
  switch (strategy) {
    case "UnderscoreEscapingWithSuffixes":
      return usable(escapedWithSuffixes(metric, namespace), metric.name);
    case "UnderscoreEscapingWithoutSuffixes":
      return usable(escapedPlain(metric.name, namespace), metric.name);
    case "NoUTF8EscapingWithSuffixes":
      return withSuffixes(metric, namespaced(metric.name, namespace));
    case "NoTranslation":
      return namespaced(metric.name, namespace);
  }
}

function usable(name: string, original: string): string | undefined {
  if (name === "") return undefined;
  return name !== original && /^_+$/.test(name) ? undefined : name;
}

function namespaced(name: string, namespace: string): string {
  return namespace === "" ? name : `${namespace}_${name}`;
}

/** The word that tells the type at the end of a name. */
function typeSuffix(metric: NamedMetric): "total" | "ratio" | "" {
  if (metric.type === "sum" && metric.isMonotonic) return "total";
  return metric.type === "gauge" && metric.unit === "1" ? "ratio" : "";
}

function underscoreDigit(name: string): string {
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

function escapedWithSuffixes(metric: NamedMetric, namespace: string): string {
  let tokens = metric.name.split(/[^A-Za-z0-9:]+/u).filter((token) => token !== "");
  const unit = escapedUnitSuffixes(metric.unit);
  // The per part is compared as one token, so a name that ends in per_second gets it again, as in otelcol-contrib.
  const added = [unit.main, unit.per].filter((suffix) => suffix !== "" && !tokens.includes(suffix));
  tokens.push(...added);
  const type = typeSuffix(metric);
  if (type !== "") tokens = [...tokens.filter((token) => token !== type), type];
  if (namespace !== "") tokens.unshift(namespace);
  return underscoreDigit(tokens.join("_"));
}

function escapedPlain(name: string, namespace: string): string {
  const escaped = escapePlain(name);
  return namespace === "" ? underscoreDigit(escaped) : `${escapePlain(namespace)}_${escaped}`;
}

function escapePlain(name: string): string {
  return name
    .split(/[^A-Za-z0-9:_]+/u)
    .filter((token) => token !== "")
    .join("_");
}

function withSuffixes(metric: NamedMetric, name: string): string {
  const unit: UnitSuffixes = rawUnitSuffixes(metric.unit);
  const type = typeSuffix(metric);
  let result = withoutEnd(name, type);
  result = withoutEnd(result, unit.per);
  if (unit.main !== "" && !result.endsWith(unit.main)) result += `_${unit.main}`;
  if (unit.per !== "") result += `_${unit.per}`;
  return type === "" ? result : `${result}_${type}`;
}

/** The name without a last word and the character before it, whatever that is. */
function withoutEnd(name: string, word: string): string {
  return word !== "" && name.endsWith(word) && name.length > word.length + 1 ? name.slice(0, -(word.length + 1)) : name;
}
