/** The codings of bodies and messages: packing, and unpacking within a limit. */

import { constants, deflateSync, gzipSync, inflateSync, zstdCompressSync } from "node:zlib";
import { DecodeError, toError } from "../model/errors.ts";
import { decompressGzip } from "./gunzip.ts";
import { codeOf } from "./http-error.ts";
import {
  isSnappyFramed,
  packSnappyBlock,
  packSnappyFramed,
  unpackSnappyBlock,
  unpackSnappyFramed,
} from "./snappy-frames.ts";
import { unpackZstd } from "./zstd-frames.ts";

/** `zlib` is what HTTP calls deflate; `snappy` is one block, `snappy-framed` the stream format. */
export type ContentCoding = "gzip" | "zstd" | "zlib" | "snappy" | "snappy-framed";

const minChunkBytes = 16 * 1024;
const deflateMaxRatio = 1032;

/**
 * The unpacked bytes, in memory of their own, or `too-large` when there are more than `maxBytes`. `snappy` takes the framed
 * format as well, as the Collector does. Throws DecodeError for anything that is not whole and valid. Synchronous: at
 * most `maxBytes` are made before it gives up.
 */
export function unpack(coding: ContentCoding, packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  const bytes = unpackAny(coding, packed, maxBytes);
  if (bytes === "too-large") return bytes;
  // A size that lied may have left a large buffer behind a small result.
  const keepsTooMuch = bytes.buffer.byteLength > 2 * bytes.byteLength + minChunkBytes;
  return keepsTooMuch ? Uint8Array.from(bytes) : bytes;
}

function unpackAny(coding: ContentCoding, packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  switch (coding) {
    case "gzip":
      return decompressGzip(packed, { maxBytes });
    case "zstd":
      return unpackZstd(packed, maxBytes);
    case "zlib":
      return inflate(packed, maxBytes);
    case "snappy":
      return isSnappyFramed(packed) ? unpackSnappyFramed(packed, maxBytes) : unpackSnappyBlock(packed, maxBytes);
    case "snappy-framed":
      return unpackSnappyFramed(packed, maxBytes);
  }
}

function inflate(packed: Uint8Array, maxBytes: number): Uint8Array | "too-large" {
  try {
    const chunkSize = Math.max(
      minChunkBytes,
      Math.min(packed.length * 8, packed.length * deflateMaxRatio, maxBytes + 1),
    );
    const bytes = inflateSync(packed, { chunkSize, maxOutputLength: Math.max(1, maxBytes) });
    return bytes.length > maxBytes ? "too-large" : bytes;
  } catch (caught) {
    if (codeOf(caught) === "ERR_BUFFER_TOO_LARGE") return "too-large";
    throw new DecodeError("zlib", packed.length, toError(caught).message, { cause: caught });
  }
}

/** Packs bytes. `level` is the coding's own (gzip and zlib 1 to 9, zstd 1 to 22); the default is the fastest, 1. Snappy has none. */
export function pack(coding: ContentCoding, bytes: Uint8Array, level = 1): Buffer {
  switch (coding) {
    case "gzip":
      return gzipSync(bytes, { level, chunkSize: packedChunkBytes(bytes) });
    case "zlib":
      return deflateSync(bytes, { level, chunkSize: packedChunkBytes(bytes) });
    case "zstd":
      return zstdCompressSync(bytes, {
        chunkSize: packedChunkBytes(bytes),
        params: { [constants.ZSTD_c_compressionLevel]: level },
      });
    case "snappy":
      return packSnappyBlock(bytes);
    case "snappy-framed":
      return packSnappyFramed(bytes);
  }
}

/** Telemetry packs to less than a third, mostly: then the output is one piece. */
function packedChunkBytes(bytes: Uint8Array): number {
  return Math.max(minChunkBytes, Math.ceil(bytes.length / 3));
}
