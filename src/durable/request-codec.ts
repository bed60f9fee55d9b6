/** OTLP requests of any signal on disk: their bytes as they came, compressed. */

import { DecodeError } from "../model/errors.ts";
import type { OtlpRequest, Signal } from "../model/otlp-request.ts";
import { type EncodedItem, type ItemCodec, ownPayloadBytes } from "./item-codec.ts";
import { compress, decompress } from "./zstd.ts";

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
    const compressed = bytes.length < minCompressed ? undefined : compress(bytes);
    head[0] = compressed === undefined ? codings.none : codings.zstd;
    return { kind: requestKinds[signal], items, parts: [head, compressed ?? bytes] };
  }

  async decode(kind: number, payload: Uint8Array): Promise<OtlpRequest> {
    const signal = (["metrics", "traces", "logs"] as const).find((one) => requestKinds[one] === kind);
    if (signal === undefined) throw new DecodeError("request", 0, `a record of kind ${kind}`);
    const head = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    if (head.length < headBytes) throw new DecodeError("request", 0, "it ends too early");
    return { signal, bytes: contentOf(head), items: head.readUInt32LE(4) };
  }
}

function contentOf(payload: Buffer): Uint8Array {
  const content = payload.subarray(headBytes);
  if (payload[0] === codings.none) {
    // Of a small one a copy: the block that it was read with would stay in memory, or is read into again.
    return payload.length > ownPayloadBytes ? content : Uint8Array.from(content);
  }
  if (payload[0] !== codings.zstd) throw new DecodeError("request", 0, `a coding of number ${payload[0]}`);
  try {
    return decompress(content, maxRequestBytes);
  } catch (caught) {
    throw new DecodeError("request", headBytes, "bytes that cannot be decompressed", { cause: caught });
  }
}
