/** What the OTLP bench measures: a row is a shape of load, what comes in and goes out, and what is done in between. */

import type { Signal } from "../../src/model/otlp-request.ts";

export interface OtlpRow {
  readonly name: string;
  readonly signal: Signal;
  readonly from: "grpc" | "http" | "scrape";
  readonly to: "grpc" | "http" | "remote-write";
  readonly isGzip: boolean;
  readonly hasBatch: boolean;
  /** With an `attributes` action, so that every item has to be opened. */
  readonly isOpened: boolean;
  readonly load: OtlpLoad;
  /** Whether the queue is on disk, and what is waited for. */
  readonly storage?: "written" | "synced";
  /** At most this share of otelcol's CPU time. */
  readonly maxShare: number;
  /** CPU seconds per million items to aim at. */
  readonly aim?: number;
}

/** What the load program sends, by its flags. */
export interface OtlpLoad {
  readonly metrics: number;
  /** Of a metric; spans or log records of a request. */
  readonly points: number;
  readonly attributes: number;
  readonly resourceAttributes: number;
  /** Requests a second, of all clients together. */
  readonly rate: number;
  readonly clients: number;
  /** Calls at once of each client: Millrace answers when what it batched has been taken, so that many wait. */
  readonly parallel: number;
}

/** The shape of the Collector's own test bed: 70,000 points a second. */
export const testBed: OtlpLoad = {
  metrics: 100,
  points: 7,
  attributes: 2,
  resourceAttributes: 2,
  rate: 100,
  clients: 2,
  parallel: 16,
};
const large: OtlpLoad = {
  metrics: 10,
  points: 1000,
  attributes: 6,
  resourceAttributes: 25,
  rate: 15,
  clients: 2,
  parallel: 4,
};
const small: OtlpLoad = {
  metrics: 1,
  points: 10,
  attributes: 2,
  resourceAttributes: 2,
  rate: 5000,
  clients: 20,
  parallel: 16,
};
const spans: OtlpLoad = {
  metrics: 1,
  points: 100,
  attributes: 5,
  resourceAttributes: 5,
  rate: 400,
  clients: 2,
  parallel: 64,
};
const records: OtlpLoad = {
  metrics: 1,
  points: 100,
  attributes: 2,
  resourceAttributes: 5,
  rate: 200,
  clients: 2,
  parallel: 32,
};

const plain = { signal: "metrics", isGzip: false, hasBatch: true, isOpened: false, maxShare: 0.5 } as const;
const byGrpc = { ...plain, from: "grpc", to: "grpc" } as const;
const byHttp = { ...plain, from: "http", to: "http" } as const;

export const otlpRows: readonly OtlpRow[] = [
  { ...byGrpc, name: "grpc", load: testBed, aim: 0.15 },
  { ...byHttp, name: "http", load: testBed, aim: 0.15 },
  { ...byGrpc, name: "grpc-opened", load: testBed, isOpened: true, aim: 0.35 },
  { ...byHttp, name: "http-opened", load: testBed, isOpened: true, aim: 0.35 },
  { ...byGrpc, name: "large", load: large, aim: 0.2 },
  { ...byGrpc, name: "large-opened", load: large, isOpened: true, aim: 0.5 },
  { ...byGrpc, name: "gzip", load: testBed, isGzip: true, maxShare: 1 },
  { ...byGrpc, name: "remote-write", load: testBed, to: "remote-write", maxShare: 1 / 3, aim: 0.5 },
  { ...byGrpc, name: "scrape", load: { ...testBed, rate: 0 }, from: "scrape", maxShare: 1 / 4 },
  { ...byGrpc, name: "traces", load: spans, signal: "traces" },
  { ...byGrpc, name: "traces-opened", load: spans, signal: "traces", isOpened: true },
  { ...byGrpc, name: "logs", load: records, signal: "logs" },
  { ...byGrpc, name: "logs-opened", load: records, signal: "logs", isOpened: true },
  { ...byGrpc, name: "small", load: small, hasBatch: false, maxShare: 1, aim: 4.85 },
];

/** The key of the attribute that opened rows add to every item. */
export const addedAttribute = "bench.opened";

/** How often every target is scraped, in row "scrape", and how many there are. */
export interface ScrapeLoad {
  readonly targets: number;
  readonly series: number;
  readonly intervalS: number;
}

/** The flags of the load program. */
export function loadArgs(row: OtlpRow, target: string, scrape: ScrapeLoad): string[] {
  if (row.from === "scrape") return ["otlp", `-targets=${scrape.targets}`, `-series=${scrape.series}`];
  const { load } = row;
  return [
    "otlp",
    `-signal=${row.signal}`,
    `-target=${target}`,
    `-grpc=${row.from === "grpc"}`,
    `-gzip=${row.isGzip}`,
    `-remote-write=${row.to === "remote-write"}`,
    `-metrics=${load.metrics}`,
    `-points=${load.points}`,
    `-attributes=${load.attributes}`,
    `-resource-attributes=${load.resourceAttributes}`,
    `-added-attributes=${row.isOpened ? 1 : 0}`,
    `-rate=${load.rate}`,
    `-clients=${load.clients}`,
    `-parallel=${load.parallel}`,
  ];
}

/** A line for people. */
export function describeRow(row: OtlpRow, scrape: ScrapeLoad): string {
  const { load, signal } = row;
  const what =
    row.from === "scrape"
      ? `scrape of ${scrape.targets} x ${scrape.series} every ${scrape.intervalS} s`
      : `${load.rate} requests/s of ${load.metrics * load.points} ${itemNames[signal]} with ${load.attributes} attributes, ${load.clients} clients, ${row.from}`;
  const how = [
    row.hasBatch ? "batch" : "no batch",
    row.isGzip ? "gzip" : "no compression",
    ...(row.isOpened ? ["opened"] : []),
    ...(row.storage === undefined ? [] : [`queue on disk, ${row.storage}`]),
  ];
  return `${what} to ${row.to} (${how.join(", ")})`;
}

export const itemNames: Readonly<Record<Signal, string>> = { metrics: "points", traces: "spans", logs: "log records" };
