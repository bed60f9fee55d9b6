/** Appends records to segments: many appends share a write and a sync, in the order in which they came. */

import { join } from "node:path";
import { toError } from "../model/errors.ts";
import type { FileLayer, OpenFile } from "./file-layer.ts";
import type { ItemCodec } from "./item-codec.ts";
import type { PositionJournal } from "./position-journal.ts";
import {
  checksum,
  definitionLane,
  encodeRecordHeader,
  encodeSegmentHeader,
  maxPayloadBytes,
  type QueueId,
  recordHeaderBytes,
  segmentHeaderBytes,
} from "./record-format.ts";
import { newSegment, type Segment, segmentName } from "./segment.ts";
import { encodeFooter, leaveListsInFile, type RecordPlace, SegmentIndex } from "./segment-lanes.ts";
import { StorageError } from "./storage-error.ts";

/** One record that is written, and what it was made of. */
export interface Written<T> {
  readonly lane: number;
  readonly item: T;
  readonly place: RecordPlace;
  readonly bytes: number;
  readonly timeMs: number;
}

interface Staged<T> {
  readonly open: OpenSegment;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly records: readonly Written<T>[];
  readonly definitions: readonly (readonly [name: string, offset: number])[];
  readonly done: PromiseWithResolvers<void>;
}

/** The segment that is written to. */
interface OpenSegment {
  readonly segment: Segment;
  file: OpenFile | undefined;
  /** Where the next record will begin. */
  assigned: number;
  /** Definitions that are written or about to be. */
  readonly defined: Set<string>;
}

export interface SegmentWriterParts<T> {
  readonly files: FileLayer;
  readonly directory: string;
  readonly permissions: number;
  readonly queueId: QueueId;
  readonly journal: PositionJournal;
  readonly codec: ItemCodec<T>;
  readonly fsync: boolean;
  /** Size at which a segment is closed. */
  readonly segmentBytes: () => number;
  readonly now: () => number;
  readonly nextNumber: number;
  readonly nextSequence: number;
  /** A file was made. */
  readonly created: (segment: Segment) => void;
  /** A record is written (and synced); it is the last of its lane in the index. */
  readonly committed: (segment: Segment, record: Written<T>) => void;
  /** No record will follow. */
  readonly closed: (segment: Segment) => void;
}

/** Records of a segment, so that its lists in memory stay small. */
const maxRecords = 262_144;
/** Bytes that one write takes at most, beyond a single append. */
const maxGroupBytes = 8 * 1024 * 1024;
/** Bytes that wait to be written; a disk that is slower than its senders refuses more. */
const maxPendingBytes = 64 * 1024 * 1024;
const journalSyncMs = 1000;

export class SegmentWriter<T> {
  readonly #parts: SegmentWriterParts<T>;
  #number: number;
  #sequence: number;
  #active: OpenSegment | undefined;
  #closing: OpenSegment[] = [];
  #pending: Staged<T>[] = [];
  #pendingBytes = 0;
  #running: Promise<void> | undefined;
  #journalSyncedMs = 0;

  constructor(parts: SegmentWriterParts<T>) {
    this.#parts = parts;
    this.#number = parts.nextNumber;
    this.#sequence = parts.nextSequence;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Resolves when all of the items are written, or synced where that is asked for; rejects when none is kept. */
  append(items: readonly { readonly lane: number; readonly item: T }[]): Promise<void> {
    if (this.#pendingBytes > maxPendingBytes) {
      throw new StorageError("STORAGE_FULL", `${this.#parts.directory} is slower than its senders`);
    }
    const staged = this.#stage(items);
    this.#pending.push(staged);
    this.#pendingBytes += staged.bytes;
    this.#run();
    return staged.done.promise;
  }

  /** Ends the segment that is written to, so that the next append begins another. */
  #roll(): void {
    if (this.#active === undefined) return;
    this.#closing.push(this.#active);
    this.#active = undefined;
    this.#run();
  }

  /** Writes all that was appended and ends the segment. */
  async finish(): Promise<void> {
    this.#roll();
    while (this.#running !== undefined) await this.#running;
  }

  #open(): OpenSegment {
    const { directory, queueId, segmentBytes } = this.#parts;
    const full = this.#active;
    if (full !== undefined && (full.assigned >= segmentBytes() || full.segment.index.records >= maxRecords))
      this.#roll();
    if (this.#active !== undefined) return this.#active;
    const number = this.#number++;
    const path = join(directory, segmentName(number));
    this.#active = {
      segment: newSegment(path, number, queueId, this.#sequence, new SegmentIndex()),
      file: undefined,
      assigned: segmentHeaderBytes,
      defined: new Set(),
    };
    return this.#active;
  }

  #stage(items: readonly { readonly lane: number; readonly item: T }[]): Staged<T> {
    const { codec, now } = this.#parts;
    const open = this.#open();
    const { seed } = open.segment;
    const from = open.assigned;
    const timeMs = now();
    const parts: Uint8Array[] = [];
    const records: Written<T>[] = [];
    const definitions: [string, number][] = [];
    const put = (
      lane: number,
      kind: number,
      sequence: number,
      count: number,
      payload: readonly Uint8Array[],
    ): number => {
      let payloadBytes = 0;
      for (const part of payload) payloadBytes += part.length;
      if (payloadBytes > maxPayloadBytes) {
        throw new StorageError(
          "STORAGE_FULL",
          `a record of ${payloadBytes} bytes is larger than a queue on disk takes`,
        );
      }
      const payloadCrc = checksum(payload, seed);
      parts.push(
        encodeRecordHeader({ payloadBytes, lane, kind, sequence, timeMs, items: count, payloadCrc }, seed),
        ...payload,
      );
      open.assigned += recordHeaderBytes + payloadBytes;
      return recordHeaderBytes + payloadBytes;
    };
    const define = (name: string, content: () => Uint8Array) => {
      if (open.defined.has(name)) return;
      const offset = open.assigned;
      put(definitionLane, 0, 0, 0, [Buffer.from(name, "hex"), content()]);
      open.defined.add(name);
      definitions.push([name, offset]);
    };
    try {
      for (const { lane, item } of items) {
        const encoded = codec.encode(item, define);
        const place = { offset: open.assigned, sequence: this.#sequence++, items: encoded.items };
        const bytes = put(lane, encoded.kind, place.sequence, encoded.items, encoded.parts);
        records.push({ lane, item, place, bytes, timeMs });
      }
    } catch (caught) {
      open.assigned = from;
      for (const [name] of definitions) open.defined.delete(name);
      throw caught;
    }
    return { open, parts, bytes: open.assigned - from, records, definitions, done: Promise.withResolvers<void>() };
  }

  #run(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
      if (this.#pending.length > 0 || this.#closing.length > 0) this.#run();
    });
  }

