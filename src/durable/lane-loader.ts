/** Brings records of lanes from disk into memory ahead of their turn, within a bound for all lanes together. */

import { DecodeError, toError } from "../model/errors.ts";
import type { ItemCodec } from "./item-codec.ts";
import { repairList } from "./lane-segments.ts";
import type { LaneState } from "./lane-state.ts";
import { definitionLane, type RecordHeader, recordHeaderBytes } from "./record-format.ts";
import type { Damage } from "./recover-queue.ts";
import type { Segment, SegmentReader, StoredRecord } from "./segment.ts";
import type { RecordPlace } from "./segment-lanes.ts";

export interface LaneLoaderParts<T> {
  readonly reader: SegmentReader;
  readonly codec: ItemCodec<T>;
  /** Bytes of items in memory, of all lanes together, above which nothing more is read ahead. */
  readonly memoryBytes: number;
  /** The segments there are, for definitions whose own segment has lost them. */
  readonly segments: () => Iterable<Segment>;
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
/** A lane is read on until this much of it is in memory, as far as there is room for all. */
const laneBytes = 256 * 1024;

export class LaneLoader<T> {
  readonly #parts: LaneLoaderParts<T>;
  readonly #queue: LaneState<T>[] = [];
  readonly #loads = new Set<Promise<void>>();
  #isPaused = false;
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

  pump(): void {
    while (this.#loads.size < maxLoads && !this.#isPaused) {
      // A lane that has nothing in memory may always read a record, or lanes that stand still would hold it up.
      const isFull = this.usedBytes > 0 && this.usedBytes >= this.#parts.memoryBytes;
      const at = isFull ? this.#queue.findIndex((one) => one.waitingCount === 0) : 0;
      const [lane] = at < 0 ? [] : this.#queue.splice(at, 1);
      if (lane === undefined) return;
      lane.isListed = false;
      if (lane.unread === 0) continue;
      lane.isLoading = true;
      const load = this.#load(lane).finally(() => {
        lane.isLoading = false;
        this.#loads.delete(load);
        this.want(lane);
      });
      this.#loads.add(load);
    }
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

  /** Reads the record at the lane's cursor. */
  async #load(lane: LaneState<T>): Promise<void> {
    const { cursor } = lane;
    if (cursor === undefined) return;
    const { segment, index } = cursor;
    const found = await this.#read(segment, lane.lane, index);
    if (found === "later") {
      if (!this.#isPaused) await this.#parts.sleep(retryMs);
      return;
    }
    if (found === "elsewhere") {
      const { records, items } = await repairList(segment, this.#parts.reader, lane);
      this.#parts.loaded(lane, "damaged", records, items);
      return;
    }
    // The segment was given up meanwhile.
    if (lane.cursor !== cursor) return;
    this.#advance(lane, segment, index);
    const done = firstDone(lane, found.place.sequence);
    const item = found.skipped === undefined ? found.item : undefined;
    const memoryBytes = item === undefined ? 0 : this.#parts.codec.memoryBytes(item);
    this.usedBytes += memoryBytes;
    const { sequence, items } = found.place;
    lane.push({ sequence, item, items, bytes: found.bytes, memoryBytes, timeMs: found.timeMs, done });
    this.#parts.loaded(lane, found.skipped, 1, items - done);
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

  async #read(segment: Segment, lane: number, index: number) {
    const { reader, isTooOld, damaged, codec } = this.#parts;
    let place: RecordPlace = { offset: 0, sequence: 0, items: 0 };
    let record: StoredRecord | undefined;
    try {
      place = await reader.place(segment, lane, index);
      record = await reader.record(segment, lane, place);
    } catch (caught) {
      const { code } = caught as { code?: unknown };
      // Too many open files, for example: that passes.
      if (code !== "ENOENT" && code !== "EIO") return "later";
      // A file that cannot be read is as good as damaged; what is behind it may still be whole.
      damaged({ file: `${segment.path}: ${toError(caught).message}`, offset: place.offset, bytes: 0, kind: "record" });
      return skip(place, "damaged");
    }
    if (record === undefined) {
      damaged({ file: segment.path, offset: place.offset, bytes: 0, kind: "record" });
      return segment.index.lanes.get(lane)?.isRepaired === true ? skip(place, "damaged") : "elsewhere";
    }
    const { header, payload } = record;
    if (isTooOld(header.timeMs)) return skip(place, "too_old", header);
    try {
      const find = (name: string) => this.#definition(segment, name);
      const item = await codec.decode(header.kind, payload, find, lane);
      return { ...skip(place, undefined, header), item };
    } catch (caught) {
      const kind = caught instanceof DecodeError && caught.format === missingDefinition ? "definition" : "content";
      damaged({ file: segment.path, offset: place.offset, bytes: payload.length, kind });
      return skip(place, "damaged", header);
    }
  }

  /** A definition from the segment, or from another that has the same: its name is a digest of it. */
  async #definition(segment: Segment, name: string): Promise<Uint8Array | undefined> {
    const own = await this.#definitionIn(segment, name);
    if (own !== undefined) return own;
    for (const other of this.#parts.segments()) {
      const found = other === segment ? undefined : await this.#definitionIn(other, name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #definitionIn(segment: Segment, name: string): Promise<Uint8Array | undefined> {
    const offset = segment.index.definitions.get(name);
    if (offset === undefined) return undefined;
    try {
      const record = await this.#parts.reader.record(segment, definitionLane, { offset });
      if (record === undefined || record.payload.toString("hex", 0, 16) !== name) return undefined;
      return record.payload.subarray(16);
    } catch {
      return undefined;
    }
  }
}

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
