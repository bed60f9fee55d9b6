/** Keys of the exporters otlp_grpc and otlp_http, as a server behind the built command meets them. */

import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { buildLogs, buildTraces } from "../../src/testing/build-otlp.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { otlpPaths } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A server of HTTP/2 that takes every call and keeps what it was asked. */
async function startGrpcServer(port = 0) {
  const received: Received[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createHttp2Server();
  server.on("session", (session) => void sessions.add(session));
  server.on("stream", async (stream, headers) => {
    stream.on("error", () => undefined);
    received.push({ path: String(headers[":path"]), headers, body: await buffer(stream) });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(Buffer.alloc(5));
  });
  await listen(server, { host: "127.0.0.1", port });
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { received, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** The same over HTTP/1. */
async function startHttpServer() {
  const received: Received[] = [];
  const server = createHttpServer(async (request, response) => {
    received.push({ path: request.url ?? "", headers: request.headers, body: await buffer(request) });
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** The command with these exporters; `send` posts a span and a log record to it. */
async function startRun(folder: TempFolder, exporters: Readonly<Record<string, object>>) {
  const http = await freePort();
  const pipeline = { receivers: ["otlp"], exporters: Object.keys(exporters) };
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${http}` } } } },
    exporters,
    service: { telemetry: { metrics: { level: "none" } }, pipelines: { traces: pipeline, logs: pipeline } },
  };
  const run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
  onTestFinished(() => run.stop("SIGKILL").then(() => undefined));
  const send = async () => {
    const batches = { traces: buildTraces([{ name: "a" }]), logs: buildLogs([{ body: "a" }]) };
    for (const [signal, { requests }] of Object.entries(batches)) {
      const url = `http://127.0.0.1:${http}${otlpPaths[signal as keyof typeof batches]}`;
      const headers = { "content-type": "application/x-protobuf" };
      const answer = await fetch(url, { method: "POST", headers, body: Buffer.from(requests[0]?.bytes ?? []) });
      expect(answer.status).toBe(200);
    }
  };
  return { send };
}

/** What gzip's header says of the level (RFC 1952, XFL). */
const gzipEffort: Readonly<Record<number, string>> = { 4: "fastest", 2: "best" };
const effortOf = (packed: Buffer | undefined) => gzipEffort[packed?.[8] ?? -1] ?? "neither";
const grpcHeaderBytes = 5;

it("otlp_grpc sends its metadata, authority and user agent, packed with gzip as fast as it goes unless told otherwise", async () => {
  using folder = createTempFolder("otlp-client-keys");
  const [usual, told] = [await startGrpcServer(), await startGrpcServer()];
  const world = await startRun(folder, {
    "otlp/usual": { endpoint: usual.address, tls: { insecure: true } },
    "otlp/told": {
      endpoint: `http://${told.address}`,
      headers: { "X-Tenant": "a", "x-key-bin": "bytes" },
      authority: "name.example:1",
      user_agent: "mine/1",
      compression_params: { level: 9 },
    },
  });
  await world.send();
  await waitFor("both signals at both", () => usual.received.length === 2 && told.received.length === 2);
  for (const { headers, body } of usual.received) {
    expect(headers).toMatchObject({
      ":authority": usual.address,
      "grpc-encoding": "gzip",
      "user-agent": expect.stringMatching(/^Millrace\/\S+$/),
    });
    expect([body[0], effortOf(body.subarray(grpcHeaderBytes))]).toEqual([1, "fastest"]);
  }
  for (const { headers, body } of told.received) {
    expect(headers).toMatchObject({
      ":authority": "name.example:1",
      "x-tenant": "a",
      "user-agent": expect.stringMatching(/^mine\/1 Millrace\/\S+$/),
    });
    expect(String(Buffer.from(String(headers["x-key-bin"]), "base64"))).toBe("bytes");
    expect(effortOf(body.subarray(grpcHeaderBytes))).toBe("best");
  }
});

it("otlp_grpc with wait_for_ready sends the first attempt once there is a server", async () => {
  using folder = createTempFolder("otlp-client-keys");
  const port = await freePort();
  const never = { retry_on_failure: { enabled: false } };
  const world = await startRun(folder, {
    otlp_grpc: {
      endpoint: `127.0.0.1:${port}`,
      tls: { insecure: true },
      timeout: "60s",
      wait_for_ready: true,
      ...never,
    },
  });
  await world.send();
  const { received } = await startGrpcServer(port);
  await waitFor("both signals", () => received.length === 2);
});

it("otlp_http sends its headers to the path of each signal, or to a whole URL of one, packed as it is told", async () => {
  using folder = createTempFolder("otlp-client-keys");
  const [usual, told] = [await startHttpServer(), await startHttpServer()];
  const world = await startRun(folder, {
    "otlphttp/usual": { endpoint: `${usual.url}/base` },
    "otlphttp/told": {
      endpoint: `${told.url}/base`,
      traces_endpoint: `${told.url}/only/traces`,
      headers: { "X-Tenant": "a" },
      compression: "gzip",
      compression_params: { level: 9 },
    },
  });
  await world.send();
  await waitFor("both signals at both", () => usual.received.length === 2 && told.received.length === 2);
  expect(usual.received.map(({ path }) => path).sort()).toEqual(["/base/v1/logs", "/base/v1/traces"]);
  expect(told.received.map(({ path }) => path).sort()).toEqual(["/base/v1/logs", "/only/traces"]);
  const common = { "content-type": "application/x-protobuf", "content-encoding": "gzip" };
  for (const { headers, body } of usual.received) {
    expect(headers).toMatchObject({ ...common, "user-agent": expect.stringContaining("Millrace/") });
    expect(effortOf(body)).toBe("fastest");
  }
  for (const { headers, body } of told.received) {
    expect(headers).toMatchObject({ ...common, "x-tenant": "a" });
    expect(effortOf(body)).toBe("best");
  }
});
