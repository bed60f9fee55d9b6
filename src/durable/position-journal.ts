/** Remembers how far every lane was acknowledged and which segments there are, in two files of fixed size that take turns. */

import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { FileLayer, OpenFile } from "./file-layer.ts";
import { formatVersion, isIntact, type QueueId, type ReadHeader, segmentHeaderBytes } from "./record-format.ts";
import { StorageError } from "./storage-error.ts";

const magic = Buffer.from("MRQPOS\r\n", "latin1");
const names = ["positions-0", "positions-1"] as const;
const headerBytes = segmentHeaderBytes;
export const entryBytes = 28;
const entryCrcAt = 24;
/** Size of each file. It is filled at once when it is made, so that acknowledging never needs room on a full disk. */
export const journalBytes = 256 * 1024;

const kinds = { acknowledged: 1, created: 2, removed: 3 } as const;

/** Everything up to `sequence` is delivered, and the first `done` items of the record with the next number. */
export interface Position {
  readonly sequence: number;
  readonly done: number;
}

/** What the two files say together. */
export interface JournalState {
  readonly queueId: QueueId | undefined;
  readonly positions: ReadonlyMap<number, Position>;
  readonly created: ReadonlySet<number>;
  readonly removed: ReadonlySet<number>;
  /** Entries whose checksum does not fit. */
  readonly damaged: number;
}

interface ReadFile {
  readonly queueId: QueueId;
  readonly generation: number;
}

interface Entry {
  readonly kind: number;
  readonly lane: number;
  readonly number: number;
  readonly done: number;
}

export function isBehind(a: Position, b: Position): boolean {
  return a.sequence > b.sequence || (a.sequence === b.sequence && a.done > b.done);
}

/** Reads the journal of a directory. Throws STORAGE_VERSION for files from the future, which stay as they are. */
export async function readJournal(
  files: FileLayer,
  directory: string,
): Promise<JournalState & { generation: number; newest: number }> {
  const positions = new Map<number, Position>();
  const created = new Set<number>();
  const removed = new Set<number>();
  let queueId: QueueId | undefined;
  let generation = 0;
  let newest = 1;
  let damaged = 0;
  const listed = new Set(await files.list(directory));
  for (const [index, name] of names.entries()) {
    if (!listed.has(name)) continue;
    const bytes = await readWhole(files, join(directory, name));
    const header = decodeHeader(bytes);
    if (header === undefined) {
      // The second file is zeros until its first turn.
      if (bytes.subarray(0, headerBytes).some((byte) => byte !== 0)) damaged++;
      continue;
    }
    if ("version" in header) {
      const message = `${join(directory, name)} has version ${header.version} of the format, this is version ${formatVersion}`;
      throw new StorageError("STORAGE_VERSION", message);
    }
    if (header.generation > generation) {
      generation = header.generation;
      queueId = header.queueId;
      newest = index;
    }
    damaged += eachEntry(bytes, header, ({ kind, lane, number, done }) => {
      if (kind === kinds.created) created.add(number);
      else if (kind === kinds.removed) removed.add(number);
      else if (kind === kinds.acknowledged) {
        const position = { sequence: number, done };
        const known = positions.get(lane);
        if (known === undefined || isBehind(position, known)) positions.set(lane, position);
      }
    });
  }
  return { queueId, positions, created, removed, damaged, generation, newest };
}

