/** OTLP through Millrace and through a real otelcol-contrib with the same configuration: what both send on says the same. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import {
  type ClientKind,
  grpcSink,
  httpSink,
  itemDifferences,
  type OtlpPorts,
  type OtlpSink,
  otlpItems,
  packedGrpcSink,
  type Requests,
  randomRequests,
  sendOtlp,
  waitForItems,
} from "../kit/otlp-traffic.ts";
import { missingPeers } from "../kit/peers.ts";
import { startCollector, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";

const seed = 20261122;
const requestsOfEach = 12;
const shownDifferences = 10;

const clients: readonly ClientKind[] = [
  { protocol: "grpc", encoding: "protobuf", compression: "none" },
  { protocol: "grpc", encoding: "protobuf", compression: "gzip" },
  { protocol: "grpc", encoding: "protobuf", compression: "zstd" },
  { protocol: "grpc", encoding: "protobuf", compression: "snappy" },
  { protocol: "http", encoding: "protobuf", compression: "none" },
  { protocol: "http", encoding: "protobuf", compression: "gzip" },
  { protocol: "http", encoding: "protobuf", compression: "zstd" },
  { protocol: "http", encoding: "protobuf", compression: "deflate" },
  { protocol: "http", encoding: "protobuf", compression: "snappy" },
  { protocol: "http", encoding: "json", compression: "none" },
  { protocol: "http", encoding: "protobuf", compression: "x-snappy-framed" },
  { protocol: "http", encoding: "json", compression: "gzip" },
  { protocol: "http", encoding: "json", compression: "zstd" },
  { protocol: "http", encoding: "json", compression: "deflate" },
  { protocol: "http", encoding: "json", compression: "snappy" },
];

const opening = {
  "attributes/open": {
    actions: [
      { key: "added", value: "by a processor", action: "insert" },
      { key: "host", action: "delete" },
    ],
  },
};
/** Without a maximum: otelcol's batch processor loses the metadata of metrics that it cuts. otlp.test.ts compares cut batches with what was sent. */
const batching = { "batch/some": { timeout: "50ms", send_batch_size: 40 } };

/** What a pipeline sends with, and what is on the way to it. */
const ways: readonly { name: string; exporter: "otlp" | "otlphttp"; keys: object; processors: object }[] = [
  { name: "plain", exporter: "otlp", keys: { compression: "none" }, processors: {} },
  { name: "gzip", exporter: "otlp", keys: {}, processors: batching },
  { name: "opened", exporter: "otlp", keys: { compression: "none" }, processors: opening },
  { name: "grpc-zstd", exporter: "otlp", keys: { compression: "zstd" }, processors: {} },
  { name: "grpc-snappy", exporter: "otlp", keys: { compression: "snappy" }, processors: opening },
  { name: "http", exporter: "otlphttp", keys: { compression: "none" }, processors: {} },
  { name: "http-gzip", exporter: "otlphttp", keys: {}, processors: opening },
  { name: "http-snappy", exporter: "otlphttp", keys: { compression: "snappy" }, processors: {} },
  { name: "http-framed", exporter: "otlphttp", keys: { compression: "x-snappy-framed" }, processors: {} },
  { name: "json", exporter: "otlphttp", keys: { encoding: "json", compression: "none" }, processors: {} },
  { name: "json-gzip", exporter: "otlphttp", keys: { encoding: "json" }, processors: { ...opening, ...batching } },
  { name: "json-zstd", exporter: "otlphttp", keys: { encoding: "json", compression: "zstd" }, processors: {} },
  {
    name: "json-snappy",
    exporter: "otlphttp",
    keys: { encoding: "json", compression: "snappy" },
    processors: batching,
  },
  { name: "json-deflate", exporter: "otlphttp", keys: { encoding: "json", compression: "deflate" }, processors: {} },
  { name: "zstd", exporter: "otlphttp", keys: { compression: "zstd" }, processors: { ...opening, ...batching } },
  { name: "deflate", exporter: "otlphttp", keys: { compression: "deflate" }, processors: batching },
];

