/** OTLP metrics to remote write through Millrace and through a real otelcol-contrib: the same series, values and native histograms. */

import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { encodeOtlp } from "../kit/otlp-proto.ts";
import { type OtlpPorts, sendOtlp } from "../kit/otlp-traffic.ts";
import { readOwnMetrics } from "../kit/own-metrics.ts";
import { missingPeers } from "../kit/peers.ts";
import { RecordingSink, type SinkPath } from "../kit/recording-sink.ts";
import { startCollector, startMillraceRun, startPrometheusServer } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const groups = 12;
const startNano = 1_700_000_000_000_000_000n;

/** Numbers of a seed, the same in every run: Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const units = ["", "s", "By", "1", "ms", "{request}", "By/s", "%", "Cel", "m/s"];
const attributeKeys = ["http.method", "code", "0start", "two..dots", "_private", "ünicode", "host.name"];

class Generator {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T;
  }

  double(): number {
    return this.pick([0, -1.5, 1e300, 5e-324, Number.POSITIVE_INFINITY, this.#random() * 1000]);
  }

  attributes(): object[] {
    const values = [{ stringValue: "a" }, { boolValue: true }, { intValue: "7" }, { doubleValue: 1.5 }];
    return attributeKeys.filter(() => this.int(3) === 0).map((key) => ({ key, value: this.pick(values) }));
  }

  counts(length: number): string[] {
    return Array.from({ length }, () => String(this.int(2) * this.int(50)));
  }

  /** Points with a label of their own, so that no two are the same series. */
  points(fields: () => object): object[] {
    return Array.from({ length: 2 }, (_unused, i) => ({
      timeUnixNano: String(startNano + BigInt(this.int(1000)) * 1_000_000n),
      attributes: [...this.attributes(), { key: "point", value: { stringValue: String(i) } }],
      ...fields(),
    }));
  }

  number(): object {
    return this.int(2) === 0 ? { asDouble: this.double() } : { asInt: String(this.int(1e6)) };
  }

  /** Scales above 8 only with full buckets: otelcol misplaces counts when it merges empty ones. */
  exponential(): object {
    const scale = this.pick([-4, 0, 3, 8, 9, 12]);
    const half = () => {
      const counts = this.counts(this.int(20));
      return {
        offset: this.int(40) - 20,
        bucketCounts: scale > 8 ? counts.map((count) => String(Number(count) + 1)) : counts,
      };
    };
    const sum = this.int(1000) / 8;
    return {
      scale,
      zeroCount: String(this.int(9)),
      count: String(this.int(1e4)),
      sum,
      positive: half(),
      negative: half(),
    };
  }

  data(kind: number): object {
    const cumulative = { aggregationTemporality: 2 };
    switch (kind) {
      case 0:
        return { gauge: { dataPoints: this.points(() => this.number()) } };
      case 1:
        return { sum: { dataPoints: this.points(() => this.number()), isMonotonic: this.int(2) === 0, ...cumulative } };
      case 2: {
        const histogram = () => ({
          count: "60",
          sum: this.double(),
          explicitBounds: [0.1, 2, 30],
          bucketCounts: ["10", "20", "5", "25"],
        });
        return { histogram: { dataPoints: this.points(histogram), ...cumulative } };
      }
      case 3: {
        const summary = () => ({
          count: "5",
          sum: this.double(),
          quantileValues: [
            { quantile: 0.5, value: 1 },
            { quantile: 0.99, value: this.double() },
          ],
        });
        return { summary: { dataPoints: this.points(summary) } };
      }
      default:
        return { exponentialHistogram: { dataPoints: this.points(() => this.exponential()), ...cumulative } };
    }
  }

  request(group: number): object {
    const metrics = Array.from({ length: 10 }, (_unused, i) => ({
      name: this.pick(["requests", "http.duration", "1st", "a_total", "ratio..x", "bytes_total"]) + `.${group}.${i}`,
      unit: this.pick(units),
      description: "described",
      ...this.data(i % 5),
    }));
    const service = [
      { key: "service.name", value: { stringValue: `s${group % 4}` } },
      { key: "service.instance.id", value: { stringValue: `i${group}` } },
    ];
    const resource = { attributes: [...(group % 3 === 0 ? [] : service), ...this.attributes()] };
    const scope = this.pick([{}, { name: "scope" }, { name: "scope", version: "1", attributes: this.attributes() }]);
    return { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] };
  }
}

/** What came, a line for each sample and native histogram, sorted. */
function linesOf(path: SinkPath): string[] {
  return [...path.series.values()]
    .flatMap(({ key, samples, histograms }) => [
      ...samples.map(({ bits, timestampMs }) => `${key} ${bits} ${timestampMs}`),
      ...histograms.map((histogram) => `${key} ${JSON.stringify(histogram)}`),
    ])
    .sort();
}

