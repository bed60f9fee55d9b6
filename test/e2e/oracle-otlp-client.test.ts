/** What Millrace and a real otelcol-contrib know of the clients of their otlp receivers, before and behind a batch, says the same. */

import { request } from "node:http";
import { connect } from "node:http2";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { buildLogs } from "../../src/testing/build-otlp.ts";
import { frameMessage } from "../../src/transport/grpc-wire.ts";
import { freePort } from "../kit/free-port.ts";
import { httpSink, type OtlpPorts, otlpItems, otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";
import { missingPeers } from "../kit/peers.ts";
import { startCollector, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";

type Headers = Readonly<Record<string, string | string[]>>;

/** `:authority` and `te` are what gRPC keeps to itself, or does not. */
const metadata = ["X-Tenant", "host", ":authority", "te", "content-type", "content-length", "user-agent", "x-b-bin"];
const before = [...metadata.map((name) => `metadata.${name}`), "x-tenant", "client.address", "auth.username"];
const behind = ["metadata.x-tenant", "metadata.user-agent", "client.address"];

const sent: readonly Headers[] = [
  { "x-tenant": "a" },
  { "x-tenant": ["a", "b"], "x-b-bin": Buffer.from("bytes").toString("base64") },
  { "x-tenant": "" },
  {},
];

function config({ grpc, http }: OtlpPorts, endpoint: string): string {
  const actions = (prefix: string, keys: readonly string[]) =>
    keys.map((key) => ({ key: `${prefix} ${key}`, from_context: key, action: "insert" }));
  const processors = {
    "attributes/before": { actions: actions("before", before) },
    batch: { timeout: "50ms", metadata_keys: ["X-Tenant"] },
    "attributes/behind": { actions: actions("behind", behind) },
  };
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
    exporters: { otlphttp: { endpoint, compression: "none" } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { logs: { receivers: ["otlp"], processors: Object.keys(processors), exporters: ["otlphttp"] } },
    },
  });
}

const body = Buffer.from(buildLogs([{ body: "x" }]).requests[0]?.bytes ?? []);

function post(port: number, headers: Headers): Promise<number | undefined> {
  const own = { "content-type": "application/x-protobuf", "user-agent": "me", "content-length": body.length };
  const options = { host: "127.0.0.1", port, path: otlpPaths.logs, method: "POST", headers: { ...own, ...headers } };
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (response) => response.resume().on("end", () => resolve(response.statusCode)));
    outgoing.on("error", reject).end(body);
  });
}

/** Each header as it is: other clients join those with several values. */
function call(port: number, headers: Headers): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`);
  const own = { "content-type": "application/grpc", te: "trailers", "user-agent": "me" };
  const stream = session.request({ ":method": "POST", ":path": otlpMethods.logs, ...own, ...headers });
  stream.end(frameMessage(body));
  return new Promise((resolve, reject) => {
    stream.on("error", reject);
    session.on("error", reject);
    stream.resume().once("close", () => {
      session.close();
      resolve();
    });
  });
}

/** The log records that arrive, ports made equal. */
async function itemsOf(start: typeof startCollector): Promise<string[]> {
  using folder = createTempFolder("oracle-client");
  using sink = await httpSink();
  const ports = { grpc: await freePort(), http: await freePort() };
  await using _subject = await start(folder.write("config.yaml", config(ports, `http://${sink.address}`)));
  for (const headers of sent) {
    expect(await post(ports.http, headers)).toBe(200);
    await call(ports.grpc, headers);
  }
  const count = () => otlpItems("logs", sink.received.logs).length;
  await expect.poll(count, { timeout: 10_000 }).toBe(2 * sent.length);
  return otlpItems("logs", sink.received.logs)
    .map((item) => item.replaceAll(`:${ports.grpc}`, ":grpc").replaceAll(`:${ports.http}`, ":http"))
    .sort();
}

const reason = missingPeers("otelcol");
describe.skipIf(reason !== undefined)(`clients as otelcol-contrib sees them${reason ? `: ${reason}` : ""}`, () => {
  it("metadata, address and credentials are the same, also behind a batch by metadata", async () => {
    const own = await itemsOf(startMillraceRun);
    expect(own.join("\n")).toContain("before metadata.X-Tenant");
    expect(own).toEqual(await itemsOf(startCollector));
  });
});