function config(ports: OtlpPorts, sinks: ReadonlyMap<string, OtlpSink>): string {
  const pipelines = ways.flatMap(({ name, exporter, processors }) =>
    signals.map((signal) => [
      `${signal}/${name}`,
      { receivers: ["otlp"], processors: Object.keys(processors), exporters: [`${exporter}/${name}`] },
    ]),
  );
  const exporters = ways.map(({ name, exporter, keys }) => {
    const address = sinks.get(name)?.address;
    const endpoint = exporter === "otlp" ? address : `http://${address}`;
    // Above the pauses of a busy machine: what is sent again after a timeout arrives twice, as OTLP allows.
    return [`${exporter}/${name}`, { endpoint, tls: { insecure: true }, timeout: "60s", ...keys }];
  });
  return stringify({
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${ports.grpc}` },
          http: { endpoint: `127.0.0.1:${ports.http}` },
        },
      },
    },
    processors: { ...opening, ...batching },
    exporters: Object.fromEntries(exporters),
    service: { telemetry: { metrics: { level: "none" } }, pipelines: Object.fromEntries(pipelines) },
  });
}

interface Subject extends AsyncDisposable {
  readonly ports: OtlpPorts;
  readonly sinks: ReadonlyMap<string, OtlpSink>;
}

async function startSubject(start: typeof startCollector): Promise<Subject> {
  const folder = createTempFolder("oracle-otlp");
  const sinks = new Map<string, OtlpSink>();
  for (const { name, exporter } of ways) {
    const start = exporter === "otlphttp" ? httpSink : name.startsWith("grpc-") ? packedGrpcSink : grpcSink;
    sinks.set(name, await start());
  }
  const ports = { grpc: await freePort(), http: await freePort() };
  const subject = await start(folder.write("config.yaml", config(ports, sinks)));
  return {
    ports,
    sinks,
    async [Symbol.asyncDispose]() {
      await subject.stop();
      for (const sink of sinks.values()) sink[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** otelcol writes no -0 into fields that mean 0 when they are absent; Millrace keeps what came. */
function withoutLostSigns(items: readonly string[]): string[] {
  return items
    .map((item) => {
      const names = item.endsWith('"type":"summary"}') ? "sum|quantile|value" : "zeroThreshold";
      return item.replace(new RegExp(`,?"(${names})":"number -0"`, "g"), "").replaceAll("{,", "{");
    })
    .sort();
}

function forget(sink: OtlpSink): void {
  for (const signal of signals) sink.received[signal].length = 0;
}

const reason = missingPeers("otelcol");
describe.skipIf(reason !== undefined)(
  `OTLP as otelcol-contrib passes it${reason === undefined ? "" : `: ${reason}`}`,
  () => {
    let peer: Subject;
    let own: Subject;

    beforeAll(async () => {
      peer = await startSubject(startCollector);
      own = await startSubject(startMillraceRun);
    });
    afterAll(async () => {
      await own?.[Symbol.asyncDispose]();
      await peer?.[Symbol.asyncDispose]();
    });

    beforeEach(() => {
      for (const { sinks } of [peer, own]) for (const sink of sinks.values()) forget(sink);
    });

    it.each(clients.map((kind, i) => ({ ...kind, i })))(
      "what comes over $protocol as $encoding with $compression leaves every pipeline saying the same",
      async ({ i, ...kind }) => {
        const sent = Object.fromEntries(
          signals.map((signal) => [signal, randomRequests(signal, requestsOfEach, seed + i)]),
        ) as unknown as Requests;
        for (const subject of [peer, own]) await sendOtlp(kind, subject.ports, sent);
        for (const { name } of ways) {
          for (const signal of signals) {
            const [theirs, ours] = [peer.sinks.get(name), own.sinks.get(name)];
            if (theirs === undefined || ours === undefined) throw new Error(`no sink ${name}`);
            const wanted = otlpItems(signal, sent[signal]).length;
            const expected = await waitForItems(`of otelcol by ${name}`, theirs, signal, wanted);
            const items = await waitForItems(`of Millrace by ${name}`, ours, signal, wanted);
            const differences = itemDifferences(withoutLostSigns(expected), withoutLostSigns(items));
            expect(differences.slice(0, shownDifferences), `${signal} by ${name}`).toEqual([]);
          }
        }
      },
    );
  },
);
