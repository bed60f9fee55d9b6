/** Delivers samples to one remote-write endpoint: bounded queue, lanes in order, requests in parallel, retries. */

import type { DurableQueue } from "../../durable/durable-queue.ts";
import { Bag } from "../../model/bag.ts";
import { type SamplesSegment, segmentBytes } from "../../model/batch.ts";
import { ConsumeError, toError } from "../../model/errors.ts";
import type { Identities } from "../../model/identities.ts";
import { DurableLanes } from "./durable-lanes.ts";
import { type RequestBounds, RequestEncoder } from "./encode-request.ts";
import { ExemplarFilter } from "./exemplar-filter.ts";
import { Lanes, laneCount, rowsOfItem, type SenderLanes, Ticket, youngRows } from "./lanes.ts";
import { type Post, type PostOutcome, postUntilDone, type RetryPolicy } from "./post-request.ts";
import { cutOff, fullness, shutdownError } from "./sender-errors.ts";
import type { DropReason, SenderObserver } from "./sender-observer.ts";

export interface SenderOptions {
  /** Requests under way at the same time. */
  readonly maxInFlight: number;
  readonly maxSamplesPerSend: number;
  /** Bytes of a request before compression. */
  readonly maxBytesPerSend: number;
  /** How long a request that is not full waits for more. */
  readonly lingerMs: number;
  /** Bounds of what is accepted and not yet delivered. */
  readonly maxQueuedBatches: number;
  readonly maxQueuedBytes: number;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  /** Samples older than this are dropped before they are sent; 0 means never. */
  readonly sampleAgeLimitMs: number;
  readonly sendExemplars: boolean;
  /** Leaves out an exemplar that equals the last one of its series, as Prometheus' storage does. */
  readonly skipRepeatedExemplars: boolean;
}

export type { DropReason, SenderObserver };

export interface SenderParts {
  readonly identities: Identities;
  readonly options: SenderOptions;
  readonly post: Post;
  readonly observer: SenderObserver;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Requests begin when this is settled: all earlier senders to the same endpoint, whose samples are older, have ended. */
  readonly startAfter?: Promise<unknown> | undefined;
  /** The queue, where it is on disk: then `accept` takes data, and what is not delivered stays. The owner closes it. */
  readonly disk?: DurableQueue<SamplesSegment> | undefined;
}

export class RemoteWriteSender {
  readonly #parts: SenderParts;
  readonly #memory = new Lanes(laneCount);
  readonly #lanes: SenderLanes;
  readonly #disk?: DurableLanes;
  readonly #encoder: RequestEncoder;
  readonly #abort = new AbortController();
  readonly #exemplars: ExemplarFilter;
  #batches = 0;
  #inFlight = 0;
  #inFlightSamples = 0;
  /** When the rows that wait for more will be sent all the same. */
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #closing = false;
  /** The last attempt was to be repeated: a server that takes or refuses may take what comes next. */
  #isFailing = false;
  #isHeld = false;
  /** The queue on disk is taken over. */
  #begun: Promise<void> | undefined;
  /** Requests under way. */
  readonly #requests = new Bag<Promise<void>>();
  #whenIdle: PromiseWithResolvers<void> | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.#encoder = new RequestEncoder(parts.identities, parts.options.maxSamplesPerSend);
    this.#exemplars = new ExemplarFilter(parts.options, (count) => parts.observer.exemplarsRefused?.(count));
    if (parts.disk !== undefined) this.#disk = new DurableLanes(parts.disk, laneCount, () => this.#dispatch());
    this.#lanes = this.#disk ?? this.#memory;
    const release = () => {
      // A queue on disk may have its next sender already.
      if (this.#closing && this.#disk !== undefined) return;
      this.#isHeld = false;
      this.#begun = this.#disk?.begin();
      this.#dispatch();
    };
    this.#isHeld = parts.startAfter !== undefined;
    if (parts.startAfter === undefined) release();
    else parts.startAfter.then(release, release);
  }

  /** Samples accepted and not yet delivered or dropped, those of requests under way included. */
  get queuedSamples(): number {
    // On disk those of requests under way are still there.
    return this.#lanes.rows + (this.#disk === undefined ? this.#inFlightSamples : 0);
  }

