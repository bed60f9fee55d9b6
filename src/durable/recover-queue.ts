/** Reads what a directory of a disk queue holds: the journal, and of every segment its index. */

import { join } from "node:path";
import { toError } from "../model/errors.ts";
import { type Damage, isNoFile } from "./damage.ts";
import type { FileLayer, OpenFile } from "./file-layer.ts";
import { type JournalState, readJournal } from "./read-journal.ts";
import { readPast } from "./read-past.ts";
import {
  decodeSegmentHeader,
  definitionLane,
  formatVersion,
  type QueueId,
  recordHeaderBytes,
  segmentHeaderBytes,
} from "./record-format.ts";
import { type ScannedRecord, scanSegment } from "./scan-segment.ts";
import { newSegment, type Segment, segmentName, segmentNumber } from "./segment.ts";
import {
  decodeTable,
  decodeTrailer,
  encodeFooter,
  leaveListsInFile,
  SegmentIndex,
  tableBytes,
  trailerBytes,
} from "./segment-lanes.ts";
import { StorageError } from "./storage-error.ts";

export type { Damage } from "./damage.ts";

export interface Recovered {
  readonly queueId: QueueId | undefined;
  readonly journal: JournalState;
  /** By number. All are closed. */
  readonly segments: readonly Segment[];
  readonly damage: readonly Damage[];
  readonly nextNumber: number;
  readonly nextSequence: number;
}

export interface RecoverOptions {
  readonly files: FileLayer;
  readonly directory: string;
  /** Writes the index of segments that have none, and removes what the journal says is removed. */
  readonly repair: boolean;
}

/** Throws STORAGE_VERSION for a version from the future, before anything was changed. */
export async function recoverQueue(options: RecoverOptions): Promise<Recovered> {
  const { files, directory } = options;
  const journal = await readJournal(files, directory);
  const damage: Damage[] = [...journal.damage];
  const numbers = (await files.list(directory)).flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
  const names = new Map(numbers.map((number) => [number, join(directory, segmentName(number))]));
  const headers = new Map<number, Awaited<ReturnType<typeof readHeader>>>();
  for (const [number, path] of names) headers.set(number, await readHeader(files, path));
  const queueId = journal.queueId ?? [...headers.values()].find((header) => header !== undefined)?.queueId;
  const segments: Segment[] = [];
  for (const [number, path] of names) {
    const header = headers.get(number);
    const isForeign = header !== undefined && (header.number !== number || !isSame(header.queueId, queueId));
    if (queueId === undefined || isForeign) {
      damage.push({ file: path, offset: 0, bytes: 0, kind: queueId === undefined ? "header" : "foreign" });
      continue;
    }
    try {
      if (options.repair && journal.removed.has(number)) {
        await files.remove(path);
        continue;
      }
      const known = { number, queueId, firstSequence: header?.firstSequence, isCreated: journal.created.has(number) };
      const segment = await readSegment(options, path, known, damage);
      if (segment !== undefined) segments.push(segment);
    } catch (caught) {
      if (!isNoFile(caught)) throw caught;
      damage.push({ file: `${path}: ${toError(caught).message}`, offset: 0, bytes: 0, kind: "header" });
    }
  }
  for (const number of journal.created) {
    if (journal.removed.has(number) || names.has(number)) continue;
    damage.push({ file: join(directory, segmentName(number)), offset: 0, bytes: 0, kind: "missing" });
  }
  return { queueId, journal, segments, damage, ...next(journal, numbers, segments) };
}

function isSame(a: QueueId, b: QueueId | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}

/** No queue counts as far; a name with a larger number is not of this one, and what follows it might have no name. */
const maxNumber = 10 ** 14;

/** Numbers that were never used: an acknowledgement that survived must never speak of a record that is to come. */
function next(journal: JournalState, numbers: readonly number[], segments: readonly Segment[]) {
  let number = 0;
  for (const one of [...numbers, ...journal.created, ...journal.removed]) {
    if (one < maxNumber) number = Math.max(number, one);
  }
  let sequence = 0;
  for (const position of journal.positions.values()) {
    sequence = Math.max(sequence, position.sequence + (position.done > 0 ? 1 : 0));
  }
  for (const { index, firstSequence } of segments) {
    sequence = Math.max(sequence, firstSequence);
    for (const lane of index.lanes.values()) sequence = Math.max(sequence, lane.lastSequence);
  }
  return { nextNumber: number + 1, nextSequence: sequence + 1 };
}

/** Undefined where there is none, or where it cannot be read. */
async function readHeader(files: FileLayer, path: string) {
  let file: OpenFile | undefined;
  try {
    file = await files.open(path, "read");
    const bytes = Buffer.alloc(segmentHeaderBytes);
    const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)));
    if (header === undefined || !("version" in header)) return header;
    const message = `${path} has version ${header.version} of the format, this is version ${formatVersion}`;
    throw new StorageError("STORAGE_VERSION", message);
  } catch (caught) {
    if (!isNoFile(caught)) throw caught;
    return undefined;
  } finally {
    await file?.close();
  }
}

