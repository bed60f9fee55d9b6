/** What queues of OTLP exporters promise: a request whole or not at all, room that is waited for, answers of the server behind, waits that it asks for. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { decodeExportResponse } from "../../src/codec/otlp/export-response.ts";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { grpcCodes } from "../../src/transport/grpc-status.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { numbersIn } from "../kit/grpc-load.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { otlpFromJson } from "../kit/otlp-json.ts";
import { otlpType } from "../kit/otlp-proto.ts";
import { otlpItems, otlpMethods, randomRequests } from "../kit/otlp-traffic.ts";
import { readOwnMetrics } from "../kit/own-metrics.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { type GrpcAnswer, startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";

const taken = new Uint8Array();
const notNow: GrpcAnswer = { code: grpcCodes.UNAVAILABLE, message: "not now" };
const soon = { retry_on_failure: { initial_interval: "20ms", max_interval: "50ms" } };

/** A server that takes when it is open, and the numbers that it took in their order. */
async function startSink(answer: GrpcAnswer = taken) {
  const state = { isOpen: false, attempts: 0 };
  const numbers: number[] = [];
  const server = await startOtlpGrpcServer(({ bytes }) => {
    state.attempts++;
    if (!state.isOpen) return notNow;
    numbers.push(...numbersIn(bytes));
    return answer;
  });
  onTestFinished(() => server.close());
  const exporter = { endpoint: `127.0.0.1:${server.port}`, tls: { insecure: true }, timeout: "60s", ...soon };
  return { state, numbers, exporter };
}

/** The command with these exporters of all signals, and a client of it. */
async function startRun(folder: TempFolder, exporters: Readonly<Record<string, object>>) {
  const [grpc, own] = [await freePort(), await freePort()];
  const pipeline = { receivers: ["otlp"], exporters: Object.keys(exporters) };
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
    exporters,
    service: {
      telemetry: {
        metrics: { readers: [{ pull: { exporter: { prometheus: { host: "127.0.0.1", port: own } } } }] },
      },
      pipelines: Object.fromEntries(signals.map((signal) => [signal, pipeline])),
    },
  };
  const run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
  const client = createGrpcClient({ target: `127.0.0.1:${grpc}`, userAgent: "test" });
  /** A request of numbered spans, each of a resource of its own. */
  const send = (numbers: readonly number[], timeoutMs = 60_000) => {
    const rows = numbers.map((number) => ({ name: `item-${number}.`, resource: { "service.name": `s-${number}` } }));
    const message = buildTraces(rows).requests[0]?.bytes ?? taken;
    return client.call({ path: otlpMethods.traces, message, timeoutMs });
  };
  const end = async () => {
    client.destroy();
    await run.stop("SIGKILL");
  };
  return { run, client, send, ownUrl: `http://127.0.0.1:${own}`, [Symbol.asyncDispose]: end };
}

const codesOf = async (calls: readonly Promise<{ readonly code: number }>[]) =>
  (await Promise.all(calls)).map(({ code }) => code);

it("a request that has no room goes into no lane of the queue, though a smaller one has room after it", async () => {
  using folder = createTempFolder("otlp-queue");
  const sink = await startSink();
  const sending_queue = { sizer: "items", queue_size: 10, num_consumers: 4 };
  await using world = await startRun(folder, { otlp: { ...sink.exporter, sending_queue } });
  const codes = [
    (await world.send([1, 2, 3, 4, 5, 6, 7, 8])).code,
    (await world.send([11, 12, 13, 14, 15])).code,
    (await world.send([21, 22])).code,
  ];
  expect(codes).toEqual([grpcCodes.OK, grpcCodes.UNAVAILABLE, grpcCodes.OK]);
  sink.state.isOpen = true;
  const all = [1, 2, 3, 4, 5, 6, 7, 8, 21, 22];
  await waitFor("what was taken", () => all.every((number) => sink.numbers.includes(number)));
  expect(sink.numbers.toSorted((a, b) => a - b)).toEqual(all);
});

it("with two exporters, of which one has no room, a repeat arrives twice at the other and once there", async () => {
  using folder = createTempFolder("otlp-queue");
  const [roomy, full] = [await startSink(), await startSink()];
  roomy.state.isOpen = true;
  await using world = await startRun(folder, {
    "otlp/roomy": roomy.exporter,
    "otlp/full": { ...full.exporter, sending_queue: { queue_size: 1 } },
  });
  const codes = [(await world.send([1])).code, (await world.send([2])).code];
  expect(codes).toEqual([grpcCodes.OK, grpcCodes.UNAVAILABLE]);
  full.state.isOpen = true;
  await waitFor("room", () => full.numbers.includes(1));
  await waitFor("the repeat to be taken", async () => (await world.send([2])).code === grpcCodes.OK);
  await waitFor("both at both", () => full.numbers.includes(2) && roomy.numbers.length >= 3);
  expect(full.numbers).toEqual([1, 2]);
  expect(roomy.numbers.filter((number) => number === 2).length).toBeGreaterThan(1);
});

