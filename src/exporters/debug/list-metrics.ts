/** One line per point: the text of verbosity normal. */

import { formatFixed, formatShortest } from "../../codec/otlp-json/go-numbers.ts";
import { type PointRef, pointAttributes, type ResourceGroup } from "../../codec/otlp-json/group-points.ts";
import {
  type ExponentialBuckets,
  type ExponentialHistogramPoints,
  type HistogramPoints,
  type NumberPoints,
  noRecordedValue,
  type SummaryPoints,
} from "../../model/batch.ts";
import { attributePairs, scopeDetails, spaced } from "./attribute-lines.ts";
import { bucketFactor } from "./bucket-bounds.ts";

/** The lines, each with its end, as the Collector writes them. */
export function listMetrics(groups: readonly ResourceGroup[]): string {
  const lines: string[] = [];
  for (const [i, { resource, scopes }] of groups.entries()) {
    const schema = resource.schemaUrl === "" ? "" : ` [${resource.schemaUrl}]`;
    lines.push(`ResourceMetrics #${i}${schema}${spaced(attributePairs(resource.attributes))}`);
    for (const { scope, metrics } of scopes) {
      // The number is the resource's, in the Collector as well.
      lines.push(
        `ScopeMetrics #${i}${scopeDetails(scope.name, scope.version, scope.schemaUrl)}${spaced(attributePairs(scope.attributes))}`,
      );
      for (const { metric, points } of metrics) {
        for (const point of points) {
          lines.push(`${metric.name}{${attributePairs(pointAttributes(point)).join(",")}} ${valueText(point)}`);
        }
      }
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function valueText({ segment, row }: PointRef): string {
  switch (segment.kind) {
    case "number":
      return numberText(segment, row);
    case "histogram":
      return histogramText(segment, row);
    case "exponential_histogram":
      return exponentialText(segment, row);
    case "summary":
      return summaryText(segment, row);
  }
}

function numberText(segment: NumberPoints, row: number): string {
  if (((segment.flags[row] as number) & noRecordedValue) !== 0) return "";
  return segment.isInt?.[row] === 1 ? String(segment.ints[row]) : formatShortest(segment.doubles[row] as number);
}

function statistics(segment: HistogramPoints | ExponentialHistogramPoints, row: number): string {
  let text = `count=${segment.counts[row]}`;
  if (segment.hasSum[row] === 1) text += ` sum=${formatShortest(segment.sums[row] as number)}`;
  if (segment.hasMin[row] === 1) text += ` min=${formatShortest(segment.mins[row] as number)}`;
  if (segment.hasMax[row] === 1) text += ` max=${formatShortest(segment.maxs[row] as number)}`;
  return text;
}

function histogramText(segment: HistogramPoints, row: number): string {
  const buckets = segment.bucketCounts.subarray(segment.bucketOffsets[row], segment.bucketOffsets[row + 1]);
  const bounds = segment.bounds.subarray(segment.boundOffsets[row], segment.boundOffsets[row + 1]);
  const texts = Array.from(buckets, (count, i) => {
    const bound = bounds[i];
    return bound === undefined ? String(count) : `le${formatShortest(bound)}=${count}`;
  });
  return statistics(segment, row) + spaced(texts);
}

function exponentialText(segment: ExponentialHistogramPoints, row: number): string {
  const factor = bucketFactor(segment.scales[row] as number);
  const negative = segment.negative[row] as ExponentialBuckets;
  const positive = segment.positive[row] as ExponentialBuckets;
  const texts = Array.from(negative.counts, (count, i) => {
    return `le${formatShortest(-Math.exp((negative.offset + i) * factor))}=${count}`;
  }).reverse();
  if (segment.zeroCounts[row] !== 0n) texts.push(`zero=${segment.zeroCounts[row]}`);
  for (const [i, count] of positive.counts.entries()) {
    texts.push(`le${formatShortest(Math.exp((positive.offset + i + 1) * factor))}=${count}`);
  }
  return statistics(segment, row) + spaced(texts);
}

function summaryText(segment: SummaryPoints, row: number): string {
  const texts = [`sum=${formatFixed(segment.sums[row] as number)}`];
  for (let i = segment.quantileOffsets[row] as number; i < (segment.quantileOffsets[row + 1] as number); i++) {
    const quantile = formatShortest(segment.quantiles[i] as number);
    texts.push(`q${quantile}=${formatShortest(segment.quantileValues[i] as number)}`);
  }
  return `count=${segment.counts[row]}${spaced(texts)}`;
}
