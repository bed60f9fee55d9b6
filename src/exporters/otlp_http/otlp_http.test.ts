import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { serveHttp, serveProxy } from "../../../test/support/http-servers.ts";
import { MetricsDecoder } from "../../codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../../codec/otlp/encode-metrics.ts";
import { metricsSegment } from "../../codec/otlp/metrics-segment.ts";
import { ByteWriter } from "../../kernels/byte-writer.ts";
import { metricsBatch } from "../../model/batch.ts";
import { Identities } from "../../model/identities.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import { type ContentCoding, unpack } from "../../transport/content-coding.ts";
import { encodeStatus } from "../../transport/grpc-status.ts";
import otlpHttp from "./otlp_http.ts";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

type Answer = (response: ServerResponse, count: number) => void;

const ok: Answer = (response) => response.writeHead(200, { "content-type": "application/x-protobuf" }).end();

/** A server that answers as told, and an exporter in front of it with this section. */
async function setUp(section: object = {}, answer: Answer = ok) {
  const received: Received[] = [];
  const server = await serveHttp(async (request, response) => {
    received.push({ path: request.url ?? "", headers: request.headers, body: await buffer(request) });
    answer(response, received.length);
  });
  const config = parseConfig(otlpHttp, { endpoint: server.url, sending_queue: { enabled: false }, ...section });
  const kit = createTestContext(config as never, { id: "otlp_http" });
  const exporter = otlpHttp.create(kit.context);
  await exporter.start?.();
  return { ...kit, exporter, received, server, end: () => exporter.shutdown?.(new AbortController().signal) };
}

const traces = buildTraces([{ name: "a" }, { name: "b" }]);
const logs = buildLogs([{ body: "c" }]);
const bytesOf = (batch: typeof traces | typeof logs) => Buffer.concat(batch.requests.map(({ bytes }) => bytes));
const noRetry = { retry_on_failure: { enabled: false } };

