/** OTLP in and out: what clients that nobody here wrote send arrives whole, alone and between two Collectors. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { Client, credentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { freePort } from "../kit/free-port.ts";
import { requestArbitrary, signals } from "../kit/otlp-arbitrary.ts";
import { normalPoints, normalRequest } from "../kit/otlp-normal.ts";
import { decodeOtlp, encodeOtlp } from "../kit/otlp-proto.ts";
import { missingPeers, peerPath } from "../kit/peers.ts";
import { startProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";

const requestsOfEach = 25;
const seed = 20261121;
const paths: Readonly<Record<Signal, string>> = { metrics: "v1/metrics", traces: "v1/traces", logs: "v1/logs" };
const services: Readonly<Record<Signal, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};
const itemLists: Readonly<Record<Signal, readonly [string, string, string]>> = {
  metrics: ["resourceMetrics", "scopeMetrics", "metrics"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
};

type Plain = Readonly<Record<string, unknown>>;
const listOf = (value: unknown, name: string) => ((value as Plain)[name] ?? []) as Plain[];

/** Items of requests, each with its resource and scope, sorted: equal where the requests say the same. */
function itemsOf(signal: Signal, requests: readonly Uint8Array[]): string[] {
  const decoded = requests.map((bytes) => decodeOtlp(signal, bytes));
  if (signal === "metrics") return decoded.flatMap(normalPoints).sort();
  const [resources, scopes, items] = itemLists[signal];
  return decoded
    .flatMap((request) =>
      listOf(request, resources).flatMap((resource) =>
        listOf(resource, scopes).flatMap((scope) =>
          listOf(scope, items).map((item) => {
            const one = { ...resource, [scopes]: [{ ...scope, [items]: [item] }] };
            return JSON.stringify(normalRequest({ [resources]: [one] }));
          }),
        ),
      ),
    )
    .sort();
}

/** Random requests of a signal that have items; the same in every run. */
function samples(signal: Signal): Uint8Array[] {
  const values = fc.sample(requestArbitrary(signal), { numRuns: requestsOfEach * 3, seed });
  return values
    .map((value) => encodeOtlp(signal, value))
    .filter((bytes) => itemsOf(signal, [bytes]).length > 0)
    .slice(0, requestsOfEach);
}

const sent = Object.fromEntries(signals.map((signal) => [signal, samples(signal)])) as Record<Signal, Uint8Array[]>;

interface Sink extends Disposable {
  readonly endpoint: string;
  readonly received: Record<Signal, Uint8Array[]>;
}

async function grpcSink(): Promise<Sink> {
  const received: Sink["received"] = { metrics: [], traces: [], logs: [] };
  const server = await startOtlpGrpcServer(({ signal, bytes }) => {
    received[signal].push(Uint8Array.from(bytes));
    return new Uint8Array();
  });
  return { endpoint: `127.0.0.1:${server.port}`, received, [Symbol.dispose]: () => server.close() };
}

async function httpSink(): Promise<Sink> {
  const received: Sink["received"] = { metrics: [], traces: [], logs: [] };
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const signal = signals.find((one) => request.url === `/${paths[one]}`);
    if (signal !== undefined) received[signal].push(gunzipSync(body));
    response.writeHead(signal === undefined ? 404 : 200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, [Symbol.dispose]: end };
}

async function sendGrpc(port: number): Promise<void> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const identity = (bytes: Buffer) => bytes;
  for (const signal of signals) {
    for (const bytes of sent[signal]) {
      await new Promise<void>((resolve, reject) => {
        client.makeUnaryRequest(services[signal], identity, identity, Buffer.from(bytes), (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
    }
  }
  client.close();
}

async function sendHttp(port: number): Promise<void> {
  for (const signal of signals) {
    for (const bytes of sent[signal]) {
      const response = await fetch(`http://127.0.0.1:${port}/${paths[signal]}`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf" },
        body: Buffer.from(bytes),
      });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  }
}

interface Ports {
  readonly grpc: number;
  readonly http: number;
}

const newPorts = async (): Promise<Ports> => ({ grpc: await freePort(), http: await freePort() });

function otlpReceiver({ grpc, http }: Ports) {
  return { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } };
}

/** Three pipelines from the otlp receiver to one exporter. */
function config(ports: Ports, exporter: Readonly<Record<string, object>>, processors: object = {}): string {
  const pipeline = { receivers: ["otlp"], processors: Object.keys(processors), exporters: Object.keys(exporter) };
  return stringify({
    receivers: { otlp: otlpReceiver(ports) },
    processors,
    exporters: exporter,
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: Object.fromEntries(signals.map((signal) => [signal, pipeline])),
    },
  });
}

async function expectAll(received: Sink["received"]): Promise<void> {
  for (const signal of signals) {
    const wanted = itemsOf(signal, sent[signal]);
    await waitFor(`all ${signal}`, () => itemsOf(signal, received[signal]).length >= wanted.length);
    expect(itemsOf(signal, received[signal])).toEqual(wanted);
  }
}

/** Above the pauses of a busy machine: what is sent again after a timeout arrives twice, as OTLP allows. */
const timeout = "60s";
const plain = { tls: { insecure: true }, compression: "none", timeout };
const clients = { grpc: (ports: Ports) => sendGrpc(ports.grpc), http: (ports: Ports) => sendHttp(ports.http) } as const;
const exporters = {
  otlp: (endpoint: string) => ({ otlp: { endpoint, tls: { insecure: true }, timeout } }),
  otlphttp: (endpoint: string) => ({ otlphttp: { endpoint, timeout } }),
} as const;
const sinks = { otlp: grpcSink, otlphttp: httpSink } as const;
const batch = { batch: { timeout: "50ms", send_batch_size: 50, send_batch_max_size: 50 } };

describe("millrace run", () => {
  it.each([
    ["grpc", "otlp", {}],
    ["http", "otlphttp", {}],
    ["grpc", "otlphttp", batch],
    ["http", "otlp", batch],
  ] as const)(
    "from a client over %s to the exporter %s with %j nothing is changed",
    async (client, exporter, processors) => {
      using folder = createTempFolder("otlp");
      using sink = await sinks[exporter]();
      const ports = await newPorts();
      const file = folder.write("millrace.yaml", config(ports, exporters[exporter](sink.endpoint), processors));
      await using _run = await startMillraceRun(file);
      await clients[client](ports);
      await expectAll(sink.received);
    },
  );

  it("what was taken before SIGTERM is delivered", async () => {
    using folder = createTempFolder("otlp-end");
    using sink = await grpcSink();
    const ports = await newPorts();
    const late = {
      otlp: {
        endpoint: sink.endpoint,
        ...plain,
        sending_queue: { batch: { flush_timeout: "1h", min_size: 1e6, sizer: "items" } },
      },
    };
    const file = folder.write("millrace.yaml", config(ports, late));
    const run = await startMillraceRun(file);
    await sendGrpc(ports.grpc);
    expect(await run.stop()).toMatchObject({ code: 0 });
    await expectAll(sink.received);
  });
});

async function startCollector(folder: TempFolder, name: string, text: string, port: number) {
  const file = folder.write(`${name}.yaml`, text);
  const started = await startProcess(
    { title: name, file: peerPath("otelcol"), args: ["--config", file] },
    /Everything is ready/,
  );
  await waitFor(
    `${name} to listen`,
    async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) !== undefined,
  );
  return started.process;
}

