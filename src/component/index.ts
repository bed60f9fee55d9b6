/** millrace/component: what a component is written with. */

// Configuration: schemas are zod's, with a few field types of the Collector.
export { z } from "zod";
export { attributeText } from "../codec/otlp-json/attribute-text.ts";
export {
  batchPoints,
  groupPoints,
  type MetricGroup,
  type PointRef,
  pointAttributes,
  type ResourceGroup,
  type ScopeGroup,
} from "../codec/otlp-json/group-points.ts";
export type { ConfigNode } from "../codec/yaml/config-node.ts";
export {
  byteSize,
  componentIdString,
  duration,
  headers,
  optionalSection,
  percentage,
  rawNode,
  secret,
  stringMap,
} from "../codec/yaml/field-types.ts";
export { Secret } from "../codec/yaml/secret.ts";
export { type AnyBatch, batchBytes, countItems, logsBatch, tracesBatch } from "../model/any-batch.ts";
export { type Attributes, type AttributeValue, noAttributes } from "../model/attributes.ts";
// The data: immutable batches of segments, and views of series.
export {
  countRows,
  type ExponentialBuckets,
  type ExponentialHistogramPoints,
  type HistogramPoints,
  isStale,
  type MetricsBatch,
  type MetricsSegment,
  metricsBatch,
  type NumberPoints,
  noRecordedValue,
  type OpenMetricsBatch,
  type OpenSegment,
  openBatch,
  openSegments,
  type PointColumns,
  type PointExemplar,
  type PointsSegment,
  type SampleExemplar,
  type SamplesSegment,
  type SummaryPoints,
  segmentBytes,
  sliceSamples,
} from "../model/batch.ts";
export { type ClientInfo, clientInfo, contextValue } from "../model/client-info.ts";
// Errors, each with a stable code.
export {
  ConfigError,
  type ConfigIssue,
  ConsumeError,
  type ConsumeErrorCode,
  DecodeError,
  type SourcePosition,
  toError,
} from "../model/errors.ts";
export type { Identities, Label } from "../model/identities.ts";
export { type Layout, type Origin, type OtlpReading, PointsLayout, rowPart, SamplesLayout } from "../model/layout.ts";
export type { LogsBatch, OtlpRequest, OtlpSegment, Signal, TracesBatch } from "../model/otlp-request.ts";
export { selectPoints, selectSamples } from "../model/select-rows.ts";
export type {
  Family,
  FamilyType,
  Metric,
  MetricType,
  Resource,
  Scope,
  Series,
  Temporality,
} from "../model/series.ts";
export {
  type Consumers,
  consumeWith,
  handOn,
  type LogsConsumer,
  type MetricsConsumer,
  type Output,
  type TracesConsumer,
} from "./consumer.ts";
// Definitions: data plus one function, see docs/component-spec.md.
export {
  type CompleteContext,
  type ComponentDefinition,
  type ComponentKind,
  type ComponentStatus,
  type ConnectorDefinition,
  type CreateContext,
  defineConnector,
  defineExporter,
  defineExtension,
  defineProcessor,
  defineReceiver,
  type Exporter,
  type ExporterDefinition,
  type ExtensionDefinition,
  type Host,
  type Lifecycle,
  type Processor,
  type ProcessorDefinition,
  type Receiver,
  type ReceiverDefinition,
  type SignalPair,
  type SignalStability,
  type Stability,
} from "./define.ts";
export { type MapSeriesOptions, mapSeries, type SeriesFunction } from "./map-series.ts";
export { isWritten, sectionIssue } from "./section-issues.ts";
export type {
  Clock,
  Family as MetricCells,
  HistogramCell,
  LogFields,
  Logger,
  Meter,
  MetricCell,
  MetricLabels,
  MetricOptions,
  Observation,
} from "./telemetry.ts";
