/** Requests above the limit of gRPC servers, all of one resource: cut below it, and nothing is lost. */

import { expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildLogs, buildTraces } from "../../src/testing/build-otlp.ts";
import { freePort } from "../kit/free-port.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { encodeOtlp } from "../kit/otlp-proto.ts";
import { grpcSink, otlpPaths } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const items = 5000;
const mostBytes = 4_000_000;
const texts = Array.from({ length: items }, (_unused, i) => `item-${i}.`);
const long = (text: string) => text.padEnd(2000, "x");

const requests: Readonly<Record<Signal, () => Uint8Array | undefined>> = {
  logs: () => buildLogs(texts.map((text) => ({ body: long(text) }))).requests[0]?.bytes,
  traces: () => buildTraces(texts.map((text) => ({ name: long(text) }))).requests[0]?.bytes,
  metrics: () => {
    const dataPoints = texts.map((text) => ({
      asInt: "1",
      timeUnixNano: "1700000000000000000",
      attributes: [{ key: "text", value: { stringValue: long(text) } }],
    }));
    return encodeOtlp("metrics", {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "one", gauge: { dataPoints } }] }] }],
    });
  },
};

it("a request of 10 MB arrives whole in requests that a server with gRPC's limit takes", async () => {
  using folder = createTempFolder("otlp-large");
  using sink = await grpcSink();
  const http = await freePort();
  const pipeline = { receivers: ["otlp"], exporters: ["otlp"] };
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${http}` } } } },
    exporters: { otlp: { endpoint: sink.address, tls: { insecure: true }, timeout: "60s" } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: Object.fromEntries(signals.map((signal) => [signal, pipeline])),
    },
  };
  await using _run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
  for (const signal of signals) {
    const body = Buffer.from(requests[signal]() ?? []);
    expect(body.length).toBeGreaterThan(2 * mostBytes);
    const headers = { "content-type": "application/x-protobuf" };
    const url = `http://127.0.0.1:${http}${otlpPaths[signal]}`;
    expect((await fetch(url, { method: "POST", headers, body })).status).toBe(200);
    const arrived = () =>
      sink.received[signal].flatMap(
        (bytes) =>
          Buffer.from(bytes)
            .toString("latin1")
            .match(/item-[0-9]+\./g) ?? [],
      );
    await waitFor(`all ${signal}`, () => arrived().length >= items);
    expect(arrived()).toEqual(texts);
    expect(Math.max(...sink.received[signal].map(({ length }) => length))).toBeLessThanOrEqual(mostBytes);
  }
});
