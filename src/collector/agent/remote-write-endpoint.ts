/** One `remote_write` entry of a Prometheus agent: relabeling, queue, sender, metadata, metrics. */

import { DropTally } from "../../component/drop-tally.ts";
import type { Clock, Logger, Meter, MetricCell } from "../../component/telemetry.ts";
import type { DurableQueue } from "../../durable/durable-queue.ts";
import type { MetricsBatch, SamplesSegment } from "../../model/batch.ts";
import type { Identities, Label } from "../../model/identities.ts";
import type { RemoteWriteConfig } from "../../prometheus/config/types.ts";
import { compileRelabel } from "../../prometheus/relabel/relabel.ts";
import { encodeMetadataRequest, type MetadataEntry } from "../../prometheus/remote-write/encode-request.ts";
import { createPost } from "../../prometheus/remote-write/http-post.ts";
import { LastingLanes } from "../../prometheus/remote-write/lasting-lanes.ts";
import { LayoutMapper } from "../../prometheus/remote-write/map-layouts.ts";
import { postUntilDone, type RetryPolicy } from "../../prometheus/remote-write/post-request.ts";
import { type DropReason, RemoteWriteSender, type SenderObserver } from "../../prometheus/remote-write/sender.ts";
import { observeSenderMemory } from "../../prometheus/remote-write/sender-memory.ts";
import { createPostClient, type PostClient } from "../../transport/post-client.ts";
import { redactUrl } from "../../transport/redact-url.ts";

export interface EndpointParts {
  readonly config: RemoteWriteConfig;
  readonly externalLabels: readonly Label[];
  readonly nameScheme: "utf8" | "legacy";
  readonly identities: Identities;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly userAgent: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly maxQueuedBytes: number;
  /** The queue, where it is on disk. Whoever opened it closes it. */
  readonly disk?: DurableQueue<SamplesSegment> | undefined;
  /** Settles when all earlier endpoints with this URL have ended. */
  readonly startAfter?: Promise<unknown> | undefined;
  /** Metric families that active targets declare. */
  readonly metadata: () => Iterable<MetadataEntry>;
}

const metricPrefix = "prometheus_remote_storage_";
/** Bytes of a request before compression, far above what `max_samples_per_send` comes to. */
const maxBytesPerSend = 32 * 1024 * 1024;
/** An agent's queue is bounded in bytes; the number of batches only guards against tiny ones. */
const maxQueuedBatches = 1_000_000;
const batchSecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];
/** A repeated warning about one endpoint is logged at most this often. */
const logIntervalMs = 60_000;

export class RemoteWriteEndpoint {
  readonly config: RemoteWriteConfig;
  readonly #parts: EndpointParts;
  readonly #mapper: LayoutMapper;
  readonly #sender: RemoteWriteSender;
  /** On disk a series stays behind its backlog, whatever becomes of its target's interval or address. */
  readonly #lanes: LastingLanes | undefined;
  readonly #labels: { remote_name: string; url: string };
  readonly #stopMetadata = new AbortController();
  readonly #removeListeners: (() => void)[] = [];
  #client: PostClient;
  readonly #closingClients = new Set<Promise<void>>();
  #metadataLoop: Promise<void> = Promise.resolve();
  #highestQueuedMs = 0;
  #highestSentMs = 0;
  #droppedSeries: MetricCell;
  #lastWarningMs = Number.NEGATIVE_INFINITY;

