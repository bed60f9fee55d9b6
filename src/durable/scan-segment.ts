/** Reads a segment from its beginning to its end, past damage. */

import type { OpenFile } from "./file-layer.ts";
import { readPast } from "./read-past.ts";
import {
  checksum,
  decodeRecordHeader,
  definitionLane,
  maxPayloadBytes,
  type RecordHeader,
  recordHeaderBytes,
  recordMarker,
} from "./record-format.ts";

/** An intact record. The payload is valid until the next one. */
export interface ScannedRecord {
  readonly header: RecordHeader;
  readonly offset: number;
  readonly payload: Buffer;
}

/** Bytes that are no record. */
export interface DamagedBytes {
  readonly offset: number;
  readonly bytes: number;
}

export interface ScanResult {
  /** Where the last intact record ends. */
  readonly end: number;
  /** Stretches between intact records. */
  readonly damaged: readonly DamagedBytes[];
  /** Bytes behind the last intact record: a write that was cut off, or an index. */
  readonly tailBytes: number;
  /** Whether the device could not read all of it. */
  readonly isBroken: boolean;
}

const chunkBytes = 1 << 20;
const marker = Buffer.alloc(4);
marker.writeUInt32LE(recordMarker, 0);

/** A window over a file that moves forward. */
class Window {
  readonly #file: OpenFile;
  readonly #size: number;
  #bytes: Buffer = Buffer.allocUnsafe(0);
  #at = 0;
  isBroken = false;

  constructor(file: OpenFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** Bytes from `offset` on: `length` of them, or up to the end of the file; a chunk is read ahead. */
  async at(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(this.#size, offset + length);
    if (offset < this.#at || end > this.#at + this.#bytes.length) {
      const wanted = Math.min(this.#size - offset, Math.max(length, chunkBytes));
      const bytes = Buffer.allocUnsafe(Math.max(0, wanted));
      const { length: count, brokenAt } = await readPast(this.#file, bytes, offset);
      this.#bytes = bytes.subarray(0, count);
      if (brokenAt !== undefined) this.isBroken = true;
      this.#at = offset;
    }
    return this.#bytes.subarray(offset - this.#at, Math.max(offset, end) - this.#at);
  }
}

/** Hands every intact record between `from` and `to` to `take`, in order. */
export async function scanSegment(
  file: OpenFile,
  from: number,
  to: number,
  seed: number,
  take: (record: ScannedRecord) => void | Promise<void>,
): Promise<ScanResult> {
  const window = new Window(file, to);
  const damaged: DamagedBytes[] = [];
  let end = from;
  let at = from;
  // Of the last record: one that does not follow it stands in a place that it was not written to.
  let sequence = Number.NEGATIVE_INFINITY;
  while (at + recordHeaderBytes <= to) {
    const header = decodeRecordHeader(await window.at(at, recordHeaderBytes), 0, seed);
    const length = recordHeaderBytes + (header?.payloadBytes ?? 0);
    if (header !== undefined && at + length <= to) {
      const payload = (await window.at(at, length)).subarray(recordHeaderBytes);
      const isRising = header.lane === definitionLane || header.sequence > sequence;
      if (isRising && checksum([payload], seed) === header.payloadCrc) {
        if (at > end) damaged.push({ offset: end, bytes: at - end });
        await take({ header, offset: at, payload });
        if (header.lane !== definitionLane) ({ sequence } = header);
        at += length;
        end = at;
        continue;
      }
      // The header is whole: what it says of the length holds.
      at += length;
      continue;
    }
    at = await nextMarker(window, at + 1, to);
  }
  return { end, damaged, tailBytes: to - end, isBroken: window.isBroken };
}

/** Where the next record may begin. */
async function nextMarker(window: Window, from: number, to: number): Promise<number> {
  let at = from;
  while (at + recordHeaderBytes <= to) {
    const bytes = await window.at(at, Math.min(chunkBytes, maxPayloadBytes));
    const found = bytes.indexOf(marker);
    if (found >= 0) return at + found;
    at += Math.max(1, bytes.length - marker.length + 1);
  }
  return to;
}
