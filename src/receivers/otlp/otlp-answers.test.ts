import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { bytesOf, metricsBytes, setUpOtlp } from "../../../test/support/otlp-receiver-kit.ts";
import { decodeExportResponse } from "../../codec/otlp/export-response.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import { ConsumeError } from "../../model/errors.ts";
import { TableFullError } from "../../model/intern-table.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { buildLogs } from "../../testing/build-otlp.ts";
import { createSink } from "../../testing/sink.ts";

const signals: readonly Signal[] = ["metrics", "traces", "logs"];

describe("the client of a request", () => {
  const auth = { authenticator: "checker" };
  const checker = {
    authenticate: () => undefined,
    callerAttribute: (headers: Record<string, unknown>, name: string) =>
      name === "username" ? `user of ${String(headers["x-token"])}` : undefined,
  };
  const setUp = async (includes: boolean) =>
    await setUpOtlp({
      http: { include_metadata: includes, auth: { ...auth, request_params: ["x-token"] } },
      grpc: { include_metadata: includes, auth },
      extensions: { checker },
    });

  test.each(signals)("travels with %s over both protocols", async (signal) => {
    const { call, post, sink, httpPort, grpcPort } = await setUp(true);
    await post(`/v1/${signal}?x-token=me`, bytesOf(signal), { "X-Tenant": "a" });
    await call(signal, bytesOf(signal), {
      headers: { "x-tenant": "a", "x-token": "me", "x-bytes-bin": Buffer.from("b") },
    });
    const seen = sink.taken.map(({ client }) => [
      client?.address,
      client?.metadata("x-TENANT"),
      client?.metadata("Host"),
      client?.metadata("x-bytes-bin"),
      client?.metadata("te"),
      client?.auth("username"),
      client?.auth("raw"),
    ]);
    expect(seen).toEqual([
      ["127.0.0.1", ["a"], [`127.0.0.1:${httpPort}`], [], [], "user of me", undefined],
      ["127.0.0.1", ["a"], [`127.0.0.1:${grpcPort}`], ["b"], [], "user of me", undefined],
    ]);
  });

  test("has no metadata unless include_metadata says so", async () => {
    const { call, post, sink } = await setUp(false);
    await post("/v1/logs", bytesOf("logs"), { "x-tenant": "a" });
    await call("logs", bytesOf("logs"), { headers: { "x-tenant": "a" } });
    const seen = sink.taken.map(({ client }) => [client?.address, client?.metadata("x-tenant")]);
    expect(seen).toEqual([
      ["127.0.0.1", []],
      ["127.0.0.1", []],
    ]);
  });
});

describe("a part that is refused for good", () => {
  const logs = buildLogs([{ body: "a" }, { body: "b" }, { body: "c" }]).requests[0]?.bytes ?? new Uint8Array();
  const refusing = (rejectedItems: number, permanent = true) => ({
    ...createSink(),
    logs: async () => {
      throw new ConsumeError("CONSUME_REJECTED", "two are \u00f6dd", { permanent, rejectedItems });
    },
  });

  test("is a partial success, counted", async () => {
    const { call, post, counted } = await setUpOtlp({ sink: refusing(2) });
    const partial = { rejectedItems: 2n, errorMessage: "two are \u00f6dd" };
    const inProto = await post("/v1/logs", logs);
    expect([inProto.status, decodeExportResponse(inProto.body)]).toEqual([200, partial]);
    const text = requestToJson({ signal: "logs", bytes: logs, items: 3 });
    const inJson = await post("/v1/logs", text, { "content-type": "application/json" });
    expect([inJson.status, JSON.parse(String(inJson.body))]).toEqual([
      200,
      { partialSuccess: { rejectedLogRecords: "2", errorMessage: "two are \u00f6dd" } },
    ]);
    const overGrpc = await call("logs", logs);
    expect([overGrpc.code, decodeExportResponse(overGrpc.response ?? new Uint8Array())]).toEqual([0, partial]);
    expect(counted()).toEqual({
      "accepted_log_records http": 2,
      "refused_log_records http": 4,
      "accepted_log_records grpc": 1,
      "refused_log_records grpc": 2,
    });
  });

  test.each([
    ["all of it", 3, true, 3],
    ["a part for now", 2, false, 14],
  ])("is none where it is %s", async (_title, rejected, permanent, code) => {
    const { call } = await setUpOtlp({ sink: refusing(rejected, permanent) });
    expect((await call("logs", logs)).code).toBe(code);
  });
});

