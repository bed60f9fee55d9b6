/** Keys of the otlp receiver's servers, as a client of the built command meets them. */

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { status as grpcStatus } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildLogs } from "../../src/testing/build-otlp.ts";
import { freePort } from "../kit/free-port.ts";
import { encodeOtlp } from "../kit/otlp-proto.ts";
import { grpcSink, type OtlpSink, otlpItems, otlpMethods, waitForItems } from "../kit/otlp-traffic.ts";
import type { TestProcess } from "../kit/processes.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { callByPeer } from "../support/grpc-kit.ts";

const mebibyte = 1024 * 1024;
const origin = "https://page.example.com";
const paths: Readonly<Record<Signal, string>> = { metrics: "/v1/metrics", traces: "/own/traces", logs: "/v1/logs" };
const [log] = buildLogs([{ body: "a" }]).requests;
const good = log?.bytes ?? new Uint8Array();

let folder: TempFolder;
let sink: OtlpSink;
let run: TestProcess;
let ports: { readonly grpc: number; readonly http: number };

beforeAll(async () => {
  folder = createTempFolder("otlp-server-keys");
  sink = await grpcSink();
  ports = { grpc: await freePort(), http: await freePort() };
  const pipeline = { receivers: ["otlp"], exporters: ["otlp_grpc"] };
  const config = {
    receivers: {
      otlp: {
        protocols: {
          grpc: {
            endpoint: `127.0.0.1:${ports.grpc}`,
            max_recv_msg_size_mib: 1,
            max_concurrent_streams: 7,
            keepalive: { server_parameters: { max_connection_idle: "500ms" } },
          },
          http: {
            endpoint: `127.0.0.1:${ports.http}`,
            traces_url_path: paths.traces,
            max_request_body_size: 1000,
            compression_algorithms: ["", "gzip"],
            response_headers: { "x-served-by": "millrace" },
            cors: { allowed_origins: ["https://*.example.com"], allowed_headers: ["x-tenant"], max_age: 60 },
          },
        },
      },
    },
    exporters: { otlp_grpc: { endpoint: sink.address, tls: { insecure: true } } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { metrics: pipeline, traces: pipeline, logs: pipeline },
    },
  };
  run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
});
afterAll(async () => {
  await run?.stop();
  sink?.[Symbol.dispose]();
  folder?.[Symbol.dispose]();
});

/** A request over HTTP, by POST unless the headers ask what a page may do. */
async function ask(path: string, body: Uint8Array | string, headers: Readonly<Record<string, string>> = {}) {
  const isPreflight = "access-control-request-method" in headers;
  return fetch(`http://127.0.0.1:${ports.http}${path}`, {
    method: isPreflight ? "OPTIONS" : "POST",
    headers: { "content-type": "application/x-protobuf", ...headers },
    body: isPreflight ? null : Buffer.from(body),
  });
}

