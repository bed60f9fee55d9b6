/** Looks at a queue on disk without changing anything: what is in it, and whether it is whole. */

import { join } from "node:path";
import { type Damage, isGone, isNoFile } from "./damage.ts";
import type { FileLayer } from "./file-layer.ts";
import type { JournalState } from "./read-journal.ts";
import { readPast } from "./read-past.ts";
import { definitionLane, segmentHeaderBytes } from "./record-format.ts";
import { recoverQueue } from "./recover-queue.ts";
import { scanSegment } from "./scan-segment.ts";
import { type Segment, segmentNumber } from "./segment.ts";
import { isListIntact, placeBytes } from "./segment-lanes.ts";

export interface InspectedSegment {
  readonly file: string;
  readonly bytes: number;
  readonly records: number;
  /** Records that are not acknowledged. */
  readonly waiting: number;
  readonly items: number;
  readonly lanes: number;
  readonly definitions: number;
  readonly oldestMs: number | undefined;
  readonly newestMs: number | undefined;
}

export interface InspectedQueue {
  readonly directory: string;
  /** 32 hexadecimal digits; undefined when nothing says it. */
  readonly id: string | undefined;
  readonly segments: readonly InspectedSegment[];
  readonly damage: readonly Damage[];
}

/** How deep queues are looked for. */
const maxDepth = 3;
/** What a file system has for itself, for the eyes of root. */
const ofFileSystem = "lost+found";

/**
 * The directories at and below one that hold a queue, three levels deep at most; `unreadable` hears of those below that
 * cannot be looked into. Rejects where the first cannot.
 */
export async function findQueues(
  files: FileLayer,
  directory: string,
  depth = maxDepth,
  unreadable: (directory: string, error: unknown) => void = () => {},
): Promise<string[]> {
  const names = await files.list(directory);
  if (names.some((name) => segmentNumber(name) !== undefined || name === "positions-0")) return [directory];
  const found: string[] = [];
  for (const name of depth === 0 ? [] : names.sort()) {
    const path = join(directory, name);
    try {
      found.push(...(await findQueues(files, path, depth - 1, unreadable)));
    } catch (caught) {
      const { code } = caught as { code?: unknown };
      if (code !== "ENOTDIR" && !isNoFile(caught) && name !== ofFileSystem) unreadable(path, caught);
    }
  }
  return found;
}

/** Reads indexes, and where `isThorough` every record; of a queue that is in use what was there. Rejects with STORAGE_VERSION. */
export async function inspectQueue(files: FileLayer, directory: string, isThorough: boolean): Promise<InspectedQueue> {
  const look = () => recoverQueue({ files, directory, repair: false });
  const { queueId, journal, segments, damage } = await look();
  // A process that has the queue may have been writing, or removed a segment meanwhile: what is damaged stays so.
  const still = damage.length === 0 ? [] : (await look()).damage;
  const found: Damage[] = damage.filter((one) => isKnown(still, one));
  const inspected: InspectedSegment[] = [];
  for (const segment of segments) {
    try {
      const damaged = isThorough ? await verifySegment(files, segment) : [];
      inspected.push(await inspectSegment(files, segment, journal));
      found.push(...damaged.filter((one) => !isKnown(found, one)));
    } catch (caught) {
      // Whoever has the queue removed it.
      if (!isGone(caught)) throw caught;
    }
  }
  const id = queueId === undefined ? undefined : Buffer.from(queueId).toString("hex");
  return { directory, id, segments: inspected, damage: found };
}

async function inspectSegment(
  files: FileLayer,
  segment: Segment,
  { positions }: Pick<JournalState, "positions">,
): Promise<InspectedSegment> {
  const lanes = [...segment.index.lanes.values()];
  let waiting = 0;
  for (const { lane, count, firstSequence, lastSequence } of lanes) {
    const { sequence } = positions.get(lane) ?? { sequence: 0 };
    if (firstSequence > sequence) waiting += count;
    else if (lastSequence > sequence) waiting += await countBehind(files, segment, lane, sequence);
  }
  const { records, definitions, newestMs } = segment.index;
  return {
    file: segment.path,
    bytes: segment.fileBytes,
    records,
    waiting,
    items: lanes.reduce((sum, { items }) => sum + items, 0),
    lanes: lanes.length,
    definitions: definitions.size,
    oldestMs: records === 0 ? undefined : Math.min(...lanes.map(({ oldestMs }) => oldestMs)),
    newestMs: records === 0 ? undefined : newestMs,
  };
}

function isKnown(known: readonly Damage[], one: Damage): boolean {
  return known.some(({ file, offset }) => file === one.file && offset === one.offset);
}

async function countBehind(files: FileLayer, segment: Segment, lane: number, sequence: number): Promise<number> {
  let count = 0;
  await scan(files, segment, ({ header }) => {
    if (header.lane === lane && header.sequence > sequence) count++;
  });
  return count;
}

async function verifySegment(files: FileLayer, segment: Segment): Promise<Damage[]> {
  let records = 0;
  const result = await scan(files, segment, ({ header }) => {
    if (header.lane !== definitionLane) records++;
  });
  const damage = result.damaged.map((one): Damage => ({ file: segment.path, ...one, kind: "record" }));
  if (result.tailBytes > 0) {
    damage.push({ file: segment.path, offset: result.end, bytes: result.tailBytes, kind: "record" });
  }
  if (records !== segment.index.records && damage.length === 0) {
    damage.push({ file: segment.path, offset: segment.committed, bytes: 0, kind: "record" });
  }
  return [...damage, ...(await verifyLists(files, segment))];
}

/** The lists that the file has of where each lane's records are. */
async function verifyLists(files: FileLayer, { path, index, seed }: Segment): Promise<Damage[]> {
  const damage: Damage[] = [];
  const file = await files.open(path, "read");
  try {
    for (const known of index.lanes.values()) {
      if (known.list !== undefined) continue;
      const bytes = Buffer.alloc(known.count * placeBytes);
      const { length } = await readPast(file, bytes, known.listAt);
      if (isListIntact(bytes.subarray(0, length), known, seed)) continue;
      damage.push({ file: path, offset: known.listAt, bytes: bytes.length, kind: "index" });
    }
  } finally {
    await file.close();
  }
  return damage;
}

async function scan(files: FileLayer, segment: Segment, take: Parameters<typeof scanSegment>[4]) {
  const file = await files.open(segment.path, "read");
  try {
    return await scanSegment(file, segmentHeaderBytes, segment.committed, segment.seed, take);
  } finally {
    await file.close();
  }
}
