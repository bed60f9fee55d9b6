import { once } from "node:events";
import { connect } from "node:net";
import { brotliCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createOwnClient } from "../../../test/support/grpc-kit.ts";
import { bytesOf, metricsBytes, setUpOtlp } from "../../../test/support/otlp-receiver-kit.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import { ConsumeError, type ConsumeErrorCode } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { createSink, type Sink } from "../../testing/sink.ts";
import { type ContentCoding, pack } from "../../transport/content-coding.ts";
import { decodeStatus } from "../../transport/grpc-status.ts";

const signals: readonly Signal[] = ["metrics", "traces", "logs"];

describe.each(signals)("%s", (signal) => {
  test("arrive over gRPC as the bytes they came in", async () => {
    const { call, sink } = await setUpOtlp();
    const bytes = bytesOf(signal);
    for (const compression of [undefined, "gzip", "zstd", "snappy"] as const) {
      expect(await call(signal, bytes, { compression })).toMatchObject({ code: 0 });
    }
    expect(sink.taken.map(requestBytes)).toEqual(Array.from({ length: 4 }, () => Buffer.from(bytes)));
    expect(sink.rows()).toBe(4);
  });

  test("arrive over HTTP, in every coding", async () => {
    const { post, sink } = await setUpOtlp();
    const bytes = bytesOf(signal);
    const names: readonly (readonly [string, ContentCoding])[] = [
      ["gzip", "gzip"],
      ["zstd", "zstd"],
      ["deflate", "zlib"],
      ["zlib", "zlib"],
      ["snappy", "snappy"],
      ["snappy", "snappy-framed"],
      ["x-snappy-framed", "snappy-framed"],
    ];
    const plain = await post(`/v1/${signal}`, bytes);
    expect([plain.status, plain.headers.get("content-type"), plain.body.length]).toEqual([
      200,
      "application/x-protobuf",
      0,
    ]);
    for (const [name, coding] of names) {
      expect((await post(`/v1/${signal}`, pack(coding, bytes), { "content-encoding": name })).status).toBe(200);
    }
    expect(sink.taken.map(requestBytes)).toEqual(Array.from({ length: 8 }, () => Buffer.from(bytes)));
  });

  test("arrive as JSON", async () => {
    const { post, sink } = await setUpOtlp();
    const text = requestToJson({ signal, bytes: bytesOf(signal), items: 1 });
    const answer = await post(`/v1/${signal}?x=1`, text, { "content-type": "application/json; charset=utf-8" });
    expect([answer.status, answer.headers.get("content-type"), String(answer.body)]).toEqual([
      200,
      "application/json",
      "{}",
    ]);
    expect(sink.rows()).toBe(1);
    expect(sink.taken[0]?.signal).toBe(signal);
  });

  test("are counted by the Collector's names", async () => {
    const { post, call, sink, counted } = await setUpOtlp();
    await post(`/v1/${signal}`, bytesOf(signal));
    await call(signal, bytesOf(signal));
    sink.mode = "retryable";
    await call(signal, bytesOf(signal));
    const name = { metrics: "metric_points", traces: "spans", logs: "log_records" }[signal];
    expect(counted()).toEqual({
      [`accepted_${name} http`]: 1,
      [`accepted_${name} grpc`]: 1,
      [`refused_${name} grpc`]: 1,
    });
  });

  test("that no pipeline takes are UNIMPLEMENTED and 404", async () => {
    const others = signals.filter((one) => one !== signal);
    const { post, call, counted } = await setUpOtlp({ sink: createSink("accept", { signals: others }) });
    expect((await post(`/v1/${signal}`, bytesOf(signal))).status).toBe(404);
    expect((await call(signal, bytesOf(signal))).code).toBe(12);
    const name = "receiver_otlp_unserved_requests_total";
    expect(counted()).toEqual({ [`${name} http`]: 1, [`${name} grpc`]: 1 });
  });
});

function requestBytes(batch: Sink["taken"][number]): Buffer {
  const request = batch.signal === "metrics" ? batch.segments[0] : batch.requests[0];
  if (request !== undefined && "form" in request) {
    return request.form === "otlp" ? Buffer.from(request.request.bytes) : Buffer.alloc(0);
  }
  return Buffer.from(request?.bytes ?? []);
}

