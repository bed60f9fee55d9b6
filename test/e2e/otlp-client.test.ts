/** What clients of the otlp receiver are told and what of them travels on, with the built command. */

import { Agent, createServer, request } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { decodeExportResponse } from "../../src/codec/otlp/export-response.ts";
import { decodeTraces } from "../../src/codec/otlp/traces-data.ts";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { createGrpcClient } from "../../src/transport/grpc-client.ts";
import { listen } from "../../src/transport/listen.ts";
import { freePort } from "../kit/free-port.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/** A server of OTLP over HTTP that keeps what it takes and answers with these statuses in turn, then with 200. */
async function startServer(statuses: number[] = []) {
  const bodies: Uint8Array[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const status = statuses.shift() ?? 200;
      if (status === 200) bodies.push(Uint8Array.from(Buffer.concat(chunks)));
      response.writeHead(status, { "content-type": "text/plain" }).end(status === 200 ? "" : "too odd");
    });
  });
  await listen(server, { host: "127.0.0.1", port: 0 });
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { bodies, endpoint: `http://127.0.0.1:${port}` };
}

/** The command with an otlp receiver and an otlp_http exporter that waits for the answer of the server. */
async function startRun(file: string, grpc: number, http: number) {
  const run = await startMillraceRun(file);
  const client = createGrpcClient({ target: `127.0.0.1:${grpc}`, userAgent: "test" });
  onTestFinished(() => client.destroy());
  const post = async (bytes: Uint8Array, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${http}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf", ...headers },
      body: Buffer.from(bytes),
    });
    return { status: response.status, body: Uint8Array.from(new Uint8Array(await response.arrayBuffer())) };
  };
  return { run, client, post };
}

function configuration({
  grpc,
  http,
  endpoint,
  processors,
}: {
  readonly grpc: number;
  readonly http: number;
  readonly endpoint: string;
  readonly processors: Readonly<Record<string, object>>;
}): string {
  const exporter = { endpoint, compression: "none", sending_queue: { enabled: false } };
  return stringify({
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${grpc}`, include_metadata: true },
          http: { endpoint: `127.0.0.1:${http}`, include_metadata: true },
        },
      },
    },
    processors,
    exporters: { otlp_http: exporter },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], processors: Object.keys(processors), exporters: ["otlp_http"] } },
    },
  });
}

it("a part that a server refuses for good is a partial success", async () => {
  using folder = createTempFolder("otlp-partial");
  const { endpoint, bodies } = await startServer([200, 400, 200, 400, 200, 200]);
  const [grpc, http] = [await freePort(), await freePort()];
  const processors = { batch: { send_batch_size: 1, send_batch_max_size: 1 } };
  const file = folder.write("millrace.yaml", configuration({ grpc, http, endpoint, processors }));
  const started = await startRun(file, grpc, http);
  await using _run = started.run;
  const bytes = buildTraces([{ name: "a" }, { name: "b" }, { name: "c" }]).requests[0]?.bytes ?? new Uint8Array();
  const overHttp = await started.post(bytes);
  const overGrpc = await started.client.call({ path, message: bytes });
  expect([overHttp.status, overGrpc.code]).toEqual([200, 0]);
  for (const body of [overHttp.body, overGrpc.response]) {
    const partial = decodeExportResponse(body);
    expect(partial?.rejectedItems).toBe(1n);
    expect(partial?.errorMessage).toContain("too odd");
  }
  expect(bodies).toHaveLength(4);
});

it("batches keep clients apart by their metadata, and attributes come from it", async () => {
  using folder = createTempFolder("otlp-metadata");
  const { endpoint, bodies } = await startServer();
  const [grpc, http] = [await freePort(), await freePort()];
  const processors = {
    "attributes/ip": { actions: [{ key: "ip", from_context: "client.address", action: "insert" }] },
    batch: { timeout: "50ms", metadata_keys: ["x-tenant"] },
    "attributes/tenant": { actions: [{ key: "tenant", from_context: "metadata.X-Tenant", action: "insert" }] },
  };
  const file = folder.write("millrace.yaml", configuration({ grpc, http, endpoint, processors }));
  const started = await startRun(file, grpc, http);
  await using _run = started.run;
  const bytes = buildTraces([{ name: "a" }]).requests[0]?.bytes ?? new Uint8Array();
  const send = ["a", "b", "a"].map((tenant) => started.post(bytes, { "X-Tenant": tenant }));
  const call = started.client.call({ path, message: bytes, headers: { "x-tenant": "b" } });
  expect([...(await Promise.all(send)).map(({ status }) => status), (await call).code]).toEqual([200, 200, 200, 0]);
  // The exporter may send both batches as one request.
  const spans = () =>
    bodies.flatMap((body) =>
      decodeTraces(body).flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap((scope) => scope.spans.map(({ attributes }) => Object.fromEntries(attributes))),
      ),
    );
  await waitFor("both batches", () => spans().length >= 4, 5000);
  const tenants = spans().map(({ tenant }) => tenant);
  expect(tenants.filter((tenant, i) => tenant !== tenants[i - 1])).toHaveLength(2);
  expect(tenants.sort()).toEqual(["a", "a", "b", "b"]);
  expect(spans().every(({ ip }) => ip === "127.0.0.1")).toBe(true);
});

it("a reload leaves connections alone, and changes what is no matter of the server", async () => {
  using folder = createTempFolder("otlp-reload");
  const { endpoint, bodies } = await startServer();
  const [grpc, http] = [await freePort(), await freePort()];
  const before = configuration({ grpc, http, endpoint, processors: {} });
  const file = folder.write("millrace.yaml", before);
  const started = await startRun(file, grpc, http);
  await using run = started.run;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const bytes = buildTraces([{ name: "a" }]).requests[0]?.bytes ?? new Uint8Array();
  const send = (path: string) =>
    new Promise<{ status: number | undefined; from: number | undefined }>((resolve, reject) => {
      const headers = { "content-type": "application/x-protobuf" };
      const options = { host: "127.0.0.1", port: http, path, agent, method: "POST", headers };
      const outgoing = request(options, (response) => {
        const from = outgoing.socket?.localPort;
        response.resume().on("end", () => resolve({ status: response.statusCode, from }));
      });
      outgoing.on("error", reject).end(bytes);
    });
  const reload = async () => {
    const reloads = () => run.lines("Configuration reloaded").length;
    const count = reloads();
    run.signal("SIGHUP");
    await waitFor("the reload", () => reloads() > count, 10_000);
  };
  const first = await send("/v1/traces");
  expect(first.status).toBe(200);
  await reload();
  expect(await send("/v1/traces")).toEqual(first);
  folder.write(
    "millrace.yaml",
    before
      .replace("include_metadata: true", "include_metadata: false")
      .replace(`endpoint: 127.0.0.1:${http}`, `endpoint: 127.0.0.1:${http}\n        traces_url_path: /other`),
  );
  await reload();
  expect(await send("/other")).toEqual(first);
  expect(bodies).toHaveLength(3);
});
