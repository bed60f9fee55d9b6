/** A queue on disk: records in lanes that are handed out in order and stay until they are acknowledged. */

import { randomBytes } from "node:crypto";
import { toError } from "../model/errors.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import type { DurableQueueOptions, DurableStats, GiveUpReason, Handed, LaneStats } from "./durable-options.ts";
import { type FileLayer, systemFiles } from "./file-layer.ts";
import { LaneLoader } from "./lane-loader.ts";
import { adoptSegments, giveUpSegment } from "./lane-segments.ts";
import { LaneState, sumLanes } from "./lane-state.ts";
import { type Position, PositionJournal } from "./position-journal.ts";
import { QueueSpace } from "./queue-space.ts";
import type { QueueId } from "./record-format.ts";
import { type Recovered, recoverQueue } from "./recover-queue.ts";
import { removeSegment } from "./remove-segment.ts";
import { type Segment, SegmentReader } from "./segment.ts";
import { SegmentWriter, type Written } from "./segment-writer.ts";
import { StorageError } from "./storage-error.ts";

/** Lanes that a queue may have, so that the journal can hold them all. */
export const maxLanes = 4096;
const defaultMaxBytes = 10 * 1024 * 1024 * 1024;
const defaultMinFreeBytes = 64 * 1024 * 1024;
/** Segments that one append gives up at most before it is refused. */
const maxGiveUps = 16;
const defaultSegmentBytes = 64 * 1024 * 1024;
const defaultMemoryBytes = 16 * 1024 * 1024;
const minSegmentBytes = 4096;

export class DurableQueue<T> {
  readonly id: QueueId;
  readonly #options: DurableQueueOptions<T>;
  readonly #files: FileLayer;
  readonly #lock: DirectoryLock;
  readonly #reader: SegmentReader;
  readonly #journal: PositionJournal;
  readonly #writer: SegmentWriter<T>;
  readonly #loader: LaneLoader<T>;
  readonly #space: QueueSpace;
  readonly #lanes = new Map<number, LaneState<T>>();
  /** By number, oldest first. */
  readonly #segments = new Map<number, Segment>();
  #listener: (lane: number) => void = () => {};
  #removals: Promise<void> = Promise.resolve();
  #waiting = 0;
  #turn: Promise<void> = Promise.resolve();
  #hasBegun = false;
  #closing: Promise<void> | undefined;

