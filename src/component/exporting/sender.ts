/** Delivers the requests of one signal: bounded queue, lanes in order, requests in parallel, joins of what waits, retries. */

import { divideRequest, resourceHash, resourceRanges } from "../../codec/otlp/request-resources.ts";
import { splitRequest } from "../../codec/otlp/split-request.ts";
import type { HashKey } from "../../kernels/hash-bytes.ts";
import { Bag } from "../../model/bag.ts";
import { ConsumeError } from "../../model/errors.ts";
import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";
import type { Clock } from "../telemetry.ts";
import type { QueueConfig, RetryConfig } from "./config.ts";
import type { OfferedRequest } from "./disk-lanes.ts";
import type { ExportingMetrics, QueueState } from "./exporting-metrics.ts";
import { cutLimits, enoughBytes, hasRoom, maxRefusedAlone, type RequestLimits } from "./join-limits.ts";
import { sendAndGiveBack } from "./lent-memory.ts";
import { bytesOf, itemsOf, type QueuedRequest, RequestLanes } from "./request-lanes.ts";
import { type DropReason, type SendOutcome, sendUntilDone } from "./retry.ts";
import type { Send, SendAnswer } from "./send.ts";
import { SendSchedule } from "./send-schedule.ts";
import { releaseDelivered, Ticket } from "./ticket.ts";

export interface SenderParts extends RequestLimits {
  readonly signal: Signal;
  readonly queue: QueueConfig;
  readonly retry: RetryConfig;
  readonly send: Send;
  readonly clock: Clock;
  readonly random: () => number;
  readonly hashKey: HashKey;
  /** The metrics of the sender; `state` is what is observed of it. */
  metrics(state: QueueState): ExportingMetrics;
  /** Hears of every attempt that failed and is repeated. */
  retrying(error: ConsumeError, waitMs: number): void;
  delivered(): void;
  dropped(reason: DropReason, items: number, error: ConsumeError): void;
  /** Requests begin when this is settled: an earlier queue of the same exporter has older data. */
  readonly after?: Promise<unknown> | undefined;
}

/** More lanes than requests under way, so that a lane rarely holds unrelated resources up. */
const minLanes = 64;
/** Where requests are joined only because they wait: the longest wait for more. */
const maxJoinWaitMs = 10;
/** Least time from one small request to the next: each costs more than what is in it. */
const minGapMs = 5;
/** What senders are asked to wait when the queue is full, unless the server asked for more. */
const fullRetryAfterMs = 1000;