/** With `metricsPort`, own metrics are served there. */
function config(ports: OtlpPorts, url: string, metricsPort?: number): string {
  const reader = { pull: { exporter: { prometheus: { host: "127.0.0.1", port: metricsPort } } } };
  return stringify({
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${ports.grpc}` }, http: { endpoint: `127.0.0.1:${ports.http}` } },
      },
    },
    exporters: { prometheusremotewrite: { endpoint: url, tls: { insecure: true } } },
    service: {
      telemetry: { metrics: metricsPort === undefined ? { level: "none" } : { readers: [reader] } },
      pipelines: { metrics: { receivers: ["otlp"], exporters: ["prometheusremotewrite"] } },
    },
  });
}

const client = { protocol: "grpc", encoding: "protobuf", compression: "none" } as const;
const delta = { aggregationTemporality: 1 };
const deltas = encodeOtlp("metrics", {
  resourceMetrics: [
    {
      scopeMetrics: [
        {
          metrics: [
            { name: "d1", sum: { dataPoints: [{ asInt: "1", timeUnixNano: "1700000000000000000" }], ...delta } },
            { name: "d2", histogram: { dataPoints: [{ count: "1", timeUnixNano: "1700000000000000000" }], ...delta } },
            { name: "d3", exponentialHistogram: { dataPoints: [{ count: "1" }, { count: "2" }], ...delta } },
            { name: "kept", gauge: { dataPoints: [{ asInt: "1", timeUnixNano: "1700000000000000000" }] } },
          ],
        },
      ],
    },
  ],
});

const reason = missingPeers("otelcol");
describe("OTLP to remote write", () => {
  it.skipIf(reason !== undefined)(
    `is what otelcol-contrib writes for the same requests${reason === undefined ? "" : ` (skipped: ${reason})`}`,
    async () => {
      using folder = createTempFolder("oracle-write");
      await using sink = await RecordingSink.start();
      const metrics = Array.from({ length: groups }, (_unused, i) =>
        encodeOtlp("metrics", new Generator(1000 + i).request(i)),
      );
      for (const [name, start] of [
        ["otelcol", startCollector],
        ["millrace", startMillraceRun],
      ] as const) {
        const ports = { grpc: await freePort(), http: await freePort() };
        await using _run = await start(folder.write(`${name}.yaml`, config(ports, sink.url(`/${name}`))));
        await sendOtlp(client, ports, { metrics, traces: [], logs: [] });
        const last = `.${groups - 1}.0`.replaceAll(".", "_");
        await waitFor(`the last request of ${name}`, () =>
          [...sink.path(`/${name}`).series.keys()].some((key) => key.split("{")[0]?.includes(last)),
        );
      }
      const [theirs, ours] = [sink.path("/otelcol"), sink.path("/millrace")];
      await waitFor("as many lines", () => linesOf(ours).length >= linesOf(theirs).length, 5000).catch(() => undefined);
      const known = new Set(linesOf(theirs));
      const own = new Set(linesOf(ours));
      expect({
        missing: [...known].filter((line) => !own.has(line)).slice(0, 10),
        extra: [...own].filter((line) => !known.has(line)).slice(0, 10),
      }).toEqual({ missing: [], extra: [] });
      expect(known.size).toBeGreaterThan(groups * 20);
      expect([...known].filter((line) => line.includes('"schema":8')).length).toBeGreaterThan(0);
      expect([...theirs.faults, ...ours.faults]).toEqual([]);
    },
  );

  it("drops delta points, counted, with one warning that names the processor that helps", async () => {
    using folder = createTempFolder("delta");
    await using sink = await RecordingSink.start();
    const ports = { grpc: await freePort(), http: await freePort() };
    const own = await freePort();
    await using run = await startMillraceRun(folder.write("millrace.yaml", config(ports, sink.url("/w"), own)));
    for (let i = 0; i < 3; i++) await sendOtlp(client, ports, { metrics: [deltas], traces: [], logs: [] });
    await sink.path("/w").waitForSample({ __name__: "kept" });
    expect([...sink.path("/w").series.keys()].filter((key) => key.startsWith("d"))).toEqual([]);
    await waitFor("the warning", () => run.lines("deltatocumulative").length > 0);
    expect(run.lines("deltatocumulative")).toHaveLength(1);
    const { text } = await readOwnMetrics(`http://127.0.0.1:${own}`);
    expect(text).toMatch(/dropped_samples_total\{.*reason="temporality".*\} 12\n/);
  });

  const server = missingPeers("prometheus");
  it.skipIf(server !== undefined)(
    `native histograms are taken by a Prometheus server and say what the points said${server === undefined ? "" : ` (skipped: ${server})`}`,
    async () => {
      using folder = createTempFolder("native-histograms");
      const empty = folder.write("prometheus.yml", "global: {}\n");
      await using prometheus = await startPrometheusServer(folder.file("data"), empty);
      const ports = { grpc: await freePort(), http: await freePort() };
      const file = folder.write("millrace.yaml", config(ports, `${prometheus.url}/api/v1/write`));
      await using _run = await startMillraceRun(file);
      const point = {
        timeUnixNano: String(BigInt(Date.now()) * 1_000_000n),
        scale: 20,
        count: "17",
        sum: 20,
        zeroCount: "2",
        positive: { offset: -3, bucketCounts: ["1", "0", "4", "5"] },
        negative: { offset: 1_000_000, bucketCounts: ["5"] },
      };
      const metric = { name: "taken", exponentialHistogram: { dataPoints: [point], aggregationTemporality: 2 } };
      const request = { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] };
      await sendOtlp(client, ports, { metrics: [encodeOtlp("metrics", request)], traces: [], logs: [] });
      const query = async (text: string) => {
        const response = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(text)}`);
        const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
        return data.result[0]?.value[1];
      };
      expect(await waitFor("the histogram", () => query("histogram_count(taken)"))).toBe("17");
      expect(await query("histogram_sum(taken)")).toBe("20");
      // Ten of seventeen are around 1, five around -2 and two are zero.
      expect(Number(await query("histogram_fraction(0.9, 1.1, taken)"))).toBeCloseTo(10 / 17, 6);
    },
  );
});
