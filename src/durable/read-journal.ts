/** Reads what the two files of the journal say together, and tells what of them is damaged. */

import { join } from "node:path";
import type { Damage } from "./damage.ts";
import { isNoFile } from "./damage.ts";
import type { FileLayer } from "./file-layer.ts";
import {
  decodeEntry,
  decodeJournalHeader,
  entryBytes,
  entryKinds,
  entrySeed,
  isBehind,
  type JournalEntry,
  type JournalHeader,
  journalBytes,
  journalHeaderBytes,
  journalNames,
  type Position,
} from "./journal-format.ts";
import { readPast } from "./read-past.ts";
import { formatVersion, type QueueId } from "./record-format.ts";
import { segmentNumber } from "./segment.ts";
import { StorageError } from "./storage-error.ts";

/** What the two files say together. */
export interface JournalState {
  readonly queueId: QueueId | undefined;
  readonly positions: ReadonlyMap<number, Position>;
  readonly created: ReadonlySet<number>;
  readonly removed: ReadonlySet<number>;
  /** The largest; 0 when there is none. */
  readonly generation: number;
  /** Which file has it. */
  readonly newest: number;
  readonly damage: readonly Damage[];
}

interface ReadFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly brokenAt: number | undefined;
  readonly header: JournalHeader | undefined;
}

/** Reads the journal of a directory. Throws STORAGE_VERSION for files from the future, which stay as they are. */
export async function readJournal(files: FileLayer, directory: string): Promise<JournalState> {
  const positions = new Map<number, Position>();
  const created = new Set<number>();
  const removed = new Set<number>();
  const listed = await files.list(directory);
  const read: ReadFile[] = [];
  for (const name of journalNames) read.push(await readFile(files, join(directory, name), listed.includes(name)));
  let newest = 1;
  let header: JournalHeader | undefined;
  for (const [index, file] of read.entries()) {
    if (file.header === undefined || file.header.generation <= (header?.generation ?? 0)) continue;
    header = file.header;
    newest = index;
  }
  const take = ({ kind, lane, number, done }: JournalEntry) => {
    if (kind === entryKinds.created) created.add(number);
    else if (kind === entryKinds.removed) removed.add(number);
    else if (kind === entryKinds.acknowledged) {
      const position = { sequence: number, done };
      const known = positions.get(lane);
      if (known === undefined || isBehind(position, known)) positions.set(lane, position);
    }
  };
  // The first start may have been cut off before the files were whole: then there are no segments.
  const hasSegments = listed.some((name) => segmentNumber(name) !== undefined);
  const damage: Damage[] = [];
  for (const file of read) {
    const isBegun = hasSegments || (header?.generation ?? 1) > 1 || hasContent(file);
    if (isBegun) damage.push(...readEntries(file, header, take));
  }
  return { queueId: header?.queueId, positions, created, removed, generation: header?.generation ?? 0, newest, damage };
}

async function readFile(files: FileLayer, path: string, isThere: boolean): Promise<ReadFile> {
  if (!isThere) return { path, bytes: Buffer.alloc(0), brokenAt: undefined, header: undefined };
  const { bytes, brokenAt } = await readWhole(files, path);
  const header = decodeJournalHeader(bytes);
  if (header === undefined || !("version" in header)) return { path, bytes, brokenAt, header };
  const message = `${path} has version ${header.version} of the format, this is version ${formatVersion}`;
  throw new StorageError("STORAGE_VERSION", message);
}

async function readWhole(files: FileLayer, path: string) {
  try {
    const file = await files.open(path, "read");
    try {
      const bytes = Buffer.alloc(Math.min(await file.size(), journalBytes));
      const { length, brokenAt } = await readPast(file, bytes, 0);
      return { bytes: bytes.subarray(0, length), brokenAt };
    } finally {
      await file.close();
    }
  } catch (caught) {
    if (!isNoFile(caught)) throw caught;
    return { bytes: Buffer.alloc(0), brokenAt: 0 };
  }
}

function hasContent({ bytes, brokenAt }: ReadFile): boolean {
  return brokenAt !== undefined || bytes.some((byte) => byte !== 0);
}

/** Hands the entries of a file to `take`; returns what is wrong with it. */
function readEntries(
  { path, bytes, brokenAt, header }: ReadFile,
  newest: JournalHeader | undefined,
  take: (entry: JournalEntry) => void,
): Damage[] {
  const damage: Damage[] = [];
  const report = (offset: number, length: number, kind: Damage["kind"] = "journal") => {
    damage.push({ file: path, offset, bytes: length, kind });
  };
  if (bytes.length < journalBytes) report(bytes.length, journalBytes - bytes.length);
  if (brokenAt !== undefined && brokenAt < bytes.length) report(brokenAt, bytes.length - brokenAt);
  if (header === undefined) {
    if (damage.length === 0) report(0, journalHeaderBytes);
    return damage;
  }
  if (newest !== undefined && Buffer.compare(header.queueId, newest.queueId) !== 0) {
    report(0, journalHeaderBytes, "foreign");
    return damage;
  }
  const bad = eachEntry(bytes, entrySeed(header), take);
  if (bad !== undefined && brokenAt === undefined) report(bad.offset, bad.bytes);
  return damage;
}

/** Behind the last entry the file has zeros; returns where the first is that does not fit, and the bytes of all of them. */
function eachEntry(bytes: Buffer, seed: number, take: (entry: JournalEntry) => void) {
  let first: number | undefined;
  let bad = 0;
  let firstZero: number | undefined;
  let zeros = 0;
  for (let at = journalHeaderBytes; at + entryBytes <= bytes.length; at += entryBytes) {
    const entry = decodeEntry(bytes, at, seed);
    const isZero = entry === undefined && bytes.subarray(at, at + entryBytes).every((byte) => byte === 0);
    if (isZero) {
      firstZero ??= at;
      zeros++;
      continue;
    }
    // Something follows: these zeros are not the end.
    first ??= firstZero;
    bad += zeros;
    firstZero = undefined;
    zeros = 0;
    if (entry !== undefined) take(entry);
    else {
      first ??= at;
      bad++;
    }
  }
  return first === undefined ? undefined : { offset: first, bytes: bad * entryBytes };
}
