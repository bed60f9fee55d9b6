/** All of the data as text: the text of verbosity detailed. */

import { decodeMessage } from "../../codec/otlp/message-objects.ts";
import type { EntityRefData } from "../../codec/otlp/traces-data.ts";
import { formatFixed } from "../../codec/otlp-json/go-numbers.ts";
import {
  type PointRef,
  pointAttributes,
  type ResourceGroup,
  type ScopeGroup,
} from "../../codec/otlp-json/group-points.ts";
import {
  type ExponentialBuckets,
  type ExponentialHistogramPoints,
  type HistogramPoints,
  type NumberPoints,
  noRecordedValue,
  type PointExemplar,
  type PointsSegment,
  type SummaryPoints,
} from "../../model/batch.ts";
import type { Metric, MetricType, Resource, Temporality } from "../../model/series.ts";
import { attributeLines, indent, resourceLines, timeText } from "./attribute-lines.ts";
import { bucketFactor } from "./bucket-bounds.ts";

/** The lines, each with its end, as the Collector writes them. */
export function describeMetrics(groups: readonly ResourceGroup[]): string {
  const lines: string[] = [];
  for (const [i, { resource, scopes }] of groups.entries()) {
    lines.push(`ResourceMetrics #${i}`, `Resource SchemaURL: ${resource.schemaUrl}`);
    lines.push(...resourceLines({ attributes: resource.attributes, entityRefs: entityRefsOf(resource) }));
    for (const [j, scope] of scopes.entries()) describeScope(lines, j, scope);
  }
  return lines.map((line) => `${line}\n`).join("");
}

function entityRefsOf({ entityRefs }: Resource): readonly EntityRefData[] {
  if (entityRefs === undefined) return [];
  return decodeMessage("Resource", Buffer.from(entityRefs, "base64"))["entityRefs"] as readonly EntityRefData[];
}

function describeScope(lines: string[], index: number, { scope, metrics }: ScopeGroup): void {
  lines.push(`ScopeMetrics #${index}`, `ScopeMetrics SchemaURL: ${scope.schemaUrl}`);
  lines.push(`InstrumentationScope ${scope.name} ${scope.version}`);
  lines.push(...attributeLines("InstrumentationScope attributes", scope.attributes));
  for (const [i, { metric, points }] of metrics.entries()) {
    lines.push(`Metric #${i}`, ...descriptorLines(metric));
    for (const [j, point] of points.entries()) describePoint(lines, j, point);
  }
}

const dataTypes: Readonly<Record<MetricType, string>> = {
  gauge: "Gauge",
  sum: "Sum",
  histogram: "Histogram",
  exponential_histogram: "ExponentialHistogram",
  summary: "Summary",
};
const temporalities: Readonly<Record<Temporality, string>> = {
  none: "Unspecified",
  unspecified: "Unspecified",
  delta: "Delta",
  cumulative: "Cumulative",
};

function descriptorLines(metric: Metric): string[] {
  const lines = [
    "Descriptor:",
    `${indent} Name: ${metric.name}`,
    `${indent} Description: ${metric.description}`,
    `${indent} Unit: ${metric.unit}`,
    `${indent} DataType: ${dataTypes[metric.type]}`,
    ...attributeLines(`${indent} Metadata`, metric.metadata),
  ];
  if (metric.type === "sum") lines.push(`${indent} IsMonotonic: ${metric.isMonotonic}`);
  if (metric.type !== "gauge" && metric.type !== "summary") {
    lines.push(`${indent} AggregationTemporality: ${temporalities[metric.temporality]}`);
  }
  return lines;
}

const pointHeadings: Readonly<Record<PointsSegment["kind"], string>> = {
  number: "NumberDataPoints",
  histogram: "HistogramDataPoints",
  exponential_histogram: "ExponentialHistogramDataPoints",
  summary: "SummaryDataPoints",
};

function describePoint(lines: string[], index: number, point: PointRef): void {
  const { segment, row, exemplars } = point;
  lines.push(`${pointHeadings[segment.kind]} #${index}`);
  lines.push(...attributeLines("Data point attributes", pointAttributes(point)));
  lines.push(`StartTimestamp: ${timeText(segment.startTimeUnixNano[row] as bigint)}`);
  lines.push(`Timestamp: ${timeText(segment.timeUnixNano[row] as bigint)}`);
  lines.push(...valueLines(segment, row));
  if (exemplars.length === 0) return;
  lines.push("Exemplars:");
  for (const [i, exemplar] of exemplars.entries()) lines.push(...exemplarLines(i, exemplar));
}

