/** Queued segments by lane: what one source sends stays in order, different lanes may travel at the same time. */

import { type SampleExemplar, type SamplesSegment, segmentBytes, sliceSamples } from "../../model/batch.ts";

/** Lanes of a sender, many more than requests under way, so that one rarely holds unrelated sources up. What is on disk has them. */
export const laneCount = 256;

/** One accepted batch: settled when the last of its rows is delivered or dropped. */
export class Ticket {
  #open = 1;
  #dropped: Error | undefined;
  readonly #settled: (dropped: Error | undefined) => void;

  constructor(settled: (dropped: Error | undefined) => void) {
    this.#settled = settled;
  }

  /** Another part of the batch is under way. */
  hold(): void {
    this.#open++;
  }

  /** A part is done; `dropped` says why when it was not delivered. */
  release(dropped?: Error): void {
    this.#dropped ??= dropped;
    if (--this.#open === 0) this.#settled(this.#dropped);
  }
}

export interface QueuedSegment {
  readonly segment: SamplesSegment;
  /** Exemplars that leave with the segment, rows counted from its first. */
  readonly exemplars: readonly SampleExemplar[];
  readonly ticket: Ticket;
  readonly queuedMs: number;
}

interface Lane {
  readonly index: number;
  readonly queue: QueuedSegment[];
  head: number;
  rows: number;
  busy: boolean;
  /** In the list of lanes that wait. */
  listed: boolean;
}

/** What a sender takes its rows from, in memory or on disk. */
export interface SenderLanes {
  /** Rows of lanes that are free to send. */
  readonly waitingRows: number;
  /** When the first row that is free to send was queued; undefined when there is none. */
  readonly oldestMs: number | undefined;
  readonly rows: number;
  readonly bytes: number;
  /** Takes the next waiting lane and marks it busy; undefined when none waits. */
  takeLane(): number | undefined;
  /** The first queued segment of a lane. */
  peek(index: number): QueuedSegment | undefined;
  /** Removes the first segment of a lane, or leaves `rest` of it. */
  advance(index: number, rest: QueuedSegment | undefined): void;
  /** What was taken from lanes is over: delivered, or dropped for good. Resolves when that is remembered, if it has to be. */
  settle(lanes: readonly number[]): Promise<void> | undefined;
  /** The request of a lane is over: what it has left may be sent. */
  free(index: number): void;
  /** Empties all lanes and returns what would be lost. */
  drain(): QueuedSegment[];
  /** Every segment in memory, for the sweep of the tables. */
  segments(): Iterable<SamplesSegment>;
}

/** Rows [from, to) of an item, with their exemplars. */
export function rowsOfItem(item: QueuedSegment, from: number, to: number): QueuedSegment {
  if (from === 0 && to === item.segment.to - item.segment.from) return item;
  const exemplars = item.exemplars
    .filter((exemplar) => exemplar.row >= from && exemplar.row < to)
    .map((exemplar) => ({ ...exemplar, row: exemplar.row - from }));
  return { ...item, segment: sliceSamples(item.segment, from, to), exemplars };
}

/** The first run of rows that are not older than `oldestMs`. */
export function youngRows(segment: SamplesSegment, oldestMs: number): [from: number, to: number] {
  const { from, to, timestampMs, timestampsMs } = segment;
  const rows = to - from;
  const isOld = (row: number) => (timestampsMs?.[row] ?? timestampMs) < oldestMs;
  let first = 0;
  while (first < rows && isOld(first)) first++;
  if (timestampsMs === undefined) return [first, rows];
  let end = first;
  while (end < rows && !isOld(end)) end++;
  return [first, end];
}

/** Lanes in memory. */
export class Lanes implements SenderLanes {
  readonly #lanes: Lane[];
  /** Lanes with rows and without a request under way, oldest first. */
  #waiting: Lane[] = [];
  #waitingRows = 0;
  rows = 0;
  bytes = 0;

  constructor(count: number) {
    this.#lanes = Array.from({ length: count }, (_, index) => ({
      index,
      queue: [],
      head: 0,
      rows: 0,
      busy: false,
      listed: false,
    }));
  }

  get waitingRows(): number {
    return this.#waitingRows;
  }

  /** When the first row that is free to send was queued; undefined when there is none. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const lane of this.#waiting) {
      const first = lane.queue[lane.head]?.queuedMs;
      if (first !== undefined && (oldest === undefined || first < oldest)) oldest = first;
    }
    return oldest;
  }

  push(source: number, item: QueuedSegment): void {
    const lane = this.#lanes[source % this.#lanes.length] as Lane;
    const rows = item.segment.to - item.segment.from;
    lane.queue.push(item);
    lane.rows += rows;
    this.rows += rows;
    this.bytes += segmentBytes(item.segment);
    if (lane.busy) return;
    this.#waitingRows += rows;
    this.#list(lane);
  }

  /** Takes the next waiting lane and marks it busy; undefined when none waits. */
  takeLane(): number | undefined {
    const lane = this.#waiting.shift();
    if (lane === undefined) return undefined;
    lane.listed = false;
    lane.busy = true;
    this.#waitingRows -= lane.rows;
    return lane.index;
  }

  /** The first queued segment of a lane. */
  peek(index: number): QueuedSegment | undefined {
    const lane = this.#lanes[index] as Lane;
    return lane.queue[lane.head];
  }

  /** Removes the first segment of a lane, or leaves `rest` of it. */
  advance(index: number, rest: QueuedSegment | undefined): void {
    const lane = this.#lanes[index] as Lane;
    const item = lane.queue[lane.head];
    if (item === undefined) return;
    const before = item.segment.to - item.segment.from;
    const after = rest === undefined ? 0 : rest.segment.to - rest.segment.from;
    lane.rows -= before - after;
    this.rows -= before - after;
    this.bytes -= segmentBytes(item.segment) - (rest === undefined ? 0 : segmentBytes(rest.segment));
    if (rest !== undefined) {
      lane.queue[lane.head] = rest;
      return;
    }
    lane.head++;
    if (lane.head === lane.queue.length || lane.head > 1024) {
      lane.queue.splice(0, lane.head);
      lane.head = 0;
    }
  }

  /** Memory forgets what was taken when it is taken. */
  settle(): undefined {}

  /** The request of a lane is over: what it has left may be sent. */
  free(index: number): void {
    const lane = this.#lanes[index] as Lane;
    lane.busy = false;
    if (lane.rows === 0 && lane.head === lane.queue.length) return;
    this.#waitingRows += lane.rows;
    this.#list(lane);
  }

  /** Empties all lanes and returns what they held. */
  drain(): QueuedSegment[] {
    const items: QueuedSegment[] = [];
    for (const lane of this.#lanes) {
      // One by one: as arguments of one call, a long outage's queue would not fit on the stack.
      for (let i = lane.head; i < lane.queue.length; i++) items.push(lane.queue[i] as QueuedSegment);
      lane.queue.length = 0;
      lane.head = 0;
      lane.rows = 0;
      lane.listed = false;
    }
    this.#waiting = [];
    this.#waitingRows = 0;
    this.rows = 0;
    this.bytes = 0;
    return items;
  }

  /** Every queued segment, for the sweep of the tables. */
  *segments(): Iterable<SamplesSegment> {
    for (const lane of this.#lanes) {
      for (let i = lane.head; i < lane.queue.length; i++) yield (lane.queue[i] as QueuedSegment).segment;
    }
  }

  #list(lane: Lane): void {
    if (lane.listed) return;
    lane.listed = true;
    this.#waiting.push(lane);
  }
}
