/** A queue on disk: records in lanes that are handed out in order and stay until they are acknowledged. */

import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { toError } from "../model/errors.ts";
import { AgeLimit } from "./age-limit.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import type { DurableQueueOptions, DurableStats, GiveUpReason, Handed, LaneStats } from "./durable-options.ts";
import { type FileLayer, systemFiles } from "./file-layer.ts";
import type { Position } from "./journal-format.ts";
import { LaneLoader } from "./lane-loader.ts";
import { adoptSegments, countAbandoned, giveUpSegment } from "./lane-segments.ts";
import { LaneState, maySend, oldestOf, type QueueTotals, type Waiting } from "./lane-state.ts";
import { LateSync } from "./late-sync.ts";
import { PositionJournal } from "./position-journal.ts";
import { promptFiles } from "./prompt-files.ts";
import { completeLimits, type GivenLimits, type QueueLimits } from "./queue-limits.ts";
import { QueueRoom } from "./queue-room.ts";
import { QueueSpace } from "./queue-space.ts";
import type { QueueId } from "./record-format.ts";
import { type Recovered, recoverQueue } from "./recover-queue.ts";
import { SegmentRemover } from "./remove-segment.ts";
import { type Segment, SegmentReader } from "./segment.ts";
import { SegmentWriter, type Written } from "./segment-writer.ts";
import { StorageError } from "./storage-error.ts";

/** Lanes that a queue may have, so that the journal can hold them all. */
export const maxLanes = 4096;
const defaultSegmentBytes = 64 * 1024 * 1024;
const defaultMemoryBytes = 16 * 1024 * 1024;
const minSegmentBytes = 4096;

export class DurableQueue<T> {
  readonly id: QueueId;
  readonly #options: DurableQueueOptions<T>;
  readonly #lock: DirectoryLock;
  readonly #reader: SegmentReader;
  readonly #journal: PositionJournal;
  readonly #writer: SegmentWriter<T>;
  readonly #loader: LaneLoader<T>;
  readonly #space: QueueSpace;
  readonly #room: QueueRoom;
  readonly #remover: SegmentRemover;
  readonly #lateSync: LateSync;
  #limits: QueueLimits;
  readonly #lanes = new Map<number, LaneState<T>>();
  readonly #totals: QueueTotals = { records: 0, items: 0, bytes: 0 };
  /** By number, oldest first. */
  readonly #segments = new Map<number, Segment>();
  #listener: (lane: number) => void = () => {};
  readonly #age: AgeLimit;
  #hasBegun = false;
  #closing: Promise<void> | undefined;

