/** Delivers the requests of one signal from a queue on disk: lanes in order, requests in parallel, joins of what waits, retries. */

import { splitRequest } from "../../codec/otlp/split-request.ts";
import { Bag } from "../../model/bag.ts";
import { ConsumeError, toError } from "../../model/errors.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";
import type { OpenedQueue } from "../queue-storage.ts";
import { DiskLanes, type OfferedRequest, type TakenRequest } from "./disk-lanes.ts";
import type { ExportingMetrics, QueueState } from "./exporting-metrics.ts";
import { cutLimits, enoughBytes, hasRoom, maxRefusedAlone } from "./join-limits.ts";
import { type SendOutcome, sendUntilDone } from "./retry.ts";
import type { SendAnswer } from "./send.ts";
import { SendSchedule } from "./send-schedule.ts";
import type { SenderParts } from "./sender.ts";

export interface DiskSenderParts extends Omit<SenderParts, "hashKey"> {
  readonly opened: OpenedQueue<OtlpRequest>;
  /** Hears why requests were not taken, each time. */
  refused(error: ConsumeError): void;
}

/** Where requests are joined only because they wait: the longest wait for more. */
const maxJoinWaitMs = 20;
/** Least time from one small request to the next, unless it is that old: each costs more than what is in it. */
const minGapMs = 20;
/** How often a full disk is tried again by who waits, and what others are asked to wait. */
const fullRetryMs = 1000;

export class DiskSender implements QueueState {
  readonly #parts: DiskSenderParts;
  readonly #metrics: ExportingMetrics;
  readonly #lanes: DiskLanes;
  readonly #abort = new AbortController();
  readonly #schedule: SendSchedule;
  /** Requests under way, those that are to be repeated included. */
  readonly #sending = new Bag<Promise<void>>();
  #blocked: (() => void)[] = [];
  /** When the last request was begun. */
  #startedMs = Number.NEGATIVE_INFINITY;
  /** The last attempt failed. */
  #isFailing = false;
  #isClosing = false;
  #isHeld = true;
  /** The queue is taken over. */
  #begun: Promise<void> | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #ended: Promise<void> | undefined;

  constructor(parts: DiskSenderParts) {
    this.#parts = parts;
    this.#metrics = parts.metrics(this);
    this.#schedule = new SendSchedule(parts.clock, this.#abort.signal, () => this.#dispatch());
    this.#lanes = new DiskLanes(parts.opened.queue);
    const begin = () => {
      this.#begun = this.#begin();
    };
    if (parts.after === undefined) begin();
    else parts.after.then(begin, begin);
  }

  async #begin(): Promise<void> {
    if (this.#isClosing) return;
    this.#isHeld = false;
    await this.#lanes.begin(() => this.#schedule.soon());
    this.#schedule.soon();
  }

  /** In the unit of the queue's sizer, of which requests are counted as records: a part for each lane. */
  get size(): number {
    const { records, items, bytes } = this.#parts.opened.queue.totals;
    const { sizer } = this.#parts.queue;
    return sizer === "requests" ? records : sizer === "items" ? items : bytes;
  }

  get capacity(): number {
    return this.#parts.queue.queue_size;
  }

  /** On disk. */
  get bytes(): number {
    return this.#parts.opened.queue.totals.bytes;
  }

  get inFlight(): number {
    return this.#sending.size;
  }

