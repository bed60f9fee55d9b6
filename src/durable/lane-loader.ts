/** Brings records of lanes from disk into memory ahead of their turn, within a bound for all lanes together. */

import { DecodeError, toError } from "../model/errors.ts";
import { type Damage, isBroken, isGone } from "./damage.ts";
import type { ItemCodec } from "./item-codec.ts";
import { type Lost, repairList, replaceList } from "./lane-segments.ts";
import type { Cursor, LaneState } from "./lane-state.ts";
import { definitionLane, type RecordHeader, recordHeaderBytes } from "./record-format.ts";
import { noteDamage, Scratch, type Segment, type SegmentReader, type StoredRecord } from "./segment.ts";
import { placeBytes, type RecordPlace } from "./segment-lanes.ts";

export interface LaneLoaderParts<T> {
  readonly reader: SegmentReader;
  readonly codec: ItemCodec<T>;
  /** Bytes of items in memory, of all lanes together: above half of them nothing more is read ahead. */
  readonly memoryBytes: number;
  /** Whether a lane has items in memory and none that are under way: they may be sent at once. */
  readonly maySend: () => boolean;
  /** The segments there are, for definitions whose own segment has lost them. */
  readonly segments: () => Iterable<Segment>;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly isTooOld: (timeMs: number) => boolean;
  readonly damaged: (damage: Damage) => void;
  /** A record is in memory, or was skipped for a reason. */
  readonly loaded: (
    lane: LaneState<T>,
    skipped: "damaged" | "too_old" | undefined,
    records: number,
    items: number,
  ) => void;
}

/** Lanes that are read at the same time. */
const maxLoads = 4;
/** After a failure that is no damage. */
const retryMs = 1000;
/** A file that cannot be read is named again after this time. */
const warnMs = 60_000;
const maxWarned = 1000;
/** A lane is read on until this much of it is in memory, as far as there is room for all. */
const laneBytes = 256 * 1024;
/** Until something was read. */
const firstGrowth = 10;

export class LaneLoader<T> {
  readonly #parts: LaneLoaderParts<T>;
  readonly #queue: LaneState<T>[] = [];
  readonly #loads = new Set<Promise<void>>();
  /** Bytes that are expected of what is being read. */
  #expectedBytes = 0;
  /** How much more of a record is in memory than on disk: the most of late. */
  #growth = firstGrowth;
  /** Of the reads that are not under way. */
  readonly #scratches: Scratches[] = [];
  #isPaused = false;
  /** When the files that could not be read were named. */
  readonly #warnedMs = new Map<string, number>();
  /** Bytes of items that are in memory and not handed out. */
  usedBytes = 0;

  constructor(parts: LaneLoaderParts<T>) {
    this.#parts = parts;
  }

  /** Whether an item that is in memory anyway may stay there. */
  hasRoom(lane: LaneState<T>, bytes: number): boolean {
    if (this.usedBytes === 0) return true;
    const { memoryBytes } = this.#parts;
    const isLarge = lane.memoryBytes > laneBytes && lane.memoryBytes > memoryBytes / 2;
    return this.#queue.length === 0 && !isLarge && this.usedBytes + bytes <= memoryBytes;
  }

  /** Reads on in a lane when its turn comes. */
  want(lane: LaneState<T>): void {
    if (this.#isPaused) return;
    if (lane.unread > 0 && !lane.isListed && !lane.isLoading && lane.memoryBytes < laneBytes) {
      lane.isListed = true;
      this.#queue.push(lane);
    }
    this.pump();
  }

  /** Somebody waits for the next record of the lane, whatever others have in memory. */
  ask(lane: LaneState<T>): void {
    lane.isAsked = true;
    this.want(lane);
  }

  pump(): void {
    while (this.#loads.size < maxLoads && !this.#isPaused) {
      const at = this.#isFull ? this.#exception() : 0;
      const next = at < 0 ? undefined : this.#queue[at];
      if (next === undefined) return;
      const expectedBytes = bytesOfNext(next) * this.#growth;
      // What may be too much is read when it is known what the others brought.
      const isAlone = this.#loads.size === 0;
      if (!isAlone && this.usedBytes + this.#expectedBytes + expectedBytes > this.#parts.memoryBytes / 2) return;
      const [lane] = this.#queue.splice(at, 1);
      if (lane === undefined) return;
      lane.isListed = false;
      if (lane.unread === 0) continue;
      lane.isLoading = true;
      this.#expectedBytes += expectedBytes;
      const load = this.#attempt(lane).then((isLater) => {
        this.#loads.delete(load);
        this.#expectedBytes -= expectedBytes;
        if (isLater) void this.#wantLater(lane);
        else {
          lane.isLoading = false;
          this.want(lane);
        }
      });
      this.#loads.add(load);
    }
  }