export class RequestSender implements QueueState {
  readonly #parts: SenderParts;
  readonly #metrics: ExportingMetrics;
  readonly #lanes: RequestLanes;
  readonly #abort = new AbortController();
  readonly #schedule: SendSchedule;
  /** Requests under way, those that are to be repeated included. */
  readonly #sending = new Bag<Promise<void>>();
  #tickets = 0;
  #items = 0;
  #bytes = 0;
  #blocked: (() => void)[] = [];
  /** When the last request was begun. */
  #startedMs = Number.NEGATIVE_INFINITY;
  #serverWaitUntilMs = 0;
  #isClosing = false;
  #isHeld = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.#metrics = parts.metrics(this);
    this.#schedule = new SendSchedule(parts.clock, this.#abort.signal, () => this.#dispatch());
    this.#lanes = new RequestLanes(parts.queue.num_consumers === 1 ? 1 : Math.max(minLanes, parts.queue.num_consumers));
    if (parts.after === undefined) return;
    this.#isHeld = true;
    const release = () => {
      this.#isHeld = false;
      this.#schedule.soon();
    };
    parts.after.then(release, release);
  }

  /** In the unit of the queue's sizer. */
  get size(): number {
    const { sizer } = this.#parts.queue;
    return sizer === "requests" ? this.#tickets : sizer === "items" ? this.#items : this.#bytes;
  }

  get capacity(): number {
    return this.#parts.queue.queue_size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get inFlight(): number {
    return this.#sending.size;
  }

  /**
   * Accepts requests, all of them or none. `lane` is for data that has one; the lane of others is that of their resources.
   * Resolves when they are queued, or delivered where the queue's configuration says so. Rejects with CONSUME_QUEUE_FULL
   * or CONSUME_SHUTDOWN, or with the error of the delivery that was waited for.
   */
  async offer(requests: readonly OfferedRequest[]) {
    let items = 0;
    let bytes = 0;
    for (const { request } of requests) {
      items += request.items;
      bytes += request.bytes.byteLength;
    }
    if (items === 0) return;
    while (true) {
      const refused = this.#refusal(items, bytes);
      if (refused === undefined) break;
      if (refused.code !== "CONSUME_QUEUE_FULL" || !this.#parts.queue.block_on_overflow) this.#refuse(refused, items);
      // Nothing may run between being woken and looking: the first to wait is the first to see the room.
      await new Promise<void>((resolve) => void this.#blocked.push(resolve));
    }
    const delivery = Promise.withResolvers<void>();
    const ticket = new Ticket(items, bytes, (done, dropped) => {
      this.#forget(done);
      if (dropped === undefined) delivery.resolve();
      else delivery.reject(dropped);
    });
    this.#tickets++;
    this.#items += items;
    this.#bytes += bytes;
    this.#push(requests, ticket);
    const { enabled, wait_for_result: waits } = this.#parts.queue;
    if (!enabled || waits) await delivery.promise;
    else delivery.promise.catch(() => {});
  }

  /** Sends what is queued without waiting for more, until the deadline; then drops the rest, counted. Works twice. */
  async shutdown(deadline: AbortSignal): Promise<void> {
    this.#isClosing = true;
    this.#wakeBlocked();
    this.#schedule.soon();
    if (this.#tickets > 0 && !deadline.aborted) {
      this.#idle ??= Promise.withResolvers<void>();
      const { promise, resolve } = this.#idle;
      const end = () => resolve();
      deadline.addEventListener("abort", end, { once: true });
      await promise;
      deadline.removeEventListener("abort", end);
    }
    this.#abort.abort();
    const error = new ConsumeError("CONSUME_SHUTDOWN", "shut down before the data was delivered", { permanent: false });
    let items = 0;
    for (const { request, ticket } of this.#lanes.drain()) {
      items += request.items;
      ticket.release(error);
    }
    if (items > 0) this.#drop("shutdown", items, error);
    // What was cut off is counted before the process may end.
    await Promise.all(this.#sending);
  }

  /** Why nothing can be taken now; undefined when there is room. */
  #refusal(items: number, bytes: number): ConsumeError | undefined {
    const { queue, clock } = this.#parts;
    if (this.#isClosing)
      return new ConsumeError("CONSUME_SHUTDOWN", "the exporter is shutting down", { permanent: false });
    // Without a queue it is the senders who wait, each with its own data.
    if (!queue.enabled) return undefined;
    const added = queue.sizer === "requests" ? 1 : queue.sizer === "items" ? items : bytes;
    if (added > queue.queue_size || bytes > queue.max_bytes) {
      const message = `the request is larger than the sending queue (${added} ${queue.sizer}, ${bytes} bytes)`;
      return new ConsumeError("CONSUME_REJECTED", message, { permanent: true });
    }
    if (this.size + added <= queue.queue_size && this.#bytes + bytes <= queue.max_bytes) return undefined;
    const message = `sending queue is full (${this.size} of ${queue.queue_size} ${queue.sizer}, ${this.#bytes} bytes)`;
    const retryAfterMs = Math.max(fullRetryAfterMs, this.#serverWaitUntilMs - clock.monotonic());
    return new ConsumeError("CONSUME_QUEUE_FULL", message, { permanent: false, retryAfterMs });
  }

  #refuse(error: ConsumeError, items: number): never {
    this.#metrics.enqueueFailed.add(items);
    throw error;
  }

  #wakeBlocked(): void {
    for (const wake of this.#blocked.splice(0)) wake();
  }

  #forget(ticket: Ticket): void {
    this.#tickets--;
    this.#items -= ticket.items;
    this.#bytes -= ticket.bytes;
    this.#wakeBlocked();
    if (this.#tickets === 0) this.#idle?.resolve();
  }

  #push(requests: readonly OfferedRequest[], ticket: Ticket): void {
    const { hashKey, clock } = this.#parts;
    const limits = cutLimits(this.#parts);
    const queuedMs = clock.monotonic();
    const push = (lane: number, request: OtlpRequest, whole: OfferedRequest) => {
      const { partition } = whole;
      const isSmall = request.items <= limits.maxItems && request.bytes.byteLength <= limits.maxBytes;
      for (const part of isSmall ? [request] : splitRequest(request, limits)) {
        ticket.hold();
        // Parts are copies, or share the memory: it is not used again.
        const giveBack = part === whole.request ? whole.giveBack : undefined;
        this.#lanes.push(lane, { request: part, ticket, partition, queuedMs, giveBack });
      }
    };
    const lanes = this.#lanes.count;
    for (const offered of requests) {
      const { request, lane } = offered;
      if (request.items === 0) continue;
      if (lane !== undefined) {
        push(lane % lanes, request, offered);
        continue;
      }
      const [first, second] = resourceRanges(request.bytes);
      if (first === undefined) continue;
      // Mostly a request has one resource, and goes as it is.
      if (second === undefined || lanes === 1) {
        push(resourceHash(hashKey, request.bytes, first.start, first.to) % lanes, request, offered);
        continue;
      }
      for (const [index, part] of divideRequest(request, lanes, hashKey).entries()) {
        if (part !== undefined && part.items > 0) push(index, part, offered);
      }
    }
    ticket.release();
    this.#schedule.soon();
  }

  /** Sends what may go now. */
  #dispatch(): void {
    const { num_consumers: most, enabled } = this.#parts.queue;
    while ((!enabled || this.#sending.size < most) && this.#lanes.hasWaiting && !this.#isHeld) {
      if (this.#abort.signal.aborted) return;
      const waitMs = this.#waitMs();
      if (waitMs > 0) {
        this.#schedule.within(waitMs);
        return;
      }
      this.#start();
    }
  }

  /** How long what waits is to wait for more. */
  #waitMs(): number {
    const { batch, clock, queue } = this.#parts;
    if (this.#isClosing) return 0;
    const ageMs = clock.monotonic() - (this.#lanes.oldestMs ?? 0);
    if (batch !== undefined) {
      const size = batch.sizer === "items" ? this.#lanes.waitingItems : this.#lanes.waitingBytes;
      return size >= batch.minSize ? 0 : batch.flushMs - ageMs;
    }
    // While a request is under way, or just went, small ones wait a little, and go together.
    if (this.#lanes.waitingBytes >= enoughBytes) return 0;
    if (this.#sending.size > 0) return maxJoinWaitMs - ageMs;
    return queue.enabled && !queue.wait_for_result ? this.#startedMs + minGapMs - clock.monotonic() : 0;
  }

  /** Fills a request from waiting lanes and sends it; the lanes stay busy until it is over. */
  #start(): void {
    this.#startedMs = this.#parts.clock.monotonic();
    const lanes: number[] = [];
    const queued: QueuedRequest[] = [];
    let items = 0;
    let bytes = 0;
    for (let isFull = false; !isFull; ) {
      const lane = this.#lanes.take();
      if (lane === undefined) break;
      const before = queued.length;
      for (let next = this.#lanes.peek(lane); next !== undefined; next = this.#lanes.peek(lane)) {
        const { request, partition } = next;
        const isOther = partition !== (queued[0] ?? next).partition;
        isFull =
          queued.length > 0 &&
          (isOther || !hasRoom(this.#parts, items + request.items, bytes + request.bytes.byteLength));
        if (isFull) break;
        queued.push(next);
        items += request.items;
        bytes += request.bytes.byteLength;
        this.#lanes.advance(lane);
      }
      if (queued.length > before) lanes.push(lane);
      else this.#lanes.free(lane);
    }
    const sending = this.#deliver(queued).finally(() => {
      this.#sending.delete(sending);
      for (const lane of lanes) this.#lanes.free(lane);
      this.#schedule.soon();
    });
    this.#sending.add(sending);
  }

  async #deliver(queued: readonly QueuedRequest[]): Promise<void> {
    const outcome = await this.#send(queued);
    // What one of them is refused for must not cost the others.
    if (outcome.kind === "dropped" && outcome.reason === "rejected" && queued.length > 1)
      await this.#deliverOneByOne(queued);
    else this.#settle(outcome, queued);
  }

  /** Sends each alone, in order. Where the first few are refused, the server refuses everything, and the rest is dropped. */
  async #deliverOneByOne(queued: readonly QueuedRequest[]): Promise<void> {
    let isAnyTaken = false;
    for (const [i, one] of queued.entries()) {
      const outcome = await this.#send([one]);
      isAnyTaken ||= outcome.kind === "delivered";
      const isHopeless = !isAnyTaken && i + 1 >= maxRefusedAlone;
      this.#settle(outcome, isHopeless ? queued.slice(i) : [one]);
      if (isHopeless) return;
    }
  }

  async #send(queued: readonly QueuedRequest[]): Promise<SendOutcome<SendAnswer>> {
    const { signal: kind, retry, clock, random, send } = this.#parts;
    const requests = queued.map(({ request }) => request);
    const outgoing = { signal: kind, requests, items: itemsOf(queued), bytes: bytesOf(queued) };
    this.#metrics.batchItems.record(outgoing.items);
    this.#metrics.batchBytes.record(outgoing.bytes);
    const retrying = (error: ConsumeError, waitMs: number) => {
      this.#serverWaitUntilMs = clock.monotonic() + waitMs;
      this.#parts.retrying(error, waitMs);
    };
    return await sendUntilDone(
      (signal) => sendAndGiveBack(() => send(outgoing, signal), queued),
      { retry, clock, random, retrying },
      this.#abort.signal,
    );
  }

  /** Counts what became of the requests, and answers their senders. */
  #settle(outcome: SendOutcome<SendAnswer>, queued: readonly QueuedRequest[]): void {
    const items = itemsOf(queued);
    if (outcome.kind === "delivered") {
      const { rejectedItems } = outcome.answer;
      this.#metrics.sent.add(items - rejectedItems);
      if (rejectedItems > 0) {
        this.#metrics.sendFailed.add(rejectedItems);
        this.#metrics.dropped("partial_success", rejectedItems);
      }
      this.#parts.delivered();
    } else this.#drop(outcome.reason, items, outcome.error);
    if (outcome.kind === "delivered") releaseDelivered(queued, outcome.answer);
    else for (const { ticket, request } of queued) ticket.release(outcome.error, request.items);
  }

  #drop(reason: DropReason, items: number, error: ConsumeError): void {
    this.#metrics.sendFailed.add(items);
    this.#metrics.dropped(reason, items);
    this.#parts.dropped(reason, items, error);
  }
}
