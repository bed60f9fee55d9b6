/** Snappy blocks and the snappy framing format, never unpacked to more than a limit. */

import { compressSync, uncompressSync } from "snappy";
import { crc32c } from "../kernels/crc32c.ts";
import { DecodeError, toError } from "../model/errors.ts";

/** The stream identifier chunk with which every framed stream begins. */
const streamHeader = Buffer.from([0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59]);
const maxChunkBytes = 65_536;
const checksumBytes = 4;
const chunkHeaderBytes = 4;
/** The shortest element of a block that stands for 64 bytes has three. */
const maxBlockRatio = 22;

/** Whether the bytes begin as a framed stream does; no block can. */
export function isSnappyFramed(bytes: Uint8Array): boolean {
  if (bytes.length < streamHeader.length) return false;
  return streamHeader.every((byte, i) => bytes[i] === byte);
}

/** Unpacks one block. Throws DecodeError for anything that is not a whole and valid one. */
export function unpackSnappyBlock(packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  const declared = declaredLength(packed);
  if (declared === undefined) throw new DecodeError("snappy", 0, "no length at the beginning");
  if (declared > packed.length * maxBlockRatio + maxBlockRatio) {
    throw new DecodeError("snappy", 0, `${packed.length} bytes cannot hold the ${declared} that are declared`);
  }
  if (declared > maxBytes) return "too-large";
  if (declared === 0 && packed.length === 1) return new Uint8Array(0);
  try {
    return uncompressSync(asBuffer(packed), { asBuffer: true, copyOutputData: true }) as Buffer;
  } catch (caught) {
    throw new DecodeError("snappy", packed.length, toError(caught).message, { cause: caught });
  }
}

export function packSnappyBlock(bytes: Uint8Array): Buffer {
  return compressSync(asBuffer(bytes), { copyOutputData: true });
}

/** Unpacks a framed stream and checks its checksums. Throws DecodeError for anything that is not a whole and valid one. */
export function unpackSnappyFramed(packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  if (packed.length === 0) return packed;
  if (!isSnappyFramed(packed)) throw new DecodeError("snappy", 0, "no stream identifier at the beginning");
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = streamHeader.length; at < packed.length; ) {
    const type = packed[at] as number;
    const length =
      (packed[at + 1] ?? 0) + (packed[at + 2] ?? 0) * 0x100 + (packed[at + 3] ?? Number.POSITIVE_INFINITY) * 0x1_0000;
    const start = at + chunkHeaderBytes;
    const end = start + length;
    if (!(end <= packed.length)) throw new DecodeError("snappy", at, "ends within a chunk");
    if (type === 0x00 || type === 0x01) {
      const part = unpackChunk(packed, type, start, end);
      total += part.length;
      if (total > maxBytes) return "too-large";
      parts.push(part);
    } else if (type >= 0x02 && type <= 0x7f) {
      throw new DecodeError("snappy", at, `unknown chunk type ${type}`);
    }
    at = end;
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, total);
}

function unpackChunk(packed: Uint8Array, type: number, start: number, end: number): Uint8Array {
  if (end - start < checksumBytes) throw new DecodeError("snappy", start, "chunk without a checksum");
  const body = packed.subarray(start + checksumBytes, end);
  const bytes = type === 0x00 ? unpackSnappyBlock(body, maxChunkBytes) : body;
  if (bytes === "too-large" || bytes.length > maxChunkBytes) {
    throw new DecodeError("snappy", start, `chunk of more than ${maxChunkBytes} bytes`);
  }
  const told = new DataView(packed.buffer, packed.byteOffset).getUint32(start, true);
  if (told !== maskedChecksum(bytes)) throw new DecodeError("snappy", start, "wrong checksum");
  return bytes;
}

/** Packs bytes as a framed stream; what does not shrink by an eighth stays as it is. */
export function packSnappyFramed(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = [streamHeader];
  for (let at = 0; at < bytes.length; at += maxChunkBytes) {
    const plain = bytes.subarray(at, at + maxChunkBytes);
    const block = packSnappyBlock(plain);
    const isPacked = block.length < plain.length - plain.length / 8;
    const body = isPacked ? block : plain;
    const header = Buffer.allocUnsafe(chunkHeaderBytes + checksumBytes);
    header[0] = isPacked ? 0x00 : 0x01;
    header.writeUIntLE(body.length + checksumBytes, 1, 3);
    header.writeUInt32LE(maskedChecksum(plain), chunkHeaderBytes);
    parts.push(header, body);
  }
  return Buffer.concat(parts);
}

/** As the framing format says, so that a checksum of data that holds checksums is no special value. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The varint at the beginning of a block, at most 2^32 - 1. */
function declaredLength(packed: Uint8Array): number | undefined {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = packed[i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return length <= 0xffff_ffff ? length : undefined;
  }
  return undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
