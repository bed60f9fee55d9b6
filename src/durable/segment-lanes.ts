/** What is known of a segment without reading its records: which lanes it has, and where their records are. */

import { crc32 } from "node:zlib";
import { DefinitionPlaces, definitionBytes } from "./definition-places.ts";
import { encodeLanes, type LaneIndex, LaneIndexes, laneBytes } from "./lane-indexes.ts";

export type { LaneIndex } from "./lane-indexes.ts";

/** Where a record is. */
export interface RecordPlace {
  readonly offset: number;
  readonly sequence: number;
  readonly items: number;
}

const placeNumbers = 3;
export const placeBytes = placeNumbers * 4;
export const trailerBytes = 40;
const trailerMagic = 0x8e5b27c3;
const trailerCrcAt = 36;

export class SegmentIndex {
  readonly lanes: LaneIndexes;
  readonly definitions: DefinitionPlaces;
  records = 0;
  newestMs = 0;

  constructor(definitions = new DefinitionPlaces(), lanes = new LaneIndexes()) {
    this.definitions = definitions;
    this.lanes = lanes;
  }

  add(lane: number, place: RecordPlace, bytes: number, timeMs: number, firstOfSegment: number): void {
    let known = this.lanes.get(lane);
    if (known === undefined) {
      known = {
        lane,
        count: 0,
        firstSequence: place.sequence,
        lastSequence: place.sequence,
        items: 0,
        bytes: 0,
        oldestMs: timeMs,
        listAt: -1,
        list: new Uint32Array(8 * placeNumbers),
        listCrc: 0,
        isListChecked: false,
      };
      this.lanes.add(known);
    }
    let list = known.list ?? new Uint32Array(8 * placeNumbers);
    const at = known.count * placeNumbers;
    if (at + placeNumbers > list.length) {
      const grown = new Uint32Array(list.length * 2);
      grown.set(list);
      list = grown;
    }
    list[at] = place.offset;
    list[at + 1] = place.sequence - firstOfSegment;
    list[at + 2] = place.items;
    known.list = list;
    known.count++;
    known.lastSequence = place.sequence;
    known.items += place.items;
    known.bytes += bytes;
    known.oldestMs = Math.min(known.oldestMs, timeMs);
    this.records++;
    this.newestMs = Math.max(this.newestMs, timeMs);
  }
}

/** Entry `index` of a list that is in memory. */
export function placeAt(list: Uint32Array, index: number, firstOfSegment: number): RecordPlace {
  const at = index * placeNumbers;
  return {
    offset: list[at] as number,
    sequence: firstOfSegment + (list[at + 1] as number),
    items: list[at + 2] as number,
  };
}

/** Reads a list that was in a file. */
export function decodeList(bytes: Buffer): Uint32Array<ArrayBuffer> {
  const list = new Uint32Array(bytes.length >>> 2);
  for (let i = 0; i < list.length; i++) list[i] = bytes.readUInt32LE(i * 4);
  return list;
}

function encodeList(list: Uint32Array): Buffer {
  const bytes = Buffer.allocUnsafe(list.length * 4);
  for (let i = 0; i < list.length; i++) bytes.writeUInt32LE(list[i] as number, i * 4);
  return bytes;
}

/** Whether bytes of a file are the list of a lane. */
export function isListIntact(bytes: Buffer, { count, listCrc }: LaneIndex, seed: number): boolean {
  return bytes.length === count * placeBytes && crc32(bytes, seed) === listCrc;
}

/** The end of a sealed segment: lists, definitions, lanes, trailer. The index notes the checksums of the lists. */
export function encodeFooter(index: SegmentIndex, at: number, firstOfSegment: number, seed: number): Buffer[] {
  const parts: Buffer[] = [];
  let end = at;
  for (const known of index.lanes.values()) {
    const list = encodeList((known.list ?? new Uint32Array(0)).subarray(0, known.count * placeNumbers));
    parts.push(list);
    known.listAt = end;
    known.listCrc = crc32(list, seed);
    known.isListChecked = false;
    end += list.length;
  }
  const lanes = encodeLanes(index.lanes.values(), index.lanes.size);
  const definitions = index.definitions.encode();
  const trailer = Buffer.alloc(trailerBytes);
  trailer.writeUInt32LE(trailerMagic, 0);
  trailer.writeUInt32LE(end, 4);
  trailer.writeUInt32LE(index.definitions.size, 8);
  trailer.writeUInt32LE(index.lanes.size, 12);
  trailer.writeDoubleLE(index.newestMs, 16);
  trailer.writeDoubleLE(firstOfSegment, 24);
  trailer.writeUInt32LE(crc32(lanes, crc32(definitions, seed)), 32);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, trailerCrcAt), seed), trailerCrcAt);
  return [...parts, definitions, lanes, trailer];
}

/** After the footer was written: the lists are read from the file when they are needed. */
export function leaveListsInFile(index: SegmentIndex): void {
  index.definitions.pack();
  index.lanes.pack();
}

/** What the last bytes of a sealed segment say. */
export interface Trailer {
  /** Where the definitions begin; the lanes and the trailer follow them. */
  readonly tableAt: number;
  readonly definitions: number;
  readonly lanes: number;
  readonly newestMs: number;
  readonly firstOfSegment: number;
  readonly crc: number;
}

export function decodeTrailer(bytes: Buffer, seed: number): Trailer | undefined {
  if (bytes.length !== trailerBytes || bytes.readUInt32LE(0) !== trailerMagic) return undefined;
  if (bytes.readUInt32LE(trailerCrcAt) !== crc32(bytes.subarray(0, trailerCrcAt), seed)) return undefined;
  return {
    tableAt: bytes.readUInt32LE(4),
    definitions: bytes.readUInt32LE(8),
    lanes: bytes.readUInt32LE(12),
    newestMs: bytes.readDoubleLE(16),
    firstOfSegment: bytes.readDoubleLE(24),
    crc: bytes.readUInt32LE(32),
  };
}

/** Bytes of definitions and lanes together. */
export function tableBytes({ definitions, lanes }: Trailer): number {
  return definitions * definitionBytes + lanes * laneBytes;
}

/** The index that the table before the trailer holds; undefined when it is damaged. Lists stay in the file. */
export function decodeTable(table: Buffer, trailer: Trailer, seed: number): SegmentIndex | undefined {
  if (table.length !== tableBytes(trailer)) return undefined;
  const lanesAt = trailer.definitions * definitionBytes;
  if (crc32(table.subarray(lanesAt), crc32(table.subarray(0, lanesAt), seed)) !== trailer.crc) return undefined;
  const definitions = new DefinitionPlaces(Buffer.from(table.subarray(0, lanesAt)));
  const index = new SegmentIndex(definitions, new LaneIndexes(Buffer.from(table.subarray(lanesAt))));
  index.newestMs = trailer.newestMs;
  for (const { count } of index.lanes.values()) index.records += count;
  return index;
}
