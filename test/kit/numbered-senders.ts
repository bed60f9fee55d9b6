/** OTLP clients that send numbered items over HTTP and never repeat one, and the sink that keeps the order of what comes. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MetricsEncoder } from "../../src/codec/otlp/encode-metrics.ts";
import { openSegments } from "../../src/model/batch.ts";
import type { Signal } from "../../src/model/otlp-request.ts";
import { buildLogs, buildTraces } from "../../src/testing/build-otlp.ts";
import { buildNumbers } from "../../src/testing/build-points.ts";
import { numbersOf } from "../contract/otlp-sink.ts";
import { otlpPaths } from "./otlp-traffic.ts";

const signals: readonly Signal[] = ["metrics", "traces", "logs"];
/** Numbers of one source: above it the next source begins. */
const perSource = 1_000_000;

/** One series of numbers. */
export interface NumberedSource {
  readonly signal: Signal;
  readonly index: number;
  /** The last number that was sent. */
  sent: number;
  /** Numbers that were answered with 200. */
  readonly acknowledged: Set<number>;
}

function bodyOf({ signal, index }: NumberedSource, number: number): Uint8Array {
  const resource = { "service.name": `source-${index}` };
  const value = index * perSource + number;
  if (signal === "metrics") {
    return new MetricsEncoder().encode(openSegments(buildNumbers([{ name: "numbered", value, resource }]))).bytes;
  }
  const batch =
    signal === "traces"
      ? buildTraces([{ name: `item-${value}.`, resource }])
      : buildLogs([{ body: `item-${value}.`, resource }]);
  return batch.requests[0]?.bytes ?? new Uint8Array();
}

/** Sends until it is stopped: each source one item after another; what failed is not sent again. */
export class NumberedSenders {
  readonly sources: readonly NumberedSource[];
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];
  /** Answers other than 200, and how often. */
  readonly refusals = new Map<string, number>();

  constructor(endpoint: string, sourcesPerSignal: number, pauseMs: number) {
    this.sources = signals.flatMap((signal) =>
      Array.from({ length: sourcesPerSignal }, (_, index) => ({
        signal,
        index,
        sent: 0,
        acknowledged: new Set<number>(),
      })),
    );
    this.#loops = this.sources.map((source) => this.#send(source, `${endpoint}${otlpPaths[source.signal]}`, pauseMs));
  }

  get acknowledged(): number {
    return this.sources.reduce((sum, source) => sum + source.acknowledged.size, 0);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #send(source: NumberedSource, url: string, pauseMs: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const number = ++source.sent;
      const headers = { "content-type": "application/x-protobuf" };
      let outcome = "no connection";
      try {
        const body = bodyOf(source, number);
        const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(5000) });
        await response.arrayBuffer();
        outcome = String(response.status);
      } catch {
        // Nothing listens, or it was killed: not taken, as far as the sender knows.
      }
      if (outcome === "200") source.acknowledged.add(number);
      else this.refusals.set(outcome, (this.refusals.get(outcome) ?? 0) + 1);
      await sleep(outcome === "no connection" ? 20 : pauseMs);
    }
  }
}

/** What is wrong with what arrived. */
export interface NumberedOutcome {
  /** Acknowledged to their senders and never arrived. */
  readonly lost: readonly string[];
  /** Arrived for the first time behind a later one of their source. */
  readonly misplaced: readonly string[];
  readonly repeated: number;
}

/** An OTLP server over HTTP that answers as it is told, and takes only what it answers with 200. */
export class NumberedSink implements AsyncDisposable {
  respond: () => number = () => 200;
  readonly #arrived: Record<Signal, number[]> = { metrics: [], traces: [], logs: [] };
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("error", () => {});
      request.on("end", () => {
        const signal = signals.find((one) => otlpPaths[one] === request.url);
        const status = this.respond();
        if (signal !== undefined && status === 200)
          this.#arrived[signal].push(...numbersOf(signal, Buffer.concat(chunks)));
        response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
      });
    });
  }

  static async start(): Promise<NumberedSink> {
    const sink = new NumberedSink();
    await new Promise<void>((resolve) => void sink.#server.listen(0, "127.0.0.1", resolve));
    return sink;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get size(): number {
    return signals.reduce((sum, signal) => sum + this.#arrived[signal].length, 0);
  }

  compare(sources: readonly NumberedSource[]): NumberedOutcome {
    const lost: string[] = [];
    const misplaced: string[] = [];
    let repeated = 0;
    for (const { signal, index, acknowledged } of sources) {
      const arrived = this.#arrived[signal].filter((value) => Math.floor(value / perSource) === index);
      const seen = new Set<number>();
      let highest = 0;
      for (const value of arrived) {
        const number = value - index * perSource;
        if (seen.has(number)) repeated++;
        else if (number < highest) misplaced.push(`${signal} ${index} ${number}`);
        seen.add(number);
        highest = Math.max(highest, number);
      }
      for (const number of acknowledged) if (!seen.has(number)) lost.push(`${signal} ${index} ${number}`);
    }
    return { lost, misplaced, repeated };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}
