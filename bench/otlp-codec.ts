/** Measures the OTLP codec by itself: `node bench/otlp-codec.ts`. CPU nanoseconds per point, the best of several rounds. */

import { MetricsDecoder } from "../src/codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../src/codec/otlp/encode-metrics.ts";
import { metricsSegment } from "../src/codec/otlp/metrics-segment.ts";
import { walkRequest } from "../src/codec/otlp/walk-request.ts";
import { mapSeries } from "../src/component/map-series.ts";
import { type MetricsBatch, metricsBatch, type PointsSegment } from "../src/model/batch.ts";
import { Identities } from "../src/model/identities.ts";
import { encodeOtlp } from "../test/kit/otlp-proto.ts";

const rounds = 12;
const roundMs = 150;

interface Shape {
  readonly name: string;
  readonly metrics: number;
  readonly points: number;
  readonly attributes: number;
  readonly resourceAttributes: number;
  readonly kind: "sum" | "histogram";
}

const shapes: readonly Shape[] = [
  {
    name: "100 metrics x 7 points, 2 attributes",
    metrics: 100,
    points: 7,
    attributes: 2,
    resourceAttributes: 1,
    kind: "sum",
  },
  {
    name: "10 metrics x 1000 points, 6 attributes",
    metrics: 10,
    points: 1000,
    attributes: 6,
    resourceAttributes: 25,
    kind: "sum",
  },
  {
    name: "1 metric x 10 points, 2 attributes",
    metrics: 1,
    points: 10,
    attributes: 2,
    resourceAttributes: 5,
    kind: "sum",
  },
  {
    name: "100 histograms x 7 points, 10 buckets",
    metrics: 100,
    points: 7,
    attributes: 2,
    resourceAttributes: 1,
    kind: "histogram",
  },
];

function attributes(prefix: string, count: number): object[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `attribute.${i}`,
    value: { stringValue: `${prefix}.value.${i}` },
  }));
}

function request({ metrics, points, attributes: count, resourceAttributes, kind }: Shape): Uint8Array {
  const point = (metric: number, i: number) => ({
    startTimeUnixNano: "1700000000000000000",
    timeUnixNano: String(1_700_000_010_000_000_000n + BigInt(i)),
    attributes: attributes(`point.${i}`, count),
    ...(kind === "sum"
      ? { asDouble: metric * i + 0.5 }
      : {
          count: "55",
          sum: 12.5,
          bucketCounts: Array.from({ length: 10 }, (_, b) => String(b)),
          explicitBounds: [1, 2, 3, 4, 5, 6, 7, 8, 9],
        }),
  });
  const data = (metric: number) => ({
    aggregationTemporality: 2,
    dataPoints: Array.from({ length: points }, (_, i) => point(metric, i)),
  });
  const list = Array.from({ length: metrics }, (_, metric) => ({
    name: `bench.metric.${metric}`,
    description: "a metric",
    unit: "1",
    [kind]: data(metric),
  }));
  const resource = { attributes: attributes("resource", resourceAttributes) };
  return encodeOtlp("metrics", {
    resourceMetrics: [{ resource, scopeMetrics: [{ scope: { name: "bench" }, metrics: list }] }],
  });
}

/** CPU nanoseconds of one call, the best of the rounds: other processes only add to it. */
function measure(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    const end = performance.now() + roundMs;
    let calls = 0;
    for (; performance.now() < end; calls++) run();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1000) / calls);
  }
  return best;
}

for (const shape of shapes) {
  const bytes = Buffer.from(request(shape));
  const decoder = new MetricsDecoder(new Identities());
  const encoder = new MetricsEncoder();
  const items = walkRequest("metrics", bytes);
  const segments: readonly PointsSegment[] = decoder.decode(bytes);
  const perPoint = (run: () => void) => (measure(run) / items).toFixed(0).padStart(5);
  // Requests of a shape that the decoder knows: told by comparison, decoded and edited without looking at attributes.
  for (let i = 0; i < 3; i++) decoder.open(bytes);
  const edit = mapSeries((series) => ({ ...series, attributes: new Map([...series.attributes, ["added", "yes"]]) }));
  const editOne = () => {
    const { request, shape } = decoder.open(bytes);
    const sink = ({ segments: edited }: MetricsBatch) => {
      if (edited[0]?.form !== "otlp" || edited[0].request.items !== items) throw new Error("not edited");
      return Promise.resolve();
    };
    void edit(metricsBatch([metricsSegment(request, decoder, shape)]), { metrics: sink });
  };
  const figures = [
    `walk ${perPoint(() => walkRequest("metrics", bytes))}`,
    `decode ${perPoint(() => decoder.decode(bytes))}`,
    `encode ${perPoint(() => encoder.encode(segments))}`,
    `of a known shape: told ${perPoint(() => decoder.open(bytes))}`,
    `decoded ${perPoint(() => decoder.decode(bytes, decoder.open(bytes).shape))}`,
    `edited ${perPoint(editOne)}`,
  ];
  process.stdout.write(`${shape.name.padEnd(42)} ${figures.join("  ")}  ns per point\n`);
}
