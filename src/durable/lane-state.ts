/** One lane of a disk queue: what is acknowledged, what is on its way, what is in memory, what is only on disk. */

import type { GiveUpReason } from "./durable-options.ts";
import { isBehind, type Position } from "./journal-format.ts";
import type { Segment } from "./segment.ts";

/** A record that is in memory and not handed out yet. */
export interface Waiting<T> {
  readonly sequence: number;
  /** Undefined for a record that was skipped: damaged, or too old. */
  readonly item: T | undefined;
  readonly items: number;
  /** On disk. */
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly timeMs: number;
  /** Items at its beginning that were delivered before a restart. */
  readonly done: number;
}

interface Taken {
  readonly sequence: number;
  readonly items: number;
  readonly bytes: number;
  readonly timeMs: number;
  /** Items at its beginning that are delivered. */
  done: number;
  isDone: boolean;
  /** Why it is on disk no more, while it is under way. */
  abandoned: GiveUpReason | undefined;
}

/** The next record that is read from disk. */
export interface Cursor {
  readonly segment: Segment;
  readonly index: number;
}

/** What all lanes of a queue have that is not acknowledged. */
export interface QueueTotals {
  records: number;
  items: number;
  bytes: number;
}

export class LaneState<T> {
  readonly lane: number;
  acknowledged: Position;
  /** Segments with records of the lane that are not acknowledged, oldest first. */
  readonly segments: Segment[] = [];
  /** Records that are only on disk, behind all that is in memory. */
  unread = 0;
  /** The last record that came into memory, or was acknowledged before. */
  readThrough: number;
  cursor: Cursor | undefined;
  isLoading = false;
  /** Waits for its turn to load. */
  isListed = false;
  /** Somebody tried to take its next record, which was not in memory. */
  isAsked = false;
  memoryBytes = 0;
  /** Items of the records in memory that are not handed out. */
  waitingItems = 0;
  readonly #waiting: (Waiting<T> | undefined)[] = [];
  #head = 0;
  readonly #taken: Taken[] = [];
  /** Records that were given up and counted, and are not passed yet: a reader that begins anew meets them again. */
  readonly #counted = new Set<number>();
  readonly #totals: QueueTotals;
  #records = 0;
  #items = 0;
  #bytes = 0;

  constructor(lane: number, acknowledged: Position, totals: QueueTotals) {
    this.lane = lane;
    this.acknowledged = acknowledged;
    this.#totals = totals;
    this.readThrough = acknowledged.sequence;
  }

  /** Forgets everything but what is acknowledged. */
  reset(): void {
    this.segments.length = 0;
    this.#waiting.length = 0;
    this.#head = 0;
    this.#taken.length = 0;
    this.unread = 0;
    this.cursor = undefined;
    this.isListed = false;
    this.isAsked = false;
    this.readThrough = this.acknowledged.sequence;
    this.memoryBytes = 0;
    this.waitingItems = 0;
    this.count(-this.records, -this.items, -this.bytes);
  }

  /** Not acknowledged. */
  get records(): number {
    return this.#records;
  }

  get items(): number {
    return this.#items;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head;
  }

  get takenCount(): number {
    return this.#taken.length;
  }

  /** When the oldest record that is not acknowledged was accepted; undefined when there is none. */
  get oldestMs(): number | undefined {
    const first = this.#taken[0]?.timeMs ?? this.#waiting[this.#head]?.timeMs;
    return first ?? this.segments[0]?.index.lanes.get(this.lane)?.oldestMs;
  }