const reason = missingPeers("otelcol");
describe.skipIf(reason !== undefined)(`between two Collectors${reason === undefined ? "" : `: ${reason}`}`, () => {
  it.each([
    ["otlp", "grpc", { otlp: {} }],
    ["otlp_http", "http", { otlp_http: {} }],
    ["otlp_http in JSON", "http", { otlp_http: { encoding: "json" } }],
    ["otlp with zstd", "grpc", { otlp: { compression: "zstd" } }],
    ["otlp with snappy", "grpc", { otlp: { compression: "snappy" } }],
    ["otlp_http with snappy", "http", { otlp_http: { compression: "snappy" } }],
  ] as const)("%s: nothing is changed", async (_title, protocol, exporter) => {
    using folder = createTempFolder("otlp-between");
    const [first, middle, last] = [await newPorts(), await newPorts(), await newPorts()];
    const towards = (ports: Ports, section: Readonly<Record<string, object>>) =>
      Object.fromEntries(
        Object.entries(section).map(([name, keys]) => {
          const address = protocol === "grpc" ? `127.0.0.1:${ports.grpc}` : `http://127.0.0.1:${ports.http}`;
          return [name, { endpoint: address, tls: { insecure: true }, timeout, ...keys }];
        }),
      );
    const output = folder.file("out.jsonl");
    const written = { file: { path: output, format: "json", flush_interval: "50ms" } };
    await using _last = await startCollector(folder, "otelcol-last", config(last, written), last.http);
    await using _middle = await startMillraceRun(folder.write("middle.yaml", config(middle, towards(last, exporter))));
    await using _first = await startCollector(
      folder,
      "otelcol-first",
      config(first, towards(middle, exporter)),
      first.http,
    );
    await sendGrpc(first.grpc);
    const direct = folder.file("direct.jsonl");
    const directPorts = await newPorts();
    const directFile = { file: { path: direct, format: "json", flush_interval: "50ms" } };
    await using _direct = await startCollector(
      folder,
      "otelcol-direct",
      config(directPorts, directFile),
      directPorts.http,
    );
    await sendGrpc(directPorts.grpc);
    await waitFor("the file of one Collector alone", () => countOf(direct) >= sentCount);
    await waitFor("as much as went through one Collector alone", () => countOf(output) >= sentCount);
    expect(linesOf(output)).toEqual(linesOf(direct));
  });
});

/** Items in a file of OTLP JSON lines, each with its resource and scope, sorted. */
function linesOf(path: string): string[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .flatMap((line) => {
      const request = JSON.parse(line) as Plain;
      const [resources, scopes, items] = Object.values(itemLists).find(([name]) => name in request) ?? ["", "", ""];
      return listOf(request, resources).flatMap((resource) =>
        listOf(resource, scopes).flatMap((scope) =>
          listOf(scope, items).map((item) =>
            JSON.stringify({ ...resource, [scopes]: [{ ...scope, [items]: [item] }] }),
          ),
        ),
      );
    })
    .sort();
}

const countOf = (path: string) => linesOf(path).length;

/** Metrics, spans and log records of all requests. */
const sentCount = signals
  .flatMap((signal) => {
    const [resources, scopes, items] = itemLists[signal];
    return sent[signal].flatMap((bytes) =>
      listOf(decodeOtlp(signal, bytes), resources).flatMap((resource) =>
        listOf(resource, scopes).map((scope) => listOf(scope, items).length),
      ),
    );
  })
  .reduce((sum, count) => sum + count, 0);
