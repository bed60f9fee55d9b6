/** Random OTLP requests on their way: clients of every transport, encoding and compression, and sinks that keep what comes. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { deflateSync, gunzipSync, gzipSync, inflateSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { Client, credentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { compressSync, uncompressSync } from "snappy";
import type { Signal } from "../../src/model/otlp-request.ts";
import { startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";
import { requestArbitrary, signals } from "./otlp-arbitrary.ts";
import { otlpFromJson, otlpJson } from "./otlp-json.ts";
import { normalPoints, normalRequest } from "./otlp-normal.ts";
import { callPacked, packings, servePacked } from "./otlp-packed.ts";
import { decodeOtlp, encodeOtlp } from "./otlp-proto.ts";
import { waitFor } from "./wait.ts";

/** Requests of each signal. */
export type Requests = Readonly<Record<Signal, readonly Uint8Array[]>>;

type Plain = Readonly<Record<string, unknown>>;
const listOf = (value: unknown, name: string) => ((value as Plain)[name] ?? []) as Plain[];

/** Path of a signal under an OTLP/HTTP endpoint. */
export const otlpPaths: Readonly<Record<Signal, string>> = {
  metrics: "/v1/metrics",
  traces: "/v1/traces",
  logs: "/v1/logs",
};

/** Path of the method of a signal over gRPC. */
export const otlpMethods: Readonly<Record<Signal, string>> = {
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

const itemLists: Readonly<Record<Signal, readonly [string, string, string]>> = {
  metrics: ["resourceMetrics", "scopeMetrics", "metrics"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
};

/** A request as many of one metric, span or record each, with its resource and scope. */
export function singleItems(request: object): Plain[] {
  const [resources, scopes, items] = Object.values(itemLists).find(([name]) => name in request) ?? ["", "", ""];
  return listOf(request, resources).flatMap((resource) =>
    listOf(resource, scopes).flatMap((scope) =>
      listOf(scope, items).map((item) => ({
        [resources]: [{ ...resource, [scopes]: [{ ...scope, [items]: [item] }] }],
      })),
    ),
  );
}

/** Points, spans or records of requests, each with its resource and scope, sorted: equal where the requests say the same. */
export function otlpItems(signal: Signal, requests: readonly Uint8Array[]): string[] {
  const decoded = requests.map((bytes) => decodeOtlp(signal, bytes));
  if (signal === "metrics") return decoded.flatMap(normalPoints).sort();
  return decoded
    .flatMap(singleItems)
    .map((one) => JSON.stringify(normalRequest(one)))
    .sort();
}

/** Random requests of a signal that have items; the same for the same seed. */
export function randomRequests(signal: Signal, count: number, seed: number): Uint8Array[] {
  return fc
    .sample(requestArbitrary(signal), { numRuns: count * 3, seed })
    .map((value) => encodeOtlp(signal, value))
    .filter((bytes) => otlpItems(signal, [bytes]).length > 0)
    .slice(0, count);
}

const encodings: Readonly<Record<string, (body: Uint8Array) => Uint8Array>> = {
  none: (body) => body,
  gzip: (body) => gzipSync(body),
  zstd: (body) => zstdCompressSync(body),
  deflate: (body) => deflateSync(body),
  snappy: (body) => compressSync(Buffer.from(body)) as Buffer,
  "x-snappy-framed": (body) => packings["snappy"]?.pack(body) ?? body,
};

/** How a client sends. */
export interface ClientKind {
  readonly protocol: "grpc" | "http";
  readonly encoding: "protobuf" | "json";
  readonly compression: "none" | "gzip" | "zstd" | "deflate" | "snappy" | "x-snappy-framed";
}

/** Where a receiver listens on 127.0.0.1. */
export interface OtlpPorts {
  readonly grpc: number;
  readonly http: number;
}

/** Sends each request and waits for the answer; rejects when one is refused. */
export async function sendOtlp(kind: ClientKind, ports: OtlpPorts, requests: Requests): Promise<void> {
  if (kind.protocol === "grpc") return sendGrpc(ports.grpc, requests, kind.compression);
  for (const signal of signals) {
    for (const bytes of requests[signal]) {
      const body = kind.encoding === "json" ? Buffer.from(otlpJson(signal, bytes)) : bytes;
      const response = await fetch(`http://127.0.0.1:${ports.http}${otlpPaths[signal]}`, {
        method: "POST",
        headers: {
          "content-type": kind.encoding === "json" ? "application/json" : "application/x-protobuf",
          ...(kind.compression === "none" ? {} : { "content-encoding": kind.compression }),
        },
        body: Buffer.from(encodings[kind.compression]?.(body) ?? body),
      });
      const answer = await response.text();
      if (response.status !== 200) throw new Error(`${signal} of ${bytes.length} bytes: ${response.status} ${answer}`);
    }
  }
}

/** grpc-js knows these; the numbers are its own. */
const grpcCompressions: Readonly<Record<string, number>> = { none: 0, gzip: 2 };

async function sendGrpc(port: number, requests: Requests, compression: string): Promise<void> {
  const algorithm = grpcCompressions[compression];
  if (algorithm === undefined) {
    const calls = signals.flatMap((signal) =>
      requests[signal].map((message) => ({ path: otlpMethods[signal], message })),
    );
    return callPacked(port, compression, calls);
  }
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.default_compression_algorithm": algorithm,
  });
  const identity = (bytes: Buffer) => bytes;
  try {
    for (const signal of signals) {
      for (const bytes of requests[signal]) {
        await new Promise<void>((resolve, reject) => {
          client.makeUnaryRequest(otlpMethods[signal], identity, identity, Buffer.from(bytes), (error) => {
            if (error === null) resolve();
            else reject(error);
          });
        });
      }
    }
  } finally {
    client.close();
  }
}

