/** A gRPC client for unary calls: connections to the addresses of a name, and calls spread over them. */

import { setTimeout as sleep } from "node:timers/promises";
import { toError } from "../model/errors.ts";
import { pack } from "./content-coding.ts";
import { type CallOutcome, ClientCall, failedResult, type GrpcResult } from "./grpc-client-call.ts";
import { type ClientKeepalive, type ConnectionSettings, GrpcConnection } from "./grpc-connection.ts";
import { RequestHeaderBlocks } from "./grpc-request-headers.ts";
import { grpcCodes } from "./grpc-status.ts";
import { addressText, type GrpcAddress, type GrpcTarget, parseTarget, resolveTarget } from "./grpc-target.ts";
import { acceptedEncodings, frameHeader, grpcCodings } from "./grpc-wire.ts";
import type { ProxyConfig, TlsConfig } from "./http-client-config.ts";
import { HttpError } from "./http-error.ts";
import type { ClientConnection } from "./http2-client-connection.ts";
import type { RequestBlock } from "./http2-client-stream.ts";
import { createProxyChoice, type Environment, type HttpProxy } from "./proxy-choice.ts";
import { createTlsSource, type TlsSource } from "./tls-files.ts";

export type GrpcCompression = "gzip" | "zstd" | "snappy";

export interface GrpcClientOptions {
  /** See `parseTarget`. */
  readonly target: string;
  /** Absent: plain text. */
  readonly tls?: TlsConfig | undefined;
  /** Instead of the target's name, in `:authority` and for TLS. */
  readonly authority?: string | undefined;
  readonly userAgent: string;
  /** pick_first unless given. */
  readonly balancer?: "round_robin" | "pick_first" | undefined;
  readonly keepalive?: ClientKeepalive | undefined;
  /**
   * Proxies, all by CONNECT; none unless given. Those of the environment are as Go's gRPC takes them: HTTPS_PROXY and NO_PROXY,
   * with TLS and without. The proxy looks names up.
   */
  readonly proxy?: (ProxyConfig & { readonly env?: Environment | undefined }) | undefined;
  /** Of a response, as it comes and unpacked: 4 MiB unless given. */
  readonly maxResponseBytes?: number | undefined;
  /** 20 s unless given. */
  readonly connectTimeoutMs?: number | undefined;
  /** First and longest pause between attempts to connect: 1 s and 20 s unless given. */
  readonly backoffMs?: number | undefined;
  readonly maxBackoffMs?: number | undefined;
}

export interface GrpcCallOptions {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The message, or pieces of it in order. */
  readonly message: Uint8Array | readonly Uint8Array[];
  readonly compression?: GrpcCompression | undefined;
  /** The coding's own; the fastest unless given. */
  readonly compressionLevel?: number | undefined;
  /** Lower-case names; bytes only for names that end with `-bin`. */
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /** For the whole call, connecting included. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Waits for a connection instead of failing at once while the server cannot be reached. */
  readonly waitForReady?: boolean | undefined;
}

export interface GrpcClient {
  /** Never rejects. A transport that fails is UNAVAILABLE, `signal` CANCELLED, the time limit DEADLINE_EXCEEDED. */
  call(options: GrpcCallOptions): Promise<GrpcResult>;
  /** Throws HttpError FILE_UNREADABLE or TLS_INVALID, naming the key. */
  checkFiles(): void;
  /** Lets calls under way end; later calls fail. May be called twice. */
  close(): void;
  /** Ends calls under way as well. */
  destroy(): void;
}

const mebibyte = 1024 * 1024;
/** A name is looked up again after a failure or an end, but not more often. */
const resolveIntervalMs = 5000;
const maxAttempts = 3;
const never: ClientKeepalive = { timeMs: Number.POSITIVE_INFINITY, timeoutMs: 20_000, permitWithoutStream: false };

/** Connects at the first call. Throws HttpError URL_INVALID for a target that cannot be read. */
export function createGrpcClient(options: GrpcClientOptions): GrpcClient {
  const target = parseTarget(options.target);
  if (target === undefined) {
    throw new HttpError(
      "URL_INVALID",
      `expected a gRPC target like "host:4317", got ${JSON.stringify(options.target)}`,
    );
  }
  return new Client(options, target);
}

interface Limits {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

class Client implements GrpcClient {
  readonly #target: GrpcTarget;
  readonly #tls: TlsSource | undefined;
  readonly #settings: ConnectionSettings;
  readonly #roundRobin: boolean;
  readonly #headers: RequestHeaderBlocks;
  readonly #maxResponseBytes: number;
  #connections: readonly GrpcConnection[] = [];
  #resolving: Promise<void> | undefined;
  #resolvedMs = Number.NEGATIVE_INFINITY;
  #resolveFailure: Error | undefined;
  #turn = 0;
  #isClosed = false;

