/** OTLP in and out: what clients that nobody here wrote send arrives whole, alone and between two Collectors. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { freePort } from "../kit/free-port.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { decodeOtlp } from "../kit/otlp-proto.ts";
import {
  grpcSink,
  httpSink,
  type OtlpPorts,
  type OtlpSink,
  otlpItems,
  randomRequests,
  sendOtlp,
  singleItems,
} from "../kit/otlp-traffic.ts";
import { missingPeers, peerPath } from "../kit/peers.ts";
import { startProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const requestsOfEach = 25;
const seed = 20261121;
const sent = Object.fromEntries(
  signals.map((signal) => [signal, randomRequests(signal, requestsOfEach, seed)]),
) as Record<Signal, Uint8Array[]>;

const newPorts = async (): Promise<OtlpPorts> => ({ grpc: await freePort(), http: await freePort() });

function otlpReceiver({ grpc, http }: OtlpPorts) {
  return { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } };
}

/** Three pipelines from the otlp receiver to one exporter. */
function config(ports: OtlpPorts, exporter: Readonly<Record<string, object>>, processors: object = {}): string {
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

async function expectAll({ received }: OtlpSink): Promise<void> {
  for (const signal of signals) {
    const wanted = otlpItems(signal, sent[signal]);
    await waitFor(`all ${signal}`, () => otlpItems(signal, received[signal]).length >= wanted.length);
    expect(otlpItems(signal, received[signal])).toEqual(wanted);
  }
}

/** Above the pauses of a busy machine: what is sent again after a timeout arrives twice, as OTLP allows. */
const timeout = "60s";
const plain = { tls: { insecure: true }, compression: "none", timeout };
const send = (protocol: "grpc" | "http", ports: OtlpPorts) =>
  sendOtlp({ protocol, encoding: "protobuf", compression: "none" }, ports, sent);
const exporters = {
  otlp: (endpoint: string) => ({ otlp: { endpoint, tls: { insecure: true }, timeout } }),
  otlphttp: (address: string) => ({ otlphttp: { endpoint: `http://${address}`, timeout } }),
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
      const file = folder.write("millrace.yaml", config(ports, exporters[exporter](sink.address), processors));
      await using _run = await startMillraceRun(file);
      await send(client, ports);
      await expectAll(sink);
    },
  );

  it("what was taken before SIGTERM is delivered", async () => {
    using folder = createTempFolder("otlp-end");
    using sink = await grpcSink();
    const ports = await newPorts();
    const late = {
      otlp: {
        endpoint: sink.address,
        ...plain,
        sending_queue: { batch: { flush_timeout: "1h", min_size: 1e6, sizer: "items" } },
      },
    };
    const file = folder.write("millrace.yaml", config(ports, late));
    const run = await startMillraceRun(file);
    await send("grpc", ports);
    expect(await run.stop()).toMatchObject({ code: 0 });
    await expectAll(sink);
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
    const towards = (ports: OtlpPorts, section: Readonly<Record<string, object>>) =>
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
    await send("grpc", first);
    const direct = folder.file("direct.jsonl");
    const directPorts = await newPorts();
    const directFile = { file: { path: direct, format: "json", flush_interval: "50ms" } };
    await using _direct = await startCollector(
      folder,
      "otelcol-direct",
      config(directPorts, directFile),
      directPorts.http,
    );
    await send("grpc", directPorts);
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
    .flatMap((line) => singleItems(JSON.parse(line) as object))
    .map((item) => JSON.stringify(item))
    .sort();
}

const countOf = (path: string) => linesOf(path).length;

/** Metrics, spans and log records of all requests. */
const sentCount = signals
  .flatMap((signal) => sent[signal].map((bytes) => singleItems(decodeOtlp(signal, bytes)).length))
  .reduce((sum, count) => sum + count, 0);
