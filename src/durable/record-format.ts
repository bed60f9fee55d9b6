/** The bytes of a record and of a segment's header; docs/formats/disk-queue.md draws them. */

import { crc32 } from "node:zlib";

export const formatVersion = 1;

/** A segment's header: magic, version, identity, CRC. All numbers are little-endian. */
export const segmentHeaderBytes = 64;
const segmentMagic = Buffer.from("MRQSEG\r\n", "latin1");
const versionAt = 8;
const headerCrcAt = 60;

/** A record's header, before its payload. */
export const recordHeaderBytes = 44;
/** The first four bytes of every record: where reading goes on behind damage. */
export const recordMarker = 0xd7c19a4e;
const recordCrcAt = 40;
/** The lane of records that define what others refer to. */
export const definitionLane = 0xffff_ffff;
/** No record is longer: what claims to be is damage. */
export const maxPayloadBytes = 256 * 1024 * 1024;

/** 16 random bytes that name a queue. */
export type QueueId = Uint8Array;

export interface SegmentHeader {
  readonly queueId: QueueId;
  readonly number: number;
  readonly createdMs: number;
  /** Records of the segment have this sequence number or a larger one. */
  readonly firstSequence: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  bytes.set(segmentMagic, 0);
  bytes.writeUInt16LE(formatVersion, versionAt);
  bytes.writeUInt16LE(segmentHeaderBytes, 10);
  bytes.set(header.queueId, 16);
  bytes.writeDoubleLE(header.number, 32);
  bytes.writeDoubleLE(header.createdMs, 40);
  bytes.writeDoubleLE(header.firstSequence, 48);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headerCrcAt)), headerCrcAt);
  return bytes;
}

/** What the first bytes of a file say: a header, a version from the future, or nothing that can be read. */
export type ReadHeader<T> = T | { readonly version: number } | undefined;

/** Every version keeps magic, version and the CRC of the first 60 bytes in their places. */
export function decodeSegmentHeader(bytes: Buffer): ReadHeader<SegmentHeader> {
  if (!isIntact(bytes, segmentMagic)) return undefined;
  const version = bytes.readUInt16LE(versionAt);
  if (version !== formatVersion) return { version };
  return {
    queueId: Uint8Array.from(bytes.subarray(16, 32)),
    number: bytes.readDoubleLE(32),
    createdMs: bytes.readDoubleLE(40),
    firstSequence: bytes.readDoubleLE(48),
  };
}

/** Whether 64 bytes are a header with this magic and a CRC that fits. */
export function isIntact(bytes: Buffer, magic: Buffer): boolean {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, magic.length).equals(magic)) return false;
  return bytes.readUInt32LE(headerCrcAt) === crc32(bytes.subarray(0, headerCrcAt));
}

/** What the checksums of a segment's records begin with, so that bytes of another file are never taken for a record. */
export function recordSeed(queueId: QueueId, segment: number): number {
  const bytes = Buffer.alloc(24);
  bytes.set(queueId, 0);
  bytes.writeDoubleLE(segment, 16);
  return crc32(bytes);
}

export interface RecordHeader {
  readonly payloadBytes: number;
  readonly lane: number;
  readonly kind: number;
  readonly sequence: number;
  /** When it was accepted, milliseconds since 1970. */
  readonly timeMs: number;
  /** Samples, points, spans or log records in it. */
  readonly items: number;
  readonly payloadCrc: number;
}

/** CRC-32 (IEEE, as gzip has it) of parts behind one another: the runtime computes it natively, CRC-32C it does not have. */
export function checksum(parts: readonly Uint8Array[], seed: number): number {
  let crc = seed;
  for (const part of parts) crc = crc32(part, crc);
  return crc;
}

export function encodeRecordHeader(header: RecordHeader, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeaderBytes);
  bytes.writeUInt32LE(recordMarker, 0);
  bytes.writeUInt32LE(header.payloadBytes, 4);
  bytes.writeUInt32LE(header.lane, 8);
  bytes.writeUInt32LE(header.kind, 12);
  bytes.writeDoubleLE(header.sequence, 16);
  bytes.writeDoubleLE(header.timeMs, 24);
  bytes.writeUInt32LE(header.items, 32);
  bytes.writeUInt32LE(header.payloadCrc, 36);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, recordCrcAt), seed), recordCrcAt);
  return bytes;
}

/** The record header at `at`, or undefined when there is no intact one. */
export function decodeRecordHeader(bytes: Buffer, at: number, seed: number): RecordHeader | undefined {
  if (at + recordHeaderBytes > bytes.length || bytes.readUInt32LE(at) !== recordMarker) return undefined;
  if (bytes.readUInt32LE(at + recordCrcAt) !== crc32(bytes.subarray(at, at + recordCrcAt), seed)) return undefined;
  const payloadBytes = bytes.readUInt32LE(at + 4);
  if (payloadBytes > maxPayloadBytes) return undefined;
  return {
    payloadBytes,
    lane: bytes.readUInt32LE(at + 8),
    kind: bytes.readUInt32LE(at + 12),
    sequence: bytes.readDoubleLE(at + 16),
    timeMs: bytes.readDoubleLE(at + 24),
    items: bytes.readUInt32LE(at + 32),
    payloadCrc: bytes.readUInt32LE(at + 36),
  };
}
