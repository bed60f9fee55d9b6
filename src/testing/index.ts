/** millrace/testing: sinks, builders and the contract that every component keeps. Needs no test runner. */

/** Batches that meet must share their identity tables. */
export { Identities } from "../model/identities.ts";
// Data that reads like data.
export {
  buildLogs,
  buildTraces,
  type ItemOrigin,
  joinTraces,
  type LogRow,
  type SpanRow,
  unopened,
} from "./build-otlp.ts";
export {
  type AttributeRecord,
  attributesFrom,
  type BuildOptions,
  buildExponentialHistograms,
  buildHistograms,
  buildNumbers,
  buildSummaries,
  type ExemplarRow,
  type ExponentialHistogramRow,
  type HistogramRow,
  joinBatches,
  type NumberRow,
  type PointRow,
  type SummaryRow,
} from "./build-points.ts";
export { type BuildSamplesOptions, buildSamples, type SampleRow } from "./build-samples.ts";
// The contract, see docs/component-spec.md.
export { type ContractOptions, type ContractTest, contractTests } from "./contract.ts";
// Surroundings of a component.
export { createFakeClock, type FakeClock } from "./fake-clock.ts";
export { runProcessor } from "./run-processor.ts";
export { sampleMetrics } from "./sample-metrics.ts";
export { createMetricsSink, createSink, type MetricsSink, type Sink, type SinkMode, type SinkOptions } from "./sink.ts";
export {
  createTestContext,
  createTestLogger,
  type LogEntry,
  parseConfig,
  type TestContext,
  type TestContextOptions,
  type TestHost,
  type TestLogger,
} from "./test-context.ts";
