/** What the built command answers to each kind of bad OTLP request: status and message, over HTTP and over gRPC. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { compressSync, uncompressSync } from "snappy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Signal } from "../../src/model/otlp-request.ts";
import { listen } from "../../src/transport/listen.ts";
import { packSnappyFramed } from "../../src/transport/snappy-frames.ts";
import { freePort } from "../kit/free-port.ts";
import { signals } from "../kit/otlp-arbitrary.ts";
import { nestedJson, nestedProtobuf } from "../kit/otlp-nested.ts";
import { encodeOtlp, otlpType } from "../kit/otlp-proto.ts";
import { type OtlpRun, startOtlpRun } from "../kit/otlp-run.ts";
import { otlpItems, otlpMethods, otlpPaths } from "../kit/otlp-traffic.ts";
import { startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder } from "../kit/temp.ts";
import { exchangeBytes } from "../support/http1-kit.ts";

const mib = 1024 * 1024;
const corpus = (name: string) => readFileSync(new URL(`../corpus/otlp/${name}`, import.meta.url));
const good = corpus("logs.bin");
const bomb = Buffer.alloc(64 * mib);
const noise = Buffer.from(Array.from({ length: 300 }, (_unused, i) => (i * 97 + 13) % 251));
const depth = 20_000;

let run: OtlpRun;

beforeAll(async () => {
  run = await startOtlpRun(Object.fromEntries(signals.map((signal) => [signal, ["attributes"]])));
});
afterAll(() => run?.stop());

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

const protobuf = "application/x-protobuf";
const json = "application/json";

async function post(signal: Signal, body: Uint8Array | string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${run.ports.http}${otlpPaths[signal]}`, {
    method: "POST",
    headers: { "content-type": protobuf, ...headers },
    body: typeof body === "string" ? body : Uint8Array.from(body),
  });
  const type = response.headers.get("content-type");
  const bytes = Buffer.from(await response.arrayBuffer());
  const text =
    type === protobuf
      ? JSON.stringify(otlpType("RpcStatus").toObject(otlpType("RpcStatus").decode(bytes)))
      : String(bytes);
  return { status: response.status, type, text };
}

const packed = (coding: string) => ({ "content-encoding": coding });
const isJson = { "content-type": json };
const limit = 20 * mib;
const unpackedLimit = /^the body has more than 20971520 bytes when unpacked$/;

type Headers = Readonly<Record<string, string>>;

describe("over HTTP", () => {
  it.each<readonly [string, Signal, Uint8Array | string, Headers, number, RegExp]>([
    ["cut protobuf", "logs", good.subarray(0, -3), {}, 400, /^otlp: length beyond the end \(at byte 0\)$/],
    ["noise", "logs", noise, {}, 400, /^otlp: wrong wire type/],
    [
      "a length beyond its message",
      "metrics",
      corpus("metrics.inner-length-past-outer.bin"),
      {},
      400,
      /beyond the end/,
    ],
    ["a length of 4 GB", "metrics", corpus("metrics.length-of-4-gb.bin"), {}, 400, /beyond the end/],
    ["a length of 2 to 63", "metrics", corpus("metrics.length-of-2-to-63.bin"), {}, 400, /beyond the end/],
    ["nested protobuf", "logs", nestedProtobuf(depth), {}, 400, /^otlp: nested too deeply/],
    ["nested JSON", "logs", nestedJson(depth), isJson, 400, /^otlp json: nested too deeply/],
    ["JSON that ends early", "logs", "{", isJson, 400, /^otlp json: expected a key/],
    ["JSON of another shape", "logs", '{"resourceLogs":3}', isJson, 400, /expected an array for resourceLogs/],
    [
      "a number beyond 64 bits",
      "metrics",
      corpus("metrics.number-too-large.json"),
      isJson,
      400,
      /asInt is no sfixed64/,
    ],
    ["an odd id", "traces", corpus("traces.odd-id.json"), isJson, 400, /traceId must be 32 hexadecimal digits/],
    ["invalid UTF-8 in JSON", "logs", corpus("logs.invalid-utf8.json"), isJson, 400, /invalid UTF-8/],
    ["a body above the limit", "logs", Buffer.alloc(limit + 1), {}, 413, /^the body has more than 20971520 bytes$/],
    ["a gzip bomb", "logs", gzipSync(bomb), packed("gzip"), 413, unpackedLimit],
    ["a zstd bomb", "logs", zstdCompressSync(bomb), packed("zstd"), 413, unpackedLimit],
    ["a snappy bomb", "logs", compressSync(bomb) as Buffer, packed("snappy"), 413, unpackedLimit],
    ["a framed snappy bomb", "logs", packSnappyFramed(bomb), packed("x-snappy-framed"), 413, unpackedLimit],
    ["a deflate bomb", "logs", deflateSync(bomb), packed("deflate"), 413, unpackedLimit],
    [
      "snappy that declares 4 GB",
      "metrics",
      corpus("metrics.snappy-of-4-gb.bin.snappy"),
      packed("snappy"),
      400,
      /7 bytes cannot hold the 4294967295 that are declared/,
    ],
    ["no gzip", "logs", noise, packed("gzip"), 400, /^cannot unpack the body: gzip: /],
    ["no zstd", "logs", noise, packed("zstd"), 400, /^cannot unpack the body: zstd: /],
    ["no snappy", "logs", noise, packed("snappy"), 400, /^cannot unpack the body: snappy: /],
    ["another coding", "logs", noise, packed("br"), 400, /^unsupported Content-Encoding: "br"$/],
  ])("%s", async (_title, signal, body, headers, status, message) => {
    const answer = await post(signal, body, headers);
    const type = headers["content-type"] ?? protobuf;
    expect([answer.status, answer.type]).toEqual([status, type]);
    const { code, message: text } = JSON.parse(answer.text) as { code: number; message: string };
    expect(code).toBe(status === 413 ? 8 : 3);
    expect(text).toMatch(message);
  });

  it("another content type", async () => {
    const text = "415 unsupported media type, supported: [application/json, application/x-protobuf]\n";
    const answer = { status: 415, type: "text/plain; charset=utf-8", text };
    expect(await post("logs", "x", { "content-type": "text/plain" })).toEqual(answer);
  });

  it.each([
    ["a body of 4 GB, before it comes", "content-length: 4294967296\r\n\r\nabc", /^HTTP\/1.1 413 .*20971520 bytes$/s],
    ["a length that is none", "content-length: -1\r\n\r\n", /^HTTP\/1.1 400 /],
    ["a chunk that is none", "transfer-encoding: chunked\r\n\r\nzz\r\n", /^HTTP\/1.1 400 /],
    ["headers of 20 KB", `x: ${"x".repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
  ])("%s", async (_title, rest, answer) => {
    const head = `POST /v1/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: ${protobuf}\r\n`;
    expect(await exchangeBytes(run.ports.http, [head + rest])).toMatch(answer);
  });

  it("HTTP/2", async () => {
    expect(await exchangeBytes(run.ports.http, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])).toMatch(/^HTTP\/1.1 400 /);
  });
});

interface Call {
  readonly path?: string;
  readonly flags?: number;
  readonly declaredBytes?: number;
  readonly headers?: Headers;
}

/** Status of HTTP, of gRPC, and the message: of headers or trailers, whichever has it. */
async function call(message: Uint8Array | undefined, options: Call): Promise<[number, number, string]> {
  const { path = otlpMethods.logs, flags = 0, declaredBytes = message?.length ?? 0, headers = {} } = options;
  const session = connectHttp2(`http://127.0.0.1:${run.ports.grpc}`);
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", ...headers });
  const answer: [number, number, string] = [0, -1, ""];
  const read = (head: Readonly<Record<string, unknown>>) => {
    answer[0] ||= Number(head[":status"]);
    if (head["grpc-status"] !== undefined) answer[1] = Number(head["grpc-status"]);
    if (typeof head["grpc-message"] === "string") answer[2] = decodeURIComponent(head["grpc-message"]);
  };
  stream.on("response", read).on("trailers", read).resume();
  const header = Buffer.alloc(5);
  header[0] = flags;
  header.writeUInt32BE(declaredBytes, 1);
  stream.end(message === undefined ? undefined : Buffer.concat([header, message]));
  await once(stream, "close");
  session.close();
  return answer;
}

