/** millrace/testing: sinks, builders and the contract that every component keeps. Needs no test runner. */

/** Batches that meet must share their identity tables. */
export { Identities } from "../model/identities.ts";
// Data that reads like data.
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
export { createMetricsSink, type MetricsSink, type SinkMode } from "./metrics-sink.ts";
export { runProcessor } from "./run-processor.ts";
export { sampleMetrics } from "./sample-metrics.ts";
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
