/** A sender of numbered points by OTLP/HTTP and a sink that fails, for the crash runs. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { freePort } from "../../test/kit/free-port.ts";
import { decodeOtlp } from "../../test/kit/otlp-proto.ts";
import type { TempFolder } from "../../test/kit/temp.ts";
import type { Subject } from "../scrape/subjects.ts";
import type { Work } from "./round.ts";
import { isDown } from "./scraping.ts";
import { addTallies, emptyTally, tallySeries } from "./tally.ts";
import { UnderWay } from "./under-way.ts";

const seriesCount = 20;
const betweenMs = 10;
/** Before what nobody answered is sent again. */
const againMs = 100;
/** Of otelcol, where nothing is written. */
const defaultConsumers = 10;
const pathOfMetrics = "/v1/metrics";

/** A series whose next number is sent when the one before was acknowledged. */
interface Sent {
  next: number;
  readonly acknowledged: Set<number>;
  /** Of numbers that were sent more than once, since nobody answered. */
  readonly sends: Map<number, number>;
  readonly arrived: number[];
}

/** `consumers` of the queue; undefined means the default. */
export async function otlpWork(subject: Subject, folder: TempFolder, consumers: number | undefined): Promise<Work> {
  if (subject.collect === undefined) throw new Error(`${subject.name} takes no OTLP`);
  const all: Sent[] = Array.from({ length: seriesCount }, () => ({
    next: 1,
    acknowledged: new Set(),
    sends: new Map(),
    arrived: [],
  }));
  const port = await freePort();
  // All points are of one resource, and Millrace has one request of a resource under way.
  const underWay = new UnderWay(subject.name === "millrace" ? 1 : (consumers ?? defaultConsumers));
  const sink = await startSink(all, underWay);
  const ended = new AbortController();
  const senders = all.map((sent, series) => send(sent, series, port, ended.signal));
  const configFile = folder.write("config.yaml", JSON.stringify(configOf(port, sink.port, folder, consumers)));
  let marked: number[] = [];
  let taken: Set<number>[] | undefined;
  const counts = () => all.map(({ acknowledged }) => acknowledged.size);
  return {
    command: subject.collect(configFile),
    hasWorked: () => counts().every((count, i) => count > (marked[i] ?? 0)),
    mark() {
      marked = counts();
    },
    killed: () => underWay.killed(),
    drain() {
      sink.isDraining = true;
      taken = all.map(({ acknowledged }) => new Set(acknowledged));
    },
    tally: () =>
      all
        .map(({ acknowledged, arrived, sends }, i) =>
          tallySeries({
            taken: taken?.[i] ?? acknowledged,
            arrived,
            sends,
            underWay: underWay.of(i),
            describe: (value) => `n${i} ${value}`,
          }),
        )
        .reduce(addTallies, emptyTally),
    async [Symbol.asyncDispose]() {
      ended.abort();
      await Promise.all(senders);
      sink.close();
    },
  };
}

function configOf(port: number, sinkPort: number, folder: TempFolder, consumers: number | undefined) {
  return {
    extensions: { file_storage: { directory: folder.file("storage"), create_directory: true, fsync: true } },
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: {
      otlphttp: {
        endpoint: `http://127.0.0.1:${sinkPort}`,
        sending_queue: { storage: "file_storage", ...(consumers === undefined ? {} : { num_consumers: consumers }) },
        retry_on_failure: { initial_interval: "10ms", max_interval: "50ms", max_elapsed_time: "0s" },
      },
    },
    service: {
      extensions: ["file_storage"],
      telemetry: { logs: { level: "warn" }, metrics: { level: "none" } },
      pipelines: { metrics: { receivers: ["otlp"], exporters: ["otlphttp"] } },
    },
  };
}

async function send(sent: Sent, series: number, port: number, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    const number = sent.next;
    const times = (sent.sends.get(number) ?? 0) + 1;
    sent.sends.set(number, times);
    const isTaken = await post(requestOf(series, number), port);
    if (isTaken) {
      sent.acknowledged.add(number);
      if (times === 1) sent.sends.delete(number);
      sent.next++;
    }
    await pause(isTaken ? betweenMs : againMs);
  }
}

/** Whether it was answered with success. */
async function post(body: string, port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${pathOfMetrics}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: AbortSignal.timeout(10_000),
    });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

function requestOf(series: number, number: number): string {
  const point = { timeUnixNano: String(BigInt(Date.now()) * 1_000_000n), asInt: String(number) };
  const metrics = [{ name: `n${series}`, gauge: { dataPoints: [point] } }];
  return JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
}

interface Requests {
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics?: readonly {
      readonly metrics?: readonly {
        readonly name: string;
        readonly gauge?: { readonly dataPoints?: readonly { readonly asInt?: string }[] };
      }[];
    }[];
  }[];
}

async function startSink(all: readonly Sent[], underWay: UnderWay) {
  let index = 0;
  const sink = { isDraining: false, port: 0, close: () => {} };
  const server = createServer(async (request, response) => {
    // What a kill cut short was not taken.
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return;
    if (!sink.isDraining && isDown(index++)) {
      response.writeHead(503).end();
      return;
    }
    const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    const { resourceMetrics = [] } = decodeOtlp("metrics", bytes) as Requests;
    const taken = new Map<number, number[]>();
    for (const { scopeMetrics = [] } of resourceMetrics)
      for (const { metrics = [] } of scopeMetrics)
        for (const { name, gauge } of metrics) {
          const series = Number(name.slice(1));
          const values = (gauge?.dataPoints ?? []).map(({ asInt }) => Number(asInt));
          taken.set(series, [...(taken.get(series) ?? []), ...values]);
        }
    for (const [series, values] of taken) all[series]?.arrived.push(...values);
    underWay.took(taken);
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  sink.port = (server.address() as AddressInfo).port;
  sink.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return sink;
}
