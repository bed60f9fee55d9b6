/** Gives an exporter that sends OTLP requests its queue, retries and own metrics, for every signal. */

import { randomBytes } from "node:crypto";
import { MetricsEncoder } from "../../codec/otlp/encode-metrics.ts";
import { RequestCodec } from "../../durable/request-codec.ts";
import { createHashKey, type HashKey } from "../../kernels/hash-bytes.ts";
import { type AnyBatch, signals } from "../../model/any-batch.ts";
import type { MetricsBatch, OpenSegment, PointsSegment, SamplesSegment } from "../../model/batch.ts";
import type { ClientInfo } from "../../model/client-info.ts";
import type { ConsumeError } from "../../model/errors.ts";
import type { LogsBatch, OtlpRequest, Signal, TracesBatch } from "../../model/otlp-request.ts";
import type { Consumers } from "../consumer.ts";
import type { CreateContext, Lifecycle } from "../define.ts";
import { openExporterQueue } from "../queue-storage.ts";
import { type BatchLimits, batchLimits, type ExportingConfig, isOnDisk, type QueueConfig } from "./config.ts";
import type { OfferedRequest } from "./disk-lanes.ts";
import { DiskSender } from "./disk-sender.ts";
import { exportingMetrics, type QueueState } from "./exporting-metrics.ts";
import type { DropReason } from "./retry.ts";
import type { Send } from "./send.ts";
import { RequestSender } from "./sender.ts";

export type { OutgoingRequest, Send, SendAnswer } from "./send.ts";

export interface ExportingParts {
  readonly send: Send;
  /** Bytes above which a request is cut, unless the queue's batch says otherwise; Infinity for no maximum. */
  readonly maxBytes: number;
  /** Whether answers of `send` say when bytes are not read any more: then requests are made in memory that is used again. */
  readonly saysSent?: boolean | undefined;
  /** For tests; Math.random unless given. */
  readonly random?: (() => number) | undefined;
  /** For tests: what decides on lanes; a secret of the process unless given. */
  readonly hashKey?: HashKey | undefined;
  /** For tests: the request that these segments are. */
  readonly encode?: Encode | undefined;
}

type Encode = (segments: readonly OpenSegment[]) => OtlpRequest;

/** The part of an exporter that takes batches; `start` opens queues on disk, and rejects with ConfigError where it cannot. */
export type Exporting = Consumers & Required<Lifecycle>;

/** What delivers the requests of one signal. */
type Sender = Pick<RequestSender, "shutdown"> & { offer(offered: readonly OfferedRequest[]): Promise<void> };

/** The same event is logged again after this time. */
const repeatLogMs = 10_000;

/** Takes batches of all signals and delivers them through `parts.send`, as the configuration says. */
export function createExporting(
  context: Pick<CreateContext<unknown>, "id" | "log" | "meter" | "clock" | "host" | "after" | "signals">,
  config: ExportingConfig,
  parts: ExportingParts,
): Exporting {
  const batch = batchLimits(config.sending_queue);
  const encoder = new MetricsEncoder();
  const encode = parts.encode ?? ((segments) => encoder.encode(segments));
  const hashKey = parts.hashKey ?? createHashKey(randomBytes(12));
  const reporter = new Reporter(context);
  const { sending_queue: queue } = config;
  const isDisk = isOnDisk(queue);
  const isLent = parts.saysSent === true && !isDisk;
  const senders = new Map<Signal, Sender | Promise<Sender>>();
  const createSender = (signal: Signal): Sender | Promise<Sender> => {
    const common = {
      signal,
      queue,
      retry: config.retry_on_failure,
      batch,
      maxBytes: maxBytesOf(batch, parts.maxBytes),
      send: parts.send,
      clock: context.clock,
      random: parts.random ?? Math.random,
      metrics: (state: QueueState) => exportingMetrics(context.meter, context.id, signal, state),
      retrying: (error: ConsumeError, waitMs: number) => reporter.retrying(error, waitMs),
      delivered: () => reporter.delivered(),
      dropped: (reason: DropReason, items: number, error: ConsumeError) => reporter.dropped(reason, items, error),
      after: context.after,
    };
    if (!isDisk) return new RequestSender({ ...common, hashKey });
    const opening = openExporterQueue(context, { storage: queue.storage, signal }, new RequestCodec());
    const refused = (error: ConsumeError) => reporter.refused(error);
    const sender = opening.then((opened) => new DiskSender({ ...common, opened, refused }));
    // Tried again with the next batch: at a reload that adds a signal, nobody hears of the failure otherwise.
    sender.catch(() => void senders.delete(signal));
    return sender;
  };
  const senderOf = (signal: Signal): Sender | Promise<Sender> => {
    const sender = senders.get(signal) ?? createSender(signal);
    senders.set(signal, sender);
    return sender;
  };
  // Queues on disk are opened at the start.
  if (!isDisk) for (const signal of context.signals ?? signals) senderOf(signal);
  const partitionOf = partitioner(queue);
  const offer = async ({ signal, client }: AnyBatch, offered: readonly OfferedRequest[]) => {
    const sender = senderOf(signal);
    const partition = partitionOf(client);
    const own = partition === undefined ? offered : offered.map((one) => ({ ...one, partition }));
    await (sender instanceof Promise ? await sender : sender).offer(own);
  };
  const ofRequests = async (requests: TracesBatch | LogsBatch) =>
    await offer(
      requests,
      requests.requests.map((request) => ({ request })),
    );
  return {
    metrics: async (metrics) => await offer(metrics, divideMetrics(metrics, encode, isLent)),
    traces: ofRequests,
    logs: ofRequests,
    async start() {
      if (!isDisk) return;
      await Promise.all((context.signals ?? signals).map(async (one) => senders.set(one, await senderOf(one))));
    },
    async shutdown(deadline) {
      const started = await Promise.allSettled(senders.values());
      await Promise.all(started.map((one) => (one.status === "fulfilled" ? one.value.shutdown(deadline) : undefined)));
    },
  };
}

