/** Writes points as an OTLP JSON ExportMetricsServiceRequest, the form in which the Collector writes it. */

import type { Attributes, AttributeValue } from "../../model/attributes.ts";
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
import type { Metric, Temporality } from "../../model/series.ts";
import { quoteJson } from "./attribute-text.ts";
import {
  groupPoints,
  type MetricGroup,
  type PointRef,
  pointAttributes,
  type ResourceGroup,
  type ScopeGroup,
} from "./group-points.ts";
import { messageToJson } from "./request-to-json.ts";

/**
 * The request as one line of text without an end of line. Follows OTLP's JSON rules: lowerCamelCase keys, 64-bit
 * integers as strings, enums as numbers, trace and span ids as hex, bytes as base64, and fields at their default
 * value left out. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity".
 */
export function encodeMetricsJson(segments: readonly PointsSegment[]): string {
  const resources = groupPoints(segments).map(resourceJson);
  return resources.length === 0 ? "{}" : `{"resourceMetrics":[${resources.join(",")}]}`;
}

/** Field texts of an object; undefined ones are left out. */
function object(fields: readonly (string | undefined)[]): string {
  return `{${fields.filter((field) => field !== undefined).join(",")}}`;
}

function textField(key: string, text: string): string | undefined {
  return text === "" ? undefined : `"${key}":${quoteJson(text)}`;
}

function countField(key: string, count: number): string | undefined {
  return count === 0 ? undefined : `"${key}":${count}`;
}

/** A uint64 or int64. */
function longField(key: string, value: bigint): string | undefined {
  return value === 0n ? undefined : `"${key}":"${value}"`;
}

function listField(key: string, items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : `"${key}":[${items.join(",")}]`;
}

/** Go's number texts: an exponent has a sign, and from 1e21 on numbers are written with one. */
function doubleJson(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  return `"${value}"`;
}

/** A double of OTLP that is not optional, which protobuf leaves out at (positive) zero. */
function doubleField(key: string, value: number): string | undefined {
  return Object.is(value, 0) ? undefined : `"${key}":${doubleJson(value)}`;
}

function valueJson(value: AttributeValue): string {
  if (value === null) return "{}";
  if (typeof value === "string") return `{"stringValue":${quoteJson(value)}}`;
  if (typeof value === "boolean") return `{"boolValue":${value}}`;
  if (typeof value === "bigint") return `{"intValue":"${value}"}`;
  if (typeof value === "number") return `{"doubleValue":${doubleJson(value)}}`;
  if (value instanceof Uint8Array) return `{"bytesValue":"${Buffer.from(value).toString("base64")}"}`;
  if (value instanceof Map) return `{"kvlistValue":${object([attributesField("values", value)])}}`;
  return `{"arrayValue":${object([listField("values", (value as readonly AttributeValue[]).map(valueJson))])}}`;
}

function attributesField(key: string, attributes: Attributes): string | undefined {
  const items = Array.from(attributes, ([name, value]) =>
    object([textField("key", name), `"value":${valueJson(value)}`]),
  );
  return listField(key, items);
}

function resourceJson({ resource, scopes }: ResourceGroup): string {
  const body = object([
    attributesField("attributes", resource.attributes),
    countField("droppedAttributesCount", resource.droppedAttributesCount),
    resource.entityRefs === undefined ? undefined : entityRefsField(resource.entityRefs),
  ]);
  return object([
    `"resource":${body}`,
    listField("scopeMetrics", scopes.map(scopeJson)),
    textField("schemaUrl", resource.schemaUrl),
  ]);
}

/** From the encoded fields, in base64: they make a Resource with nothing else. */
function entityRefsField(fields: string): string {
  return messageToJson("Resource", Buffer.from(fields, "base64")).slice(1, -1);
}

function scopeJson({ scope, metrics }: ScopeGroup): string {
  const body = object([
    textField("name", scope.name),
    textField("version", scope.version),
    attributesField("attributes", scope.attributes),
    countField("droppedAttributesCount", scope.droppedAttributesCount),
  ]);
  return object([
    `"scope":${body}`,
    listField("metrics", metrics.map(metricJson)),
    textField("schemaUrl", scope.schemaUrl),
  ]);
}

const temporalityNumbers: Readonly<Record<Temporality, number>> = { none: 0, unspecified: 0, delta: 1, cumulative: 2 };
const dataKeys: Readonly<Record<Metric["type"], string>> = {
  gauge: "gauge",
  sum: "sum",
  histogram: "histogram",
  exponential_histogram: "exponentialHistogram",
  summary: "summary",
};

function metricJson({ metric, points }: MetricGroup): string {
  const data = object([
    listField("dataPoints", points.map(pointJson)),
    countField("aggregationTemporality", temporalityNumbers[metric.temporality]),
    metric.isMonotonic ? '"isMonotonic":true' : undefined,
  ]);
  return object([
    textField("name", metric.name),
    textField("description", metric.description),
    textField("unit", metric.unit),
    `"${dataKeys[metric.type]}":${data}`,
    attributesField("metadata", metric.metadata),
  ]);
}

