import { mkdtempSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTestAuthority } from "../../../test/support/certificates.ts";
import { createOwnClient } from "../../../test/support/grpc-kit.ts";
import { exchangeBytes } from "../../../test/support/http1-kit.ts";
import { bytesOf, metricsBytes, services, setUpOtlp } from "../../../test/support/otlp-receiver-kit.ts";
import { propertyRuns } from "../../../test/support/property-runs.ts";
import { requestToJson } from "../../codec/otlp-json/request-to-json.ts";
import type { Signal } from "../../model/otlp-request.ts";
import { pack } from "../../transport/content-coding.ts";

const signals: readonly Signal[] = ["metrics", "traces", "logs"];

describe("over HTTP", () => {
  const head = "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";

  test("a body that drips is ended by read_timeout", async () => {
    const { httpPort, post } = await setUpOtlp({ http: { read_timeout: "100ms", read_header_timeout: "50ms" } });
    expect(await exchangeBytes(httpPort, [`${head}content-length: 100\r\n\r\nabc`])).toMatch(/^(HTTP\/1.1 408|$)/);
    expect((await post("/v1/metrics", metricsBytes)).status).toBe(200);
  });

  test.each([
    ["noise", "\u0001\u0002\u0003\u0004\r\n\r\n", /^HTTP\/1.1 400/],
    ["HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1.1 400/],
    ["a length that is none", `${head}content-length: -1\r\n\r\n`, /^HTTP\/1.1 400/],
    ["two lengths", `${head}content-length: 1\r\ncontent-length: 2\r\n\r\na`, /^HTTP\/1.1 400/],
    [
      "a length and chunks",
      `${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      /^HTTP\/1.1 400/,
    ],
    ["a chunk that is none", `${head}transfer-encoding: chunked\r\n\r\nzz\r\n`, /^HTTP\/1.1 400/],
    ["headers of 20 KB", `${head}x: ${"x".repeat(20_000)}\r\n\r\n`, /^(HTTP\/1.1 431|$)/],
  ])("%s is refused", async (_title, text, answer) => {
    const { httpPort, post } = await setUpOtlp();
    expect(await exchangeBytes(httpPort, [text])).toMatch(answer);
    expect((await post("/v1/metrics", metricsBytes)).status).toBe(200);
  });

  test("a length of 4 GB is refused before it comes", async () => {
    const { httpPort } = await setUpOtlp();
    const answer = exchangeBytes(httpPort, [`${head}connection: close\r\ncontent-length: 4294967296\r\n\r\nabc`]);
    expect(await answer).toMatch(/^HTTP\/1.1 413/);
  }, 20_000);
});

describe("mutated requests", () => {
  test("are taken or refused for good, whatever they hold", async () => {
    const { post, call, log } = await setUpOtlp();
    const json = { "content-type": "application/json" };
    const seeds = signals.flatMap((signal) => {
      const bytes = Buffer.from(bytesOf(signal));
      const text = Buffer.from(requestToJson({ signal, bytes, items: 1 }));
      return [
        { signal, bytes, headers: {} as Record<string, string> },
        { signal, bytes: text, headers: json as Record<string, string> },
        { signal, bytes: pack("gzip", bytes), headers: { "content-encoding": "gzip" } as Record<string, string> },
        { signal, bytes: pack("snappy", bytes), headers: { "content-encoding": "snappy" } as Record<string, string> },
      ];
    });
    const mutations = fc.record({
      seed: fc.nat(seeds.length - 1),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      cut: fc.option(fc.nat(200)),
    });
    await fc.assert(
      fc.asyncProperty(mutations, async ({ seed, changes, cut }) => {
        const {
          signal,
          bytes: whole,
          headers,
        } = seeds[seed] ?? seeds[0] ?? { signal: "logs", bytes: Buffer.alloc(0), headers: {} };
        const bytes = Buffer.from(whole).subarray(0, cut ?? undefined);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        expect([200, 400]).toContain((await post(`/v1/${signal}`, bytes, headers)).status);
        expect([0, 3]).toContain((await call(signal, bytes)).code);
      }),
      { numRuns: propertyRuns(150) },
    );
    expect(log.entries.filter(({ level }) => level === "error")).toEqual([]);
  });
});

test("TLS, mutual too, on both protocols", async () => {
  const folder = mkdtempSync(join(tmpdir(), "otlp-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const authority = createTestAuthority(folder);
  const [server, client] = [authority.issue("server"), authority.issue("client")];
  const tls = { cert_file: server.certFile, key_file: server.keyFile, client_ca_file: authority.caFile };
  const { httpPort, grpcPort, sink } = await setUpOtlp({ http: { tls }, grpc: { tls } });
  const own = { ca: authority.ca, cert: client.cert, key: client.key };
  const grpc = createOwnClient(0, { target: `localhost:${grpcPort}`, tls: own });
  expect(await grpc.call({ path: services.logs, message: bytesOf("logs") })).toMatchObject({ code: 0 });
  const stranger = createOwnClient(0, { target: `localhost:${grpcPort}`, tls: { ca: authority.ca } });
  expect(await stranger.call({ path: services.logs, message: bytesOf("logs") })).toMatchObject({ code: 14 });
  const post = (options: object) =>
    new Promise<number | string>((resolve) => {
      const headers = { "content-type": "application/x-protobuf" };
      const where = { host: "localhost", port: httpPort, path: "/v1/logs", method: "POST", headers, agent: false };
      const request = httpsRequest({ ...where, ...options }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on("error", () => resolve("refused"));
      request.end(bytesOf("logs"));
    });
  expect([await post(own), await post({ ca: authority.ca })]).toEqual([200, "refused"]);
  expect(sink.rows()).toBe(2);
});