/** What the configured metadata of a client is, as one text; undefined where none is configured. */
function partitioner({ batch }: QueueConfig): (client: ClientInfo | undefined) => string | undefined {
  const keys = batch?.partition?.metadata_keys ?? [];
  if (keys.length === 0) return () => undefined;
  return (client) => JSON.stringify(keys.map((key) => client?.metadata(key) ?? []));
}

function maxBytesOf(batch: BatchLimits | undefined, maxBytes: number): number {
  // A maximum that was configured counts, also one above what is usual.
  return batch?.sizer === "bytes" && batch.maxSize !== Number.POSITIVE_INFINITY ? batch.maxSize : maxBytes;
}

/** Unopened requests as they are, scraped samples by target, points all together. */
function divideMetrics({ segments }: MetricsBatch, encode: Encode, isLent: boolean): OfferedRequest[] {
  const pieces: OfferedRequest[] = [];
  const points: PointsSegment[] = [];
  const samples = new Map<number, SamplesSegment[]>();
  for (const segment of segments) {
    if (segment.form === "otlp") pieces.push((isLent ? segment.lend?.() : undefined) ?? { request: segment.request });
    else if (segment.form === "points") points.push(segment);
    else {
      const { lane } = segment.layout.origin;
      const known = samples.get(lane);
      if (known === undefined) samples.set(lane, [segment]);
      else known.push(segment);
    }
  }
  if (points.length > 0) pieces.push({ request: encode(points) });
  for (const [lane, ofLane] of samples) pieces.push({ request: encode(ofLane), lane });
  return pieces;
}

/** Tells log and health how it goes, each kind of event at most once in a while. */
class Reporter {
  readonly #context: Pick<CreateContext<unknown>, "log" | "clock" | "host">;
  #isFailing = false;
  #retryLoggedMs = Number.NEGATIVE_INFINITY;
  #dropLoggedMs = Number.NEGATIVE_INFINITY;
  #refusalLoggedMs = Number.NEGATIVE_INFINITY;
  #droppedSince = 0;

  constructor(context: Pick<CreateContext<unknown>, "log" | "clock" | "host">) {
    this.#context = context;
  }

  retrying(error: ConsumeError, waitMs: number): void {
    this.#fail(error);
    const { log, clock } = this.#context;
    if (clock.monotonic() - this.#retryLoggedMs < repeatLogMs) return;
    this.#retryLoggedMs = clock.monotonic();
    log.warn("Exporting failed. Will retry the request after interval.", {
      error: error.message,
      interval: `${Math.round(waitMs)}ms`,
    });
  }

  delivered(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#context.log.info("Exporting works again");
    this.#context.host.reportStatus({ state: "ok", message: "" });
  }

  refused(error: ConsumeError): void {
    const { log, clock } = this.#context;
    if (clock.monotonic() - this.#refusalLoggedMs < repeatLogMs) return;
    this.#refusalLoggedMs = clock.monotonic();
    log.warn("The queue on disk takes nothing more for now", { error: error.message });
  }

  dropped(reason: DropReason, items: number, error: ConsumeError): void {
    this.#fail(error);
    const { log, clock } = this.#context;
    this.#droppedSince += items;
    if (clock.monotonic() - this.#dropLoggedMs < repeatLogMs && reason !== "shutdown") return;
    this.#dropLoggedMs = clock.monotonic();
    log.error("Exporting failed. Dropping data.", {
      reason,
      error: error.message,
      dropped_items: this.#droppedSince,
    });
    this.#droppedSince = 0;
  }

  #fail(error: ConsumeError): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#context.host.reportStatus({ state: "recoverable", message: error.message });
  }
}
