/** OTLP metrics of many resources to remote write while the server fails at random: all that was taken arrives once, in order per series. */

import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { encodeOtlp } from "../kit/otlp-proto.ts";
import { otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";
import { accept, RecordingSink, type SinkAnswer, type SinkPath } from "../kit/recording-sink.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const resources = 12;
const resourcesOfRequest = 4;
const steps = 120;
const seriesOfResource = ["a", "b", "c"];
const startMs = Date.now() - steps * 1000;
/** Of the sink's answers, apart from those that are good. */
const failures: readonly SinkAnswer[] = [
  { kind: "reply", status: 503 },
  { kind: "reply", status: 500 },
  { kind: "reply", status: 429 },
  { kind: "reply", status: 502, afterMs: 15 },
  { kind: "reset" },
];
const shareOfFailures = 0.4;

/** The points of one step: a gauge, a histogram and an exponential histogram for each series of the resources. */
function requestOf(step: number, numbers: readonly number[]): Buffer {
  const timeUnixNano = `${startMs + step * 1000}000000`;
  const attributesOf = (kind: string) => [{ key: "kind", value: { stringValue: kind } }];
  const points = (fields: object) =>
    seriesOfResource.map((kind) => ({ timeUnixNano, attributes: attributesOf(kind), ...fields }));
  const cumulative = { aggregationTemporality: 2 };
  const metrics = [
    { name: "step", gauge: { dataPoints: points({ asInt: String(step) }) } },
    {
      name: "sized",
      histogram: {
        dataPoints: points({ count: String(step), sum: step, explicitBounds: [1], bucketCounts: ["0", String(step)] }),
        ...cumulative,
      },
    },
    {
      name: "exponential",
      exponentialHistogram: {
        dataPoints: points({
          count: String(step),
          sum: step,
          scale: 3,
          positive: { offset: 1, bucketCounts: [String(step)] },
        }),
        ...cumulative,
      },
    },
  ];
  const resourceMetrics = numbers.map((number) => ({
    resource: { attributes: [{ key: "service.name", value: { stringValue: `service-${number}` } }] },
    scopeMetrics: [{ metrics }],
  }));
  return Buffer.from(encodeOtlp("metrics", { resourceMetrics }));
}

/** True where the request was taken, false where it is to be sent again. */
type Send = (body: Buffer) => Promise<boolean>;

function overHttp(port: number): Send {
  const headers = { "content-type": "application/x-protobuf" };
  return async (body) => {
    const url = `http://127.0.0.1:${port}${otlpPaths.metrics}`;
    const response = await fetch(url, { method: "POST", headers, body: Uint8Array.from(body) });
    await response.arrayBuffer();
    if (response.status !== 200) expect([response.status, response.headers.has("retry-after")]).toEqual([503, true]);
    return response.status === 200;
  };
}

const unavailable = 14;

function overGrpc(client: Client): Send {
  const same = (bytes: Buffer) => bytes;
  return (body) =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(otlpMethods.metrics, same, same, body, (error) => {
        if (error !== null && error.code !== unavailable) reject(error);
        else resolve(error === null);
      });
    });
}

/** Each step of its resources after the one before was taken. */
async function sendAll(send: Send, numbers: readonly number[]): Promise<void> {
  for (let step = 1; step <= steps; step++) {
    const body = requestOf(step, numbers);
    while (!(await send(body))) await sleep(20);
  }
}

/** The times of each series, in steps, in the order of arrival. */
function stepsOf(path: SinkPath): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { key, samples, histograms } of path.series.values()) {
    const times = [...samples.map(({ timestampMs }) => timestampMs), ...histograms.map((one) => Number(one.timestamp))];
    found.set(
      key,
      times.map((timeMs) => (timeMs - startMs) / 1000),
    );
  }
  return found;
}

const every = Array.from({ length: steps }, (_unused, i) => i + 1);
const batching = { batch: { timeout: "20ms", send_batch_size: 200, send_batch_max_size: 300 } };

describe("OTLP metrics to a remote write server that fails at random", () => {
  it.each([
    ["as they come", {}, { queue_size: 40 }],
    ["in batches that are cut", batching, { queue_size: 40 }],
    ["with an answer when they were delivered", {}, { enabled: false }],
  ] as const)("%s: all arrive once and in order per series", async (_title, processors, queue) => {
    using folder = createTempFolder("otlp-write-order");
    await using sink = await RecordingSink.start();
    const path = sink.path("/w");
    path.respond = () => {
      if (Math.random() >= shareOfFailures) return { ...accept, ...(Math.random() < 0.2 ? { afterMs: 20 } : {}) };
      return failures[Math.floor(Math.random() * failures.length)] ?? accept;
    };
    const [grpc, http] = [await freePort(), await freePort()];
    const config = {
      receivers: {
        otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } },
      },
      processors,
      exporters: {
        prometheusremotewrite: {
          endpoint: sink.url("/w"),
          timeout: "60s",
          target_info: { enabled: false },
          remote_write_queue: { num_consumers: 5, ...queue },
          retry_on_failure: { initial_interval: "5ms", max_interval: "50ms" },
        },
      },
      service: {
        telemetry: { metrics: { level: "none" } },
        pipelines: {
          metrics: {
            receivers: ["otlp"],
            processors: Object.keys(processors),
            exporters: ["prometheusremotewrite"],
          },
        },
      },
    };
    await using run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
    const client = new Client(`127.0.0.1:${grpc}`, credentials.createInsecure());
    const senders: Promise<void>[] = [];
    for (let first = 0; first < resources; first += resourcesOfRequest) {
      const numbers = Array.from({ length: resourcesOfRequest }, (_unused, i) => first + i);
      senders.push(sendAll(senders.length % 2 === 0 ? overHttp(http) : overGrpc(client), numbers));
    }
    await Promise.all(senders);
    client.close();
    const isWhole = () => {
      const found = stepsOf(path);
      return found.size > 0 && [...found.values()].every((list) => list.length >= steps);
    };
    await waitFor("all that was taken", isWhole, 60_000).catch(() => undefined);
    const found = stepsOf(path);
    // A gauge, two buckets with sum and count, and a native histogram of each.
    expect(found.size).toBe(resources * seriesOfResource.length * 6);
    const wrong = [...found].filter(([, list]) => list.join() !== every.join());
    expect(wrong.slice(0, 3)).toEqual([]);
    expect(path.values({ __name__: "step", job: "service-0", kind: "a" })).toEqual(every);
    const refused = path.requests.filter(({ answer }) => answer.kind !== "reply" || answer.status !== 204);
    expect(refused.length).toBeGreaterThan(0);
    expect(path.faults).toEqual([]);
    expect(run.isRunning, run.tail()).toBe(true);
  });
});