test("an empty request is a success that nobody sees", async () => {
  const { post, call, sink } = await setUpOtlp();
  expect((await post("/v1/metrics", "")).status).toBe(200);
  expect((await post("/v1/logs", "{}", { "content-type": "application/json" })).status).toBe(200);
  expect((await call("traces", new Uint8Array())).code).toBe(0);
  expect(sink.taken).toEqual([]);
});

test("profiles are refused, counted, and named once in the log", async () => {
  const { post, grpcPort, counted, log } = await setUpOtlp();
  const path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
  const client = createOwnClient(grpcPort);
  for (const _ of [1, 2]) {
    expect((await post("/v1development/profiles", "")).status).toBe(404);
    expect((await client.call({ path, message: new Uint8Array() })).code).toBe(12);
  }
  const name = "receiver_otlp_unserved_requests_total";
  expect(counted()).toEqual({ [`${name} http`]: 2, [`${name} grpc`]: 2 });
  const warnings = log.entries.filter(({ level }) => level === "warn").map(({ fields }) => fields);
  expect(warnings).toEqual([
    { protocol: "http", signal: "profiles" },
    { protocol: "grpc", signal: "profiles" },
  ]);
});

describe("a refusal is told truthfully", () => {
  const cases: readonly [ConsumeErrorCode, boolean, number | undefined, number, number, number | undefined][] = [
    ["CONSUME_QUEUE_FULL", false, undefined, 14, 503, 1000],
    ["CONSUME_QUEUE_FULL", false, 2500, 14, 503, 2500],
    ["CONSUME_MEMORY_LIMIT", false, undefined, 8, 429, 1000],
    ["CONSUME_UNREACHABLE", false, undefined, 14, 503, undefined],
    ["CONSUME_REFUSED", false, 3000, 14, 503, 3000],
    ["CONSUME_SHUTDOWN", false, undefined, 14, 503, undefined],
    ["CONSUME_REJECTED", true, undefined, 3, 400, undefined],
  ];
  test.each(cases)(
    "%s (permanent %s, wait %s) is %i and %i",
    async (code, permanent, asked, grpcCode, status, wait) => {
      const sink: Sink = {
        ...createSink(),
        metrics: async () => {
          throw new ConsumeError(code, "the reason", { permanent, retryAfterMs: asked });
        },
      };
      const { post, call } = await setUpOtlp({ sink });
      expect(await call("metrics", metricsBytes)).toMatchObject({
        code: grpcCode,
        message: "the reason",
        retryAfterMs: wait,
      });
      const answer = await post("/v1/metrics", metricsBytes);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("retry-after")).toBe(wait === undefined ? null : String(Math.ceil(wait / 1000)));
      expect(decodeStatus(answer.body)).toMatchObject({ code: grpcCode, message: "the reason", retryAfterMs: wait });
    },
  );

  test("in JSON where JSON was sent", async () => {
    const sink = createSink("permanent");
    const { post } = await setUpOtlp({ sink });
    const text = requestToJson({ signal: "metrics", bytes: metricsBytes, items: 1 });
    const answer = await post("/v1/metrics", text, { "content-type": "application/json" });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([400, "application/json"]);
    expect(JSON.parse(String(answer.body))).toEqual({ code: 3, message: "the sink refuses (permanent)" });
  });

  test("without details where a component breaks", async () => {
    const sink: Sink = {
      ...createSink(),
      logs: async () => {
        throw new TypeError("secret detail");
      },
    };
    const { post, call, log } = await setUpOtlp({ sink });
    const answer = await post("/v1/logs", bytesOf("logs"));
    expect([answer.status, String(answer.body)]).toEqual([500, "internal error\n"]);
    expect(await call("logs", bytesOf("logs"))).toMatchObject({ code: 13, message: "internal error" });
    expect(log.entries.filter(({ level }) => level === "error")).toHaveLength(2);
  });
});

