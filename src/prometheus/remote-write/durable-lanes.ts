/** Lanes of a sender whose queue is on disk: records come in their turn and stay until their request is over. */

import type { DurableQueue } from "../../durable/durable-queue.ts";
import type { Position } from "../../durable/journal-format.ts";
import { type SamplesSegment, sliceSamples } from "../../model/batch.ts";
import { type QueuedSegment, rowsOfItem, type SenderLanes, Ticket } from "./lanes.ts";

interface Lane {
  readonly index: number;
  /** The record that is being sent, or what is left of it. */
  head: QueuedSegment | undefined;
  sequence: number;
  /** Of the whole record. */
  headRows: number;
  /** How far requests of the lane have come. */
  position: Position | undefined;
  busy: boolean;
  /** In the list of lanes that wait. */
  listed: boolean;
}

/** Larger segments become several records, so that what is read ahead stays small. */
const maxRecordRows = 8192;
/** Nobody waits for the delivery of what is on disk. */
const noTicket = new Ticket(() => {});

export class DurableLanes implements SenderLanes {
  readonly #queue: DurableQueue<SamplesSegment>;
  readonly #lanes: Lane[];
  readonly #changed: () => void;
  /** Lanes with rows in memory and without a request under way. */
  #waiting: Lane[] = [];

  /** `changed` hears when more may be sent. */
  constructor(queue: DurableQueue<SamplesSegment>, count: number, changed: () => void) {
    this.#queue = queue;
    this.#lanes = Array.from({ length: count }, (_, index) => ({
      index,
      head: undefined,
      sequence: 0,
      headRows: 0,
      position: undefined,
      busy: false,
      listed: false,
    }));
    this.#changed = changed;
  }

  /** Takes what is not acknowledged; an earlier sender of the queue must have ended. */
  async begin(): Promise<void> {
    await this.#queue.rewind();
    this.#queue.begin((index) => {
      const lane = this.#lanes[index];
      if (lane === undefined || lane.busy) return;
      if (this.#queue.peek(index) !== undefined) this.#list(lane);
      this.#changed();
    });
  }

  get waitingRows(): number {
    let rows = 0;
    for (const lane of this.#waiting) rows += rowsOf(lane.head) + (this.#queue.waiting(lane.index)?.waitingItems ?? 0);
    return rows;
  }

  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { index, head } of this.#waiting) {
      const first = head?.queuedMs ?? this.#queue.peek(index)?.timeMs;
      if (first !== undefined && (oldest === undefined || first < oldest)) oldest = first;
    }
    return oldest;
  }

  /** Records that are not delivered are counted whole, those of requests under way included. */
  get rows(): number {
    return this.#queue.totals.items;
  }

  get bytes(): number {
    return this.#queue.totals.bytes;
  }

  get isEmpty(): boolean {
    return this.#queue.totals.records === 0;
  }

  /** Resolves when the segments are written. Rejects with StorageError when none is kept. */
  async append(segments: readonly SamplesSegment[]): Promise<void> {
    const records: { readonly lane: number; readonly item: SamplesSegment }[] = [];
    for (const segment of segments) {
      const lane = segment.layout.origin.lane % this.#lanes.length;
      for (const item of inParts(segment)) records.push({ lane, item });
    }
    await this.#queue.append(records);
  }

  takeLane(): number | undefined {
    for (let lane = this.#waiting.shift(); lane !== undefined; lane = this.#waiting.shift()) {
      lane.listed = false;
      if (this.peek(lane.index) === undefined) continue;
      lane.busy = true;
      return lane.index;
    }
    return undefined;
  }

  peek(index: number): QueuedSegment | undefined {
    const lane = this.#lanes[index] as Lane;
    if (lane.head !== undefined) return lane.head;
    // Who takes what is not in memory asks for it, and all lanes together would have too much there.
    const handed = this.#queue.peek(index) === undefined ? undefined : this.#queue.take(index);
    if (handed === undefined) return undefined;
    const { item: segment, done, sequence, timeMs: queuedMs } = handed;
    lane.sequence = sequence;
    lane.headRows = segment.to - segment.from;
    const whole = { segment, exemplars: segment.exemplars ?? [], ticket: noTicket, queuedMs };
    lane.head = rowsOfItem(whole, Math.min(done, lane.headRows), lane.headRows);
    return lane.head;
  }

  advance(index: number, rest: QueuedSegment | undefined): void {
    const lane = this.#lanes[index] as Lane;
    lane.head = rest;
    const { sequence, headRows } = lane;
    lane.position =
      rest === undefined ? { sequence, done: 0 } : { sequence: sequence - 1, done: headRows - rowsOf(rest) };
  }

  settle(lanes: readonly number[]): Promise<void> {
    const positions: [lane: number, position: Position][] = [];
    for (const index of lanes) {
      const { position } = this.#lanes[index] as Lane;
      if (position !== undefined) positions.push([index, position]);
    }
    return this.#queue.acknowledge(positions);
  }

  free(index: number): void {
    const lane = this.#lanes[index] as Lane;
    lane.busy = false;
    if (lane.head !== undefined || this.#queue.peek(index) !== undefined) this.#list(lane);
  }

  /** Nothing is lost: it is on disk. */
  drain(): QueuedSegment[] {
    this.#waiting = [];
    return [];
  }

  *segments(): Iterable<SamplesSegment> {
    for (const { head } of this.#lanes) if (head !== undefined) yield head.segment;
  }

  #list(lane: Lane): void {
    if (lane.listed) return;
    lane.listed = true;
    this.#waiting.push(lane);
  }
}

function rowsOf(item: QueuedSegment | undefined): number {
  return item === undefined ? 0 : item.segment.to - item.segment.from;
}

function inParts(segment: SamplesSegment): SamplesSegment[] {
  const rows = segment.to - segment.from;
  if (rows <= maxRecordRows) return [segment];
  const parts: SamplesSegment[] = [];
  for (let from = 0; from < rows; from += maxRecordRows) {
    parts.push(sliceSamples(segment, from, Math.min(rows, from + maxRecordRows)));
  }
  return parts;
}
