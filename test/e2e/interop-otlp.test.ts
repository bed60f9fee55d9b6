/** OpenTelemetry SDKs and telemetrygen send to Millrace: every instrument, spans and log records arrive as they were meant. */

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { freePort } from "../kit/free-port.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { decodeOtlp } from "../kit/otlp-proto.ts";
import { grpcSink, httpSink, type OtlpPorts, type OtlpSink, otlpItems } from "../kit/otlp-traffic.ts";
import { findPeer } from "../kit/peers.ts";
import type { TestProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const folder = process.env["INTEROP"] ?? join(homedir(), ".cache/millrace-interop");
const deadlineMs = 60_000;
/** Above 2^53, so that a number that is not 64-bit exact shows; JavaScript's SDK cannot say it. */
const bigCount = "9007199254740993";

type Plain = Readonly<Record<string, unknown>>;
const listOf = (value: unknown, name: string) => ((value as Plain)[name] ?? []) as Plain[];

interface Sdk {
  readonly name: string;
  readonly ready: string;
  readonly command: readonly string[];
  readonly protocols: readonly string[];
  readonly count: string;
}

const sdks: readonly Sdk[] = [
  {
    name: "js",
    ready: "js.ready",
    command: [process.execPath, join(folder, "js/send.mjs")],
    protocols: ["grpc", "protobuf", "json"],
    count: "41",
  },
  {
    name: "python",
    ready: "python.ready",
    command: [join(folder, "python/venv/bin/python"), join(folder, "python/send.py")],
    protocols: ["grpc", "protobuf"],
    count: bigCount,
  },
  {
    name: "go",
    ready: "go_sdk.ready",
    command: [join(folder, "go/send")],
    protocols: ["grpc", "protobuf"],
    count: bigCount,
  },
];

function isThere(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

let millrace: TestProcess;
let temp: TempFolder;
let ports: OtlpPorts;
/** What comes out of pipelines that pass bytes on, and of pipelines whose processors open them. */
let plain: OtlpSink;
let opened: OtlpSink;

beforeAll(async () => {
  temp = createTempFolder("interop");
  plain = await grpcSink();
  opened = await httpSink();
  ports = { grpc: await freePort(), http: await freePort() };
  const pipelines = signals.flatMap((signal) => [
    [`${signal}/plain`, { receivers: ["otlp"], exporters: ["otlp"] }],
    [`${signal}/opened`, { receivers: ["otlp"], processors: ["attributes"], exporters: ["otlphttp"] }],
  ]);
  const config = {
    receivers: {
      otlp: {
        protocols: { grpc: { endpoint: `127.0.0.1:${ports.grpc}` }, http: { endpoint: `127.0.0.1:${ports.http}` } },
      },
    },
    processors: { attributes: { actions: [{ key: "added", value: "yes", action: "insert" }] } },
    exporters: {
      otlp: { endpoint: plain.address, tls: { insecure: true } },
      otlphttp: { endpoint: `http://${opened.address}` },
    },
    service: { telemetry: { metrics: { level: "none" } }, pipelines: Object.fromEntries(pipelines) },
  };
  millrace = await startMillraceRun(temp.write("millrace.yaml", stringify(config)));
});
afterAll(async () => {
  await millrace?.stop();
  plain?.[Symbol.dispose]();
  opened?.[Symbol.dispose]();
  temp?.[Symbol.dispose]();
});

function run(command: readonly string[], ...args: string[]): void {
  const [file = "", ...first] = command;
  const result = spawnSync(file, [...first, ...args], { encoding: "utf8", timeout: deadlineMs });
  expect(result.status, `${result.error ?? ""}${result.stdout}${result.stderr}`).toBe(0);
}

/** Metrics, spans or records of the sink. */
function itemsOf(sink: OtlpSink, signal: "metrics" | "traces" | "logs"): Plain[] {
  const [resources, scopes, items] = {
    metrics: ["resourceMetrics", "scopeMetrics", "metrics"],
    traces: ["resourceSpans", "scopeSpans", "spans"],
    logs: ["resourceLogs", "scopeLogs", "logRecords"],
  }[signal] as [string, string, string];
  return sink.received[signal]
    .map((bytes) => decodeOtlp(signal, bytes))
    .flatMap((request) => listOf(request, resources))
    .flatMap((resource) => listOf(resource, scopes))
    .flatMap((scope) => listOf(scope, items));
}

/** Metrics by name as what has to be the same whatever SDK sent them. */
function metricsOf(sink: OtlpSink): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const metric of itemsOf(sink, "metrics")) {
    const type = ["gauge", "sum", "histogram", "exponentialHistogram"].find((name) => metric[name] !== undefined) ?? "";
    const data = metric[type] as Plain;
    const [point = {}] = listOf(data, "dataPoints");
    const value = point["asInt"] ?? point["asDouble"];
    found[String(metric["name"])] = {
      type: data["isMonotonic"] === true ? "monotonic sum" : type,
      ...(value === undefined ? { count: point["count"], sum: point["sum"] } : { value: String(value) }),
      ...(point["explicitBounds"] === undefined
        ? {}
        : { bounds: point["explicitBounds"], buckets: point["bucketCounts"] }),
    };
  }
  return found;
}

