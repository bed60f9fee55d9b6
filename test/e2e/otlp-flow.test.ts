/** Servers over gRPC that take little at a time: everything arrives once, a full queue is told to clients, and memory is bounded. */

import { createServer, type ServerHttp2Session, type Settings } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect, it } from "vitest";
import { stringify } from "yaml";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { grpcCodes } from "../../src/transport/grpc-status.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { Arrivals } from "../kit/grpc-load.ts";
import { otlpMethods } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const mebibyte = 1024 * 1024;
/** Resources that the spans come from: what belongs to one goes out in order, one call after another. */
const sources = 20;

/** A server of gRPC on node:http2 that reads nothing until its gate is open. */
async function startSink(settings: Settings) {
  const arrivals = new Arrivals();
  const gate = Promise.withResolvers<void>();
  const sessions = new Set<ServerHttp2Session>();
  const calls = { now: 0, most: 0 };
  const server = createServer({ settings });
  server.on("session", (session) => void sessions.add(session));
  server.on("stream", async (stream) => {
    calls.most = Math.max(calls.most, ++calls.now);
    stream.once("close", () => calls.now--).on("error", () => undefined);
    await gate.promise;
    const body = await buffer(stream).catch(() => undefined);
    if (body === undefined) return;
    arrivals.take(body.subarray(5));
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(Buffer.alloc(5));
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  const end = () => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  const { port } = server.address() as AddressInfo;
  return { port, arrivals, calls, open: gate.resolve, [Symbol.dispose]: end };
}

/** The command with a queue before the port, and a way to send one numbered span, of which the code comes back. */
async function startRun(folder: TempFolder, to: number, queue: object) {
  const grpc = await freePort();
  const exporter = { endpoint: `127.0.0.1:${to}`, compression: "none", tls: { insecure: true }, timeout: "100s" };
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
    exporters: { otlp_grpc: { ...exporter, sending_queue: queue } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_grpc"] } },
    },
  };
  const run = await startMillraceRun(folder.write("config.yaml", stringify(config)));
  const client = createGrpcClient({ target: `127.0.0.1:${grpc}`, userAgent: "test" });
  const send = async (number: number, padding = "") => {
    const row = { name: `item-${number}.${padding}`, resource: { "service.name": `source-${number % sources}` } };
    const message = buildTraces([row]).requests[0]?.bytes ?? new Uint8Array();
    return (await client.call({ path: otlpMethods.traces, message, timeoutMs: 60_000 })).code;
  };
  const end = async () => {
    client.destroy();
    await run.stop("SIGKILL");
  };
  return { run, send, [Symbol.asyncDispose]: end };
}

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

it("a server with MAX_CONCURRENT_STREAMS 1 gets all calls, one after another", async () => {
  using folder = createTempFolder("otlp-flow");
  using sink = await startSink({ maxConcurrentStreams: 1 });
  await using world = await startRun(folder, sink.port, { num_consumers: 10 });
  const sent = numbers(300);
  const codes = await Promise.all(sent.map((number) => world.send(number)));
  expect(codes.every((code) => code === grpcCodes.OK)).toBe(true);
  await waitFor("the first call", () => sink.calls.now === 1);
  sink.open();
  await waitFor("all spans", () => sink.arrivals.missing(sent).length === 0);
  expect([sink.calls.most, sink.arrivals.repeated]).toEqual([1, 0]);
});

it("a server that stops reading, behind windows of 16 KiB: its queue fills and holds, and all that was taken arrives once it reads", async () => {
  using folder = createTempFolder("otlp-flow");
  using sink = await startSink({ initialWindowSize: 16 * 1024 });
  const queueSize = 60;
  await using world = await startRun(folder, sink.port, { queue_size: queueSize });
  // Ten times what the queue may hold.
  const padding = "x".repeat(mebibyte / 4);
  const taken: number[] = [];
  let beforeBytes = 0;
  for (const number of numbers(queueSize * 10)) {
    const code = await world.send(number, padding);
    if (code === grpcCodes.OK) taken.push(number);
    else expect(code).toBe(grpcCodes.UNAVAILABLE);
    if (number === queueSize) beforeBytes = world.run.residentBytes();
  }
  expect(taken.length).toBe(queueSize);
  // What came after the queue was full left nothing behind: it was 135 MiB.
  expect(world.run.residentBytes() - beforeBytes).toBeLessThan(70 * mebibyte);
  sink.open();
  await waitFor("all that was taken", () => sink.arrivals.missing(taken).length === 0, 50_000);
  expect([sink.arrivals.size, sink.arrivals.repeated]).toEqual([taken.length, 0]);
});