  get queuedBytes(): number {
    return this.#lanes.bytes;
  }

  get queuedBatches(): number {
    return this.#batches;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** What is held to make requests. */
  get encoderMemory(): Pick<RequestEncoder, "templateBytes" | "bufferBytes"> {
    return this.#encoder;
  }

  /** Label sets that exemplars are remembered for: forgotten when numbers are given back. */
  forget(): void {
    this.#exemplars.forget();
  }

  /**
   * Accepts segments whose layouts name their rows by label sets: all of them, or none. Returns a promise of their
   * delivery. For a queue in memory. Throws ConsumeError CONSUME_QUEUE_FULL when a bound is reached, CONSUME_SHUTDOWN after `shutdown`.
   */
  offer(segments: readonly SamplesSegment[]): Promise<void> {
    const delivery = Promise.withResolvers<void>();
    this.#enqueue(segments, (dropped) => {
      this.#settled();
      if (dropped === undefined) delivery.resolve();
      else delivery.reject(dropped);
    });
    return delivery.promise;
  }

  /** The same where nobody waits for the delivery: the observer hears what becomes of the samples. */
  enqueue(segments: readonly SamplesSegment[]): void {
    this.#enqueue(segments, this.#settled);
  }

  readonly #settled = () => {
    this.#batches--;
    this.#checkIdle();
  };

  #enqueue(segments: readonly SamplesSegment[], settled: (dropped: Error | undefined) => void): void {
    if (this.#disk !== undefined) throw new TypeError("a queue on disk accepts, it has no promise of delivery");
    this.#admit(segments);
    this.#batches++;
    const ticket = new Ticket(settled);
    const queuedMs = this.#parts.now();
    let highest = 0;
    let samples = 0;
    for (const segment of segments) {
      ticket.hold();
      samples += segment.to - segment.from;
      highest = Math.max(highest, segment.timestampMs);
      const exemplars = this.#exemplars.of(segment);
      this.#memory.push(segment.layout.origin.lane, { segment, exemplars, ticket, queuedMs });
    }
    this.#parts.observer.queued(samples, highest);
    ticket.release();
    // Whoever waits already waits for older rows.
    const isAwaited = this.#wakeAtMs < Number.POSITIVE_INFINITY && !this.#closing;
    if (!isAwaited || this.#lanes.waitingRows >= this.#parts.options.maxSamplesPerSend) this.#dispatch();
  }

  /** Takes segments as `offer` does, and resolves when they are queued: on disk, where the queue is. */
  async accept(segments: readonly SamplesSegment[]): Promise<void> {
    if (this.#disk === undefined) return this.enqueue(segments);
    if (this.#closing) throw shutdownError();
    const { observer } = this.#parts;
    const samples = segments.reduce((sum, { from, to }) => sum + to - from, 0);
    const highest = segments.reduce((most, { timestampMs }) => Math.max(most, timestampMs), 0);
    try {
      await this.#disk.append(segments.map((segment) => ({ ...segment, exemplars: this.#exemplars.of(segment) })));
    } catch (caught) {
      const { message } = toError(caught);
      observer.dropped("queue_full", samples, 0, message);
      throw new ConsumeError("CONSUME_QUEUE_FULL", message, { permanent: false, cause: caught });
    }
    observer.queued(samples, highest);
  }

  /**
   * Sends what is queued without waiting for more, until the deadline; then drops the rest, counted. Works twice. From disk
   * nothing is dropped; a successor (`isHandover`) has all but what is under way.
   */
  async shutdown(deadline: AbortSignal, isHandover = false): Promise<void> {
    this.#closing = true;
    if (isHandover && this.#disk !== undefined) {
      this.#isHeld = true;
      const cut = () => this.#abort.abort();
      if (deadline.aborted) cut();
      deadline.addEventListener("abort", cut, { once: true });
      await Promise.all(this.#requests);
      deadline.removeEventListener("abort", cut);
    }
    this.#dispatch();
    // What is on disk waits there for the next start: nothing is gained by waiting for a server that does not answer.
    const isFutile = this.#disk !== undefined && (this.#isFailing || this.#isHeld);
    if (!this.#isIdle && !isFutile && !deadline.aborted) {
      this.#whenIdle ??= Promise.withResolvers<void>();
      const { promise, resolve } = this.#whenIdle;
      deadline.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
    this.#abort.abort();
    const error = shutdownError(cutOff);
    let samples = 0;
    let exemplars = 0;
    for (const item of this.#lanes.drain()) {
      samples += item.segment.to - item.segment.from;
      exemplars += item.exemplars.length;
      item.ticket.release(error);
    }
    if (samples > 0) this.#parts.observer.dropped("shutdown", samples, exemplars, error.message);
    // What was cut off is counted before the process may end.
    await Promise.all([this.#begun, ...this.#requests]);
  }

  /** An empty queue takes a batch of any size: one that is larger than the whole queue would be refused for ever. */
  #admit(segments: readonly SamplesSegment[]): void {
    if (this.#closing) throw shutdownError();
    let bytes = 0;
    let samples = 0;
    let exemplars = 0;
    for (const segment of segments) {
      bytes += segmentBytes(segment);
      samples += segment.to - segment.from;
      if (this.#parts.options.sendExemplars) exemplars += segment.exemplars?.length ?? 0;
    }
    const full = fullness(this.#parts.options, this.#batches, this.#lanes.bytes, bytes);
    if (full === undefined) return;
    this.#parts.observer.dropped("queue_full", samples, exemplars, full);
    throw new ConsumeError("CONSUME_QUEUE_FULL", full, { permanent: false });
  }

  /** Starts requests while there is enough to fill one, or the oldest row has waited long enough. */
  #dispatch(): void {
    const { maxInFlight, maxSamplesPerSend, lingerMs } = this.#parts.options;
    while (this.#inFlight < maxInFlight && !this.#isHeld && !this.#abort.signal.aborted) {
      const oldest = this.#lanes.oldestMs;
      if (oldest === undefined) break;
      const due = oldest + lingerMs - this.#parts.now();
      if (this.#lanes.waitingRows < maxSamplesPerSend && due > 0 && !this.#closing) {
        this.#wakeIn(due);
        break;
      }
      this.#startRequest();
    }
    this.#checkIdle();
  }

  #wakeIn(ms: number): void {
    const { now, sleep } = this.#parts;
    const wakeAtMs = now() + ms;
    // A lane that was busy may hold older rows than those that somebody waits for already.
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = wakeAtMs;
    void sleep(ms, this.#abort.signal).then(() => {
      if (this.#wakeAtMs === wakeAtMs) this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#dispatch();
    });
  }

  /** Fills a request from waiting lanes and sends it; the lanes stay busy until it is over. */
  #startRequest(): void {
    const { options, observer } = this.#parts;
    const bounds = { samples: options.maxSamplesPerSend, bytes: options.maxBytesPerSend };
    const lanes: number[] = [];
    const tickets: Ticket[] = [];
    const encoder = this.#encoder;
    encoder.begin();
    let full = false;
    while (!full) {
      const lane = this.#lanes.takeLane();
      if (lane === undefined) break;
      lanes.push(lane);
      full = this.#fill(lane, bounds, tickets);
    }
    const request = encoder.finish();
    this.#inFlight++;
    this.#inFlightSamples += request.samples;
    const started = this.#parts.now();
    const over = (outcome: PostOutcome) => {
      observer.finished((this.#parts.now() - started) / 1000, request.body.length);
      if (outcome.kind === "delivered" && outcome.isSent === true) encoder.release(request.body);
      const dropped = this.#account(outcome, request.samples, request.exemplars, request.highestTimestampMs);
      const settled = outcome.kind === "aborted" ? undefined : this.#lanes.settle(lanes);
      const release = () => {
        this.#inFlight--;
        this.#inFlightSamples -= request.samples;
        for (const lane of lanes) this.#lanes.free(lane);
        for (const ticket of tickets) ticket.release(dropped);
        this.#dispatch();
      };
      if (settled === undefined) release();
      return settled?.then(release);
    };
    if (request.samples + request.exemplars === 0) void over({ kind: "delivered", status: 204 });
    else {
      const sending = this.#send(request).then(over);
      this.#requests.add(sending);
      void sending.finally(() => this.#requests.delete(sending));
    }
  }

  /**
   * Moves rows of a lane into the request, until the lane is empty (false) or the request is full (true). `tickets`
   * gets those of the batches that have rows in the request.
   */
  #fill(lane: number, bounds: RequestBounds, tickets: Ticket[]): boolean {
    const encoder = this.#encoder;
    for (let item = this.#lanes.peek(lane); item !== undefined; item = this.#lanes.peek(lane)) {
      const [from, to] = this.#freshRows(item.segment);
      const fresh = rowsOfItem(item, from, to);
      const rest = from === to ? undefined : encoder.add(fresh.segment, bounds, fresh.exemplars);
      const rows = item.segment.to - item.segment.from;
      const done = to - (rest === undefined ? 0 : rest.to - rest.from);
      this.#lanes.advance(lane, done < rows ? rowsOfItem(item, done, rows) : undefined);
      if (done > from) {
        if (done < rows) item.ticket.hold();
        tickets.push(item.ticket);
      } else if (done === rows) item.ticket.release();
      if (rest !== undefined || encoder.samples >= bounds.samples) return true;
    }
    return false;
  }

  async #send(request: {
    body: Uint8Array;
    samples: number;
    exemplars: number;
    highestTimestampMs: number;
  }): Promise<PostOutcome> {
    const { options, post, observer, now, sleep, random } = this.#parts;
    let attempts = 0;
    return await postUntilDone(
      {
        policy: options.retry,
        timeoutMs: options.timeoutMs,
        now,
        sleep,
        random,
        post: (body, headers, timeoutMs, signal) => {
          observer.attempted(request.samples, request.exemplars, attempts++ > 0);
          return post(body, headers, timeoutMs, signal);
        },
        retrying: (reason, waitMs, attempt) => {
          this.#isFailing = true;
          observer.retrying(reason, waitMs, attempt);
          if (this.#disk !== undefined) this.#whenIdle?.resolve();
        },
        stillWanted: () =>
          options.sampleAgeLimitMs === 0 || now() - request.highestTimestampMs <= options.sampleAgeLimitMs,
      },
      request.body,
      this.#abort.signal,
    );
  }

  #account(outcome: PostOutcome, samples: number, exemplars: number, highestTimestampMs: number): Error | undefined {
    const { observer } = this.#parts;
    if (outcome.kind === "delivered" || outcome.kind === "rejected") this.#isFailing = false;
    switch (outcome.kind) {
      case "delivered":
        observer.delivered(samples, exemplars, highestTimestampMs);
        return undefined;
      case "rejected":
        observer.dropped("rejected", samples, exemplars, outcome.reason);
        return new ConsumeError("CONSUME_REJECTED", outcome.reason, { permanent: true });
      case "expired":
        observer.dropped("expired", samples, exemplars, outcome.reason);
        return new ConsumeError("CONSUME_UNREACHABLE", outcome.reason, { permanent: false });
      case "aborted": {
        const error = shutdownError(cutOff);
        if (this.#disk === undefined) observer.dropped("shutdown", samples, exemplars, error.message);
        return error;
      }
    }
  }

  /** The rows that are young enough; those before them are counted as dropped. */
  #freshRows(segment: SamplesSegment): [from: number, to: number] {
    const limit = this.#parts.options.sampleAgeLimitMs;
    if (limit === 0) return [0, segment.to - segment.from];
    const [first, end] = youngRows(segment, this.#parts.now() - limit);
    if (first > 0) this.#parts.observer.dropped("too_old", first, 0, "older than sample_age_limit");
    return [first, end];
  }

  #checkIdle(): void {
    if (this.#isIdle) this.#whenIdle?.resolve();
  }

  get #isIdle(): boolean {
    return this.#batches === 0 && (this.#disk === undefined || this.#disk.isEmpty);
  }
}