it("block_on_overflow lets clients wait for room, and refuses none", async () => {
  using folder = createTempFolder("otlp-queue");
  const sink = await startSink();
  const sending_queue = { queue_size: 2, block_on_overflow: true };
  await using world = await startRun(folder, { otlp: { ...sink.exporter, sending_queue } });
  const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
  let answered = 0;
  const calls = numbers.map((number) => world.send([number]));
  for (const call of calls) void call.then(() => answered++);
  await waitFor("the queue to be full", () => answered === 2 && sink.state.attempts > 4);
  sink.state.isOpen = true;
  expect(await codesOf(calls)).toEqual(numbers.map(() => grpcCodes.OK));
  await waitFor("all", () => sink.numbers.length >= numbers.length);
  expect(sink.numbers.toSorted()).toEqual(numbers);
});

it("wait_for_result answers when the server behind has: its partial success is told, logged and counted", async () => {
  using folder = createTempFolder("otlp-queue");
  const partialSuccess = { rejected: 1, errorMessage: "too old" };
  const type = otlpType("ExportResponse");
  const sink = await startSink(type.encode(type.fromObject({ partialSuccess })).finish());
  await using world = await startRun(folder, { otlp: { ...sink.exporter, sending_queue: { wait_for_result: true } } });
  let isAnswered = false;
  const call = world.send([1, 2, 3]);
  void call.then(() => {
    isAnswered = true;
  });
  await waitFor("attempts", () => sink.state.attempts > 2);
  expect(isAnswered).toBe(false);
  sink.state.isOpen = true;
  const { code, response } = await call;
  expect(code).toBe(grpcCodes.OK);
  expect(decodeExportResponse(response)).toEqual({
    rejectedItems: 1n,
    errorMessage: expect.stringContaining("too old"),
  });
  const [line] = await waitFor("the log", () => {
    const lines = world.run.lines("Partial success response");
    return lines.length > 0 ? lines : undefined;
  });
  expect(line).toMatch(/"message":"too old","dropped_traces":1/);
  const metrics = await readOwnMetrics(world.ownUrl);
  const exporter = { exporter: "otlp" };
  const dropped = { ...exporter, reason: "partial_success" };
  expect(metrics.sum("otelcol_exporter_sent_spans", exporter), metrics.text).toBe(2);
  expect(metrics.sum("otelcol_exporter_dropped_items", dropped), metrics.text).toBe(1);
});

it("a client that gives up takes nothing back: without a queue, what it sent arrives once the server behind takes it", async () => {
  using folder = createTempFolder("otlp-queue");
  const sink = await startSink();
  await using world = await startRun(folder, { otlp: { ...sink.exporter, sending_queue: { enabled: false } } });
  expect((await world.send([1], 500)).code).toBe(grpcCodes.DEADLINE_EXCEEDED);
  sink.state.isOpen = true;
  expect((await world.send([1])).code).toBe(grpcCodes.OK);
  expect(sink.numbers).toEqual([1, 1]);
});

it.each(["otlp_grpc", "otlp_http"])("%s waits as long as the server behind asks for", async (exporter) => {
  using folder = createTempFolder("otlp-queue");
  const retryAfterMs = 3000;
  const attemptsMs: number[] = [];
  const isUp = () => attemptsMs.push(performance.now()) > 1;
  const grpc = await startOtlpGrpcServer(() => (isUp() ? taken : { ...notNow, retryAfterMs }));
  const http = createServer((request, response) => {
    request.resume().on("end", () => {
      if (isUp()) response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      else response.writeHead(503, { "retry-after": String(retryAfterMs / 1000) }).end();
    });
  });
  await listen(http, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => {
    grpc.close();
    http.closeAllConnections();
    http.close();
  });
  const endpoint =
    exporter === "otlp_grpc" ? `127.0.0.1:${grpc.port}` : `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  await using world = await startRun(folder, { [exporter]: { endpoint, tls: { insecure: true }, ...soon } });
  expect((await world.send([1])).code).toBe(grpcCodes.OK);
  await waitFor("the second attempt", () => attemptsMs.length === 2);
  const [first = 0, second = 0] = attemptsMs;
  expect(second - first).toBeGreaterThan(retryAfterMs - 50);
});

it("file writes all of all signals, debug names what came", async () => {
  using folder = createTempFolder("otlp-queue");
  const path = folder.file("out.json");
  await using world = await startRun(folder, { file: { path }, debug: { verbosity: "detailed" } });
  const wanted: string[] = [];
  for (const signal of signals) {
    const requests = randomRequests(signal, 10, 20261121);
    wanted.push(...otlpItems(signal, requests));
    for (const message of requests) {
      const { code } = await world.client.call({ path: otlpMethods[signal], message, timeoutMs: 60_000 });
      expect(code).toBe(grpcCodes.OK);
    }
  }
  await world.run.stop();
  const lines = readFileSync(path, "utf8").trim().split("\n");
  const keys = { metrics: "resourceMetrics", traces: "resourceSpans", logs: "resourceLogs" } as const;
  const written = signals.flatMap((signal) => {
    const own = lines.filter((line) => keys[signal] in JSON.parse(line));
    return otlpItems(
      signal,
      own.map((line) => otlpFromJson(signal, line)),
    );
  });
  expect(written).toEqual(wanted);
  const shown = [
    "ResourceMetrics #0",
    "ResourceSpans #0",
    "ResourceLog #0",
    "NumberDataPoints #0",
    "Span #0",
    "LogRecord #0",
  ];
  for (const text of shown) expect(world.run.output).toContain(text);
});
