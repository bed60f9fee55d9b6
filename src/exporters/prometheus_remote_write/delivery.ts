/** The queue and the sender of the exporter: in memory from the beginning, on disk from the start. */

import type { CreateContext } from "../../component/define.ts";
import { type OpenedQueue, openExporterQueue } from "../../component/queue-storage.ts";
import { SamplesCodec } from "../../durable/samples-codec.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { ConsumeError } from "../../model/errors.ts";
import { LastingLanes } from "../../prometheus/remote-write/lasting-lanes.ts";
import type { Post, RetryPolicy } from "../../prometheus/remote-write/post-request.ts";
import { RemoteWriteSender } from "../../prometheus/remote-write/sender.ts";
import { observeSenderMemory } from "../../prometheus/remote-write/sender-memory.ts";
import { translatedOrigin } from "../../prometheus/translation/translated-layout.ts";
import type { RemoteWriteExporterConfig } from "./config.ts";
import type { ExporterMetrics } from "./exporter-metrics.ts";

/** A request is bounded in bytes; this many samples are far beyond what the default bytes hold. */
const maxSamplesPerSend = 100_000;
const defaultMaxBytes = 3_000_000;
const unbounded = Number.MAX_SAFE_INTEGER;

export interface DeliveryTimes {
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
}

export class Delivery {
  readonly #context: CreateContext<RemoteWriteExporterConfig>;
  readonly #metrics: ExporterMetrics;
  readonly #post: Post;
  readonly #times: DeliveryTimes;
  readonly #removers: (() => void)[] = [];
  #sender: RemoteWriteSender | undefined;
  #disk: OpenedQueue<SamplesSegment> | undefined;
  #lanes: LastingLanes | undefined;

  constructor(
    context: CreateContext<RemoteWriteExporterConfig>,
    metrics: ExporterMetrics,
    post: Post,
    times: DeliveryTimes,
  ) {
    this.#context = context;
    this.#metrics = metrics;
    this.#post = post;
    this.#times = times;
    if (this.#storage === undefined) this.#sender = this.#createSender();
  }

  /** Opens the queue, where it is on disk. Rejects with ConfigError where it cannot. */
  async start(): Promise<void> {
    const { config, identities } = this.#context;
    const storage = this.#storage;
    if (storage === undefined) return;
    const section = config.sending_queue.storage === undefined ? "remote_write_queue" : "sending_queue";
    const codec = new SamplesCodec(identities, translatedOrigin);
    this.#disk = await openExporterQueue(this.#context, { storage, signal: "metrics", section }, codec);
    this.#lanes = new LastingLanes(identities, this.#disk.queue.id);
    this.#sender = this.#createSender();
  }

  /**
   * Resolves when segments are on disk; in memory, when they are delivered, and throws at once when they are not queued.
   * Always a ConsumeError.
   */
  offer(segments: readonly SamplesSegment[]): Promise<void> {
    const sender = this.#sender;
    if (sender === undefined) throw new ConsumeError("CONSUME_REFUSED", "not started", { permanent: false });
    return this.#lanes === undefined ? sender.offer(segments) : sender.accept(this.#lanes.apply(segments));
  }

  /** Label sets are numbered anew. */
  forget(): void {
    this.#sender?.forget();
    this.#lanes?.forget();
  }

  /** Works before `start` and twice. */
  async shutdown(deadline: AbortSignal): Promise<void> {
    // A successor has all but what is under way.
    await this.#sender?.shutdown(deadline, this.#disk?.isShared() === true);
    await this.#disk?.release();
    for (const remove of this.#removers.splice(0)) remove();
  }

  get #storage(): string | undefined {
    return this.#context.config.remote_write_queue.storage;
  }

  #createSender(): RemoteWriteSender {
    const { config, identities, clock, after } = this.#context;
    const queue = config.remote_write_queue;
    const consumers = config.max_batch_request_parallelism ?? queue.num_consumers;
    const sender = new RemoteWriteSender({
      identities,
      post: this.#post,
      observer: this.#metrics.observer,
      now: clock.now,
      sleep: clock.sleep,
      random: Math.random,
      startAfter: after,
      disk: this.#disk?.queue,
      options: {
        maxInFlight: consumers,
        maxSamplesPerSend,
        maxBytesPerSend: config.max_batch_size_bytes || defaultMaxBytes,
        lingerMs: 0,
        maxQueuedBatches: queue.enabled ? queue.queue_size : unbounded,
        maxQueuedBytes: queue.enabled ? queue.max_bytes : unbounded,
        sampleAgeLimitMs: 0,
        sendExemplars: true,
        skipRepeatedExemplars: false,
        ...this.#times,
      },
    });
    const disk = this.#disk?.queue;
    const batches = () => (disk === undefined ? sender.queuedBatches : disk.stats().records);
    const capacity = disk === undefined ? queue.queue_size : Number.POSITIVE_INFINITY;
    this.#removers.push(
      this.#metrics.observeQueue(sender, { capacity, consumers }, batches),
      observeSenderMemory(identities, sender, disk !== undefined),
    );
    return sender;
  }
}
