/** A batch with every kind of point and everything a point can have, for tests of exporters and codecs. */

import type { MetricsBatch } from "../model/batch.ts";
import { Identities } from "../model/identities.ts";
import {
  buildExponentialHistograms,
  buildHistograms,
  buildNumbers,
  buildSummaries,
  joinBatches,
} from "./build-points.ts";

/** Four segments of one request: numbers, histograms, exponential histograms, summaries. */
export function sampleMetrics(): MetricsBatch {
  const options = { identities: new Identities() };
  const resource = { "service.name": "api", n: 5n, ok: true, list: ["a", 1n, 2.5], map: new Map([["k", "v"]]) };
  const common = { resource, resourceSchemaUrl: "https://example.test/r" };
  const scope = { name: "lib", version: "2.0", schemaUrl: "https://example.test/s", attributes: { s: "t" } };
  const exemplars = [
    {
      value: 1.5,
      timeUnixNano: 1_700_000_000_000_000_001n,
      traceId: "0102030405060708090a0b0c0d0e0f10",
      spanId: "0102030405060708",
      attributes: { u: "v" },
    },
    { value: 3n },
  ];
  return joinBatches(
    buildNumbers(
      [
        {
          ...common,
          scope,
          name: "temperature",
          description: "Room",
          unit: "Cel",
          value: 21.5,
          attributes: { room: "a b", floor: 2n, raw: Uint8Array.of(1, 2) },
        },
        {
          ...common,
          scope,
          name: "temperature",
          description: "Room",
          unit: "Cel",
          value: -3e22,
          timeUnixNano: 1_700_000_000_120_000_000n,
        },
        {
          ...common,
          scope,
          name: "requests",
          unit: "1",
          type: "sum",
          value: 123456789n,
          startTimeUnixNano: 1_600_000_000_000_000_000n,
          metadata: { "prometheus.type": "counter" },
          exemplars,
        },
        { ...common, scope, name: "ratio", type: "sum", temporality: "delta", isMonotonic: false, value: 1234567.25 },
        { ...common, scope, name: "nan", value: Number.NaN },
        { ...common, scope, name: "small", value: 0.00001 },
        { ...common, scope, name: "gone", value: 0, flags: 1 },
        { ...common, name: "plain", value: 0 },
      ],
      options,
    ),
    buildHistograms(
      [
        {
          ...common,
          scope,
          name: "latency",
          unit: "s",
          bounds: [0.005, 1, 2.5e6],
          buckets: [1n, 2n, 0n, 4n],
          sum: 17.5,
          min: 0.001,
          max: 9e6,
          exemplars,
          attributes: { route: "/" },
        },
        { ...common, scope, name: "empty", bounds: [], buckets: [], temporality: "delta" },
      ],
      options,
    ),
    buildExponentialHistograms(
      [
        {
          ...common,
          scope,
          name: "exp",
          scale: 1,
          zeroCount: 2n,
          zeroThreshold: 0.001,
          sum: 12,
          positive: { offset: -1, counts: [1n, 2n] },
          negative: { offset: 2, counts: [3n, 0n] },
          min: -8,
          max: 2,
        },
      ],
      options,
    ),
    buildSummaries(
      [
        {
          name: "rpc",
          resource: { other: "1" },
          count: 4n,
          sum: 10.25,
          quantiles: [
            [0.5, 2],
            [0.99, 1e7],
          ],
        },
      ],
      options,
    ),
  );
}