/** A server that takes everything and keeps it. */
export interface OtlpSink extends Disposable {
  /** host:port. */
  readonly address: string;
  readonly received: Readonly<Record<Signal, Uint8Array[]>>;
}

/** A sink of @grpc/grpc-js. */
export async function grpcSink(): Promise<OtlpSink> {
  const received: OtlpSink["received"] = { metrics: [], traces: [], logs: [] };
  const server = await startOtlpGrpcServer(({ signal, bytes }) => {
    received[signal].push(Uint8Array.from(bytes));
    return new Uint8Array();
  });
  return { address: `127.0.0.1:${server.port}`, received, [Symbol.dispose]: () => server.close() };
}

/** A sink of gRPC in codings that @grpc/grpc-js does not know. */
export async function packedGrpcSink(): Promise<OtlpSink> {
  const received: OtlpSink["received"] = { metrics: [], traces: [], logs: [] };
  const server = await servePacked(({ path, message }) => {
    const signal = signals.find((one) => otlpMethods[one] === path);
    if (signal !== undefined) received[signal].push(message);
  });
  return { address: server.address, received, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

const decodings: Readonly<Record<string, (body: Buffer) => Uint8Array>> = {
  gzip: gunzipSync,
  zstd: zstdDecompressSync,
  deflate: inflateSync,
  snappy: (body) => uncompressSync(body) as Buffer,
  "x-snappy-framed": (body) => packings["snappy"]?.unpack(body) ?? body,
};

/** A sink of OTLP/HTTP in protobuf and JSON, of node:http. */
export async function httpSink(): Promise<OtlpSink> {
  const received: OtlpSink["received"] = { metrics: [], traces: [], logs: [] };
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const signal = signals.find((one) => request.url === otlpPaths[one]);
    const encoding = request.headers["content-encoding"];
    const type = request.headers["content-type"] ?? "";
    const isJson = type === "application/json";
    const decode = encoding === undefined ? (same: Buffer) => same : decodings[encoding];
    const isGood = signal !== undefined && (isJson || type === "application/x-protobuf") && decode !== undefined;
    if (isGood) {
      const bytes = decode(body);
      received[signal].push(isJson ? otlpFromJson(signal, String(Buffer.from(bytes))) : Uint8Array.from(bytes));
    }
    response.writeHead(isGood ? 200 : 400, { "content-type": type }).end(isJson ? "{}" : "");
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, received, [Symbol.dispose]: end };
}

/** Waits until a sink has as many items of the signal as `wanted`, and returns them sorted. */
export async function waitForItems(
  title: string,
  sink: OtlpSink,
  signal: Signal,
  wanted: number,
  deadlineMs?: number,
): Promise<string[]> {
  let requests = -1;
  let items: string[] = [];
  return waitFor(
    `${wanted} ${signal} ${title}`,
    () => {
      if (sink.received[signal].length !== requests) {
        requests = sink.received[signal].length;
        items = otlpItems(signal, sink.received[signal]);
      }
      return items.length >= wanted ? items : undefined;
    },
    deadlineMs,
  );
}

const shownCharacters = 120;

/** What only one of two sorted lists has, and has more often, pair by pair, each shortened to the place where the pair differs. */
export function itemDifferences(expected: readonly string[], actual: readonly string[]): string[] {
  const [missing, extra] = [leftOf(expected, actual), leftOf(actual, expected)];
  const texts = expected.length === actual.length ? [] : [`${actual.length} items, expected ${expected.length}`];
  for (let i = 0; i < Math.max(missing.length, extra.length); i++) {
    const [a, b] = [missing[i] ?? "", extra[i] ?? ""];
    let at = 0;
    while (at < a.length && a[at] === b[at]) at++;
    const from = Math.max(0, at - shownCharacters / 2);
    texts.push(`expected ${a.slice(from, at + shownCharacters)} but found ${b.slice(from, at + shownCharacters)}`);
  }
  return texts;
}

/** What is left of a list when each item of the other takes one away. */
function leftOf(list: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const item of other) counts.set(item, (counts.get(item) ?? 0) + 1);
  return list.filter((item) => {
    const count = counts.get(item) ?? 0;
    counts.set(item, count - 1);
    return count <= 0;
  });
}
