import { expect, test } from "vitest";

test("the names that millrace/component exports are these", async () => {
  expect(Object.keys(await import("../../src/component/index.ts")).sort()).toMatchInlineSnapshot(`
    [
      "ConfigError",
      "ConsumeError",
      "DecodeError",
      "PointsLayout",
      "SamplesLayout",
      "Secret",
      "attributeText",
      "batchPoints",
      "byteSize",
      "componentIdString",
      "countRows",
      "defineConnector",
      "defineExporter",
      "defineExtension",
      "defineProcessor",
      "defineReceiver",
      "duration",
      "groupPoints",
      "headers",
      "isStale",
      "isWritten",
      "mapSeries",
      "metricsBatch",
      "noAttributes",
      "noRecordedValue",
      "optionalSection",
      "percentage",
      "pointAttributes",
      "rawNode",
      "rowPart",
      "secret",
      "sectionIssue",
      "segmentBytes",
      "selectPoints",
      "selectSamples",
      "sliceSamples",
      "stringMap",
      "toError",
      "z",
    ]
  `);
});

test("the names that millrace/testing exports are these", async () => {
  expect(Object.keys(await import("../../src/testing/index.ts")).sort()).toMatchInlineSnapshot(`
    [
      "Identities",
      "attributesFrom",
      "buildExponentialHistograms",
      "buildHistograms",
      "buildNumbers",
      "buildSamples",
      "buildSummaries",
      "contractTests",
      "createFakeClock",
      "createMetricsSink",
      "createTestContext",
      "createTestLogger",
      "joinBatches",
      "parseConfig",
      "runProcessor",
      "sampleMetrics",
    ]
  `);
});
