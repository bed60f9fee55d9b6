import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerCredentials } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTestAuthority } from "../../../test/support/certificates.ts";
import { type GrpcAnswer, startOtlpGrpcServer } from "../../../test/support/otlp-grpc-server.ts";
import { ByteWriter } from "../../kernels/byte-writer.ts";
import { buildLogs, buildTraces } from "../../testing/build-otlp.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import { grpcCodes } from "../../transport/grpc-status.ts";
import otlpGrpc from "./otlp_grpc.ts";

async function setUp(
  section: object = {},
  answer?: (count: number) => GrpcAnswer | undefined,
  credentials?: ServerCredentials,
) {
  const server = await startOtlpGrpcServer(
    (_request, count) => (answer ?? (() => new Uint8Array()))(count),
    credentials,
  );
  onTestFinished(() => server.close());
  const endpoint = `127.0.0.1:${server.port}`;
  const plain = { endpoint, tls: { insecure: true }, sending_queue: { enabled: false } };
  const config = parseConfig(otlpGrpc, { ...plain, ...section });
  const kit = createTestContext(config as never, { id: "otlp_grpc" });
  const exporter = otlpGrpc.create(kit.context);
  onTestFinished(() => exporter.shutdown?.(AbortSignal.abort()));
  await exporter.start?.();
  return { ...kit, exporter, server, end: () => exporter.shutdown?.(new AbortController().signal) };
}

const traces = buildTraces([{ name: "a" }, { name: "b" }]);
const logs = buildLogs([{ body: "c" }]);
const noRetry = { retry_on_failure: { enabled: false } };