const packedBy = (coding: string): Call => ({ flags: 1, headers: { "grpc-encoding": coding } });
const ofMetrics = { path: otlpMethods.metrics };
const profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
const callLimit = /^the message has more than 4194304 bytes when unpacked$/;
const codes = { invalid: 3, exhausted: 8, unimplemented: 12, internal: 13 } as const;

describe("over gRPC", () => {
  it.each<readonly [string, Uint8Array | undefined, Call, keyof typeof codes, RegExp]>([
    ["cut protobuf", good.subarray(0, -3), {}, "invalid", /^otlp: length beyond the end/],
    ["noise", noise, {}, "invalid", /^otlp: wrong wire type/],
    [
      "a length beyond its message",
      corpus("metrics.inner-length-past-outer.bin"),
      ofMetrics,
      "invalid",
      /beyond the end/,
    ],
    ["nested protobuf", nestedProtobuf(depth), {}, "invalid", /^otlp: nested too deeply/],
    [
      "a message that declares 4 GB",
      noise,
      { declaredBytes: 0xffff_ffff },
      "exhausted",
      /has 4294967295 bytes, at most/,
    ],
    ["a message above the limit", Buffer.alloc(5 * mib), {}, "exhausted", /has 5242880 bytes, at most 4194304/],
    ["a gzip bomb", gzipSync(bomb), packedBy("gzip"), "exhausted", callLimit],
    ["a zstd bomb", zstdCompressSync(bomb), packedBy("zstd"), "exhausted", callLimit],
    ["a snappy bomb", packSnappyFramed(bomb), packedBy("snappy"), "exhausted", callLimit],
    ["no gzip", noise, packedBy("gzip"), "internal", /^cannot unpack the message: gzip: /],
    ["no zstd", noise, packedBy("zstd"), "internal", /^cannot unpack the message: zstd: /],
    ["no snappy", noise, packedBy("snappy"), "internal", /^cannot unpack the message: snappy: /],
    ["another coding", noise, packedBy("br"), "unimplemented", /^grpc-encoding "br" is not supported$/],
    ["a packed message without a coding", noise, { flags: 1 }, "internal", /without grpc-encoding/],
    ["unknown flags", good, { flags: 7 }, "internal", /^malformed message frame$/],
    ["a message that is cut off", good, { declaredBytes: good.length + 1 }, "internal", /^the message is cut off$/],
    ["a second message", good, { declaredBytes: 1 }, "internal", /^more than one message/],
    ["no message", undefined, {}, "internal", /^no message/],
    ["another method", good, { path: "/a.b/C" }, "unimplemented", /^unknown method "\/a.b\/C"$/],
    ["profiles", good, { path: profiles }, "unimplemented", /^unknown method/],
  ])("%s", async (_title, message, options, code, text) => {
    const [status, found, reason] = await call(message, options);
    expect([status, found]).toEqual([200, codes[code]]);
    expect(reason).toMatch(text);
  });

  it("another content type", async () => {
    expect((await call(good, { headers: { "content-type": json } }))[0]).toBe(415);
  });

  it("HTTP/1", async () => {
    const text = "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    expect(await exchangeBytes(run.ports.grpc, [text])).toMatch(/not HTTP\/2$/);
  });
});