function pointJson(point: PointRef): string {
  const { segment, row } = point;
  return object([
    attributesField("attributes", pointAttributes(point)),
    longField("startTimeUnixNano", segment.startTimeUnixNano[row] as bigint),
    longField("timeUnixNano", segment.timeUnixNano[row] as bigint),
    ...pointFields(point),
  ]);
}

function pointFields({ segment, row, exemplars }: PointRef): (string | undefined)[] {
  const exemplarsField = listField("exemplars", exemplars.map(exemplarJson));
  const flagsField = countField("flags", segment.flags[row] as number);
  switch (segment.kind) {
    case "number":
      return [...numberFields(segment, row), exemplarsField, flagsField];
    case "histogram":
      return [...histogramFields(segment, row), exemplarsField, flagsField, ...extremeFields(segment, row)];
    case "exponential_histogram":
      return [
        ...exponentialFields(segment, row),
        flagsField,
        exemplarsField,
        ...extremeFields(segment, row),
        doubleField("zeroThreshold", segment.zeroThresholds[row] as number),
      ];
    case "summary":
      return [...summaryFields(segment, row), flagsField];
  }
}

function exemplarJson(exemplar: PointExemplar): string {
  return object([
    attributesField("filteredAttributes", exemplar.filteredAttributes),
    longField("timeUnixNano", exemplar.timeUnixNano),
    numberValue(exemplar.value),
    textField("traceId", Buffer.from(exemplar.traceId).toString("hex")),
    textField("spanId", Buffer.from(exemplar.spanId).toString("hex")),
  ]);
}

/** The value of a oneof: written even when it is zero. */
function numberValue(value: number | bigint): string {
  return typeof value === "bigint" ? `"asInt":"${value}"` : `"asDouble":${doubleJson(value)}`;
}

function numberFields(segment: NumberPoints, row: number): (string | undefined)[] {
  const kind = segment.isInt?.[row] ?? 0;
  const isStale = ((segment.flags[row] as number) & noRecordedValue) !== 0;
  if (isStale || kind === 2) return [];
  return [numberValue(kind === 1 ? (segment.ints[row] as bigint) : (segment.doubles[row] as number))];
}

function optionalDouble(key: string, column: Float64Array, has: Uint8Array, row: number): string | undefined {
  return has[row] === 1 ? `"${key}":${doubleJson(column[row] as number)}` : undefined;
}

function histogramFields(segment: HistogramPoints, row: number): (string | undefined)[] {
  const { bucketOffsets, boundOffsets } = segment;
  const buckets = segment.bucketCounts.subarray(bucketOffsets[row], bucketOffsets[row + 1]);
  const bounds = segment.bounds.subarray(boundOffsets[row], boundOffsets[row + 1]);
  return [
    longField("count", segment.counts[row] as bigint),
    optionalDouble("sum", segment.sums, segment.hasSum, row),
    listField(
      "bucketCounts",
      Array.from(buckets, (count) => `"${count}"`),
    ),
    listField("explicitBounds", Array.from(bounds, doubleJson)),
  ];
}

function extremeFields(segment: HistogramPoints | ExponentialHistogramPoints, row: number): (string | undefined)[] {
  return [
    optionalDouble("min", segment.mins, segment.hasMin, row),
    optionalDouble("max", segment.maxs, segment.hasMax, row),
  ];
}

function bucketsJson({ offset, counts }: ExponentialBuckets): string {
  return object([
    countField("offset", offset),
    listField(
      "bucketCounts",
      Array.from(counts, (count) => `"${count}"`),
    ),
  ]);
}

function exponentialFields(segment: ExponentialHistogramPoints, row: number): (string | undefined)[] {
  return [
    longField("count", segment.counts[row] as bigint),
    optionalDouble("sum", segment.sums, segment.hasSum, row),
    countField("scale", segment.scales[row] as number),
    longField("zeroCount", segment.zeroCounts[row] as bigint),
    `"positive":${bucketsJson(segment.positive[row] as ExponentialBuckets)}`,
    `"negative":${bucketsJson(segment.negative[row] as ExponentialBuckets)}`,
  ];
}

function summaryFields(segment: SummaryPoints, row: number): (string | undefined)[] {
  const [start, end] = [segment.quantileOffsets[row] as number, segment.quantileOffsets[row + 1] as number];
  const quantiles: string[] = [];
  for (let i = start; i < end; i++) {
    const fields = [
      doubleField("quantile", segment.quantiles[i] as number),
      doubleField("value", segment.quantileValues[i] as number),
    ];
    quantiles.push(object(fields));
  }
  return [
    longField("count", segment.counts[row] as bigint),
    doubleField("sum", segment.sums[row] as number),
    listField("quantileValues", quantiles),
  ];
}
