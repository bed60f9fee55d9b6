/** Unpacks zstd bodies of any number of frames, never to more than a limit. */

import { constants, zstdDecompressSync } from "node:zlib";
import { DecodeError, toError } from "../model/errors.ts";
import { codeOf } from "./http-error.ts";

const frameMagic = 0xfd2fb528;
/** 16 magic numbers, from this one on. */
const skippableMagic = 0x184d2a50;
const minChunkBytes = 16 * 1024;
/** RFC 9659: zstd in HTTP needs no window above 8 MiB; a larger one would be allocated for a small body. */
const maxWindowLog = 23;
/** A block of three bytes and one of content may stand for 128 KiB. */
const maxRatio = 32_768;

/** Throws DecodeError for anything that is not a list of whole and valid frames. */
export function unpackZstd(packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  const parts: Uint8Array[] = [];
  let total = 0;
  // Node's decompressor takes the first frame and says nothing of the others.
  for (let at = 0; at < packed.length; ) {
    const frame = readFrame(packed, at);
    if (frame.isData) {
      const part = unpackFrame(packed.subarray(at, frame.end), frame.declaredBytes, maxBytes - total);
      if (part === "too-large") return part;
      total += part.length;
      parts.push(part);
    }
    at = frame.end;
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, total);
}

function unpackFrame(
  packed: Uint8Array,
  declaredBytes: number | undefined,
  maxBytes: number,
): Uint8Array | "too-large" {
  if (declaredBytes !== undefined && declaredBytes > maxBytes) return "too-large";
  // One more byte: the decompressor asks for another chunk when the last one is exactly full.
  const wanted = Math.min((declaredBytes ?? 0) + 1, packed.length * maxRatio, maxBytes + 1);
  try {
    const bytes = zstdDecompressSync(packed, {
      chunkSize: Math.max(minChunkBytes, wanted),
      maxOutputLength: Math.max(1, maxBytes),
      params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog },
    });
    return bytes.length > maxBytes ? "too-large" : bytes;
  } catch (caught) {
    if (codeOf(caught) === "ERR_BUFFER_TOO_LARGE") return "too-large";
    throw new DecodeError("zstd", packed.length, toError(caught).message, { cause: caught });
  }
}

interface Frame {
  readonly isData: boolean;
  readonly end: number;
  readonly declaredBytes: number | undefined;
}

/** Walks over the headers of a frame and of its blocks (RFC 8878 section 3.1). */
function readFrame(packed: Uint8Array, start: number): Frame {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const need = (end: number): void => {
    if (end > packed.length) throw new DecodeError("zstd", start, "ends within a frame");
  };
  need(start + 5);
  const magic = view.getUint32(start, true);
  if ((magic & 0xffff_fff0) >>> 0 === skippableMagic) {
    need(start + 8);
    const end = start + 8 + view.getUint32(start + 4, true);
    need(end);
    return { isData: false, end, declaredBytes: undefined };
  }
  if (magic !== frameMagic) throw new DecodeError("zstd", start, "no frame at this place");
  const descriptor = packed[start + 4] as number;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] as number;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number;
  const sizeAt = start + 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  need(sizeAt + sizeBytes);
  const declaredBytes = readSize(view, sizeAt, sizeBytes);
  let at = sizeAt + sizeBytes;
  for (let isLast = false; !isLast; ) {
    need(at + 3);
    const header = view.getUint16(at, true) + (packed[at + 2] as number) * 0x1_0000;
    isLast = (header & 1) === 1;
    const isRepeated = ((header >>> 1) & 3) === 1;
    at += 3 + (isRepeated ? 1 : header >>> 3);
    need(at);
  }
  if ((descriptor & 0x04) !== 0) at += 4;
  need(at);
  return { isData: true, end: at, declaredBytes };
}

function readSize(view: DataView, at: number, bytes: number): number | undefined {
  switch (bytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      return undefined;
  }
}
