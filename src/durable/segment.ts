/** A segment of a disk queue as the process sees it, and the open files of segments. */

import { isBroken } from "./damage.ts";
import type { FileLayer, OpenFile } from "./file-layer.ts";
import { ownPayloadBytes } from "./item-codec.ts";
import {
  checksum,
  decodeRecordHeader,
  type QueueId,
  type RecordHeader,
  recordHeaderBytes,
  recordSeed,
} from "./record-format.ts";
import { decodeList, isListIntact, placeAt, placeBytes, type RecordPlace, type SegmentIndex } from "./segment-lanes.ts";

/** One file of records. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly firstSequence: number;
  readonly seed: number;
  index: SegmentIndex;
  /** Bytes up to the end of the last record that is written. */
  committed: number;
  /** Bytes of the file. */
  fileBytes: number;
  /** No record will be added. */
  isClosed: boolean;
  /** Lanes that have records here which are not acknowledged. */
  openLanes: number;
  isRemoved: boolean;
  /** Bytes that were found damaged while records were read. */
  readonly damaged: { readonly from: number; readonly to: number }[];
}

/** Places of a segment that are named one by one. */
const maxNoted = 1000;

/** Notes damaged bytes; false where some of them were noted before, by a reader of another lane, or where there are too many. */
export function noteDamage({ damaged }: Segment, from: number, to: number): boolean {
  if (damaged.length >= maxNoted) return false;
  const isNew = damaged.every((one) => to <= one.from || from >= one.to);
  damaged.push({ from, to });
  return isNew;
}

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(12, "0")}.mrq`;
}

/** The number in the name of a segment's file, at most 15 digits, of which a double loses none; undefined for other names. */
export function segmentNumber(name: string): number | undefined {
  const match = /^segment-(\d{12}|[1-9]\d{12,14})\.mrq$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function newSegment(
  path: string,
  number: number,
  queueId: QueueId,
  firstSequence: number,
  index: SegmentIndex,
): Segment {
  return {
    number,
    path,
    firstSequence,
    seed: recordSeed(queueId, number),
    index,
    committed: 0,
    fileBytes: 0,
    isClosed: false,
    openLanes: 0,
    isRemoved: false,
    damaged: [],
  };
}

/** A record as it stands in the file. */
export interface StoredRecord {
  readonly header: RecordHeader;
  readonly payload: Buffer;
}

interface Entry {
  readonly opening: Promise<OpenFile>;
  users: number;
  isForgotten: boolean;
}

const maxOpen = 32;
/** Small records are read many at a time. */
const blockBytes = 64 * 1024;
const maxBlocks = 32;
const maxBroken = 10_000;
/** Entries of a lane's list that are read at a time. */
const listWindow = 512;

/** Part of a lane's list. */
export interface ListWindow {
  readonly from: number;
  readonly list: Uint32Array;
}

/** Records of a lane that are larger than this on average are read one by one. */
const largeRecordBytes = 16 * 1024;

/** A buffer that is read into again and again: what was read last is valid until then. */
export class Scratch {
  #bytes: Buffer = Buffer.alloc(0);

  take(length: number): Buffer {
    if (length > ownPayloadBytes) return Buffer.allocUnsafeSlow(length);
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length);
    return this.#bytes.subarray(0, length);
  }
}

/** Reads segments, with a bounded number of open files and remembered blocks. */
export class SegmentReader {
  readonly #files: FileLayer;
  readonly #open = new Map<string, Entry>();
  readonly #blocks = new Map<string, Buffer>();
  /** Blocks with places that the device cannot read: what else is in them is read piece by piece. */
  readonly #broken = new Set<string>();

  constructor(files: FileLayer) {
    this.#files = files;
  }

  /** The file is open while `run` is under way. */
  async use<T>(path: string, run: (file: OpenFile) => Promise<T>): Promise<T> {
    let entry = this.#open.get(path);
    if (entry === undefined) entry = { opening: this.#files.open(path, "read"), users: 0, isForgotten: false };
    // Used last, closed last.
    this.#open.delete(path);
    this.#open.set(path, entry);
    entry.users++;
    try {
      return await run(await entry.opening);
    } catch (caught) {
      if (this.#open.get(path) === entry) this.#open.delete(path);
      entry.isForgotten = true;
      throw caught;
    } finally {
      entry.users--;
      await this.#closeUnused(entry);
    }
  }

  /** Bytes of a segment from `offset` on; fewer only at the end of the file. */
  async bytes(segment: Segment, offset: number, length: number): Promise<Buffer> {
    const first = Math.floor(offset / blockBytes);
    const last = Math.floor((offset + length - 1) / blockBytes);
    const isSmall = last - first <= 1 && (last + 1) * blockBytes <= segment.committed;
    if (!isSmall) return await this.#read(segment, offset, length);
    const from = await this.#block(segment, first);
    const to = first === last ? from : await this.#block(segment, last);
    if (from === undefined || to === undefined) return await this.#read(segment, offset, length);
    const at = offset - first * blockBytes;
    if (first === last) return from.subarray(at, at + length);
    return Buffer.concat([from.subarray(at), to]).subarray(0, length);
  }

  /**
   * The record of a lane at a place; undefined when what is there is damaged or something else. Its payload may be in
   * `scratch`.
   */
  async record(
    segment: Segment,
    lane: number,
    place: RecordPlace | { offset: number },
    scratch?: Scratch,
  ): Promise<StoredRecord | undefined> {
    const known = segment.index.lanes.get(lane);
    const isLarge = known === undefined || known.bytes > known.count * largeRecordBytes;
    const read = (offset: number, length: number) =>
      isLarge && scratch !== undefined
        ? this.#read(segment, offset, length, scratch)
        : this.bytes(segment, offset, length);
    const head = await read(place.offset, recordHeaderBytes);
    const header = decodeRecordHeader(head, 0, segment.seed);
    if (header === undefined || header.lane !== lane) return undefined;
    if ("sequence" in place && header.sequence !== place.sequence) return undefined;
    const payload = await read(place.offset + recordHeaderBytes, header.payloadBytes);
    if (payload.length !== header.payloadBytes) return undefined;
    return checksum([payload], segment.seed) === header.payloadCrc ? { header, payload } : undefined;
  }

  /** Part of the list of a lane that has entry `index`; undefined where the list is damaged. */
  async list(segment: Segment, lane: number, index: number, count = listWindow): Promise<ListWindow | undefined> {
    const known = segment.index.lanes.get(lane);
    if (known === undefined) return { from: index, list: new Uint32Array(0) };
    if (known.list !== undefined) return { from: 0, list: known.list };
    const entries = Math.min(count, known.count - index);
    const from = index * placeBytes;
    const end = from + entries * placeBytes;
    if (known.isListChecked) {
      return { from: index, list: decodeList(await this.#read(segment, known.listAt + from, end - from)) };
    }
    // The first look is at all of it: its checksum is.
    const whole = await this.#read(segment, known.listAt, known.count * placeBytes);
    // Made anew meanwhile.
    if (known.list !== undefined) return { from: 0, list: known.list };
    if (!isListIntact(whole, known, segment.seed)) return undefined;
    known.isListChecked = true;
    return { from: index, list: decodeList(whole.subarray(from, end)) };
  }

  /** Where record `index` of a lane is; undefined where the list is damaged. */
  async place(segment: Segment, lane: number, index: number): Promise<RecordPlace | undefined> {
    const found = await this.list(segment, lane, index, 1);
    return found === undefined ? undefined : placeAt(found.list, index - found.from, segment.firstSequence);
  }

  /** The file will be removed. */
  async forget(path: string): Promise<void> {
    for (const keys of [this.#blocks, this.#broken]) {
      for (const key of keys.keys()) if (key.startsWith(`${path}:`)) keys.delete(key);
    }
    const entry = this.#open.get(path);
    if (entry === undefined) return;
    this.#open.delete(path);
    entry.isForgotten = true;
    await this.#closeUnused(entry);
  }

  async close(): Promise<void> {
    for (const path of [...this.#open.keys()]) await this.forget(path);
  }

  /** Undefined where not all of it can be read. */
  async #block(segment: Segment, block: number): Promise<Buffer | undefined> {
    const key = `${segment.path}:${block}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    if (this.#broken.has(key)) return undefined;
    let bytes: Buffer;
    try {
      bytes = await this.#read(segment, block * blockBytes, blockBytes);
    } catch (caught) {
      if (!isBroken(caught)) throw caught;
      if (this.#broken.size >= maxBroken) this.#broken.clear();
      this.#broken.add(key);
      return undefined;
    }
    if (bytes.length === blockBytes) {
      for (const oldest of this.#blocks.keys()) {
        if (this.#blocks.size < maxBlocks) break;
        this.#blocks.delete(oldest);
      }
      this.#blocks.set(key, bytes);
    }
    return bytes;
  }

  async #read(segment: Segment, offset: number, length: number, scratch?: Scratch): Promise<Buffer> {
    return await this.use(segment.path, async (file) => {
      const bytes = scratch?.take(length) ?? Buffer.allocUnsafeSlow(Math.max(0, length));
      return bytes.subarray(0, await file.read(bytes, offset));
    });
  }

  async #closeUnused(used: Entry): Promise<void> {
    const closing: Entry[] = used.isForgotten && used.users === 0 ? [used] : [];
    for (const [path, entry] of this.#open) {
      if (this.#open.size <= maxOpen) break;
      if (entry.users > 0) continue;
      this.#open.delete(path);
      closing.push(entry);
    }
    for (const entry of closing) {
      try {
        await (await entry.opening).close();
      } catch {
        // It was never open.
      }
    }
  }
}