  /** Whether a record that is given up is to be counted: the first time it is. */
  countOnce(sequence: number): boolean {
    if (this.#counted.has(sequence)) return false;
    this.#counted.add(sequence);
    return true;
  }

  isCounted(sequence: number): boolean {
    return this.#counted.has(sequence);
  }

  /** What is not acknowledged became more, or less. */
  count(records: number, items: number, bytes: number): void {
    this.#add(records, items, bytes);
    // Damaged records have no exact size.
    if (this.#records <= 0) this.#add(0, -this.#items, -this.#bytes);
  }

  /** Puts a record behind all that is in memory. */
  push(waiting: Waiting<T>): void {
    this.#waiting.push(waiting);
    this.readThrough = waiting.sequence;
    this.memoryBytes += waiting.memoryBytes;
    this.waitingItems += waitingItems(waiting);
  }

  peek(): Waiting<T> | undefined {
    return this.#waiting[this.#head];
  }

  /** Hands the first record out: it stays in its place until it is acknowledged. One that is skipped is done. */
  take(isSkipped = false): Waiting<T> | undefined {
    const first = this.#waiting[this.#head];
    if (first === undefined) return undefined;
    // The item is not to live as long as the array.
    this.#waiting[this.#head] = undefined;
    this.#head++;
    if (this.#head === this.#waiting.length || this.#head >= 1024) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    this.memoryBytes -= first.memoryBytes;
    this.waitingItems -= waitingItems(first);
    const { sequence, items, bytes, timeMs, done } = first;
    const isDone = isSkipped || first.item === undefined;
    this.#taken.push({ sequence, items, bytes, timeMs, done, isDone, abandoned: undefined });
    return first;
  }

  /** Passes the first records in memory that are too old; returns what they were. */
  passOld(isTooOld: (timeMs: number) => boolean): { records: number; items: number; memoryBytes: number } {
    const passed = { records: 0, items: 0, memoryBytes: 0 };
    for (let first = this.peek(); first !== undefined; first = this.peek()) {
      if (first.item !== undefined && !isTooOld(first.timeMs)) break;
      this.take(true);
      passed.memoryBytes += first.memoryBytes;
      if (first.item === undefined || !this.countOnce(first.sequence)) continue;
      passed.records++;
      passed.items += first.items - first.done;
    }
    return passed;
  }

  /** Notes that everything taken up to a position is done; returns the new position when it moved. */
  settle(position?: Position): Position | undefined {
    let moved = this.acknowledged;
    if (position !== undefined) {
      for (const taken of this.#taken) if (taken.sequence <= position.sequence) taken.isDone = true;
    }
    let count = 0;
    for (const taken of this.#taken) {
      if (!taken.isDone) break;
      count++;
      if (taken.sequence > moved.sequence) moved = { sequence: taken.sequence, done: 0 };
      this.#counted.delete(taken.sequence);
      this.#forget(taken);
    }
    this.#taken.splice(0, count);
    // Of the first record that is not done, part is.
    const first = this.#taken[0];
    if (position !== undefined && position.done > 0 && first?.sequence === position.sequence + 1) {
      first.done = Math.max(first.done, position.done);
      if (isBehind(position, moved)) moved = position;
    }
    if (!isBehind(moved, this.acknowledged)) return undefined;
    this.acknowledged = moved;
    return moved;
  }

  /** Everything up to a record is given up. Returns what of it was in memory and not handed out. */
  abandon(
    through: number,
    reason: GiveUpReason,
  ): { records: number; items: number; bytes: number; memoryBytes: number } {
    const dropped = { records: 0, items: 0, bytes: 0, memoryBytes: 0 };
    while (true) {
      const first = this.#waiting[this.#head];
      if (first === undefined || first.sequence > through) break;
      this.#waiting[this.#head] = undefined;
      this.#head++;
      this.memoryBytes -= first.memoryBytes;
      this.waitingItems -= waitingItems(first);
      this.#forget(first);
      dropped.memoryBytes += first.memoryBytes;
      dropped.bytes += first.bytes;
      if (first.item === undefined || this.#counted.has(first.sequence)) continue;
      dropped.records++;
      dropped.items += waitingItems(first);
    }
    for (const taken of this.#taken) if (taken.sequence <= through && !taken.isDone) taken.abandoned ??= reason;
    for (const sequence of this.#counted) if (sequence <= through) this.#counted.delete(sequence);
    if (through > this.acknowledged.sequence) this.acknowledged = { sequence: through, done: 0 };
    return dropped;
  }

  /** What was under way when it was given up, and is not delivered. */
  *abandoned(): Iterable<{ readonly reason: GiveUpReason; readonly items: number }> {
    for (const { abandoned: reason, isDone, items, done } of this.#taken) {
      if (reason !== undefined && !isDone) yield { reason, items: items - done };
    }
  }

  /** Records that were only on disk are there no more. */
  lose(records: number, items: number): void {
    this.count(-records, -Math.min(items, this.#items), 0);
  }

  #forget({ items, bytes }: { readonly items: number; readonly bytes: number }): void {
    this.count(-1, -items, -bytes);
  }

  #add(records: number, items: number, bytes: number): void {
    this.#records += records;
    this.#items += items;
    this.#bytes += bytes;
    this.#totals.records += records;
    this.#totals.items += items;
    this.#totals.bytes += bytes;
  }
}

function waitingItems({ item, items, done }: Waiting<unknown>): number {
  return item === undefined ? 0 : items - done;
}

/** When the oldest record of all lanes that is not acknowledged was accepted; undefined when there is none. */
export function oldestOf(lanes: Iterable<LaneState<unknown>>): number | undefined {
  let oldest: number | undefined;
  for (const { records, oldestMs } of lanes) {
    if (records === 0 || oldestMs === undefined) continue;
    if (oldest === undefined || oldestMs < oldest) oldest = oldestMs;
  }
  return oldest;
}

/** Whether a lane has items in memory and nothing under way. */
export function maySend(lanes: Iterable<LaneState<unknown>>): boolean {
  for (const lane of lanes) if (lane.memoryBytes > 0 && lane.takenCount === 0) return true;
  return false;
}