describe("otlp_grpc", () => {
  test.each(["gzip", "none", "zstd", "snappy"])(
    "sends each signal to its service, compression %s",
    async (compression) => {
      // grpc-js reads no zstd and no snappy: there it is the code that tells that something was sent.
      const isKnown = compression === "gzip" || compression === "none";
      const { exporter, server, end } = await setUp({ ...noRetry, compression, headers: { "X-Key": "secret" } });
      const sent = [exporter.traces?.(traces), exporter.logs?.(logs)];
      if (isKnown) await Promise.all(sent);
      else await Promise.all(sent.map((one) => expect(one).rejects.toThrow("UNIMPLEMENTED")));
      await end();
      if (!isKnown) return;
      expect(server.received.map(({ signal }) => signal).sort()).toEqual(["logs", "traces"]);
      const received = server.received.find(({ signal }) => signal === "traces");
      expect(received?.bytes).toEqual(Buffer.from(traces.requests[0]?.bytes ?? []));
      expect(received?.metadata.get("x-key")).toEqual(["secret"]);
      expect(received?.metadata.get("user-agent")).toEqual(["Millrace/0.0.0-test"]);
    },
  );

  test.each([
    ["CANCELLED", false],
    ["DEADLINE_EXCEEDED", false],
    ["ABORTED", false],
    ["OUT_OF_RANGE", false],
    ["UNAVAILABLE", false],
    ["DATA_LOSS", false],
    ["RESOURCE_EXHAUSTED", true],
    ["UNKNOWN", true],
    ["INVALID_ARGUMENT", true],
    ["NOT_FOUND", true],
    ["PERMISSION_DENIED", true],
    ["UNIMPLEMENTED", true],
    ["INTERNAL", true],
    ["UNAUTHENTICATED", true],
  ] as const)("the code %s is permanent: %s", async (name, permanent) => {
    const { exporter } = await setUp(noRetry, () => ({ code: grpcCodes[name], message: "this is why" }));
    await expect(exporter.traces?.(traces)).rejects.toMatchObject({
      permanent,
      message: `gRPC status ${name}: this is why`,
    });
  });

  test("RetryInfo says how long to wait, and makes RESOURCE_EXHAUSTED retryable", async () => {
    const answer = { code: grpcCodes.RESOURCE_EXHAUSTED, message: "later", retryAfterMs: 3000 };
    const { exporter } = await setUp(noRetry, () => answer);
    await expect(exporter.traces?.(traces)).rejects.toMatchObject({ permanent: false, retryAfterMs: 3000 });
  });

  test("an answer that does not come in time, or no server at all, may be tried again", async () => {
    const slow = await setUp({ ...noRetry, timeout: "100ms" }, () => undefined);
    await expect(slow.exporter.traces?.(traces)).rejects.toMatchObject({ code: "CONSUME_TIMEOUT", permanent: false });
    const gone = await setUp(noRetry);
    gone.server.close();
    await expect(gone.exporter.traces?.(traces)).rejects.toMatchObject({
      code: "CONSUME_UNREACHABLE",
      permanent: false,
    });
  });

  test("a partial success is logged, counted and told to the sender that waits", async () => {
    const inner = new ByteWriter(32);
    inner.varint(0x08);
    inner.varint(1);
    inner.stringField(0x12, "too old");
    const answer = new ByteWriter(64);
    answer.bytesField(0x0a, inner.view());
    const { exporter, log, meter } = await setUp({}, () => answer.copy());
    await expect(exporter.traces?.(traces)).rejects.toMatchObject({ rejectedItems: 1, message: "too old" });
    const value = (name: string) => meter.collect().find((one) => one.name === name)?.samples[0]?.value;
    expect([value("otelcol_exporter_sent_spans"), value("otelcol_exporter_send_failed_spans")]).toEqual([1, 1]);
    expect(log.entries[0]).toMatchObject({ level: "warn", fields: { message: "too old", dropped_traces: 1 } });
  });

  test("no request is larger than 4,000,000 bytes", async () => {
    const text = "x".repeat(10_000);
    const rows = Array.from({ length: 1000 }, (_, i) => ({ name: "m", value: i, attributes: { text: `${text}${i}` } }));
    const { exporter, server, end } = await setUp({ compression: "none" });
    await exporter.metrics?.(buildNumbers(rows));
    await end();
    const sizes = server.received.map(({ bytes }) => bytes.length);
    expect([sizes.length, Math.max(...sizes) <= 4_000_000]).toEqual([3, true]);
  });

  test("TLS with a client certificate", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-grpc-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const authority = createTestAuthority(folder);
    const own = authority.issue("server");
    const client = authority.issue("client");
    const credentials = ServerCredentials.createSsl(
      readFileSync(authority.caFile),
      [{ cert_chain: readFileSync(own.certFile), private_key: readFileSync(own.keyFile) }],
      true,
    );
    const tls = { ca_file: authority.caFile, cert_file: client.certFile, key_file: client.keyFile };
    const { exporter, server } = await setUp({ tls }, undefined, credentials);
    await exporter.traces?.(traces);
    expect(server.received).toHaveLength(1);
  });

  test.each([
    [{}, "required: where to send"],
    [{ endpoint: "localhost" }, "expected a port"],
    [{ endpoint: "a b:1" }, "expected an address"],
    [{ endpoint: "a:1", compression: "deflate" }, "compression"],
    [{ endpoint: "a:1", compression_params: { level: 10 } }, "expected at most 9"],
    [{ endpoint: "a:1", middlewares: [{ id: "x" }] }, "not supported yet"],
    [{ endpoint: "a:1", tls: { min_version: "1.3", max_version: "1.2" } }, "at least min_version"],
    [{ endpoint: "a:1", balancer_name: "ring_hash" }, "balancer_name"],
    [{ endpoint: "a:1", tls: { insecure: true }, auth: { authenticator: "basicauth" } }, "not sent without TLS"],
    [{ endpoint: "http://a:1", auth: { authenticator: "basicauth" } }, "not sent without TLS"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(otlpGrpc, section)).toThrow(message);
  });

  test.each([
    [{ keepalive: { time: "1s" } }, { keepalive: { time: 10_000 } }],
    [{ keepalive: { time: "20s" } }, { keepalive: { time: 20_000 } }],
    [{ keepalive: { enabled: false, time: "20s" } }, { keepalive: undefined }],
    [{ auth: { enabled: false } }, { auth: undefined }],
    // As in the Collector, also where a comment is all that stands below the key.
    [
      { auth: null, keepalive: null },
      { auth: undefined, keepalive: undefined },
    ],
    [{ middlewares: [] }, {}],
  ])("takes %j", (keys, decoded) => {
    expect(parseConfig(otlpGrpc, { endpoint: "a:1", ...keys })).toMatchObject(decoded);
  });

  test.each([
    "localhost:4317",
    "http://a:4317",
    "https://a:4317/",
    "dns:///a:4317",
    "unix:///run/a.sock",
    "[::1]:4317",
  ])("takes the endpoint %s", (endpoint) => {
    expect(parseConfig(otlpGrpc, { endpoint })).toMatchObject({ endpoint });
  });
});