describe("over HTTP", () => {
  it("pages of the origins that cors names may send, others may not", async () => {
    const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "x-tenant" };
    const allowed = await ask(paths.logs, "", { origin, ...preflight });
    expect([allowed.ok, allowed.headers.get("access-control-allow-origin")]).toEqual([true, origin]);
    expect(allowed.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("x-tenant");
    expect(allowed.headers.get("access-control-max-age")).toBe("60");
    const other = await ask(paths.logs, "", { origin: "https://example.org", ...preflight });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
    const sent = await ask(paths.logs, good, { origin });
    expect([sent.status, sent.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
  });

  it("a path of its own takes the place of the usual one, and response_headers are in every answer", async () => {
    const [own, usual] = [await ask(paths.traces, ""), await ask("/v1/traces", "")];
    expect([own.status, usual.status]).toEqual([200, 404]);
    expect(own.headers.get("x-served-by")).toBe("millrace");
  });

  it("codings that compression_algorithms does not name are refused", async () => {
    const statuses = [
      await ask(paths.logs, gzipSync(good), { "content-encoding": "gzip" }),
      await ask(paths.logs, zstdCompressSync(good), { "content-encoding": "zstd" }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([200, 400]);
  });

  it("max_request_body_size bounds bodies, packed and unpacked", async () => {
    const large = Buffer.alloc(1001);
    const statuses = [
      await ask(paths.logs, large),
      await ask(paths.logs, gzipSync(large), { "content-encoding": "gzip" }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([413, 413]);
  });

  it("profiles are not found", async () => {
    expect((await ask("/v1development/profiles", good)).status).toBe(404);
  });
});

describe("over gRPC", () => {
  it("profiles are UNIMPLEMENTED, and the message says so", async () => {
    const path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    const { code, details } = await callByPeer(ports.grpc, good, { path });
    expect([code, details]).toEqual([grpcStatus.UNIMPLEMENTED, expect.stringContaining("ProfilesService")]);
  });

  it("max_recv_msg_size_mib bounds messages", async () => {
    const { code } = await callByPeer(ports.grpc, Buffer.alloc(mebibyte + 1), { path: otlpMethods.logs });
    expect(code).toBe(grpcStatus.RESOURCE_EXHAUSTED);
  });

  it("clients are told of max_concurrent_streams, and connections without calls end after max_connection_idle", async () => {
    const session = connectHttp2(`http://127.0.0.1:${ports.grpc}`);
    const goaway = once(session, "goaway");
    const [settings] = await once(session, "remoteSettings");
    expect(settings).toMatchObject({ maxConcurrentStreams: 7 });
    // Code 0: nothing is wrong.
    expect((await goaway)[0]).toBe(0);
    if (!session.destroyed) await once(session, "close");
  });
});

describe("JSON", () => {
  const big = "9223372036854775807";
  const nanos = "1700000000123456789";
  const ids = { traceId: "0102030405060708090a0b0c0d0e0fAB", spanId: "0102030405060708" };
  const bytesOf = (hex: string) => Buffer.from(hex, "hex");
  const attribute = { key: "n", value: { intValue: big } };

  it.each<readonly [string, Signal, string, object]>([
    [
      "64-bit integers as numbers and as texts",
      "metrics",
      `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
        {"timeUnixNano":${nanos},"asInt":${big},"attributes":[{"key":"n","value":{"intValue":${big}}}]},
        {"timeUnixNano":"${nanos}","asInt":"${big}","attributes":[{"key":"n","value":{"intValue":"${big}"}}]}]}}]}]}]}`,
      {
        resourceMetrics: [
          {
            scopeMetrics: [
              {
                metrics: [
                  {
                    name: "m",
                    gauge: {
                      dataPoints: [1, 2].map(() => ({ timeUnixNano: nanos, asInt: big, attributes: [attribute] })),
                    },
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
    [
      "integers for enumerations, hexadecimal ids in any case, and fields that nobody knows",
      "traces",
      `{"new":{"a":[1]},"resourceSpans":[{"scopeSpans":[{"other":null,"spans":[{"traceId":"${ids.traceId}","spanId":"${ids.spanId}",
        "kind":3,"name":"s","what":"x","startTimeUnixNano":${nanos},"endTimeUnixNano":"${nanos}","status":{"code":2}}]}]}]}`,
      {
        resourceSpans: [
          {
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: bytesOf(ids.traceId),
                    spanId: bytesOf(ids.spanId),
                    kind: 3,
                    name: "s",
                    startTimeUnixNano: nanos,
                    endTimeUnixNano: nanos,
                    status: { code: 2 },
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  ])("takes %s without loss", async (_title, signal, json, meant) => {
    const answer = await ask(paths[signal], json, { "content-type": "application/json" });
    expect([answer.status, await answer.text()]).toEqual([200, "{}"]);
    const wanted = otlpItems(signal, [encodeOtlp(signal, meant)]);
    expect(await waitForItems("of JSON", sink, signal, wanted.length)).toEqual(wanted);
  });
});
