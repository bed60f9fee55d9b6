/** OTLP requests of any signal on disk: their bytes as they came, compressed. */

import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DecodeError } from "../model/errors.ts";
import type { OtlpRequest, Signal } from "../model/otlp-request.ts";
import type { EncodedItem, ItemCodec } from "./item-codec.ts";
import { fastCompression } from "./layout-definition.ts";

/** The kinds of records that hold requests. */
export const requestKinds: Readonly<Record<Signal, number>> = { metrics: 2, traces: 3, logs: 4 };

/** The payload's first byte, items after it. */
const codings = { none: 0, zstd: 1 } as const;
const headBytes = 8;
/** Below this, compressing costs more than it saves. */
const minCompressed = 512;
/** No request is larger: what claims to be is damage. */
const maxRequestBytes = 1 << 30;

export class RequestCodec implements ItemCodec<OtlpRequest> {
  memoryBytes(request: OtlpRequest): number {
    return 200 + request.bytes.byteLength;
  }

  encode({ signal, bytes, items }: OtlpRequest): EncodedItem {
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(items, 4);
    const compressed = bytes.length < minCompressed ? bytes : zstdCompressSync(bytes, fastCompression);
    const isSmaller = compressed.length < bytes.length;
    head[0] = isSmaller ? codings.zstd : codings.none;
    return { kind: requestKinds[signal], items, parts: [head, isSmaller ? compressed : bytes] };
  }

  async decode(kind: number, payload: Uint8Array): Promise<OtlpRequest> {
    const signal = (["metrics", "traces", "logs"] as const).find((one) => requestKinds[one] === kind);
    if (signal === undefined) throw new DecodeError("request", 0, `a record of kind ${kind}`);
    const head = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    if (head.length < headBytes) throw new DecodeError("request", 0, "it ends too early");
    return { signal, bytes: decompress(head), items: head.readUInt32LE(4) };
  }
}

function decompress(payload: Buffer): Uint8Array {
  const content = payload.subarray(headBytes);
  // A copy: the block that the payload was read with would stay in memory with it.
  if (payload[0] === codings.none) return Uint8Array.from(content);
  if (payload[0] !== codings.zstd) throw new DecodeError("request", 0, `a coding of number ${payload[0]}`);
  try {
    return zstdDecompressSync(content, { maxOutputLength: maxRequestBytes });
  } catch (caught) {
    throw new DecodeError("request", headBytes, "bytes that cannot be decompressed", { cause: caught });
  }
}