describe("bad requests over HTTP", () => {
  const json = { "content-type": "application/json" };
  test.each([
    ["another method", "GET", "/v1/metrics", {}, undefined, 405],
    ["another path", "POST", "/v1/other", {}, "", 404],
    ["another content type", "POST", "/v1/metrics", { "content-type": "text/plain" }, "", 415],
    ["an unknown coding", "POST", "/v1/metrics", { "content-encoding": "br" }, brotliCompressSync("x"), 400],
    ["a body that is not packed as it says", "POST", "/v1/metrics", { "content-encoding": "gzip" }, "x", 400],
    ["protobuf that is none", "POST", "/v1/metrics", {}, "\u0001\u0002\u0003", 400],
    ["protobuf that is cut", "POST", "/v1/metrics", {}, metricsBytes.subarray(0, 20), 400],
    ["JSON that is none", "POST", "/v1/metrics", json, "{", 400],
    ["JSON of another shape", "POST", "/v1/logs", json, '{"resourceLogs":3}', 400],
  ] as const)("%s", async (_title, method, path, headers, body, status) => {
    const { url, sink } = await setUpOtlp();
    const type = { "content-type": "application/x-protobuf" };
    const response = await fetch(url + path, { method, body: body as never, headers: { ...type, ...headers } });
    expect(response.status).toBe(status);
    await response.arrayBuffer();
    expect(sink.taken).toEqual([]);
  });

  test.each([
    ["as it comes, declared", 5000, {}],
    ["as it comes, in chunks", 5000, { chunked: true }],
    ["far above", 8_000_000, {}],
  ])("413 for a body above the limit, %s", async (_title, size, { chunked = false }: { chunked?: boolean }) => {
    const { url, sink } = await setUpOtlp({ http: { max_request_body_size: 1000 } });
    const body = chunked
      ? new ReadableStream({
          start(controller) {
            controller.enqueue(Buffer.alloc(size));
            controller.close();
          },
        })
      : Buffer.alloc(size);
    const init = { method: "POST", headers: { "content-type": "application/x-protobuf" }, duplex: "half" };
    const response = await fetch(`${url}/v1/metrics`, { ...init, body } as RequestInit);
    expect(response.status).toBe(413);
    expect(decodeStatus(Buffer.from(await response.arrayBuffer()))?.code).toBe(8);
    expect(sink.taken).toEqual([]);
  });

  test.each(["gzip", "zstd", "zlib", "snappy", "x-snappy-framed"])("413 for a bomb of %s", async (name) => {
    const { post } = await setUpOtlp();
    const coding: Record<string, ContentCoding> = { "x-snappy-framed": "snappy-framed" };
    const bomb = pack(coding[name] ?? (name as ContentCoding), Buffer.alloc(60 * 1024 * 1024));
    expect((await post("/v1/metrics", bomb, { "content-encoding": name })).status).toBe(413);
  });

  test("only the codings that are listed", async () => {
    const { post } = await setUpOtlp({ http: { compression_algorithms: ["gzip"] } });
    const status = async (coding: string, body: Uint8Array) =>
      (await post("/v1/metrics", body, coding === "" ? {} : { "content-encoding": coding })).status;
    expect(await status("gzip", pack("gzip", metricsBytes))).toBe(200);
    expect(await status("zstd", pack("zstd", metricsBytes))).toBe(400);
    expect(await status("", metricsBytes)).toBe(400);
  });

  test("a body that ends early hurts nobody", async () => {
    const { httpPort, post, log } = await setUpOtlp();
    const socket = connect(httpPort, "127.0.0.1");
    socket.write(
      "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nabc",
    );
    await once(socket, "connect");
    socket.destroy();
    expect((await post("/v1/metrics", metricsBytes)).status).toBe(200);
    expect(log.entries.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("the bound of all requests under way", () => {
  test("refuses for now and is given back", async () => {
    let release: () => void = () => {};
    const first = new Promise<void>((resolve) => {
      release = resolve;
    });
    let called: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      called = resolve;
    });
    const sink: Sink = {
      ...createSink(),
      logs: () => {
        called();
        return first;
      },
    };
    const { post, call } = await setUpOtlp({ sink, limits: { in_flight_size: bytesOf("logs").length + 9 } });
    const held = post("/v1/logs", bytesOf("logs"));
    await begun;
    const answer = await post("/v1/logs", bytesOf("logs"));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await call("logs", bytesOf("logs"))).toMatchObject({ code: 8, retryAfterMs: 1000 });
    release();
    expect((await held).status).toBe(200);
    expect((await post("/v1/logs", bytesOf("logs"))).status).toBe(200);
  });
});

test("the end waits for requests under way, and not for connections that are kept", async () => {
  let release: () => void = () => {};
  let called: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    called = resolve;
  });
  const sink: Sink = {
    ...createSink(),
    logs: () => {
      called();
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  };
  const { receiver, post } = await setUpOtlp({ sink });
  const answer = post("/v1/logs", bytesOf("logs"));
  await begun;
  const startedMs = performance.now();
  const ended = receiver.shutdown?.(new AbortController().signal);
  release();
  expect((await answer).status).toBe(200);
  await ended;
  expect(performance.now() - startedMs).toBeLessThan(5000);
});
