/** Queued requests by lane: what one resource sends stays in order, different lanes may travel at the same time. */

import type { OtlpRequest } from "../../model/otlp-request.ts";
import type { Ticket } from "./ticket.ts";

/** A request, or the piece of one that belongs to a lane. */
export interface QueuedRequest {
  readonly request: OtlpRequest;
  readonly ticket: Ticket;
  /** What differs in it is not joined. */
  readonly partition?: string | undefined;
  /** When it was accepted, on the monotonic clock. */
  readonly queuedMs: number;
  /** Where its memory was lent: to be called when nobody reads the bytes any more. */
  giveBack?: (() => void) | undefined;
}

interface Lane {
  readonly index: number;
  /** Undefined where it was taken: what was delivered is not kept in memory. */
  readonly queue: (QueuedRequest | undefined)[];
  head: number;
  busy: boolean;
  /** In the list of lanes that wait. */
  listed: boolean;
  items: number;
  bytes: number;
}

/** Beyond this many spent entries a lane's array is cut. */
const maxSpent = 1024;

export class RequestLanes {
  readonly #lanes: Lane[];
  /** Lanes with requests and with none under way, oldest first. */
  #waiting: Lane[] = [];
  /** Of lanes that are free to send. */
  waitingItems = 0;
  waitingBytes = 0;

  constructor(count: number) {
    this.#lanes = Array.from({ length: count }, (_, index) => ({
      index,
      queue: [],
      head: 0,
      busy: false,
      listed: false,
      items: 0,
      bytes: 0,
    }));
  }

  get count(): number {
    return this.#lanes.length;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** When the first request that is free to send was queued; undefined when there is none. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const lane of this.#waiting) {
      const first = lane.queue[lane.head]?.queuedMs;
      if (first !== undefined && (oldest === undefined || first < oldest)) oldest = first;
    }
    return oldest;
  }

  push(index: number, item: QueuedRequest): void {
    const lane = this.#lanes[index] as Lane;
    lane.queue.push(item);
    this.#grow(lane, item.request.items, item.request.bytes.byteLength);
    if (!lane.busy) this.#list(lane);
  }

  /** Takes the next waiting lane and marks it busy; undefined when none waits. */
  take(): number | undefined {
    const lane = this.#waiting.shift();
    if (lane === undefined) return undefined;
    lane.listed = false;
    lane.busy = true;
    this.waitingItems -= lane.items;
    this.waitingBytes -= lane.bytes;
    return lane.index;
  }

  /** The first queued request of a lane. */
  peek(index: number): QueuedRequest | undefined {
    const lane = this.#lanes[index] as Lane;
    return lane.queue[lane.head];
  }

  /** Removes the first request of a lane that was taken, or leaves `rest` of it. */
  advance(index: number, rest?: QueuedRequest | undefined): void {
    const lane = this.#lanes[index] as Lane;
    const item = lane.queue[lane.head];
    if (item === undefined) return;
    this.#grow(lane, -item.request.items, -item.request.bytes.byteLength);
    if (rest !== undefined) {
      this.#grow(lane, rest.request.items, rest.request.bytes.byteLength);
      lane.queue[lane.head] = rest;
      return;
    }
    lane.queue[lane.head] = undefined;
    lane.head++;
    if (lane.head < lane.queue.length && lane.head < maxSpent) return;
    lane.queue.splice(0, lane.head);
    lane.head = 0;
  }

  /** The request of a lane is over: what it has left may be sent. */
  free(index: number): void {
    const lane = this.#lanes[index] as Lane;
    lane.busy = false;
    if (lane.head === lane.queue.length) return;
    this.waitingItems += lane.items;
    this.waitingBytes += lane.bytes;
    this.#list(lane);
  }

  /** Empties all lanes and returns what they held. */
  drain(): QueuedRequest[] {
    const items: QueuedRequest[] = [];
    for (const lane of this.#lanes) {
      // One by one: as arguments of one call, a long outage's queue would not fit on the stack.
      for (let i = lane.head; i < lane.queue.length; i++) items.push(lane.queue[i] as QueuedRequest);
      lane.queue.length = 0;
      lane.head = 0;
      lane.listed = false;
      lane.items = 0;
      lane.bytes = 0;
    }
    this.#waiting = [];
    this.waitingItems = 0;
    this.waitingBytes = 0;
    return items;
  }

  #grow(lane: Lane, items: number, bytes: number): void {
    lane.items += items;
    lane.bytes += bytes;
    if (lane.busy) return;
    this.waitingItems += items;
    this.waitingBytes += bytes;
  }

  #list(lane: Lane): void {
    if (lane.listed) return;
    lane.listed = true;
    this.#waiting.push(lane);
  }
}

/** Items of queued requests together. */
export function itemsOf(queued: readonly QueuedRequest[]): number {
  return queued.reduce((sum, { request }) => sum + request.items, 0);
}

/** Bytes of queued requests together. */
export function bytesOf(queued: readonly QueuedRequest[]): number {
  return queued.reduce((sum, { request }) => sum + request.bytes.byteLength, 0);
}
