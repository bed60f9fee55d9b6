/** The bytes of the journal of positions; docs/formats/disk-queue.md draws them. */

import { crc32 } from "node:zlib";
import { formatVersion, isIntact, type QueueId, type ReadHeader, segmentHeaderBytes } from "./record-format.ts";

const magic = Buffer.from("MRQPOS\r\n", "latin1");
/** The two files, which take turns. */
export const journalNames = ["positions-0", "positions-1"] as const;
export const journalHeaderBytes = segmentHeaderBytes;
export const entryBytes = 28;
const entryCrcAt = 24;
const nonceAt = 40;
export const nonceBytes = 16;
/** Size of each file. It is filled at once when it is made, so that acknowledging never needs room on a full disk. */
export const journalBytes = 256 * 1024;

export const entryKinds = { acknowledged: 1, created: 2, removed: 3 } as const;

/** Everything up to `sequence` is delivered, and the first `done` items of the record with the next number. */
export interface Position {
  readonly sequence: number;
  readonly done: number;
}

export function isBehind(a: Position, b: Position): boolean {
  return a.sequence > b.sequence || (a.sequence === b.sequence && a.done > b.done);
}

export interface JournalHeader {
  readonly queueId: QueueId;
  readonly generation: number;
  /** Random: a number may be used again for a generation of which nothing is left, its entries must not be. */
  readonly nonce: Uint8Array;
}

export interface JournalEntry {
  readonly kind: number;
  readonly lane: number;
  readonly number: number;
  readonly done: number;
}

export function decodeJournalHeader(bytes: Buffer): ReadHeader<JournalHeader> {
  if (!isIntact(bytes, magic)) return undefined;
  const version = bytes.readUInt16LE(8);
  if (version !== formatVersion) return { version };
  return {
    queueId: Uint8Array.from(bytes.subarray(16, 32)),
    generation: bytes.readDoubleLE(32),
    nonce: Uint8Array.from(bytes.subarray(nonceAt, nonceAt + nonceBytes)),
  };
}

export function encodeJournalHeader({ queueId, generation, nonce }: JournalHeader): Buffer {
  const bytes = Buffer.alloc(journalHeaderBytes);
  bytes.set(magic, 0);
  bytes.writeUInt16LE(formatVersion, 8);
  bytes.writeUInt16LE(journalHeaderBytes, 10);
  bytes.set(queueId, 16);
  bytes.writeDoubleLE(generation, 32);
  bytes.set(nonce, nonceAt);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** What the checksums of a generation's entries begin with. */
export function entrySeed({ queueId, generation, nonce }: JournalHeader): number {
  const bytes = Buffer.alloc(24 + nonceBytes);
  bytes.set(queueId, 0);
  bytes.writeDoubleLE(generation, 16);
  bytes.set(nonce, 24);
  return crc32(bytes, crc32(magic));
}

/** The entry at `at`; undefined where its checksum does not fit. */
export function decodeEntry(bytes: Buffer, at: number, seed: number): JournalEntry | undefined {
  if (bytes.readUInt32LE(at + entryCrcAt) !== crc32(bytes.subarray(at, at + entryCrcAt), seed)) return undefined;
  return {
    kind: bytes.readUInt32LE(at),
    lane: bytes.readUInt32LE(at + 4),
    number: bytes.readDoubleLE(at + 8),
    done: bytes.readUInt32LE(at + 16),
  };
}

export function encodeEntries(entries: readonly JournalEntry[], seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(entries.length * entryBytes).fill(0);
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
