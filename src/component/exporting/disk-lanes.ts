/** Lanes of an exporter whose queue is on disk: records come in their turn and stay until their request is over. */

import { divideRequest, resourceHash, resourceRanges } from "../../codec/otlp/request-resources.ts";
import type { Handed } from "../../durable/durable-options.ts";
import type { DurableQueue } from "../../durable/durable-queue.ts";
import { createHashKey, type HashKey } from "../../kernels/hash-bytes.ts";
import type { OtlpRequest } from "../../model/otlp-request.ts";

/** Data as it is offered. In memory what is scraped goes by `lane`; on disk, and without one, the lane is that of its resources. */
export interface OfferedRequest {
  readonly request: OtlpRequest;
  readonly lane?: number | undefined;
  /** What differs in it is not joined by a queue in memory. */
  readonly partition?: string | undefined;
  /** Where its memory was lent: see `LentRequest`. A queue on disk never gives it back. */
  readonly giveBack?: (() => void) | undefined;
}

/** A record that is being sent. */
export interface TakenRequest {
  readonly lane: number;
  readonly sequence: number;
  readonly request: OtlpRequest;
}

interface Lane {
  readonly index: number;
  busy: boolean;
  /** In the list of lanes that wait. */
  listed: boolean;
}

/** Written down by what is on disk: another number would send series on other lanes than their backlog. */
const laneCount = 64;

export class DiskLanes {
  readonly #queue: DurableQueue<OtlpRequest>;
  /** Made of the queue's id, so that a resource has the same lane after every restart. */
  readonly #hashKey: HashKey;
  readonly #lanes: Lane[] = Array.from({ length: laneCount }, (_, index) => ({ index, busy: false, listed: false }));
  /** Lanes with records in memory and without a request under way. */
  #waiting: Lane[] = [];

  constructor(queue: DurableQueue<OtlpRequest>) {
    this.#queue = queue;
    this.#hashKey = createHashKey(queue.id);
  }

  /** Takes what is not acknowledged, an earlier reader must have ended; `changed` hears when more may be sent. */
  async begin(changed: () => void): Promise<void> {
    await this.#queue.rewind();
    this.#queue.begin((index) => {
      const lane = this.#lanes[index];
      if (lane === undefined || lane.busy) return;
      if (this.#queue.peek(index) !== undefined) this.#list(lane);
      changed();
    });
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Of lanes that are free to send. */
  get waiting(): { readonly items: number; readonly bytes: number; readonly oldestMs: number | undefined } {
    let items = 0;
    let bytes = 0;
    let oldestMs: number | undefined;
    for (const { index } of this.#waiting) {
      const lane = this.#queue.waiting(index);
      items += lane?.waitingItems ?? 0;
      bytes += lane?.memoryBytes ?? 0;
      const first = this.#queue.peek(index)?.timeMs;
      if (first !== undefined) oldestMs = Math.min(oldestMs ?? first, first);
    }
    return { items, bytes, oldestMs };
  }

  /** The records that requests become: each lane gets its resources of a request. */
  records(offered: readonly OfferedRequest[]): { lane: number; item: OtlpRequest }[] {
    const records: { lane: number; item: OtlpRequest }[] = [];
    for (const { request } of offered) {
      if (request.items === 0) continue;
      const [first, second] = resourceRanges(request.bytes);
      if (first === undefined) continue;
      if (second === undefined) {
        const index = resourceHash(this.#hashKey, request.bytes, first.start, first.to) % laneCount;
        records.push({ lane: index, item: request });
        continue;
      }
      for (const [index, part] of divideRequest(request, laneCount, this.#hashKey).entries()) {
        if (part !== undefined && part.items > 0) records.push({ lane: index, item: part });
      }
    }
    return records;
  }

  /** Takes the next waiting lane and marks it busy; undefined when none waits. */
  takeLane(): number | undefined {
    for (let lane = this.#waiting.shift(); lane !== undefined; lane = this.#waiting.shift()) {
      lane.listed = false;
      if (this.#queue.peek(lane.index) === undefined) continue;
      lane.busy = true;
      return lane.index;
    }
    return undefined;
  }

  /** The first record of a lane. */
  peek(lane: number): OtlpRequest | undefined {
    return this.#queue.peek(lane)?.item;
  }

  /** Hands out the record that `peek` shows. */
  take(lane: number): TakenRequest | undefined {
    const handed: Handed<OtlpRequest> | undefined = this.#queue.take(lane);
    return handed === undefined ? undefined : { lane, sequence: handed.sequence, request: handed.item };
  }

  /** These are delivered, or dropped for good, with all before them in their lanes. Resolves when that is written down. */
  async acknowledge(taken: readonly TakenRequest[]): Promise<void> {
    const last = new Map<number, number>();
    for (const { lane, sequence } of taken) last.set(lane, sequence);
    await this.#queue.acknowledge(Array.from(last, ([lane, sequence]) => [lane, { sequence, done: 0 }] as const));
  }

  /** The request of a lane is over: what it has left may be sent. */
  free(index: number): void {
    const lane = this.#lanes[index] as Lane;
    lane.busy = false;
    if (this.#queue.peek(index) !== undefined) this.#list(lane);
  }

  #list(lane: Lane): void {
    if (lane.listed) return;
    lane.listed = true;
    this.#waiting.push(lane);
  }
}