  private constructor(options: DurableQueueOptions<T>, files: FileLayer, lock: DirectoryLock, recovered: Recovered) {
    const { directory, codec, now } = options;
    this.#options = options;
    this.#limits = completeLimits(options);
    this.#age = new AgeLimit(now, () => this.#limits.maxAgeMs);
    this.#lock = lock;
    this.id = recovered.queueId ?? randomBytes(16);
    this.#reader = new SegmentReader(files);
    this.#journal = new PositionJournal(files, directory, this.id, recovered.journal, () => ({
      positions: Array.from(this.#lanes, ([lane, state]) => [lane, state.acknowledged] as const),
      segments: this.#segments.keys(),
    }));
    const { damaged } = options;
    this.#remover = new SegmentRemover({ files, journal: this.#journal, reader: this.#reader, damaged });
    this.#space = new QueueSpace({ files, directory, limits: () => this.#limits, now });
    const { segmentBytes = defaultSegmentBytes } = options;
    this.#writer = new SegmentWriter<T>({
      files,
      directory,
      permissions: (options.directoryPermissions ?? 0o750) & 0o666,
      queueId: this.id,
      journal: this.#journal,
      codec,
      fsync: options.fsync ?? false,
      segmentBytes: () => Math.max(minSegmentBytes, Math.min(segmentBytes, this.#limits.maxBytes / 8)),
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
      now,
      sleep: options.sleep,
      maySend: () => maySend(this.#lanes.values()),
      isTooOld: this.#age.isTooOld,
      damaged: (damage) => options.damaged?.(damage),
      loaded: (...event) => this.#loaded(...event),
    });
    this.#room = new QueueRoom({
      space: this.#space,
      segments: this.#segments,
      dropsOldest: () => this.#limits.whenFull === "drop_oldest",
      isTooOld: this.#age.isTooOld,
      diskBytes: () => this.#diskBytes(),
      finish: () => this.#writer.finish(),
      removed: () => this.#remover.idle(),
      giveUp: (segment, reason) => this.#giveUp(segment, reason),
    });
    this.#lateSync = new LateSync(() => this.#journal.sync(), options.sleep);
  }

  /**
   * Opens or makes the queue of a directory and finds out where it stands. Rejects with StorageError: STORAGE_LOCKED,
   * STORAGE_VERSION, STORAGE_UNUSABLE. Damage does not stop it.
   */
  static async open<T>(options: DurableQueueOptions<T>): Promise<DurableQueue<T>> {
    const { directory, directoryPermissions = 0o750 } = options;
    const files = options.files ?? (options.fsync === true ? systemFiles : promptFiles());
    let lock: DirectoryLock | undefined;
    try {
      if (options.createDirectory !== false) await files.makeDirectory(directory, directoryPermissions);
      // Whoever made it may have died before its name was synced. A directory above that may not be read is no fault.
      if (options.fsync === true) await files.syncDirectory(dirname(directory)).catch(() => {});
      lock = await (options.lock ?? lockDirectory)(directory, directoryPermissions & 0o666);
      const recovered = await recoverQueue({ files, directory, repair: true });
      const queue = new DurableQueue(options, files, lock, recovered);
      for (const segment of recovered.segments) queue.#segments.set(segment.number, segment);
      for (const [lane, position] of recovered.journal.positions) {
        queue.#lanes.set(lane, new LaneState<T>(lane, position, queue.#totals));
      }
      await queue.#adoptAll();
      await queue.#journal.start(directoryPermissions & 0o666);
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

  /** Other limits from the next append on; those that are not given have their defaults. */
  setLimits(limits: GivenLimits): void {
    this.#limits = completeLimits(limits);
  }

  /** Begins to read ahead. `listener` hears of a lane when a record of it may be taken, or was given up. */
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
      const write = () => this.#writer.append(items);
      await (this.#room.mustWait(bytes) ? this.#room.inTurn(bytes, write) : write());
    } catch (caught) {
      if (caught instanceof StorageError && caught.code === "STORAGE_FULL" && caught.cause !== undefined)
        this.#space.wasFull();
      throw caught;
    }
  }

  /** The first record of a lane that is in memory and not handed out. More may follow from disk: see `begin`. */
  peek(lane: number): Handed<T> | undefined {
    const state = this.#lanes.get(lane);
    const first = state === undefined ? undefined : this.#firstYoung(state);
    if (first?.item === undefined) return undefined;
    const { sequence, item, done, timeMs } = first;
    return { sequence, item, done, timeMs };
  }

  /** Hands out the record that `peek` shows. Where there is none it is read as soon as it can be, ahead of other lanes. */
  take(lane: number): Handed<T> | undefined {
    const state = this.#lanes.get(lane);
    const handed = this.peek(lane);
    if (state === undefined) return undefined;
    if (handed === undefined) {
      if (state.unread > 0) this.#loader.ask(state);
      return undefined;
    }
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

  /** What is not acknowledged; costs nothing, where `stats` goes through all lanes. */
  get totals(): Readonly<QueueTotals> {
    return this.#totals;
  }

  stats(): DurableStats {
    const { size: segments } = this.#segments;
    const memoryBytes = this.#loader.usedBytes;
    const oldestMs = oldestOf(this.#lanes.values());
    return { ...this.#totals, oldestMs, diskBytes: this.#diskBytes(), segments, memoryBytes };
  }

  /** Writes what was appended and ends. What is not acknowledged is there at the next start. Works twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#lateSync.stop();
    try {
      await this.#room.idle();
      await this.#writer.finish();
      await this.#loader.pause();
      await this.#remover.idle();
      countAbandoned(this.#lanes.values(), (...event) => this.#options.gaveUp?.(...event));
      await this.#journal.close();
      await this.#reader.close();
    } finally {
      this.#lock.release();
    }
  }

  #adoptAll(): Promise<void> {
    return adoptSegments({
      segments: this.#segments,
      reader: this.#reader,
      lanes: this.#lanes,
      stateOf: (lane) => this.#state(lane),
      damaged: (damage) => this.#options.damaged?.(damage),
      gaveUp: (...event) => this.#options.gaveUp?.(...event),
    });
  }

  #state(lane: number): LaneState<T> {
    let state = this.#lanes.get(lane);
    if (state === undefined) {
      state = new LaneState<T>(lane, { sequence: 0, done: 0 }, this.#totals);
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
    state.count(1, place.items, bytes);
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
    }
    this.#listener(lane.lane);
  }

  /** The first record in memory; those before it that are too old are given up. */
  #firstYoung(lane: LaneState<T>): Waiting<T> | undefined {
    const first = lane.peek();
    if (first === undefined || !this.#age.isTooOld(first.timeMs)) return first;
    const { records, items, memoryBytes } = lane.passOld(this.#age.isTooOld);
    this.#loader.usedBytes -= memoryBytes;
    if (records > 0) this.#options.gaveUp?.("too_old", records, items);
    this.#passSkipped(lane);
    this.#loader.want(lane);
    return lane.peek();
  }

  /** Records that are given up and stand first are as good as delivered. */
  #passSkipped(lane: LaneState<T>): void {
    for (let first = lane.peek(); first !== undefined && first.item === undefined; first = lane.peek()) lane.take();
    const moved = lane.settle();
    this.#leaveSegments(lane);
    if (moved !== undefined) void this.#note([[lane.lane, moved]]);
  }

  async #note(moved: readonly (readonly [number, Position])[]): Promise<void> {
    if (moved.length === 0) return;
    try {
      await this.#journal.acknowledged(moved);
    } catch {
      // Written with the next acknowledgement.
      return;
    }
    if (this.#options.fsync === true) this.#lateSync.wrote();
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
    this.#remover.remove(segment);
  }

  async #giveUp(segment: Segment, reason: GiveUpReason): Promise<void> {
    const stateOf = (lane: number) => this.#state(lane);
    const { records, items, memoryBytes, moved } = await giveUpSegment(segment, this.#reader, stateOf, reason);
    this.#loader.usedBytes -= memoryBytes;
    this.#loader.pump();
    for (const [lane] of moved) this.#leaveSegments(this.#state(lane));
    if (records > 0) this.#options.gaveUp?.(reason, records, items);
    await this.#note(moved);
    this.#removeIfDone(segment);
    await this.#remover.idle();
  }

  #diskBytes(): number {
    let bytes = this.#writer.pendingBytes + this.#remover.bytes;
    for (const segment of this.#segments.values()) bytes += segment.fileBytes;
    return bytes;
  }
}