async function readWhole(files: FileLayer, path: string): Promise<Buffer> {
  const file = await files.open(path, "read");
  try {
    const bytes = Buffer.alloc(Math.min(await file.size(), journalBytes));
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

function decodeHeader(bytes: Buffer): ReadHeader<ReadFile> {
  if (!isIntact(bytes, magic)) return undefined;
  const version = bytes.readUInt16LE(8);
  if (version !== formatVersion) return { version };
  return { queueId: Uint8Array.from(bytes.subarray(16, 32)), generation: bytes.readDoubleLE(32) };
}

function encodeHeader(queueId: QueueId, generation: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.set(magic, 0);
  bytes.writeUInt16LE(formatVersion, 8);
  bytes.writeUInt16LE(headerBytes, 10);
  bytes.set(queueId, 16);
  bytes.writeDoubleLE(generation, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

function seedOf({ queueId, generation }: ReadFile): number {
  const bytes = Buffer.alloc(24);
  bytes.set(queueId, 0);
  bytes.writeDoubleLE(generation, 16);
  return crc32(bytes, crc32(magic));
}

/** Entries of earlier generations have another seed and end the reading silently; returns how many others do not fit. */
function eachEntry(bytes: Buffer, header: ReadFile, take: (entry: Entry) => void): number {
  const seed = seedOf(header);
  let bad = 0;
  let badBeforeLast = 0;
  for (let at = headerBytes; at + entryBytes <= bytes.length; at += entryBytes) {
    if (bytes.readUInt32LE(at + entryCrcAt) !== crc32(bytes.subarray(at, at + entryCrcAt), seed)) {
      bad++;
      continue;
    }
    badBeforeLast = bad;
    take({
      kind: bytes.readUInt32LE(at),
      lane: bytes.readUInt32LE(at + 4),
      number: bytes.readDoubleLE(at + 8),
      done: bytes.readUInt32LE(at + 16),
    });
  }
  return badBeforeLast;
}

function encodeEntries(entries: readonly Entry[], seed: number): Buffer {
  const bytes = Buffer.alloc(entries.length * entryBytes);
  for (const [i, entry] of entries.entries()) {
    const at = i * entryBytes;
    bytes.writeUInt32LE(entry.kind, at);
    bytes.writeUInt32LE(entry.lane, at + 4);
    bytes.writeDoubleLE(entry.number, at + 8);
    bytes.writeUInt32LE(entry.done, at + 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, at + entryCrcAt), seed), at + entryCrcAt);
  }
  return bytes;
}

/** What a file that begins anew is told at first. */
export interface Snapshot {
  readonly positions: Iterable<readonly [lane: number, position: Position]>;
  readonly segments: Iterable<number>;
}

/** Writes the journal. Entries are written in order, many in one call; a write that fails is repeated with the next. */
export class PositionJournal {
  readonly #files: FileLayer;
  readonly #directory: string;
  readonly #queueId: QueueId;
  readonly #snapshot: () => Snapshot;
  readonly #open: OpenFile[] = [];
  #generation: number;
  #current: number;
  #seed = 0;
  #at = 0;
  #pending: Entry[] = [];
  #writing: Promise<void> | undefined;
  #isDirty = false;

  constructor(
    files: FileLayer,
    directory: string,
    queueId: QueueId,
    start: { readonly generation: number; readonly newest: number },
    snapshot: () => Snapshot,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#queueId = queueId;
    this.#generation = start.generation;
    this.#current = start.newest;
    this.#snapshot = snapshot;
  }

  /** Makes both files as large as they will be and begins a new generation. */
  async start(): Promise<void> {
    const listed = new Set(await this.#files.list(this.#directory));
    for (const name of names) {
      const path = join(this.#directory, name);
      const file = await this.#files.open(path, listed.has(name) ? "update" : "create");
      this.#open.push(file);
      const size = await file.size();
      if (size < journalBytes) await file.write([Buffer.alloc(journalBytes - size)], size);
      await file.sync();
    }
    await this.#files.syncDirectory(this.#directory);
    await this.#turn();
  }

  acknowledged(entries: Iterable<readonly [lane: number, position: Position]>): Promise<void> {
    for (const [lane, { sequence, done }] of entries) {
      this.#pending.push({ kind: kinds.acknowledged, lane, number: sequence, done });
    }
    return this.#flush();
  }

  created(segment: number): Promise<void> {
    this.#pending.push({ kind: kinds.created, lane: 0, number: segment, done: 0 });
    return this.#flush();
  }

  removed(segment: number): Promise<void> {
    this.#pending.push({ kind: kinds.removed, lane: 0, number: segment, done: 0 });
    return this.#flush();
  }

  /** Makes what was written survive a power cut. */
  async sync(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    await this.#open[this.#current]?.sync();
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.sync();
    for (const file of this.#open.splice(0)) await file.close();
  }

  /** One write at a time; what comes meanwhile goes with the next. */
  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
    await this.#writing;
  }

  async #write(): Promise<void> {
    const room = Math.floor((journalBytes - this.#at) / entryBytes);
    if (room === 0) {
      await this.#turn();
      return;
    }
    const entries = this.#pending.slice(0, room);
    await this.#open[this.#current]?.write([encodeEntries(entries, this.#seed)], this.#at);
    this.#pending.splice(0, entries.length);
    this.#at += entries.length * entryBytes;
    this.#isDirty = true;
  }

  /** Goes on in the other file, which begins with all that counts; until that is written, this one has it. */
  async #turn(): Promise<void> {
    await this.#open[this.#current]?.sync();
    const next = 1 - this.#current;
    const generation = this.#generation + 1;
    const seed = seedOf({ queueId: this.#queueId, generation });
    const { positions, segments } = this.#snapshot();
    const entries: Entry[] = [];
    for (const [lane, { sequence, done }] of positions) {
      entries.push({ kind: kinds.acknowledged, lane, number: sequence, done });
    }
    for (const segment of segments) entries.push({ kind: kinds.created, lane: 0, number: segment, done: 0 });
    const capacity = Math.floor((journalBytes - headerBytes) / entryBytes) >> 1;
    // A journal that began nearly full would take turns without end; which segments there are is then only counted.
    const bytes = encodeEntries(entries.slice(0, capacity), seed);
    await this.#open[next]?.write([encodeHeader(this.#queueId, generation), bytes], 0);
    await this.#open[next]?.sync();
    this.#current = next;
    this.#generation = generation;
    this.#seed = seed;
    this.#at = headerBytes + bytes.length;
    this.#isDirty = false;
  }
}