  async #work(): Promise<void> {
    // All appends of this turn of the event loop go together.
    await Promise.resolve();
    while (this.#pending.length > 0 || this.#closing.length > 0) {
      const first = this.#pending[0];
      const closing = this.#closing[0];
      if (closing !== undefined && first?.open !== closing) {
        this.#closing.shift();
        await this.#seal(closing);
      } else if (first !== undefined) await this.#writeGroup(first.open);
    }
  }

  async #writeGroup(open: OpenSegment): Promise<void> {
    const group: Staged<T>[] = [];
    let bytes = 0;
    for (const staged of this.#pending) {
      if (staged.open !== open || (group.length > 0 && bytes + staged.bytes > maxGroupBytes)) break;
      group.push(staged);
      bytes += staged.bytes;
    }
    const { segment } = open;
    const [first] = group;
    try {
      open.file ??= await this.#create(segment);
      await open.file.write(
        group.length === 1 && first !== undefined ? first.parts : partsOf(group),
        segment.committed,
      );
      if (this.#parts.fsync) await this.#sync(open.file);
    } catch (caught) {
      await this.#fail(open, toError(caught));
      return;
    }
    this.#pending.splice(0, group.length);
    this.#pendingBytes -= bytes;
    segment.committed += bytes;
    segment.fileBytes = segment.committed;
    for (const staged of group) {
      for (const [name, offset] of staged.definitions) segment.index.definitions.set(name, offset);
      for (const record of staged.records) {
        segment.index.add(record.lane, record.place, record.bytes, record.timeMs, segment.firstSequence);
        this.#parts.committed(segment, record);
      }
      staged.done.resolve();
    }
  }

  async #create(segment: Segment): Promise<OpenFile> {
    const { files, directory, queueId, journal, now, permissions, fsync } = this.#parts;
    const file = await files.open(segment.path, "create", permissions);
    try {
      const { number, firstSequence } = segment;
      await file.write([encodeSegmentHeader({ queueId, number, createdMs: now(), firstSequence })], 0);
      if (fsync) await files.syncDirectory(directory);
      await journal.created(number);
    } catch (caught) {
      await file.close();
      await files.remove(segment.path).catch(() => {});
      throw caught;
    }
    segment.committed = segmentHeaderBytes;
    segment.fileBytes = segmentHeaderBytes;
    this.#parts.created(segment);
    return file;
  }

  async #sync(file: OpenFile): Promise<void> {
    const { journal, now } = this.#parts;
    await file.sync();
    // A clock that was set back delays nothing.
    if (Math.abs(now() - this.#journalSyncedMs) < journalSyncMs) return;
    this.#journalSyncedMs = now();
    await journal.sync();
  }

  /** Nothing of what waits is kept: it may refer to definitions that were not written. The senders still have it. */
  async #fail(open: OpenSegment, error: Error): Promise<void> {
    const { directory } = this.#parts;
    const code = (error as Error & { code?: unknown }).code;
    const failed = this.#pending.splice(0);
    this.#pendingBytes = 0;
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    const message = isFull ? `${directory} is full` : `${directory} cannot be written: ${error.message}`;
    const cause = new StorageError(isFull ? "STORAGE_FULL" : "STORAGE_FAILED", message, { cause: error });
    if (this.#active !== undefined) {
      if (this.#active !== open && this.#active.file !== undefined) this.#closing.push(this.#active);
      this.#active = undefined;
    }
    this.#closing = this.#closing.filter((other) => other !== open && other.file !== undefined);
    if (open.file !== undefined) {
      try {
        await open.file.truncate(open.segment.committed);
      } catch {
        // What is behind the last record that counts is found out by its checksum, or delivered twice.
      }
      await this.#seal(open);
    }
    for (const { done } of failed) done.reject(cause);
  }

  /** Writes the index behind the records; without it the next start reads the whole segment. */
  async #seal({ segment, file }: OpenSegment): Promise<void> {
    if (file === undefined) return;
    const { index, committed, firstSequence, seed } = segment;
    try {
      const footer = encodeFooter(index, committed, firstSequence, seed);
      await file.write(footer, committed);
      if (this.#parts.fsync) await file.sync();
      leaveListsInFile(index);
      for (const part of footer) segment.fileBytes += part.length;
    } catch {
      // The lists stay in memory.
    }
    segment.isClosed = true;
    this.#parts.closed(segment);
    try {
      await file.close();
    } catch {
      // Everything that counts was written before.
    }
  }
}

function partsOf(group: readonly Staged<unknown>[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (const { parts } of group) for (const part of parts) all.push(part);
  return all;
}