test("a full identity table is told as memory that is short, for now", async () => {
  const sink = {
    ...createSink(),
    metrics: async () => {
      throw new TableFullError("series", 1);
    },
  };
  const { call, post } = await setUpOtlp({ sink });
  expect(await call("metrics", metricsBytes)).toMatchObject({ code: 8, retryAfterMs: 1000 });
  const answer = await post("/v1/metrics", metricsBytes);
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
});

test.skipIf(process.platform !== "linux")("a socket with a name and no file is served", async () => {
  const name = `millrace-${randomUUID()}`;
  await setUpOtlp({ http: { endpoint: `@${name}`, transport: "unix" } });
  const socket = connect(`\0${name}`);
  socket.end("POST /v1/logs HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  const chunks: Buffer[] = await socket.toArray();
  expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1.1 200 /);
});

test.each([
  ["//v1/logs", 200],
  ["http://millrace:4318/v1/logs?a=b", 200],
  ["HTTP://millrace//v1//logs", 200],
  ["/v1/logs/", 404],
  ["http://millrace", 404],
])("a request for %s is answered %i", async (target, status) => {
  const { httpPort } = await setUpOtlp();
  const socket = connect(httpPort, "127.0.0.1");
  const head = ["host: millrace", "content-type: application/json", "content-length: 2", "connection: close"];
  socket.end(`POST ${target} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n{}`);
  const chunks: Buffer[] = await socket.toArray();
  expect(Buffer.concat(chunks).toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
});

describe("response_headers", () => {
  const type = "content-type: application/x-protobuf";
  test.each([
    ["stand in every answer", { "X-Own": "a" }, `X-Own: a\r\n${type}\r\ncontent-length: 0\r\nDate: `],
    ["give way to those of the answer", { "Content-Type": "a/b" }, `${type}\r\ncontent-length: 0\r\nDate: `],
    ["may have a date of their own", { date: "then" }, `date: then\r\n${type}\r\ncontent-length: 0\r\nConnection: `],
    ["frame no body", { "Content-Length": "7", "Transfer-Encoding": "chunked" }, `${type}\r\ncontent-length: 0\r\n`],
    ["may end connections", { Connection: "close" }, `${type}\r\ncontent-length: 0\r\n`],
  ])("%s", async (_title, response_headers, expected) => {
    const { httpPort } = await setUpOtlp({ http: { response_headers } });
    const socket = connect(httpPort, "127.0.0.1");
    socket.write(`POST /v1/logs HTTP/1.1\r\nHost: a\r\n${type}\r\nContent-Length: 0\r\n\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    expect(String(answer)).toContain(`HTTP/1.1 200 OK\r\n${expected}`);
    expect(String(answer)).toContain("Connection" in response_headers ? "connection: close" : "timeout=300\r\n");
  });

  test("that no header may have are named", async () => {
    const error = await setUpOtlp({ http: { response_headers: { "x-own": "a\nb" } } }).catch(
      (caught: unknown) => caught,
    );
    expect(String(error)).toContain("protocols::http::response_headers: the value of header x-own has a character");
  });

  test("stand beside those for pages of other origins, and in refusals", async () => {
    const cors = { allowed_origins: ["*"], exposed_headers: ["x-own"] };
    const { url } = await setUpOtlp({ http: { cors, response_headers: { "x-own": "a" }, keep_alives_enabled: false } });
    const answer = await fetch(`${url}/v1/nothing`, { headers: { origin: "https://a.b" } });
    expect([answer.status, await answer.text()]).toEqual([404, "404 page not found\n"]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "x-own": "a",
      vary: "origin",
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "x-own",
      "content-type": "text/plain; charset=utf-8",
      connection: "close",
    });
  });
});
