/** Writes pages of our own metrics in the Prometheus text format 0.0.4 and in OpenMetrics 1.0. */

import { isLegacyLabelName, isLegacyMetricName } from "./escape-name.ts";
import { formatGoFloat, formatLabelFloat } from "./format-float.ts";
import type { ExpositionFormat } from "./negotiate.ts";
import { parseGoFloatText } from "./parse-float.ts";

export interface WritableSample {
  /** What stands behind the family's name: empty, `_bucket`, `_sum` or `_count`. */
  readonly suffix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface WritableFamily {
  /** As in the text format: the name of a counter ends with `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary" | "unknown";
  readonly help: string;
  readonly samples: readonly WritableSample[];
}

/** The Content-Type header of a page that `writeExposition` made. */
export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

const totalSuffix = "_total";

/** A page with every family that has samples, in the order given. Names that are not legacy names are quoted. */
export function writeExposition(families: readonly WritableFamily[], format: ExpositionFormat): string {
  const lines: string[] = [];
  for (const family of families) if (family.samples.length > 0) writeFamily(family, format, lines);
  if (format === "openmetrics") lines.push("# EOF");
  return lines.map((line) => `${line}\n`).join("");
}

function writeFamily(family: WritableFamily, format: ExpositionFormat, lines: string[]): void {
  const isOpenMetrics = format === "openmetrics";
  // An OpenMetrics counter is declared without the suffix that its samples have.
  const isCounter = isOpenMetrics && family.type === "counter";
  const name = isCounter && family.name.endsWith(totalSuffix) ? family.name.slice(0, -totalSuffix.length) : family.name;
  const written = isLegacyMetricName(name) ? name : quote(name);
  if (family.help !== "") {
    lines.push(`# HELP ${written} ${isOpenMetrics ? escapeQuoted(family.help) : escapeHelp(family.help)}`);
  }
  lines.push(`# TYPE ${written} ${family.type === "unknown" && !isOpenMetrics ? "untyped" : family.type}`);
  for (const sample of family.samples) {
    const suffix = isCounter && sample.suffix === "" ? totalSuffix : sample.suffix;
    const value = isOpenMetrics ? formatLabelFloat(sample.value) : formatGoFloat(sample.value, "g");
    lines.push(`${writeSeries(name + suffix, sample.labels, isOpenMetrics)} ${value}`);
  }
}

function writeSeries(name: string, labels: Readonly<Record<string, string>>, isOpenMetrics: boolean): string {
  const isLegacy = isLegacyMetricName(name);
  const items = isLegacy ? [] : [quote(name)];
  for (const [label, value] of Object.entries(labels)) {
    const text = label === "le" || label === "quantile" ? formatBound(value, isOpenMetrics) : value;
    items.push(`${isLegacyLabelName(label) ? label : quote(label)}=${quote(text)}`);
  }
  const braces = items.length > 0 ? `{${items.join(",")}}` : "";
  return isLegacy ? name + braces : braces;
}

function formatBound(text: string, isOpenMetrics: boolean): string {
  const bound = parseGoFloatText(text);
  if (bound === undefined) return text;
  return isOpenMetrics ? formatLabelFloat(bound) : formatGoFloat(bound, "g");
}

function quote(text: string): string {
  return `"${escapeQuoted(text)}"`;
}

function escapeQuoted(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