  /**
   * Accepts requests, all of them or none. Resolves when they are on disk. Rejects with CONSUME_QUEUE_FULL, CONSUME_REFUSED
   * where the disk fails, or CONSUME_SHUTDOWN.
   */
  async offer(offered: readonly OfferedRequest[]): Promise<void> {
    const records = this.#lanes.records(offered);
    const items = records.reduce((sum, { item }) => sum + item.items, 0);
    if (items === 0) return;
    const { queue, opened, clock } = this.#parts;
    while (true) {
      const refused = this.#refusal(records.length, items) ?? (await append(opened, records));
      if (refused === undefined) return;
      if (refused.code !== "CONSUME_SHUTDOWN") this.#parts.refused(refused);
      if (refused.code !== "CONSUME_QUEUE_FULL" || refused.permanent || !queue.block_on_overflow) {
        this.#metrics.enqueueFailed.add(items);
        throw refused;
      }
      // Room comes with what is delivered, or on the device with what others remove.
      const room = new Promise<void>((resolve) => void this.#blocked.push(resolve));
      await Promise.race([room, clock.sleep(fullRetryMs, this.#abort.signal)]);
    }
  }

  /**
   * Sends what is queued until the deadline; what is not delivered waits on disk for the next start, or for whoever has the
   * queue too. Works twice.
   */
  shutdown(deadline: AbortSignal): Promise<void> {
    this.#ended ??= this.#shutdown(deadline);
    return this.#ended;
  }

  async #shutdown(deadline: AbortSignal): Promise<void> {
    const { opened } = this.#parts;
    const wasHeld = this.#isHeld;
    this.#isClosing = true;
    this.#wakeBlocked();
    // A successor has all but what is under way.
    this.#isHeld ||= opened.isShared();
    this.#schedule.soon();
    // Nothing is gained by waiting for a server that does not answer.
    if (!wasHeld && !this.#isFailing && !this.#isDone && !deadline.aborted) {
      this.#idle ??= Promise.withResolvers<void>();
      const { promise, resolve } = this.#idle;
      const end = () => resolve();
      deadline.addEventListener("abort", end, { once: true });
      await promise;
      deadline.removeEventListener("abort", end);
    }
    this.#abort.abort();
    await Promise.all([this.#begun, ...this.#sending]);
    await opened.release();
  }

  get #isDone(): boolean {
    if (this.#sending.size > 0) return false;
    return this.#isHeld || this.#parts.opened.queue.totals.records === 0;
  }

  /** Why nothing can be taken now, before the disk is asked; undefined when there may be room. */
  #refusal(records: number, items: number): ConsumeError | undefined {
    const { sizer, queue_size: most } = this.#parts.queue;
    if (this.#isClosing)
      return new ConsumeError("CONSUME_SHUTDOWN", "the exporter is shutting down", { permanent: false });
    if (most === Number.POSITIVE_INFINITY) return undefined;
    const { size } = this;
    // Bytes on disk are known when they are written.
    const added = sizer === "requests" ? records : sizer === "items" ? items : 1;
    if (size === 0 || size + added <= most) return undefined;
    const message = `sending queue is full (${size} of ${most} ${sizer})`;
    return new ConsumeError("CONSUME_QUEUE_FULL", message, { permanent: false, retryAfterMs: fullRetryMs });
  }

  #wakeBlocked(): void {
    for (const wake of this.#blocked.splice(0)) wake();
  }

  /** Sends what may go now. */
  #dispatch(): void {
    const { num_consumers: most } = this.#parts.queue;
    while (this.#sending.size < most && !this.#isHeld && this.#lanes.hasWaiting && !this.#abort.signal.aborted) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        this.#schedule.within(waitMs);
        return;
      }
      this.#start();
    }
    if (this.#isClosing && this.#isDone) this.#idle?.resolve();
  }

  /** How long what waits is to wait for more. */
  #waitMs(): number {
    const { batch, clock } = this.#parts;
    if (this.#isClosing) return 0;
    const { items, bytes, oldestMs } = this.#lanes.waiting;
    const ageMs = clock.now() - (oldestMs ?? 0);
    // The clock was set back.
    if (ageMs < 0) return 0;
    if (batch !== undefined) {
      return (batch.sizer === "items" ? items : bytes) >= batch.minSize ? 0 : batch.flushMs - ageMs;
    }
    // While a request is under way, or just went, small ones wait a little, and go together.
    if (bytes >= enoughBytes) return 0;
    const waitMs = maxJoinWaitMs - ageMs;
    return this.#sending.size > 0 ? waitMs : Math.min(waitMs, this.#startedMs + minGapMs - clock.monotonic());
  }

  /** Fills a request from waiting lanes and sends it; the lanes stay busy until it is over. */
  #start(): void {
    this.#startedMs = this.#parts.clock.monotonic();
    const lanes: number[] = [];
    const taken: TakenRequest[] = [];
    let items = 0;
    let bytes = 0;
    for (let isFull = false; !isFull; ) {
      const lane = this.#lanes.takeLane();
      if (lane === undefined) break;
      lanes.push(lane);
      for (let next = this.#lanes.peek(lane); next !== undefined; next = this.#lanes.peek(lane)) {
        isFull = taken.length > 0 && !hasRoom(this.#parts, items + next.items, bytes + next.bytes.byteLength);
        const record = isFull ? undefined : this.#lanes.take(lane);
        if (record === undefined) break;
        taken.push(record);
        items += next.items;
        bytes += next.bytes.byteLength;
      }
    }
    const sending = this.#deliver(taken).finally(() => {
      this.#sending.delete(sending);
      for (const lane of lanes) this.#lanes.free(lane);
      this.#wakeBlocked();
      this.#schedule.soon();
    });
    this.#sending.add(sending);
  }

  /** What was cut off by the end of the exporter is not acknowledged: it waits on disk. */
  async #deliver(taken: readonly TakenRequest[]): Promise<void> {
    const requests = taken.map(({ request }) => request);
    const [first] = requests;
    const isLarge =
      first !== undefined && requests.length === 1 && !hasRoom(this.#parts, first.items, first.bytes.byteLength);
    if (isLarge) {
      if (await this.#sendEach(splitRequest(first, cutLimits(this.#parts)))) await this.#lanes.acknowledge(taken);
      return;
    }
    const outcome = await this.#send(requests);
    if (isCutOff(outcome)) return;
    // What one of them is refused for must not cost the others.
    if (outcome.kind === "dropped" && outcome.reason === "rejected" && taken.length > 1) {
      await this.#deliverOneByOne(taken);
      return;
    }
    this.#settle(outcome, requests);
    await this.#lanes.acknowledge(taken);
  }

  /** Sends the parts of a request that is too large, in order; false when it was cut off. */
  async #sendEach(parts: readonly OtlpRequest[]): Promise<boolean> {
    for (const part of parts) {
      const outcome = await this.#send([part]);
      if (isCutOff(outcome)) return false;
      this.#settle(outcome, [part]);
    }
    return true;
  }

  /** Sends each alone, in order. Where the first few are refused, the server refuses everything, and the rest is dropped. */
  async #deliverOneByOne(taken: readonly TakenRequest[]): Promise<void> {
    let isAnyTaken = false;
    for (const [i, one] of taken.entries()) {
      const outcome = await this.#send([one.request]);
      if (isCutOff(outcome)) return;
      isAnyTaken ||= outcome.kind === "delivered";
      const isHopeless = !isAnyTaken && i + 1 >= maxRefusedAlone;
      const over = isHopeless ? taken.slice(i) : [one];
      this.#settle(
        outcome,
        over.map(({ request }) => request),
      );
      await this.#lanes.acknowledge(over);
      if (isHopeless) return;
    }
  }