  constructor(options: GrpcClientOptions, target: GrpcTarget) {
    const proxyFor = createProxyFor(options.proxy);
    this.#target = isProxied(target, proxyFor)
      ? { ...target, addresses: target.lookUp && [target.lookUp], lookUp: undefined }
      : target;
    this.#tls = options.tls === undefined ? undefined : createTlsSource(options.tls, "tls", () => performance.now());
    const authority = options.authority || target.authority;
    this.#settings = {
      authority,
      tls: this.#tls,
      userAgent: options.userAgent,
      proxyFor,
      keepalive: options.keepalive ?? never,
      connectTimeoutMs: options.connectTimeoutMs ?? 20_000,
      backoffMs: options.backoffMs ?? 1000,
      maxBackoffMs: options.maxBackoffMs ?? 20_000,
    };
    this.#roundRobin = options.balancer === "round_robin";
    this.#maxResponseBytes = options.maxResponseBytes ?? 4 * mebibyte;
    this.#headers = new RequestHeaderBlocks({
      ":method": "POST",
      ":scheme": options.tls === undefined ? "http" : "https",
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": options.userAgent,
      "grpc-accept-encoding": acceptedEncodings,
    });
  }

  checkFiles(): void {
    this.#tls?.();
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.close();
  }

  destroy(): void {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.destroy();
  }

  async call(options: GrpcCallOptions): Promise<GrpcResult> {
    const { timeoutMs, signal } = options;
    const limits = { deadlineMs: performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY), signal };
    const message = options.message instanceof Uint8Array ? [options.message] : options.message;
    const frame = packFrame(message, options);
    for (let attempt = 1; ; attempt++) {
      if (signal?.aborted) return failedResult(grpcCodes.CANCELLED, "the call was cancelled");
      const connection = this.#readyConnection() ?? (await this.#waitForConnection(options, limits));
      if (!(connection instanceof GrpcConnection)) return connection;
      const http2 = connection.ready;
      if (http2 === undefined) {
        if (attempt >= maxAttempts) return failedResult(grpcCodes.UNAVAILABLE, "the connection was closed");
        continue;
      }
      const outcome = await this.#attempt(connection, http2, { options, frame, limits });
      if (!outcome.wasNotTaken || attempt >= maxAttempts) {
        return attempt === 1 ? outcome.result : { ...outcome.result, isSent: false };
      }
    }
  }

  async #attempt(
    connection: GrpcConnection,
    http2: ClientConnection,
    { options, frame, limits }: { options: GrpcCallOptions; frame: readonly Uint8Array[]; limits: Limits },
  ): Promise<CallOutcome> {
    const leftMs = limits.deadlineMs - performance.now();
    const headers = this.#headersOf(options, leftMs);
    if (headers instanceof Error) {
      return { result: failedResult(grpcCodes.UNAVAILABLE, headers.message), wasNotTaken: false };
    }
    connection.callBegan();
    const running = new ClientCall(http2, { headers, frame, maxResponseBytes: this.#maxResponseBytes });
    const release = limitCall(running, leftMs, limits.signal);
    const outcome = await running.outcome;
    release();
    connection.callEnded();
    return outcome;
  }

  #headersOf({ path, compression, headers }: GrpcCallOptions, leftMs: number): RequestBlock | RangeError {
    try {
      return this.#headers.encode({ path, coding: compression, leftMs, more: headers });
    } catch (caught) {
      if (caught instanceof RangeError) return caught;
      throw caught;
    }
  }

  /** One that takes calls now. With round_robin the others connect beside it. */
  #readyConnection(): GrpcConnection | undefined {
    const connections = this.#connections;
    for (let i = 0; i < connections.length; i++) {
      const at = this.#roundRobin ? (this.#turn + i) % connections.length : i;
      const connection = connections[at] as GrpcConnection;
      if (connection.ready !== undefined) {
        if (this.#roundRobin) this.#turn = at + 1;
        return connection;
      }
      if (this.#roundRobin) this.#connectQuietly(connection);
    }
    return undefined;
  }

  /** Whoever waits for the connection hears of a failure. The name is asked as well: a server may be gone for good. */
  #connectQuietly(connection: GrpcConnection): void {
    if (this.#isClosed) return;
    void this.#resolve();
    if (connection.isConnecting || connection.pauseMs(performance.now()) > 0) return;
    connection.connect().catch(() => {});
  }

  async #waitForConnection(options: GrpcCallOptions, limits: Limits): Promise<GrpcConnection | GrpcResult> {
    for (;;) {
      if (this.#isClosed) return failedResult(grpcCodes.UNAVAILABLE, "the client is closed");
      const outcome = await withinLimits(this.#connectAny(), limits);
      if (outcome === "aborted") return failedResult(grpcCodes.CANCELLED, "the call was cancelled");
      if (outcome === "late") return failedResult(grpcCodes.DEADLINE_EXCEEDED, this.#whyNone("no connection in time"));
      if (outcome !== undefined) return outcome;
      if (options.waitForReady !== true) return failedResult(grpcCodes.UNAVAILABLE, this.#whyNone("no address"));
      await withinLimits(sleep(this.#pauseMs(), undefined, { ref: false }), limits);
    }
  }

  #whyNone(fallback: string): string {
    const failed = this.#connections.find((connection) => connection.failure !== undefined);
    return failed?.failure?.message ?? this.#resolveFailure?.message ?? fallback;
  }

  #pauseMs(): number {
    const nowMs = performance.now();
    const pauses = this.#connections.map((connection) => connection.pauseMs(nowMs));
    return Math.max(10, Math.min(1000, ...pauses));
  }

  /** Tries the addresses: all at once with round_robin, else one after the other. Undefined when none can be had now. */
  async #connectAny(): Promise<GrpcConnection | undefined> {
    await this.#resolve();
    const nowMs = performance.now();
    const open = this.#connections.filter((connection) => connection.isConnecting || connection.pauseMs(nowMs) === 0);
    if (this.#roundRobin) {
      const attempts = open.map((connection) => connection.connect().then(() => connection));
      return await Promise.any(attempts).catch(() => undefined);
    }
    for (const connection of open) {
      const isReady = await connection.connect().then(
        () => true,
        () => false,
      );
      if (isReady) return connection;
    }
    return undefined;
  }

  #resolve(): Promise<void> {
    const isFixed = this.#target.lookUp === undefined && this.#connections.length > 0;
    const isFresh = performance.now() - this.#resolvedMs < resolveIntervalMs;
    if (isFixed || isFresh) return Promise.resolve();
    this.#resolving ??= this.#lookUp().finally(() => {
      this.#resolving = undefined;
    });
    return this.#resolving;
  }

  /** Keeps the connections to addresses that stay. A name that cannot be looked up keeps them all. */
  async #lookUp(): Promise<void> {
    try {
      const found = await resolveTarget(this.#target);
      const known = new Map(this.#connections.map((connection) => [addressText(connection.address), connection]));
      const wanted = new Map(found.map((address) => [addressText(address), address]));
      this.#connections = [...wanted].map(
        ([text, address]) => known.get(text) ?? new GrpcConnection(address, this.#settings),
      );
      for (const [text, connection] of known) if (!wanted.has(text)) connection.close();
      if (this.#isClosed) this.destroy();
      this.#resolveFailure = undefined;
      this.#resolvedMs = performance.now();
    } catch (caught) {
      this.#resolveFailure = toError(caught);
      // A moment later it is asked again, not with every call.
      this.#resolvedMs = performance.now() - resolveIntervalMs + this.#settings.backoffMs;
    }
  }
}

type ProxyFor = (address: GrpcAddress) => HttpProxy | undefined;

function createProxyFor(config: GrpcClientOptions["proxy"]): ProxyFor {
  if (config === undefined) return () => undefined;
  const choose = createProxyChoice(config, config.env ?? {});
  return (address) => ("socketPath" in address ? undefined : choose(new URL(`https://${addressText(address)}`)));
}

/** Whether the name of a target is left to a proxy to be looked up. One that cannot be used fails at every attempt to connect. */
function isProxied({ lookUp }: GrpcTarget, proxyFor: ProxyFor): boolean {
  try {
    return lookUp !== undefined && proxyFor(lookUp) !== undefined;
  } catch {
    return true;
  }
}

/** The frame of a message: packed where that is asked for. */
function packFrame(
  pieces: readonly Uint8Array[],
  { compression, compressionLevel }: GrpcCallOptions,
): readonly Uint8Array[] {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const coding = compression === undefined ? undefined : grpcCodings.get(compression);
  if (coding !== undefined) {
    const whole = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces, size);
    const packed = pack(coding, whole, compressionLevel);
    return [frameHeader(packed.length, true), packed];
  }
  return [frameHeader(size, false), ...pieces];
}

/** Ends the call when its time is over or the signal aborts; call what is returned when it has ended. */
function limitCall(running: ClientCall, leftMs: number, signal: AbortSignal | undefined): () => void {
  const abort = () => running.cancel(grpcCodes.CANCELLED, "the call was cancelled");
  const expire = () => running.cancel(grpcCodes.DEADLINE_EXCEEDED, "no answer within the time limit of the call");
  const dueMs = performance.now() + leftMs;
  let afterReading: NodeJS.Immediate | undefined;
  const onTimer = () => {
    if (performance.now() - dueMs <= heldUpMs) expire();
    // The process was held up: an answer that has arrived meanwhile is read first, else the request is sent twice.
    else afterReading = setImmediate(expire);
  };
  const timer = leftMs < maxTimerMs ? setTimeout(onTimer, Math.max(0, leftMs)) : undefined;
  signal?.addEventListener("abort", abort, { once: true });
  return () => {
    clearTimeout(timer);
    clearImmediate(afterReading);
    signal?.removeEventListener("abort", abort);
  };
}

const maxTimerMs = 2 ** 31 - 1;
/** A timer this late tells that the process had no time, not only little. */
const heldUpMs = 20;

async function withinLimits<T>(work: Promise<T>, { deadlineMs, signal }: Limits): Promise<T | "late" | "aborted"> {
  const leftMs = deadlineMs - performance.now();
  if (leftMs <= 0) return "late";
  if (leftMs >= maxTimerMs && signal === undefined) return await work;
  const { promise, resolve } = Promise.withResolvers<"late" | "aborted">();
  const abort = () => resolve("aborted");
  const timer = leftMs < maxTimerMs ? setTimeout(() => resolve("late"), leftMs) : undefined;
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