const instruments = (count: string) => ({
  "interop.counter": { type: "monotonic sum", value: count },
  "interop.updown": { type: "sum", value: "-1.5" },
  "interop.gauge": { type: "gauge", value: "36.6" },
  "interop.histogram": { type: "histogram", count: "3", sum: 55.5, bounds: [1, 10], buckets: ["1", "1", "1"] },
  "interop.exponential": { type: "exponentialHistogram", count: "3", sum: 55.5 },
  "interop.observable.counter": { type: "monotonic sum", value: "2.5" },
  "interop.observable.updown": { type: "sum", value: "2.5" },
  "interop.observable.gauge": { type: "gauge", value: "2.5" },
});

function forget(): void {
  for (const sink of [plain, opened]) for (const signal of signals) sink.received[signal].length = 0;
}

for (const sdk of sdks) {
  const isReady = isThere(join(folder, sdk.ready));
  const note = isReady ? "" : `: skipped, not in ${folder}; test/interop/prepare.sh installs it`;
  describe.skipIf(!isReady)(`the OpenTelemetry SDK for ${sdk.name}${note}`, () => {
    it.each(sdk.protocols)("sends three signals over %s", async (protocol) => {
      forget();
      run(sdk.command, protocol, `127.0.0.1:${protocol === "grpc" ? ports.grpc : ports.http}`);
      for (const sink of [plain, opened]) {
        await waitFor("all signals", () => signals.every((signal) => itemsOf(sink, signal).length > 0));
        expect(metricsOf(sink)).toEqual(instruments(sdk.count));
        const [span] = itemsOf(sink, "traces");
        expect([span?.["name"], listOf(span, "events")[0]?.["name"]]).toEqual(["interop.span", "interop.event"]);
        const [record] = itemsOf(sink, "logs");
        expect([record?.["body"], record?.["severityNumber"]]).toEqual([{ stringValue: "interop.log" }, 13]);
      }
      const added = { key: "added", value: { stringValue: "yes" } };
      for (const signal of ["traces", "logs"] as const) {
        expect(listOf(itemsOf(opened, signal)[0], "attributes")).toContainEqual(added);
        expect(listOf(itemsOf(plain, signal)[0], "attributes")).not.toContainEqual(added);
      }
    });
  });
}

const generator = findPeer("telemetrygen");
describe.skipIf(generator === undefined)(
  `telemetrygen${generator === undefined ? ": skipped, not found in the folder PEERS, in ~/.cache/millrace-peers or on PATH" : ""}`,
  () => {
    it.each(["grpc", "http"] as const)("sends three signals over %s, and all of them arrive", async (protocol) => {
      forget();
      const wanted = { metrics: 7, traces: 6, logs: 5 };
      for (const [signal, count] of Object.entries({ metrics: 7, traces: 3, logs: 5 })) {
        const over = protocol === "grpc" ? [] : ["--otlp-http"];
        const address = `127.0.0.1:${protocol === "grpc" ? ports.grpc : ports.http}`;
        const flags = [
          "--otlp-insecure",
          "--otlp-endpoint",
          address,
          "--workers",
          "1",
          "--rate",
          "0",
          `--${signal}`,
          String(count),
        ];
        run([generator ?? "", signal], ...over, ...flags);
      }
      for (const sink of [plain, opened]) {
        const counts = () =>
          Object.fromEntries(signals.map((signal) => [signal, otlpItems(signal, sink.received[signal]).length]));
        // A trace of telemetrygen is two spans.
        await expect.poll(counts, { timeout: 10_000 }).toEqual(wanted);
      }
    });
  },
);