function valueLines(segment: PointsSegment, row: number): string[] {
  switch (segment.kind) {
    case "number":
      return numberLines(segment, row);
    case "histogram":
      return histogramLines(segment, row);
    case "exponential_histogram":
      return exponentialLines(segment, row);
    case "summary":
      return summaryLines(segment, row);
  }
}

function numberLines(segment: NumberPoints, row: number): string[] {
  if (((segment.flags[row] as number) & noRecordedValue) !== 0) return [];
  const isInt = segment.isInt?.[row] === 1;
  return [`Value: ${isInt ? segment.ints[row] : formatFixed(segment.doubles[row] as number)}`];
}

function statisticLines(segment: HistogramPoints | ExponentialHistogramPoints, row: number): string[] {
  const lines = [`Count: ${segment.counts[row]}`];
  if (segment.hasSum[row] === 1) lines.push(`Sum: ${formatFixed(segment.sums[row] as number)}`);
  if (segment.hasMin[row] === 1) lines.push(`Min: ${formatFixed(segment.mins[row] as number)}`);
  if (segment.hasMax[row] === 1) lines.push(`Max: ${formatFixed(segment.maxs[row] as number)}`);
  return lines;
}

function histogramLines(segment: HistogramPoints, row: number): string[] {
  const buckets = segment.bucketCounts.subarray(segment.bucketOffsets[row], segment.bucketOffsets[row + 1]);
  const bounds = segment.bounds.subarray(segment.boundOffsets[row], segment.boundOffsets[row + 1]);
  return [
    ...statisticLines(segment, row),
    ...Array.from(bounds, (bound, i) => `ExplicitBounds #${i}: ${formatFixed(bound)}`),
    ...Array.from(buckets, (count, i) => `Buckets #${i}, Count: ${count}`),
  ];
}

function exponentialLines(segment: ExponentialHistogramPoints, row: number): string[] {
  const factor = bucketFactor(segment.scales[row] as number);
  const bound = (index: number, sign = 1) => formatFixed(sign * Math.exp(index * factor));
  const { offset: below, counts: belowCounts } = segment.negative[row] as ExponentialBuckets;
  const { offset: above, counts: aboveCounts } = segment.positive[row] as ExponentialBuckets;
  const lines = statisticLines(segment, row);
  for (let i = belowCounts.length - 1; i >= 0; i--) {
    lines.push(`Bucket [${bound(below + i + 1, -1)}, ${bound(below + i, -1)}), Count: ${belowCounts[i]}`);
  }
  if (segment.zeroCounts[row] !== 0n) lines.push(`Bucket [0, 0], Count: ${segment.zeroCounts[row]}`);
  for (const [i, count] of aboveCounts.entries()) {
    lines.push(`Bucket (${bound(above + i)}, ${bound(above + i + 1)}], Count: ${count}`);
  }
  return lines;
}

function summaryLines(segment: SummaryPoints, row: number): string[] {
  const lines = [`Count: ${segment.counts[row]}`, `Sum: ${formatFixed(segment.sums[row] as number)}`];
  const start = segment.quantileOffsets[row] as number;
  for (let i = start; i < (segment.quantileOffsets[row + 1] as number); i++) {
    const quantile = formatFixed(segment.quantiles[i] as number);
    lines.push(
      `QuantileValue #${i - start}: Quantile ${quantile}, Value ${formatFixed(segment.quantileValues[i] as number)}`,
    );
  }
  return lines;
}

function exemplarLines(index: number, exemplar: PointExemplar): string[] {
  const { value } = exemplar;
  return [
    `Exemplar #${index}`,
    `${indent} Trace ID: ${Buffer.from(exemplar.traceId).toString("hex")}`,
    `${indent} Span ID: ${Buffer.from(exemplar.spanId).toString("hex")}`,
    `${indent} Timestamp: ${timeText(exemplar.timeUnixNano)}`,
    `${indent} Value: ${typeof value === "bigint" ? value : formatFixed(value)}`,
    ...attributeLines(`${indent} FilteredAttributes`, exemplar.filteredAttributes),
  ];
}