  private constructor(options: DurableQueueOptions<T>, lock: DirectoryLock, recovered: Recovered) {
    const files = options.files ?? systemFiles;
    const { directory, codec, now } = options;
    this.#options = options;
    this.#files = files;
    this.#lock = lock;
    this.id = recovered.queueId ?? randomBytes(16);
    this.#reader = new SegmentReader(files);
    this.#journal = new PositionJournal(files, directory, this.id, recovered.journal, () => ({
      positions: Array.from(this.#lanes, ([lane, state]) => [lane, state.acknowledged] as const),
      segments: this.#segments.keys(),
    }));
    const maxBytes = options.maxBytes ?? defaultMaxBytes;
    this.#space = new QueueSpace({
      files,
      directory,
      maxBytes,
      minFreeBytes: options.minFreeBytes ?? defaultMinFreeBytes,
      now,
    });
    this.#writer = new SegmentWriter<T>({
      files,
      directory,
      permissions: (options.directoryPermissions ?? 0o750) & 0o666,
      queueId: this.id,
      journal: this.#journal,
      codec,
      fsync: options.fsync ?? false,
      segmentBytes: Math.max(minSegmentBytes, Math.min(options.segmentBytes ?? defaultSegmentBytes, maxBytes / 8)),
      now,
      nextNumber: recovered.nextNumber,
      nextSequence: recovered.nextSequence,
      created: (segment) => this.#segments.set(segment.number, segment),
      committed: (segment, record) => this.#committed(segment, record),
      closed: (segment) => this.#removeIfDone(segment),
    });
    this.#loader = new LaneLoader<T>({
      reader: this.#reader,
      codec,
      memoryBytes: options.memoryBytes ?? defaultMemoryBytes,
      segments: () => this.#segments.values(),
      sleep: options.sleep,
      isTooOld: (timeMs) => this.#isTooOld(timeMs),
      damaged: (damage) => options.damaged?.(damage),
      loaded: (...event) => this.#loaded(...event),
    });
  }

  /**
   * Opens or makes the queue of a directory and finds out where it stands. Rejects with StorageError: STORAGE_LOCKED,
   * STORAGE_VERSION, STORAGE_UNUSABLE. Damage does not stop it.
   */
  static async open<T>(options: DurableQueueOptions<T>): Promise<DurableQueue<T>> {
    const { files = systemFiles, directory, directoryPermissions = 0o750 } = options;
    let lock: DirectoryLock | undefined;
    try {
      if (options.createDirectory !== false) await files.makeDirectory(directory, directoryPermissions);
      lock = await (options.lock ?? lockDirectory)(directory);
      const recovered = await recoverQueue({ files, directory, repair: true });
      const queue = new DurableQueue(options, lock, recovered);
      for (const segment of recovered.segments) queue.#segments.set(segment.number, segment);
      for (const [lane, position] of recovered.journal.positions) {
        queue.#lanes.set(lane, new LaneState<T>(lane, position));
      }
      await queue.#adoptAll();
      await queue.#journal.start();
      for (const segment of recovered.segments) queue.#removeIfDone(segment);
      for (const damage of recovered.damage) options.damaged?.(damage);
      return queue;
    } catch (caught) {
      lock?.release();
      if (caught instanceof StorageError) throw caught;
      const message = `${directory} cannot be used: ${toError(caught).message}`;
      throw new StorageError("STORAGE_UNUSABLE", message, { cause: caught });
    }
  }

  /** Begins to read ahead. `listener` hears of a lane when a record of it may be taken. */
  begin(listener: (lane: number) => void): void {
    this.#listener = listener;
    this.#hasBegun = true;
    for (const lane of this.#lanes.values()) this.#loader.want(lane);
  }

  /**
   * Takes everything back that is not acknowledged, for a reader that begins anew: the one before must have ended, and
   * what it has in hand is handed out again. Appends may go on meanwhile. Then `begin`.
   */
  async rewind(): Promise<void> {
    this.#hasBegun = false;
    this.#listener = () => {};
    await this.#loader.pause();
    await this.#adoptAll();
    this.#loader.resume();
  }

  /**
   * Resolves when all of the items are written (or synced): from then on they are handed out, each lane in the order of
   * the calls. None is kept when it rejects: STORAGE_FULL at a limit or on a full disk, STORAGE_FAILED, STORAGE_CLOSED.
   */
  async append(items: readonly { readonly lane: number; readonly item: T }[]): Promise<void> {
    const { directory, codec } = this.#options;
    if (this.#closing !== undefined) throw new StorageError("STORAGE_CLOSED", `the queue in ${directory} is closed`);
    if (items.length === 0) return;
    let bytes = 0;
    for (const { lane, item } of items) {
      if (lane >= maxLanes) throw new RangeError(`lane ${lane} is not below ${maxLanes}`);
      bytes += codec.memoryBytes(item);
    }
    try {
      await (this.#mustWait(bytes) ? this.#appendInTurn(items, bytes) : this.#writer.append(items));
    } catch (caught) {
      if (caught instanceof StorageError && caught.code === "STORAGE_FULL" && caught.cause !== undefined)
        this.#space.wasFull();
      throw caught;
    }
  }

  /** The first record of a lane that is in memory and not handed out. More may follow from disk: see `begin`. */
  peek(lane: number): Handed<T> | undefined {
    const state = this.#lanes.get(lane);
    const first = state?.peek();
    if (state === undefined || first?.item === undefined) return undefined;
    const { sequence, item, done, timeMs } = first;
    return { sequence, item, done, timeMs };
  }

  /** Hands out the record that `peek` shows. */
  take(lane: number): Handed<T> | undefined {
    const state = this.#lanes.get(lane);
    const handed = this.peek(lane);
    if (state === undefined || handed === undefined) return undefined;
    this.#loader.usedBytes -= state.take()?.memoryBytes ?? 0;
    this.#passSkipped(state);
    this.#loader.want(state);
    return handed;
  }

  /** What of a lane may be taken now: items, and their bytes in memory. */
  waiting(lane: number): Pick<LaneState<T>, "waitingItems" | "memoryBytes"> | undefined {
    return this.#lanes.get(lane);
  }

  /** Whether a lane has records that were not handed out, in memory or on disk. */
  hasMore(lane: number): boolean {
    const state = this.#lanes.get(lane);
    return state !== undefined && (state.waitingCount > 0 || state.unread > 0);
  }

  /**
   * Everything of a lane up to `position` is delivered, or dropped for good. Resolves when that is written down; a failure
   * to write it is repeated with the next, and means only that something may be delivered twice.
   */
  async acknowledge(positions: Iterable<readonly [lane: number, position: Position]>): Promise<void> {
    const moved: [number, Position][] = [];
    for (const [lane, position] of positions) {
      const state = this.#lanes.get(lane);
      const to = state?.settle(position);
      if (state === undefined || to === undefined) continue;
      moved.push([lane, to]);
      this.#leaveSegments(state);
    }
    await this.#note(moved);
  }

  /** The lanes that have records which are not acknowledged. */
  lanes(): LaneStats[] {
    return [...this.#lanes.values()].filter(({ records }) => records > 0);
  }

  stats(): DurableStats {
    const { size: segments } = this.#segments;
    const memoryBytes = this.#loader.usedBytes;
    return { ...sumLanes(this.#lanes.values()), diskBytes: this.#diskBytes(), segments, memoryBytes };
  }

  /** Writes what was appended and ends. What is not acknowledged is there at the next start. Works twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#writer.finish();
      await this.#loader.pause();
      await this.#removals;
      await this.#journal.close();
      await this.#reader.close();
    } finally {
      this.#lock.release();
    }
  }

  #adoptAll(): Promise<void> {
    return adoptSegments(this.#segments, this.#reader, this.#lanes, (lane) => this.#state(lane));
  }

  #state(lane: number): LaneState<T> {
    let state = this.#lanes.get(lane);
    if (state === undefined) {
      state = new LaneState<T>(lane, { sequence: 0, done: 0 });
      this.#lanes.set(lane, state);
    }
    return state;
  }

  #committed(segment: Segment, { lane, item, place, bytes, timeMs }: Written<T>): void {
    const state = this.#state(lane);
    if (state.segments.at(-1) !== segment) {
      state.segments.push(segment);
      segment.openLanes++;
    }
    state.count({ items: place.items, bytes });
    const memoryBytes = this.#options.codec.memoryBytes(item);
    if (this.#hasBegun && state.unread === 0 && this.#loader.hasRoom(state, memoryBytes)) {
      this.#loader.usedBytes += memoryBytes;
      state.push({ sequence: place.sequence, item, items: place.items, bytes, memoryBytes, timeMs, done: 0 });
      this.#listener(lane);
      return;
    }
    state.cursor ??= { segment, index: (segment.index.lanes.get(lane)?.count ?? 1) - 1 };
    state.unread++;
    if (this.#hasBegun) this.#loader.want(state);
  }

  #loaded(lane: LaneState<T>, skipped: "damaged" | "too_old" | undefined, records: number, items: number): void {
    if (skipped !== undefined) {
      if (records > 0) this.#options.gaveUp?.(skipped, records, items);
      this.#passSkipped(lane);
      return;
    }
    this.#listener(lane.lane);
  }

  /** Records that are given up and stand first are as good as delivered. */
  #passSkipped(lane: LaneState<T>): void {
    for (let first = lane.peek(); first !== undefined && first.item === undefined; first = lane.peek()) lane.take();
    const moved = lane.settle();
    if (moved === undefined) return;
    this.#leaveSegments(lane);
    void this.#note([[lane.lane, moved]]);
  }

  async #note(moved: readonly (readonly [number, Position])[]): Promise<void> {
    if (moved.length === 0) return;
    try {
      await this.#journal.acknowledged(moved);
    } catch {
      // Written with the next acknowledgement.
    }
  }

  /** Segments of which the lane needs nothing more. */
  #leaveSegments(lane: LaneState<T>): void {
    for (let first = lane.segments[0]; first !== undefined; first = lane.segments[0]) {
      const last = first.index.lanes.get(lane.lane)?.lastSequence ?? 0;
      if (last > lane.acknowledged.sequence) return;
      // More records of the lane may follow in a segment that is still written to.
      lane.segments.shift();
      first.openLanes--;
      this.#removeIfDone(first);
    }
  }

  #removeIfDone(segment: Segment): void {
    if (!segment.isClosed || segment.openLanes > 0 || segment.isRemoved) return;
    segment.isRemoved = true;
    this.#segments.delete(segment.number);
    const parts = { files: this.#files, journal: this.#journal, reader: this.#reader, damaged: this.#options.damaged };
    this.#removals = this.#removals.then(() => removeSegment(segment, parts));
  }

  #isTooOld(timeMs: number | undefined): boolean {
    const { maxAgeMs = 0, now } = this.#options;
    return maxAgeMs > 0 && timeMs !== undefined && timeMs < now() - maxAgeMs;
  }

  #mustWait(bytes: number): boolean {
    if (this.#waiting > 0 || this.#isTooOld(this.#oldestClosed()?.index.newestMs)) return true;
    return this.#fullness(bytes) !== undefined;
  }

  /** Appends keep their order: behind one that makes room, all others wait. */
  async #appendInTurn(items: readonly { readonly lane: number; readonly item: T }[], bytes: number): Promise<void> {
    this.#waiting++;
    let written: Promise<void> = Promise.resolve();
    const turn = this.#turn.then(async () => {
      await this.#makeRoom(bytes);
      written = this.#writer.append(items);
      written.catch(() => {});
    });
    this.#turn = turn.catch(() => {});
    try {
      await turn;
    } finally {
      this.#waiting--;
    }
    await written;
  }

  /** Looks for room; throws STORAGE_FULL when there is none and none can be made. */
  async #makeRoom(bytes: number): Promise<void> {
    for (let tries = 0; tries < maxGiveUps; tries++) {
      await this.#giveUpOld();
      // What is being written must be whole before it can be removed or given up.
      if (this.#fullness(bytes) !== undefined && this.#oldestClosed() === undefined) await this.#writer.finish();
      await this.#removals;
      const full = this.#fullness(bytes);
      if (full === undefined) return;
      const oldest = this.#options.whenFull === "drop_oldest" ? this.#oldestClosed() : undefined;
      if (oldest === undefined) throw new StorageError("STORAGE_FULL", full);
      await this.#giveUp(oldest, "queue_full");
      await this.#space.refresh();
    }
  }

  /** Segments of which every record is older than the limit. */
  async #giveUpOld(): Promise<void> {
    for (let oldest = this.#oldestClosed(); oldest !== undefined; oldest = this.#oldestClosed()) {
      if (!this.#isTooOld(oldest.index.newestMs)) return;
      await this.#giveUp(oldest, "too_old");
    }
  }

  #oldestClosed(): Segment | undefined {
    for (const segment of this.#segments.values()) if (segment.isClosed) return segment;
    return undefined;
  }

  async #giveUp(segment: Segment, reason: GiveUpReason): Promise<void> {
    const { records, items, memoryBytes, moved } = await giveUpSegment(segment, this.#reader, (lane) =>
      this.#state(lane),
    );
    this.#loader.usedBytes -= memoryBytes;
    for (const [lane] of moved) this.#leaveSegments(this.#state(lane));
    if (records > 0) this.#options.gaveUp?.(reason, records, items);
    await this.#note(moved);
    this.#removeIfDone(segment);
    await this.#removals;
  }

  readonly #fullness = (bytes: number) => this.#space.fullness(bytes, this.#diskBytes());

  #diskBytes(): number {
    let bytes = this.#writer.pendingBytes;
    for (const segment of this.#segments.values()) bytes += segment.fileBytes;
    return bytes;
  }
}
