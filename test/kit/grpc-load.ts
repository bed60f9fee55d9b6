/** Numbered spans over gRPC by @grpc/grpc-js: a client that never repeats one, a server that counts them, and a wire between. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { type ChannelOptions, Client, credentials, status as grpcStatus } from "@grpc/grpc-js";
import { buildTraces } from "../../src/testing/build-otlp.ts";
import { listen } from "../../src/transport/listen.ts";
import { startOtlpGrpcServer } from "../support/otlp-grpc-server.ts";
import { otlpMethods } from "./otlp-traffic.ts";

/** What a worker sends next: its request with the number in it. */
function requestOf(worker: number, number: number): Buffer {
  const batch = buildTraces([{ name: `item-${number}.`, resource: { "service.name": `worker-${worker}` } }]);
  return Buffer.from(batch.requests[0]?.bytes ?? []);
}

/** The numbers in a request of spans. */
export function numbersIn(request: Uint8Array): number[] {
  const text = Buffer.from(request).toString("latin1");
  return [...text.matchAll(/item-([0-9]+)\./g)].map(([, number]) => Number(number));
}

const workers = 8;
/** So many numbers may be on their way, and no more: queues do not fill. */
export const maxUnderWay = 200;

/** Workers that send one span after another over one channel until they are stopped. */
export class GrpcLoad {
  /** Numbers that were answered with OK. */
  readonly acknowledged = new Set<number>();
  /** Names of other codes, and how often. */
  readonly refusals: Record<string, number> = {};
  readonly #client: Client;
  readonly #arrivals: Arrivals;
  readonly #workers: Promise<void>[];
  #isStopped = false;
  #sent = 0;

  constructor(port: number, arrivals: Arrivals, channel: ChannelOptions = {}) {
    this.#arrivals = arrivals;
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), channel);
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#work(worker));
  }

  /** Waits for the calls under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#arrivals.wake();
    await Promise.all(this.#workers);
    this.#client.close();
  }

  async #work(worker: number): Promise<void> {
    for (;;) {
      while (!this.#isStopped && this.#sent - this.#arrivals.size >= maxUnderWay) await this.#arrivals.next();
      if (this.#isStopped) return;
      const number = ++this.#sent;
      const code = await this.#call(requestOf(worker, number));
      if (code === "OK") this.acknowledged.add(number);
      else this.refusals[code] = (this.refusals[code] ?? 0) + 1;
    }
  }

  #call(request: Buffer): Promise<string> {
    const same = (bytes: Buffer) => bytes;
    const options = { deadline: Date.now() + 60_000 };
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(otlpMethods.traces, same, same, request, options, (error) =>
        resolve(error === null ? "OK" : (grpcStatus[error.code] ?? "none")),
      );
    });
  }
}

/** Counts what arrives. */
export class Arrivals {
  readonly #counts = new Map<number, number>();
  #next = Promise.withResolvers<void>();

  take(request: Uint8Array): void {
    for (const number of numbersIn(request)) this.#counts.set(number, (this.#counts.get(number) ?? 0) + 1);
    this.wake();
  }

  /** Different numbers. */
  get size(): number {
    return this.#counts.size;
  }

  /** Resolves when something arrives. */
  next(): Promise<void> {
    return this.#next.promise;
  }

  /** Lets those go on that wait for something to arrive. */
  wake(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Those of the numbers that have not arrived. */
  missing(numbers: Iterable<number>): number[] {
    return [...numbers].filter((number) => !this.#counts.has(number));
  }

  /** How often any number arrived once too often. */
  get repeated(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count - 1, 0);
  }
}

export interface CountingSink extends AsyncDisposable {
  readonly port: number;
  /** Requests that came to this server. */
  readonly requests: number;
  /** Ends all connections at once. */
  kill(): void;
}

/** A server of @grpc/grpc-js that takes every request. */
export async function startCountingSink(
  arrivals: Arrivals,
  options: { readonly host?: string; readonly port?: number; readonly channel?: ChannelOptions } = {},
): Promise<CountingSink> {
  const server = await startOtlpGrpcServer(
    ({ bytes }) => {
      arrivals.take(bytes);
      return new Uint8Array();
    },
    undefined,
    options,
  );
  return {
    port: server.port,
    get requests() {
      return server.received.length;
    },
    kill: () => server.close(),
    [Symbol.asyncDispose]: async () => server.close(),
  };
}

/** Carries bytes to a port of 127.0.0.1, and can become a network that carries nothing without a word. */
export class Wire implements AsyncDisposable {
  /** Connections that were ever made. */
  connections = 0;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #ends = new Set<Socket>();

  private constructor(to: number) {
    this.#server = createServer((near) => this.#carry(near, connect(to, "127.0.0.1")));
  }

  static async start(to: number): Promise<Wire> {
    const wire = new Wire(to);
    await listen(wire.#server, { host: "127.0.0.1", port: 0 });
    return wire;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Connections of now that carry bytes. */
  get open(): number {
    return this.#pairs.size;
  }

  /** From now on the open connections carry nothing, and no end hears of the other; resolves when one end of each gave up. */
  cut(): Promise<void> {
    const gone = [...this.#pairs].map((pair) => {
      for (const end of pair) end.unpipe().resume();
      return Promise.race(pair.map((end) => new Promise((resolve) => end.once("close", resolve))));
    });
    this.#pairs.clear();
    return Promise.all(gone).then(() => undefined);
  }

  #carry(near: Socket, far: Socket): void {
    const pair = [near, far] as const;
    this.connections++;
    this.#pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const end of pair) {
      this.#ends.add(end);
      end.on("error", () => undefined);
      end.once("close", () => {
        this.#ends.delete(end);
        if (this.#pairs.delete(pair)) for (const other of pair) other.destroySoon();
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pairs.clear();
    for (const end of this.#ends) end.destroy();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}