/** What is known of a segment before it is read; without a header no `firstSequence`. */
interface KnownSegment {
  readonly number: number;
  readonly queueId: QueueId;
  readonly firstSequence: number | undefined;
  /** Whether the journal says so. */
  readonly isCreated: boolean;
}

/** Undefined for a file of which nothing says that it is ours: it stays. */
async function readSegment(
  { files, repair }: RecoverOptions,
  path: string,
  { number, queueId, firstSequence, isCreated }: KnownSegment,
  damage: Damage[],
): Promise<Segment | undefined> {
  const file = await files.open(path, "read");
  try {
    const size = await file.size();
    // Who dies while making a file leaves an empty one that the journal does not know: nothing is lost with it.
    const isBegun = size > segmentHeaderBytes || isCreated || !(await isUnwritten(file));
    if (firstSequence === undefined && isBegun) {
      damage.push({ file: path, offset: 0, bytes: segmentHeaderBytes, kind: "header" });
    }
    const segment = newSegment(path, number, queueId, firstSequence ?? 0, new SegmentIndex());
    const sealed = await readIndex(file, size, segment.seed);
    if (sealed !== undefined) {
      const { index, tableAt, firstOfSegment } = sealed;
      // The lists of the lanes follow the records.
      let committed = tableAt;
      for (const { listAt } of index.lanes.values()) committed = Math.min(committed, listAt);
      return { ...segment, firstSequence: firstOfSegment, index, committed, fileBytes: size, isClosed: true };
    }
    const { scanned, isWhole } = await scanIndex(file, size, segment, firstSequence, damage);
    const isEmpty = firstSequence === undefined && scanned.index.records === 0;
    if (isEmpty && !(await isUnwritten(file))) return undefined;
    // What the device could not read now it may read at the next start.
    if (repair && isWhole) await sealScanned(files, scanned);
    return scanned;
  } finally {
    await file.close();
  }
}

/** A file that was made and whose first write did not come to the disk is ours, and empty. */
async function isUnwritten(file: Readable): Promise<boolean> {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  const { brokenAt } = await readPast(file, bytes, 0);
  return brokenAt === undefined && bytes.every((byte) => byte === 0);
}

type Readable = Pick<OpenFile, "read">;

async function readIndex(file: Readable, size: number, seed: number) {
  if (size < segmentHeaderBytes + trailerBytes) return undefined;
  const bytes = Buffer.alloc(trailerBytes);
  await readPast(file, bytes, size - trailerBytes);
  const trailer = decodeTrailer(bytes, seed);
  if (trailer === undefined || trailer.tableAt + tableBytes(trailer) + trailerBytes !== size) return undefined;
  const table = Buffer.alloc(tableBytes(trailer));
  await readPast(file, table, trailer.tableAt);
  const index = decodeTable(table, trailer, seed);
  return index === undefined ? undefined : { index, tableAt: trailer.tableAt, firstOfSegment: trailer.firstOfSegment };
}

/** Reads all records to learn what is there. */
async function scanIndex(
  file: Parameters<typeof scanSegment>[0],
  size: number,
  segment: Segment,
  knownFirst: number | undefined,
  damage: Damage[],
): Promise<{ scanned: Segment; isWhole: boolean }> {
  let first = knownFirst;
  const { index, seed, path } = segment;
  const take = ({ header, offset, payload }: ScannedRecord) => {
    if (header.lane === definitionLane) {
      index.definitions.set(payload.toString("hex", 0, 16), offset);
      return;
    }
    first ??= header.sequence;
    const place = { offset, sequence: header.sequence, items: header.items };
    index.add(header.lane, place, payload.length + recordHeaderBytes, header.timeMs, first);
  };
  const from = Math.min(size, segmentHeaderBytes);
  const result = await scanSegment(file, from, size, seed, take);
  for (const { offset, bytes } of result.damaged) damage.push({ file: path, offset, bytes, kind: "record" });
  if (result.tailBytes > 0) damage.push({ file: path, offset: result.end, bytes: result.tailBytes, kind: "tail" });
  const committed = result.end;
  const scanned = { ...segment, firstSequence: first ?? 0, index, committed, fileBytes: size, isClosed: true };
  return { scanned, isWhole: !result.isBroken };
}

/** Cuts the torn tail off and writes the index, so that the next start need not read the segment again. */
async function sealScanned(files: FileLayer, segment: Segment): Promise<void> {
  const { index, committed, firstSequence, seed, path } = segment;
  try {
    const file = await files.open(path, "update");
    try {
      await file.truncate(committed);
      const footer = encodeFooter(index, committed, firstSequence, seed);
      segment.fileBytes = committed;
      await file.write(footer, committed);
      for (const part of footer) segment.fileBytes += part.length;
      leaveListsInFile(index);
    } finally {
      await file.close();
    }
  } catch {
    // A full disk: the index stays in memory, and the next start reads the segment again.
  }
}
