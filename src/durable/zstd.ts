/** Short calls of zstd at its lowest level, without what each call costs the runtime beyond the work. */

import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";

const params = { [constants.ZSTD_c_compressionLevel]: 1 };
/** The least that the runtime takes. */
const minChunkBytes = 64;
/** Larger inputs have a context of their own, which is freed again. */
const maxSharedBytes = 256 * 1024;
/** What the shared context writes to, again and again. */
const sharedChunkBytes = 128 * 1024;
/** What a frame claims to hold is believed up to here; a larger one grows as it is read. */
const maxClaimedBytes = 64 * 1024 * 1024;

/** Undefined where it would be no smaller. */
export function compress(bytes: Uint8Array): Uint8Array | undefined {
  const compressed = compressAll(bytes);
  return compressed.length < bytes.length ? compressed : undefined;
}

/** One frame that says how long its content is. */
export function compressAll(bytes: Uint8Array): Uint8Array {
  if (bytes.length > maxSharedBytes) return zstdCompressSync(bytes, { params });
  return shared(bytes) ?? zstdCompressSync(bytes, { params });
}

/** Throws the runtime's error for bytes that are no frame, or hold more than `mostBytes`. */
export function decompress(frame: Uint8Array, mostBytes: number): Buffer {
  const claimed = contentBytes(frame);
  const isBelieved = claimed !== undefined && claimed <= Math.min(mostBytes, maxClaimedBytes);
  if (!isBelieved) return zstdDecompressSync(frame, { maxOutputLength: mostBytes });
  // Else it is put together of pieces of 16 KiB, and is in memory twice. A buffer that is full is followed by another.
  return zstdDecompressSync(frame, { maxOutputLength: mostBytes, chunkSize: Math.max(minChunkBytes, claimed + 1) });
}

/** What the head of a frame says of its content (RFC 8878, 3.1.1.1); undefined where it says nothing. */
export function contentBytes(frame: Uint8Array): number | undefined {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== 0xfd2fb528) return undefined;
  const descriptor = bytes[4] as number;
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const at = 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  if (sizeBytes === 0 || at + sizeBytes > bytes.length) return undefined;
  if (sizeBytes === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
}

/** What a stream has beyond its types. Each call of the runtime makes a stream and a context, which cost more than a small frame. */
interface OpenStream {
  _handle: { close(): void } | null;
  /** Compresses all of it, then closes `_handle` and forgets it. */
  _processChunk(bytes: Uint8Array, flush: number): Buffer;
  removeAllListeners(event: string): unknown;
}

type Compress = (bytes: Uint8Array) => Uint8Array;

/** Undefined until it is needed, null where this runtime has no such stream. */
let known: Compress | undefined | null;

/** Compresses in a context that stays; undefined where that cannot be done. */
function shared(bytes: Uint8Array): Uint8Array | undefined {
  try {
    known ??= known === null ? null : openShared();
    return known?.(bytes);
  } catch {
    known = null;
    return undefined;
  }
}

function openShared(): Compress | null {
  const stream = createZstdCompress({ params, chunkSize: sharedChunkBytes }) as unknown as OpenStream;
  const handle = stream._handle;
  if (handle === null || typeof handle?.close !== "function" || typeof stream._processChunk !== "function") return null;
  handle.close = () => {};
  const run = (bytes: Uint8Array) => {
    try {
      // The end of a frame: the next call begins another one. A copy: it is written to the same place.
      return Buffer.from(stream._processChunk(bytes, constants.ZSTD_e_end));
    } finally {
      stream._handle = handle;
      stream.removeAllListeners("error");
    }
  };
  return isTrue(run) ? run : null;
}

/** Whether frames that follow one another come back as they went. */
function isTrue(run: Compress): boolean {
  return [200, 3000, 0, 200].every((length) => {
    const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * i) >> 3));
    const frame = run(bytes);
    return contentBytes(frame) === length && zstdDecompressSync(frame).equals(bytes);
  });
}
