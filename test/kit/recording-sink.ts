/** A remote-write 1.0 receiver that keeps all it is sent, and misbehaves on request. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import {
  readHistogram,
  readWriteRequest,
  type ValueBits,
  type WireExemplar,
  type WireHistogram,
  type WireLabel,
  type WireMetadata,
  type WireRequest,
} from "./remote-write-message.ts";
import { waitFor } from "./wait.ts";

/** What the sink does with one request. */
export type SinkAnswer =
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
      /** Waits this long before it answers; the request counts when it came. */
      readonly afterMs?: number;
    }
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  /** Closes the connection without an answer. */
  | { readonly kind: "reset" };

export const accept: SinkAnswer = { kind: "reply", status: 204 };

/** One request as it came. */
export interface SinkRequest {
  /** Position among the requests to the same path, from 0. */
  readonly index: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly arrivedMs: number;
  readonly message: WireRequest;
  readonly samples: number;
}

/** A request with what was done to it. */
export interface RecordedRequest extends SinkRequest {
  readonly answer: SinkAnswer;
}

/** A sample in the order of arrival. */
export interface RecordedSample {
  readonly bits: ValueBits;
  readonly timestampMs: number;
  /** Of the request that brought it. */
  readonly request: number;
}

/** All of one series that was accepted under one path. */
export interface RecordedSeries {
  readonly key: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly samples: RecordedSample[];
  readonly exemplars: WireExemplar[];
  readonly histograms: WireHistogram[];
}

/** What came in under one path. */
export class SinkPath {
  /** Decides about each request; replaced by tests while running. */
  respond: (request: SinkRequest) => SinkAnswer = () => accept;
  /** Whether accepted samples are kept; off for tests that send millions. */
  keepsSamples = true;
  readonly requests: RecordedRequest[] = [];
  readonly series = new Map<string, RecordedSeries>();
  readonly metadata: WireMetadata[] = [];
  /** What no remote-write sender may do: labels out of order, empty or repeated, bodies that cannot be read. */
  readonly faults: string[] = [];
  acceptedSamples = 0;

  /** Series whose labels include all the given ones. */
  find(labels: Readonly<Record<string, string>>): RecordedSeries[] {
    const wanted = Object.entries(labels);
    return [...this.series.values()].filter((series) =>
      wanted.every(([name, value]) => (series.labels.get(name) ?? "") === value),
    );
  }

  /** Values of the samples of all series with these labels, stale markers left out. */
  values(labels: Readonly<Record<string, string>>): number[] {
    return this.find(labels).flatMap((series) =>
      series.samples.filter(({ bits }) => bits !== "7ff0000000000002").map(({ bits }) => numberOf(bits)),
    );
  }

  /** Waits until a series with these labels has a sample that meets the condition. */
  waitForSample(
    labels: Readonly<Record<string, string>>,
    condition: (sample: RecordedSample) => boolean = () => true,
    deadlineMs?: number,
  ): Promise<RecordedSample> {
    return waitFor(
      `a sample of ${JSON.stringify(labels)}`,
      () => {
        for (const series of this.find(labels)) {
          const found = series.samples.find(condition);
          if (found !== undefined) return found;
        }
        return undefined;
      },
      deadlineMs,
    );
  }

  record(request: SinkRequest, answer: SinkAnswer): void {
    this.requests.push({ ...request, answer });
    if (answer.kind !== "reply" || answer.status < 200 || answer.status > 299) return;
    this.acceptedSamples += request.samples;
    this.metadata.push(...request.message.metadata);
    if (!this.keepsSamples) return;
    for (const { labels, samples, exemplars, histograms } of request.message.series) {
      const key = seriesKey(labels);
      let series = this.series.get(key);
      if (series === undefined) {
        this.#checkLabels(labels, key);
        series = {
          key,
          labels: new Map(labels.map(({ name, value }) => [name, value])),
          samples: [],
          exemplars: [],
          histograms: [],
        };
        this.series.set(key, series);
      }
      for (const sample of samples) series.samples.push({ ...sample, request: request.index });
      series.exemplars.push(...exemplars);
      series.histograms.push(...histograms.map(readHistogram));
    }
  }

  #checkLabels(labels: readonly WireLabel[], key: string): void {
    for (const [i, { name, value }] of labels.entries()) {
      const before = labels[i - 1]?.name;
      if (value === "") this.faults.push(`empty value of ${name} in ${key}`);
      if (before !== undefined && Buffer.compare(Buffer.from(before), Buffer.from(name)) >= 0)
        this.faults.push(`labels ${before} and ${name} out of order in ${key}`);
    }
  }
}

/** Name of a series: its labels in order as they came. */
export function seriesKey(labels: Iterable<WireLabel>): string {
  const parts: string[] = [];
  let name = "";
  for (const label of labels) {
    if (label.name === "__name__") name = label.value;
    else parts.push(`${label.name}=${JSON.stringify(label.value)}`);
  }
  return `${name}{${parts.join(",")}}`;
}

/** The number of the bits. */
export function numberOf(bits: ValueBits): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}

/** Listens on a free port of 127.0.0.1, or on the given one. */
export class RecordingSink implements AsyncDisposable {
  readonly #paths = new Map<string, SinkPath>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => this.#take(request, response));
  #port = 0;

  static async start(port = 0): Promise<RecordingSink> {
    const sink = new RecordingSink();
    await sink.listen(port);
    return sink;
  }

  get port(): number {
    return this.#port;
  }

  /** URL to write to; what comes in there is found under the same path. */
  url(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  path(path: string): SinkPath {
    let found = this.#paths.get(path);
    if (found === undefined) {
      found = new SinkPath();
      this.#paths.set(path, found);
    }
    return found;
  }

  /** Opens the port, again after `close`: then the same one unless another is given. */
  async listen(port = this.#port): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => {
        this.#server.removeListener("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  constructor() {
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** Breaks all connections and closes the port; what was recorded stays. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise((resolve) => this.#server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => this.#answer(this.path(path), path, request, Buffer.concat(chunks), response));
  }

  #answer(sink: SinkPath, path: string, request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    let message: WireRequest = { series: [], metadata: [] };
    try {
      if (request.method === "POST") message = readWriteRequest(body);
    } catch (error) {
      sink.faults.push(`unreadable body of ${body.length} bytes: ${error}`);
    }
    const recorded: SinkRequest = {
      index: sink.requests.length,
      path,
      method: request.method ?? "",
      headers: request.headers,
      arrivedMs: Date.now(),
      message,
      samples: message.series.reduce((sum, { samples }) => sum + samples.length, 0),
    };
    const answer = sink.respond(recorded);
    sink.record(recorded, answer);
    if (answer.kind === "hang") return;
    if (answer.kind === "reset") {
      request.socket.destroy();
      return;
    }
    const reply = () => response.writeHead(answer.status, answer.headers).end(answer.body);
    if (answer.afterMs === undefined) reply();
    else setTimeout(reply, answer.afterMs);
  }
}