it("nothing of all that was sent on, and a good request is", async () => {
  expect(signals.flatMap((signal) => run.sink.received[signal])).toEqual([]);
  expect((await post("logs", good)).status).toBe(200);
  expect((await call(good, {})).slice(0, 2)).toEqual([200, 0]);
  await expect
    .poll(() => otlpItems("logs", run.sink.received.logs).length, { timeout: 10_000 })
    .toBe(2 * otlpItems("logs", [good]).length);
  expect(run.millrace.isRunning, run.millrace.tail()).toBe(true);
});

describe("invalid UTF-8 in protobuf", () => {
  const marked = Buffer.from("marked@@");
  const broken = Buffer.concat([Buffer.from("marked"), Buffer.from([0xff, 0xfe])]);

  /** The request with the marked texts broken. */
  function withBroken(bytes: Uint8Array): Buffer {
    const changed = Buffer.from(bytes);
    for (let at = changed.indexOf(marked); at >= 0; at = changed.indexOf(marked)) broken.copy(changed, at);
    return changed;
  }

  it("passes where nobody opens it, and is replaced where text is written", async () => {
    using folder = createTempFolder("invalid-utf8");
    const bodies = new Map<string, Buffer>();
    const server = createServer(async (request, response) => {
      bodies.set(request.url ?? "", await buffer(request));
      response.writeHead(200, { "content-type": json }).end(request.url === "/write" ? "" : "{}");
    });
    await listen(server, { host: "127.0.0.1", port: 0 });
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const http = await freePort();
    const exporters = {
      prometheusremotewrite: { endpoint: `${endpoint}/write` },
      "otlphttp/proto": { endpoint: `${endpoint}/proto`, compression: "none" },
      "otlphttp/json": { endpoint: `${endpoint}/json`, compression: "none", encoding: "json" },
    };
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${http}` } } } },
      exporters,
      service: {
        telemetry: { metrics: { level: "none" } },
        pipelines: { metrics: { receivers: ["otlp"], exporters: Object.keys(exporters) } },
      },
    };
    await using _run = await startMillraceRun(folder.write("millrace.yaml", stringify(config)));
    const attributes = [{ key: "a", value: { stringValue: String(marked) } }];
    const gauge = { dataPoints: [{ asInt: "1", timeUnixNano: "1700000000000000000", attributes }] };
    const metrics = [{ name: "m", description: String(marked), gauge }];
    const sent = withBroken(encodeOtlp("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }));
    const headers = { "content-type": protobuf };
    const url = `http://127.0.0.1:${http}${otlpPaths.metrics}`;
    expect((await fetch(url, { method: "POST", headers, body: Uint8Array.from(sent) })).status).toBe(200);
    await expect
      .poll(() => [...bodies.keys()].sort(), { timeout: 10_000 })
      .toEqual(["/json/v1/metrics", "/proto/v1/metrics", "/write"]);
    server.close();
    expect(bodies.get("/proto/v1/metrics")).toEqual(sent);
    const written = [bodies.get("/json/v1/metrics"), uncompressSync(bodies.get("/write") ?? "") as Buffer];
    const replaced = Buffer.from("marked\ufffd\ufffd");
    expect(written.map((body) => [body?.includes(replaced), body?.includes(broken)])).toEqual([
      [true, false],
      [true, false],
    ]);
  });
});