  get #isFull(): boolean {
    const bytes = this.usedBytes + this.#expectedBytes;
    return bytes > 0 && bytes >= this.#parts.memoryBytes / 2;
  }

  /**
   * A lane that has nothing in memory may all the same read a record where somebody asked for it, or where all that is in
   * memory stands still: it would be held up.
   */
  #exception(): number {
    const isHeldUp = this.#loads.size === 0 && !this.#parts.maySend();
    return this.#queue.findIndex((one) => one.waitingCount === 0 && (isHeldUp || one.isAsked));
  }

  /** The lane waits; others take its turn. */
  async #wantLater(lane: LaneState<T>): Promise<void> {
    this.pump();
    await this.#parts.sleep(retryMs);
    lane.isLoading = false;
    this.want(lane);
  }

  /** Reads nothing more, and waits for what is being read. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    for (const lane of this.#queue.splice(0)) lane.isListed = false;
    await Promise.all(this.#loads);
  }

  /** Reads on, with nothing in memory. */
  resume(): void {
    this.#isPaused = false;
    this.usedBytes = 0;
  }

  /** Whether it is to be tried again after a while. */
  async #attempt(lane: LaneState<T>): Promise<boolean> {
    const scratches = this.#scratches.pop() ?? { record: new Scratch(), definition: new Scratch() };
    try {
      return await this.#load(lane, scratches);
    } catch (caught) {
      if (lane.cursor !== undefined) this.#warn(lane.cursor.segment, caught);
      return true;
    } finally {
      this.#scratches.push(scratches);
    }
  }

  /** Reads the record at the lane's cursor. Rejects with errors that may pass: too many open files, for example. */
  async #load(lane: LaneState<T>, scratches: Scratches): Promise<boolean> {
    const { cursor } = lane;
    if (cursor === undefined) return false;
    const { segment, index } = cursor;
    const found = await this.#read(lane, cursor, scratches);
    if (found === "elsewhere" || found === "gone") {
      const lost = found === "gone" ? replaceList(lane, cursor, undefined) : await this.#repair(lane, cursor);
      this.#parts.loaded(lane, "damaged", lost.records, lost.items);
      return false;
    }
    // The segment was given up meanwhile.
    if (lane.cursor !== cursor) return false;
    this.#advance(lane, segment, index);
    lane.isAsked = false;
    const done = firstDone(lane, found.place.sequence);
    const item = found.skipped === undefined ? found.item : undefined;
    const memoryBytes = item === undefined ? 0 : this.#bytesOf(item);
    this.usedBytes += memoryBytes;
    if (item !== undefined) this.#noteGrowth(memoryBytes / found.bytes);
    const { sequence, items } = found.place;
    lane.push({ sequence, item, items, bytes: found.bytes, memoryBytes, timeMs: found.timeMs, done });
    const isCounted = found.skipped !== undefined && !lane.countOnce(sequence);
    this.#parts.loaded(lane, found.skipped, isCounted ? 0 : 1, items - done);
    return false;
  }

  #bytesOf(item: T): number {
    const { codec } = this.#parts;
    return codec.readBytes?.(item) ?? codec.memoryBytes(item);
  }

  #noteGrowth(ratio: number): void {
    this.#growth = Math.max(ratio, this.#growth * 0.9 + ratio * 0.1);
  }

  async #repair(lane: LaneState<T>, cursor: Cursor): Promise<Lost> {
    try {
      return await repairList(cursor.segment, this.#parts.reader, lane, this.#parts.damaged);
    } catch (caught) {
      if (!isGone(caught) && !isBroken(caught)) throw caught;
      return replaceList(lane, cursor, undefined);
    }
  }

  #warn({ path }: Segment, caught: unknown): void {
    const { now, damaged } = this.#parts;
    if (now() - (this.#warnedMs.get(path) ?? Number.NEGATIVE_INFINITY) < warnMs) return;
    if (this.#warnedMs.size >= maxWarned) this.#warnedMs.clear();
    this.#warnedMs.set(path, now());
    damaged({ file: `${path}: ${toError(caught).message}`, offset: 0, bytes: 0, kind: "unreadable" });
  }

  #advance(lane: LaneState<T>, segment: Segment, index: number): void {
    lane.unread--;
    if (lane.unread === 0) lane.cursor = undefined;
    else if (index + 1 < (segment.index.lanes.get(lane.lane)?.count ?? 0)) lane.cursor = { segment, index: index + 1 };
    else {
      const next = lane.segments.find((other) => other.number > segment.number);
      lane.cursor = next === undefined ? undefined : { segment: next, index: 0 };
    }
  }

  async #read(lane: LaneState<T>, cursor: Cursor, scratches: Scratches) {
    const { reader, isTooOld, codec } = this.#parts;
    const { segment, index } = cursor;
    const damaged = (offset: number, bytes: number, kind: Damage["kind"], file = segment.path) => {
      // Unless it was given up meanwhile.
      if (lane.cursor === cursor) this.#parts.damaged({ file, offset, bytes, kind });
    };
    const known = segment.index.lanes.get(lane.lane);
    let place: RecordPlace | undefined;
    let record: StoredRecord | undefined;
    try {
      place = await reader.place(segment, lane.lane, index);
      if (place !== undefined) record = await reader.record(segment, lane.lane, place, scratches.record);
    } catch (caught) {
      if (!isGone(caught) && !isBroken(caught)) throw caught;
      const file = `${segment.path}: ${toError(caught).message}`;
      damaged(place?.offset ?? 0, 0, isGone(caught) ? "missing" : "record", file);
      if (isGone(caught)) return "gone";
      // What cannot be read is as good as damaged; what is behind it may still be whole.
      return place === undefined ? "elsewhere" : skip(place, "damaged");
    }
    if (place === undefined) {
      damaged(known?.listAt ?? 0, (known?.count ?? 0) * placeBytes, "index");
      return "elsewhere";
    }
    if (record === undefined) {
      if (noteDamage(segment, place.offset, place.offset + 1)) damaged(place.offset, 0, "record");
      return known?.isRepaired === true ? skip(place, "damaged") : "elsewhere";
    }
    const { header, payload } = record;
    if (isTooOld(header.timeMs)) return skip(place, "too_old", header);
    try {
      const find = (name: string) => this.#definition(segment, name, scratches.definition);
      const item = await codec.decode(header.kind, payload, find, lane.lane);
      return { ...skip(place, undefined, header), item };
    } catch (caught) {
      if (caught instanceof UnreadableError) throw caught.cause;
      const kind = caught instanceof DecodeError && caught.format === missingDefinition ? "definition" : "content";
      damaged(place.offset, payload.length, kind);
      return skip(place, "damaged", header);
    }
  }

  /** A definition from the segment, or from another that has the same: its name is a digest of it. */
  async #definition(segment: Segment, name: string, scratch: Scratch): Promise<Uint8Array | undefined> {
    const own = await this.#definitionIn(segment, name, scratch);
    if (own !== undefined) return own;
    for (const other of this.#parts.segments()) {
      const found = other === segment ? undefined : await this.#definitionIn(other, name, scratch);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #definitionIn(segment: Segment, name: string, scratch: Scratch): Promise<Uint8Array | undefined> {
    const offset = segment.index.definitions.get(name);
    if (offset === undefined) return undefined;
    try {
      const record = await this.#parts.reader.record(segment, definitionLane, { offset }, scratch);
      if (record === undefined || record.payload.toString("hex", 0, 16) !== name) return undefined;
      return record.payload.subarray(16);
    } catch (caught) {
      if (isGone(caught) || isBroken(caught)) return undefined;
      throw new UnreadableError("a definition cannot be read", { cause: caught });
    }
  }
}

/** A definition is read while its record is decoded. */
interface Scratches {
  readonly record: Scratch;
  readonly definition: Scratch;
}

/** On disk, as far as it is known: the mean of the lane. */
function bytesOfNext({ lane, cursor }: LaneState<unknown>): number {
  const known = cursor?.segment.index.lanes.get(lane);
  return known === undefined || known.count === 0 ? 0 : known.bytes / known.count;
}

/** Comes through the codec: the record is whole. */
class UnreadableError extends Error {}

/** The format of the DecodeError of a record whose definition cannot be found. */
export const missingDefinition = "disk queue definition";

function skip(place: RecordPlace, skipped: "damaged" | "too_old" | undefined, header?: RecordHeader) {
  return {
    place,
    skipped,
    item: undefined,
    bytes: (header?.payloadBytes ?? 0) + recordHeaderBytes,
    timeMs: header?.timeMs ?? 0,
  };
}

/** Items of the record that were delivered before a restart. */
function firstDone({ acknowledged }: LaneState<unknown>, sequence: number): number {
  return sequence === acknowledged.sequence + 1 ? acknowledged.done : 0;
}