  async #send(requests: readonly OtlpRequest[]): Promise<SendOutcome<SendAnswer>> {
    const { signal: kind, retry, clock, random, send } = this.#parts;
    let items = 0;
    let bytes = 0;
    for (const request of requests) {
      items += request.items;
      bytes += request.bytes.byteLength;
    }
    this.#metrics.batchItems.record(items);
    this.#metrics.batchBytes.record(bytes);
    const retrying = (error: ConsumeError, waitMs: number) => {
      this.#isFailing = true;
      this.#idle?.resolve();
      this.#parts.retrying(error, waitMs);
    };
    return await sendUntilDone(
      (signal) => send({ signal: kind, requests, items, bytes }, signal),
      { retry, clock, random, retrying },
      this.#abort.signal,
    );
  }

  /** Counts what became of requests. */
  #settle(outcome: SendOutcome<SendAnswer>, requests: readonly OtlpRequest[]): void {
    const items = requests.reduce((sum, request) => sum + request.items, 0);
    // A server that refuses answers: what comes next may be taken.
    if (outcome.kind === "delivered" || outcome.reason === "rejected") this.#isFailing = false;
    if (outcome.kind === "dropped") {
      this.#metrics.sendFailed.add(items);
      this.#metrics.dropped(outcome.reason, items);
      this.#parts.dropped(outcome.reason, items, outcome.error);
      return;
    }
    const { rejectedItems } = outcome.answer;
    this.#metrics.sent.add(items - rejectedItems);
    if (rejectedItems > 0) {
      this.#metrics.sendFailed.add(rejectedItems);
      this.#metrics.dropped("partial_success", rejectedItems);
    }
    this.#parts.delivered();
  }
}

function isCutOff(outcome: SendOutcome<SendAnswer>): boolean {
  return outcome.kind === "dropped" && outcome.reason === "shutdown";
}

/** Writes records; returns why they were not taken. */
async function append(
  { queue }: OpenedQueue<OtlpRequest>,
  records: readonly { readonly lane: number; readonly item: OtlpRequest }[],
): Promise<ConsumeError | undefined> {
  try {
    await queue.append(records);
    return undefined;
  } catch (caught) {
    const error = toError(caught) as Error & { code?: unknown };
    const isFull = error.code === "STORAGE_FULL";
    return new ConsumeError(isFull ? "CONSUME_QUEUE_FULL" : "CONSUME_REFUSED", error.message, {
      permanent: false,
      retryAfterMs: fullRetryMs,
      cause: error,
    });
  }
}
