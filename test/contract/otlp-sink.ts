/** An OTLP server over HTTP that keeps the numbers of what it gets, as the contract's batches carry them. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { MetricsDecoder } from "../../src/codec/otlp/decode-metrics.ts";
import { walkRequest } from "../../src/codec/otlp/walk-request.ts";
import { Identities } from "../../src/model/identities.ts";
import type { Signal } from "../../src/model/otlp-request.ts";

export interface OtlpSink {
  readonly url: string;
  /** The numbers of all items of a signal since the last call. */
  takeValues(signal: Signal): number[];
  close(): void;
}

const signals: Readonly<Record<string, Signal>> = {
  "/v1/metrics": "metrics",
  "/v1/traces": "traces",
  "/v1/logs": "logs",
};

/** The numbers in a request: values of gauges, or N in all the texts `item-N.`. */
export function numbersOf(signal: Signal, bytes: Uint8Array): number[] {
  walkRequest(signal, bytes);
  if (signal !== "metrics") {
    return [
      ...Buffer.from(bytes)
        .toString("latin1")
        .matchAll(/item-([0-9]+)\./g),
    ].map((match) => Number(match[1]));
  }
  const segments = new MetricsDecoder(new Identities()).decode(bytes);
  return segments.flatMap((segment) => (segment.kind === "number" ? Array.from(segment.doubles) : []));
}

/** Listens on a free port of the loopback interface. */
export async function startOtlpSink(): Promise<OtlpSink> {
  const values: Record<Signal, number[]> = { metrics: [], traces: [], logs: [] };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const signal = signals[request.url ?? ""];
      if (signal === undefined) return void response.writeHead(404).end();
      values[signal].push(...numbersOf(signal, gunzipSync(Buffer.concat(chunks))));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeValues: (signal) => values[signal].splice(0),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
