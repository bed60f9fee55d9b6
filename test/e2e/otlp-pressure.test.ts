/** Back-pressure of OTLP: clients are told the truth, and what was accepted arrives once the server behind recovers, in order. */

import { createServer } from "node:http";
import { expect, it } from "vitest";
import { stringify } from "yaml";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { grpcCodes } from "../../src/transport/grpc-status.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";
import { type GrpcAnswer, startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";

const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const queueSize = 5;

/** What a server that is not up does: it refuses, with a wait where there is one, or says nothing. */
interface Refusal {
  readonly retryAfterMs?: number;
}

interface Server extends Disposable {
  readonly endpoint: string;
}

type StartServer = (refusal: Refusal | undefined, take: (bytes: Buffer) => boolean) => Promise<Server>;

/** `take` says whether the server is up. */
const startGrpc: StartServer = async (refusal, take) => {
  const refused = refusal && { code: grpcCodes.UNAVAILABLE, message: "not now", ...refusal };
  const server = await startOtlpGrpcServer(({ bytes }): GrpcAnswer | undefined =>
    take(bytes) ? new Uint8Array() : refused,
  );
  return { endpoint: `127.0.0.1:${server.port}`, [Symbol.dispose]: () => server.close() };
};

const startHttp: StartServer = async (refusal, take) => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const isUp = take(Buffer.concat(chunks));
      if (!isUp && refusal === undefined) return;
      const wait = refusal?.retryAfterMs;
      response.writeHead(isUp ? 200 : 503, wait === undefined ? {} : { "retry-after": String(wait / 1000) }).end();
    });
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  const address = server.address();
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  const port = typeof address === "object" ? address?.port : 0;
  return { endpoint: `http://127.0.0.1:${port}`, [Symbol.dispose]: end };
};

it.each([
  ["asks for 3 s over gRPC", "otlp", startGrpc, { retryAfterMs: 3000 }],
  ["refuses for now over gRPC", "otlp", startGrpc, {}],
  ["hangs over gRPC", "otlp", startGrpc, undefined],
  ["asks for 3 s over HTTP", "otlphttp", startHttp, { retryAfterMs: 3000 }],
  ["refuses for now over HTTP", "otlphttp", startHttp, {}],
  ["hangs over HTTP", "otlphttp", startHttp, undefined],
] as const)(
  "a server behind that %s: a full queue refuses with a wait, and all that was taken arrives in order",
  async (_title, exporter, start, refusal) => {
    using folder = createTempFolder("otlp-pressure");
    let isUp = false;
    const arrived: string[] = [];
    using server = await start(refusal, (bytes) => {
      if (isUp) arrived.push(...(bytes.toString("latin1").match(/item-[0-9]+\./g) ?? []));
      return isUp;
    });
    const [grpc, http] = [await freePort(), await freePort()];
    const file = folder.write(
      "millrace.yaml",
      stringify({
        receivers: {
          otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } },
        },
        exporters: {
          [exporter]: {
            endpoint: server.endpoint,
            compression: "none",
            tls: { insecure: true },
            timeout: "1s",
            sending_queue: { queue_size: queueSize, num_consumers: 2 },
            retry_on_failure: { initial_interval: "200ms", max_interval: "500ms" },
          },
        },
        service: {
          telemetry: { metrics: { level: "none" } },
          pipelines: { traces: { receivers: ["otlp"], exporters: [exporter] } },
        },
      }),
    );
    await using _run = await startMillraceRun(file);
    const client = createGrpcClient({ target: `127.0.0.1:${grpc}`, userAgent: "test" });
    const accepted: string[] = [];
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < queueSize + 3; i++) {
      const [request] = buildTraces([{ name: `item-${i}.`, resource: { "service.name": "one" } }]).requests;
      const result = await client.call({ path, message: request?.bytes ?? [], timeoutMs: 10_000 });
      if (result.code === grpcCodes.OK) accepted.push(`item-${i}.`);
      else {
        expect(result.code).toBe(grpcCodes.UNAVAILABLE);
        waits.push(result.retryAfterMs);
      }
    }
    const [last] = buildTraces([{ name: "http" }]).requests;
    const overHttp = await fetch(`http://127.0.0.1:${http}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: Buffer.from(last?.bytes ?? []),
    });
    expect([overHttp.status, Number(overHttp.headers.get("retry-after")) >= 1]).toEqual([503, true]);
    expect(accepted).toHaveLength(queueSize);
    expect(waits).toHaveLength(3);
    for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(1000);
    isUp = true;
    await waitFor("everything that was accepted", () => arrived.length >= accepted.length, 20_000);
    expect(arrived).toEqual(accepted);
    client.destroy();
  },
);

it("a memory limit refuses with a wait, over gRPC and HTTP, and hands nothing on", async () => {
  using folder = createTempFolder("otlp-memory-limit");
  let taken = 0;
  using server = await startGrpc(undefined, () => {
    taken++;
    return true;
  });
  const [grpc, http] = [await freePort(), await freePort()];
  const config = {
    receivers: {
      otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } },
    },
    // Less than any process has.
    processors: { memory_limiter: { check_interval: "50ms", limit_mib: 5 } },
    exporters: { otlp: { endpoint: server.endpoint, tls: { insecure: true } } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], processors: ["memory_limiter"], exporters: ["otlp"] } },
    },
  };
  await using _run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
  const client = createGrpcClient({ target: `127.0.0.1:${grpc}`, userAgent: "test" });
  const message = buildTraces([{ name: "a" }]).requests[0]?.bytes ?? new Uint8Array();
  let accepted = 0;
  const refused = await waitFor("the limit", async () => {
    const result = await client.call({ path, message, timeoutMs: 10_000 });
    if (result.code !== grpcCodes.OK) return result;
    accepted++;
    return undefined;
  });
  expect([refused.code, (refused.retryAfterMs ?? 0) >= 1000]).toEqual([grpcCodes.RESOURCE_EXHAUSTED, true]);
  const headers = { "content-type": "application/x-protobuf" };
  const url = `http://127.0.0.1:${http}/v1/traces`;
  const answer = await fetch(url, { method: "POST", headers, body: Buffer.from(message) });
  expect([answer.status, Number(answer.headers.get("retry-after")) >= 1]).toEqual([429, true]);
  expect(taken).toBeLessThanOrEqual(accepted);
  client.destroy();
});