describe("otlp_http", () => {
  test("sends each signal to its path, packed with gzip, as the bytes that came", async () => {
    const { exporter, received, end } = await setUp();
    await exporter.traces?.(traces);
    await exporter.logs?.(logs);
    await exporter.metrics?.(buildNumbers([{ name: "m", value: 1 }]));
    expect(received.map(({ path }) => path)).toEqual(["/v1/traces", "/v1/logs", "/v1/metrics"]);
    expect(received[0]?.headers).toMatchObject({
      "content-type": "application/x-protobuf",
      "content-encoding": "gzip",
      "user-agent": "Millrace/0.0.0-test",
    });
    expect(Buffer.from(unpack("gzip", received[0]?.body ?? Buffer.alloc(0), 1e6) as Uint8Array)).toEqual(
      bytesOf(traces),
    );
    await end();
  });

  test.each<[string, object, number, number]>([
    ["packed", { compression: "gzip" }, 1, 1],
    ["joined", { compression: "none" }, 2, 2],
    ["written as JSON", { compression: "none", encoding: "json" }, 1, 1],
    ["not copied: then it is not given back", { compression: "none" }, 1, 0],
  ])("gives back the memory of requests that were %s", async (_title, section, count, expected) => {
    const { exporter, received, end } = await setUp(section);
    const bytes = new MetricsEncoder().encode(buildNumbers([{ name: "m", value: 1 }]).segments).bytes;
    let given = 0;
    const lend = () => ({
      request: { signal: "metrics" as const, bytes: Buffer.from(bytes), items: 1 },
      giveBack: () => void given++,
    });
    const segment = metricsSegment(lend().request, new MetricsDecoder(new Identities()));
    await exporter.metrics?.(metricsBatch(Array.from({ length: count }, () => ({ ...segment, lend }))));
    expect([received.length, given]).toEqual([1, expected]);
    await end();
  });

  test.each<[string, string | undefined, ContentCoding | undefined]>([
    ["none", undefined, undefined],
    ["zstd", "zstd", "zstd"],
    ["zlib", "zlib", "zlib"],
    ["deflate", "deflate", "zlib"],
    ["snappy", "snappy", "snappy"],
    ["x-snappy-framed", "x-snappy-framed", "snappy-framed"],
  ])("packs with %s", async (compression, header, coding) => {
    const { exporter, received, end } = await setUp({ compression });
    await exporter.logs?.(logs);
    const [one] = received;
    const body = one?.body ?? Buffer.alloc(0);
    expect(one?.headers["content-encoding"]).toBe(header);
    expect(Buffer.from(coding === undefined ? body : (unpack(coding, body, 1e6) as Uint8Array))).toEqual(bytesOf(logs));
    await end();
  });

  test("own headers are sent, and a whole URL for a signal goes before endpoint", async () => {
    const other = await setUp();
    const { exporter, received, end } = await setUp({
      traces_endpoint: `${other.server.url}/x?y=1`,
      headers: { "X-Key": "secret" },
    });
    await exporter.traces?.(traces);
    await exporter.logs?.(logs);
    expect(other.received.map(({ path }) => path)).toEqual(["/x?y=1"]);
    expect(received.map(({ path, headers }) => [path, headers["x-key"]])).toEqual([["/v1/logs", "secret"]]);
    await end();
    await other.end();
  });

  test.each([
    [429, false],
    [502, false],
    [503, false],
    [504, false],
    [400, true],
    [401, true],
    [404, true],
    [413, true],
    [500, true],
  ])("an answer of %i is permanent: %s", async (status, permanent) => {
    const body = encodeStatus(3, "this is why");
    const { exporter, end } = await setUp(noRetry, (response) =>
      response.writeHead(status, { "content-type": "application/x-protobuf", "retry-after": "7" }).end(body),
    );
    await expect(exporter.traces?.(traces)).rejects.toMatchObject({
      permanent,
      retryAfterMs: 7000,
      message: expect.stringContaining(`HTTP status ${status}: this is why`),
    });
    await end();
  });

  test("an answer that does not come in time, or no server at all, may be tried again", async () => {
    const slow = await setUp({ ...noRetry, timeout: "50ms" }, () => {});
    await expect(slow.exporter.traces?.(traces)).rejects.toMatchObject({ code: "CONSUME_TIMEOUT", permanent: false });
    await slow.end();
    const gone = await setUp(noRetry);
    await gone.server.stop();
    await expect(gone.exporter.traces?.(traces)).rejects.toMatchObject({
      code: "CONSUME_UNREACHABLE",
      permanent: false,
    });
    await gone.end();
  });

  test.each([
    ["protobuf", "application/x-protobuf", () => partialSuccess(1, "too old")],
    ["JSON", "application/json", () => '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}'],
  ])("a partial success in %s is logged, counted and told to the sender that waits", async (_title, type, body) => {
    const { exporter, log, meter, end } = await setUp({}, (response) =>
      response.writeHead(200, { "content-type": type }).end(body()),
    );
    await expect(exporter.traces?.(traces)).rejects.toMatchObject({ rejectedItems: 1, message: "too old" });
    const value = (name: string) => meter.collect().find((one) => one.name === name)?.samples[0]?.value;
    expect([value("otelcol_exporter_sent_spans"), value("otelcol_exporter_send_failed_spans")]).toEqual([1, 1]);
    expect(log.entries).toContainEqual({
      level: "warn",
      message: "Partial success response",
      fields: { message: "too old", dropped_traces: 1 },
    });
    await end();
  });

  test("goes through the proxy of proxy_url", async () => {
    const proxy = await serveProxy();
    const { exporter, end } = await setUp({
      endpoint: "http://nowhere.invalid:4318",
      proxy_url: `http://127.0.0.1:${proxy.port}`,
    });
    await exporter.traces?.(traces);
    expect(proxy.asked.map(({ line }) => line)).toEqual(["POST http://nowhere.invalid:4318/v1/traces"]);
    await end();
  });

  test("writes JSON where that is asked for", async () => {
    const { exporter, received, end } = await setUp({ encoding: "json", compression: "none" });
    await exporter.traces?.(traces);
    expect(received[0]?.headers["content-type"]).toBe("application/json");
    const { resourceSpans } = JSON.parse(received[0]?.body.toString() ?? "");
    expect(resourceSpans[0].scopeSpans[0].spans.map(({ name }: { name: string }) => name)).toEqual(["a", "b"]);
    await end();
  });

  test("a large request is cut by batch::max_size", async () => {
    const { exporter, received, end } = await setUp({
      sending_queue: { num_consumers: 1, batch: { min_size: 0, max_size: 1 } },
    });
    await exporter.traces?.(traces);
    await end();
    expect(received).toHaveLength(2);
  });

  test("a server that recovers gets everything, in order", async () => {
    const { exporter, received, clock, end } = await setUp(
      { sending_queue: { num_consumers: 1 } },
      (response, count) => {
        if (count < 3) response.writeHead(503).end();
        else ok(response, count);
      },
    );
    await exporter.traces?.(traces);
    while (received.length < 3) {
      await clock.advance(10_000);
      await sleep(1);
    }
    await end();
    expect(received).toHaveLength(3);
  });

  test.each([
    [{}, "endpoint"],
    [{ endpoint: "localhost:4318" }, "expected an http or https URL"],
    [{ endpoint: "http://a", compression: "lz4" }, "compression"],
    [{ endpoint: "http://a", compression: "snappy", compression_params: { level: 3 } }, "has no meaning"],
    [{ endpoint: "http://a", compression_params: { level: 12 } }, "expected at most 9"],
    [{ endpoint: "http://a", tls: { cert_file: "x" } }, "both a certificate and a key"],
    [
      { endpoint: "http://a", sending_queue: { storage: "file_storage", wait_for_result: true } },
      "is not possible with storage",
    ],
    [{ endpoint: "http://a", sending_queue: { batch: { min_size: 9, max_size: 3 } } }, "expected at least min_size"],
    [{ endpoint: "http://a", retry_on_failure: { max_elapsed_time: "1s" } }, "at least initial_interval"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(otlpHttp, section)).toThrow(message);
  });

  test("credentials come from an extension, which must be active", async () => {
    const received: unknown[] = [];
    const server = await serveHttp((request, response) => {
      received.push(request.headers.authorization);
      ok(response, 1);
    });
    const section = { endpoint: server.url, auth: { authenticator: "token" }, sending_queue: { enabled: false } };
    const kit = createTestContext(parseConfig(otlpHttp, section) as never, { id: "otlp_http" });
    const exporter = otlpHttp.create(kit.context);
    await expect(exporter.start?.()).rejects.toThrow('auth::authenticator: no extension "token" is active');
    kit.host.extensions.set("token", {});
    await expect(exporter.start?.()).rejects.toThrow("gives clients no credentials");
    kit.host.extensions.set("token", { clientHeaders: () => ({ authorization: "Bearer x" }) });
    await exporter.start?.();
    await exporter.traces?.(traces);
    expect(received).toEqual(["Bearer x"]);
    await exporter.shutdown?.(new AbortController().signal);
  });

  test("a signal without an endpoint is a ConfigError at start", async () => {
    const config = parseConfig(otlpHttp, { logs_endpoint: "http://127.0.0.1:1/logs" });
    const { context } = createTestContext(config as never);
    const exporter = otlpHttp.create({ ...context, signals: ["logs", "traces"] });
    await expect(exporter.start?.()).rejects.toThrow("expected endpoint or traces_endpoint");
    await exporter.shutdown?.(new AbortController().signal);
  });
});

function partialSuccess(rejected: number, message: string): Uint8Array {
  const inner = new ByteWriter(32);
  inner.varint(0x08);
  inner.varint(rejected);
  inner.stringField(0x12, message);
  const outer = new ByteWriter(64);
  outer.bytesField(0x0a, inner.view());
  return outer.copy();
}