  constructor(parts: EndpointParts) {
    const { config, identities, meter } = parts;
    this.config = config;
    this.#parts = parts;
    this.#labels = { remote_name: config.name, url: redactUrl(config.url) };
    this.#client = createPostClient(config.http, { userAgent: parts.userAgent, env: parts.env });
    const rules = config.writeRelabelConfigs;
    const program = rules.length === 0 ? undefined : compileRelabel(rules, parts.nameScheme);
    this.#mapper = new LayoutMapper(identities, parts.externalLabels, program);
    if (parts.disk !== undefined) this.#lanes = new LastingLanes(identities, parts.disk.id);
    const dropped = meter.counter(`${metricPrefix}samples_dropped_total`, {
      help: "Total number of samples which were dropped, by reason.",
    });
    this.#droppedSeries = dropped.with({ ...this.#labels, reason: "dropped_series" });
    this.#sender = new RemoteWriteSender({
      identities,
      options: {
        maxInFlight: config.queueConfig.maxShards,
        maxSamplesPerSend: config.queueConfig.maxSamplesPerSend,
        maxBytesPerSend,
        lingerMs: config.queueConfig.batchSendDeadlineMs,
        maxQueuedBatches,
        maxQueuedBytes: parts.maxQueuedBytes,
        timeoutMs: config.remoteTimeoutMs,
        retry: this.#retryPolicy(),
        sampleAgeLimitMs: config.queueConfig.sampleAgeLimitMs,
        sendExemplars: config.sendExemplars,
        skipRepeatedExemplars: true,
      },
      post: createPost(() => this.#client, new URL(config.url), config.headers),
      observer: this.#observer(),
      now: parts.clock.now,
      sleep: parts.clock.sleep,
      random: Math.random,
      startAfter: parts.startAfter,
      disk: parts.disk,
    });
    this.#removeListeners.push(
      identities.onSweep(() => {
        this.#mapper.forget();
        this.#lanes?.forget();
        this.#sender.forget();
      }),
      ...this.#gauges(),
      observeSenderMemory(identities, this.#sender, parts.disk !== undefined),
    );
  }

  /** Milliseconds since 1970 of the newest sample that was queued. */
  get highestQueuedMs(): number {
    return this.#highestQueuedMs;
  }

  start(): void {
    if (this.config.metadataConfig.send) this.#metadataLoop = this.#sendMetadata(this.#stopMetadata.signal);
  }

  get disk(): DurableQueue<SamplesSegment> | undefined {
    return this.#parts.disk;
  }

  /**
   * Queues a batch: at once in memory; on disk, it is when the promise resolves. Throws or rejects with ConsumeError when
   * the queue is full.
   */
  offer(batch: MetricsBatch): Promise<void> | undefined {
    const segments: SamplesSegment[] = [];
    let dropped = 0;
    for (const segment of batch.segments) {
      if (segment.form !== "samples") continue;
      const mapped = this.#mapper.map(segment);
      dropped += segment.to - segment.from - (mapped === undefined ? 0 : mapped.to - mapped.from);
      if (mapped !== undefined) segments.push(mapped);
    }
    this.#droppedSeries.add(dropped);
    if (segments.length === 0) return undefined;
    if (this.#lanes !== undefined) return this.#sender.accept(this.#lanes.apply(segments));
    // What becomes of the samples is counted by the observer; nobody waits for their delivery.
    this.#sender.enqueue(segments);
    return undefined;
  }

  /** Makes a new HTTP client, so that changed secrets and certificates take effect; requests under way are finished. */
  renewClient(config: RemoteWriteConfig): void {
    const old = this.#client;
    this.#client = createPostClient(config.http, { userAgent: this.#parts.userAgent, env: this.#parts.env });
    const closed = old.close(this.config.remoteTimeoutMs).finally(() => this.#closingClients.delete(closed));
    this.#closingClients.add(closed);
  }

  /** Sends what is queued until the deadline; `isHandover` leaves what is on disk to a successor. */
  async shutdown(deadline: AbortSignal, isHandover = false): Promise<void> {
    this.#stopMetadata.abort();
    await this.#metadataLoop;
    await this.#sender.shutdown(deadline, isHandover);
    await Promise.all([this.#client.close(), ...this.#closingClients]);
    for (const remove of this.#removeListeners.splice(0)) remove();
  }

  #retryPolicy(): RetryPolicy {
    const { minBackoffMs, maxBackoffMs, retryOnHttp429 } = this.config.queueConfig;
    return {
      enabled: true,
      initialMs: Math.max(1, minBackoffMs),
      maxMs: Math.max(1, maxBackoffMs),
      multiplier: 2,
      randomization: 0,
      maxElapsedMs: 0,
      retryOn429: retryOnHttp429 ?? true,
    };
  }

  #gauges(): (() => void)[] {
    const { meter } = this.#parts;
    const { queueConfig } = this.config;
    const gauge = (name: string, help: string, read: () => number) =>
      meter.observe(`${metricPrefix}${name}`, { help, type: "gauge" }, () => [{ labels: this.#labels, value: read() }]);
    const seconds = (ms: number) => Math.floor(ms / 1000);
    return [
      gauge("samples_pending", "Samples accepted and not yet delivered.", () => this.#sender.queuedSamples),
      gauge("shards", "Requests under way.", () => this.#sender.inFlight),
      gauge("shards_desired", "Requests under way.", () => this.#sender.inFlight),
      gauge("shards_min", "Configured min_shards.", () => queueConfig.minShards),
      gauge(
        "shards_max",
        "Configured max_shards: the most requests under way at the same time.",
        () => queueConfig.maxShards,
      ),
      gauge("shard_capacity", "Configured capacity.", () => queueConfig.capacity),
      gauge("max_samples_per_send", "Configured max_samples_per_send.", () => queueConfig.maxSamplesPerSend),
      gauge("queue_highest_timestamp_seconds", "Newest sample that was queued.", () => seconds(this.#highestQueuedMs)),
      gauge("queue_highest_sent_timestamp_seconds", "Newest sample that was delivered.", () =>
        seconds(this.#highestSentMs),
      ),
      meter.observe(
        "millrace_remote_write_queue_bytes",
        { help: "Bytes of samples accepted and not yet sent.", type: "gauge" },
        () => [{ labels: this.#labels, value: this.#sender.queuedBytes }],
      ),
    ];
  }

  #observer(): SenderObserver {
    const { meter, log, clock } = this.#parts;
    const labels = this.#labels;
    const tally = new DropTally(clock);
    const counter = (name: string, help: string) => meter.counter(`${metricPrefix}${name}`, { help }).with(labels);
    const total = counter("samples_total", "Samples sent, repeats included.");
    const retried = counter("samples_retried_total", "Samples sent again after a failure.");
    const failed = counter("samples_failed_total", "Samples that could not be delivered and were dropped.");
    const exemplarsTotal = counter("exemplars_total", "Exemplars sent, repeats included.");
    const exemplarsFailed = counter(
      "exemplars_failed_total",
      "Exemplars that could not be delivered and were dropped.",
    );
    const exemplarsDropped = meter
      .counter(`${metricPrefix}exemplars_dropped_total`, { help: "Exemplars that were left out, by reason." })
      .with({ ...labels, reason: "too_long" });
    const bytes = counter("bytes_total", "Bytes of requests that are over, after compression.");
    const seconds = meter
      .histogram(`${metricPrefix}sent_batch_duration_seconds`, {
        help: "Time from a request to its end, retries included.",
        buckets: batchSecondsBuckets,
      })
      .with(labels);
    const samplesIn = meter
      .counter(`${metricPrefix}samples_in_total`, { help: "Samples handed to remote storage." })
      .with({});
    return {
      queued: (samples, highestTimestampMs) => {
        samplesIn.add(samples);
        this.#highestQueuedMs = Math.max(this.#highestQueuedMs, highestTimestampMs);
      },
      attempted: (samples, exemplars, isRetry) => {
        total.add(samples);
        exemplarsTotal.add(exemplars);
        if (isRetry) retried.add(samples);
      },
      delivered: (_samples, _exemplars, highestTimestampMs) => {
        this.#highestSentMs = Math.max(this.#highestSentMs, highestTimestampMs);
      },
      dropped: (reason, samples, exemplars, message) => {
        this.#countDropped(reason, samples);
        if (reason !== "too_old") failed.add(samples);
        exemplarsFailed.add(exemplars);
        const count = tally.add(reason, samples);
        if (count !== undefined) log.error("samples dropped", { ...labels, reason, count, err: message });
      },
      exemplarsRefused: (exemplars) => exemplarsDropped.add(exemplars),
      retrying: (message, waitMs, attempt) => {
        const now = clock.now();
        if (now - this.#lastWarningMs < logIntervalMs) return;
        this.#lastWarningMs = now;
        log.warn("Failed to send batch, retrying", { ...labels, err: message, wait_ms: Math.round(waitMs), attempt });
      },
      finished: (elapsed, size) => {
        seconds.record(elapsed);
        bytes.add(size);
      },
    };
  }

  #countDropped(reason: DropReason, samples: number): void {
    const family = this.#parts.meter.counter(`${metricPrefix}samples_dropped_total`, {
      help: "Total number of samples which were dropped, by reason.",
    });
    family.with({ ...this.#labels, reason }).add(samples);
  }

  /** Sends what is known of metric families, once an interval. */
  async #sendMetadata(signal: AbortSignal): Promise<void> {
    const { clock, meter, log } = this.#parts;
    const tally = new DropTally(clock);
    const { sendIntervalMs, maxSamplesPerSend } = this.config.metadataConfig;
    const help = "Metadata entries sent, repeats included.";
    const total = meter.counter(`${metricPrefix}metadata_total`, { help }).with(this.#labels);
    const failed = meter
      .counter(`${metricPrefix}metadata_failed_total`, { help: "Metadata entries that could not be delivered." })
      .with(this.#labels);
    const bytes = meter
      .counter(`${metricPrefix}metadata_bytes_total`, { help: "Bytes of metadata requests, after compression." })
      .with(this.#labels);
    const size = Math.max(1, maxSamplesPerSend);
    const post = createPost(() => this.#client, new URL(this.config.url), this.config.headers);
    while (!signal.aborted) {
      await clock.sleep(Math.max(1000, sendIntervalMs), signal);
      if (signal.aborted) return;
      const entries = distinct(this.#parts.metadata());
      for (let from = 0; from < entries.length && !signal.aborted; from += size) {
        const part = entries.slice(from, from + size);
        const body = encodeMetadataRequest(part);
        const outcome = await postUntilDone(
          {
            post,
            policy: this.#retryPolicy(),
            timeoutMs: this.config.remoteTimeoutMs,
            now: clock.now,
            sleep: clock.sleep,
            random: Math.random,
            retrying: () => {},
            stillWanted: () => true,
          },
          body,
          signal,
        );
        total.add(part.length);
        bytes.add(body.length);
        if (outcome.kind !== "rejected") continue;
        failed.add(part.length);
        const count = tally.add("rejected", part.length);
        if (count !== undefined) {
          log.error("non-recoverable error while sending metadata", {
            ...this.#labels,
            count,
            err: outcome.reason,
          });
        }
      }
    }
  }
}

function distinct(entries: Iterable<MetadataEntry>): MetadataEntry[] {
  const byKey = new Map<string, MetadataEntry>();
  for (const entry of entries) byKey.set(JSON.stringify([entry.name, entry.type, entry.help, entry.unit]), entry);
  return [...byKey.values()];
}
