/** Header blocks of gRPC calls: what is the same in all calls of a method is encoded once. */

import { encodeBinaryHeader, formatTimeout } from "./grpc-wire.ts";
import { headerField } from "./hpack-tables.ts";
import type { RequestBlock } from "./http2-client-stream.ts";
import { encodeHeaderBlock, type HeaderTexts } from "./http2-wire.ts";

export interface CallHeaders {
  readonly path: string;
  /** Value of `grpc-encoding`. */
  readonly coding: string | undefined;
  /** Time that is left; Infinity is no limit. */
  readonly leftMs: number;
  readonly more: Readonly<Record<string, string | Uint8Array>> | undefined;
}

/** Clients have a few methods; of more the first are kept. */
const maxKept = 16;
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]/;
/** HTTP/2 has no such headers (RFC 9113 section 8.2.2). */
const connectionHeaders: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

export class RequestHeaderBlocks {
  readonly #base: HeaderTexts;
  readonly #kept = new Map<string, RequestBlock>();

  /** The headers of every call, pseudo-headers first, but for `:path`. */
  constructor(base: HeaderTexts) {
    this.#base = base;
  }

  /** Throws RangeError, without values, for headers that HTTP/2 does not allow. */
  encode(call: CallHeaders): RequestBlock {
    const more = textsOf(call);
    for (const name in more) if (name in this.#base) return blockOf({ ":path": call.path, ...this.#base, ...more });
    const common = this.#common(call.path, call.coding);
    const own = blockOf(more);
    return { bytes: Buffer.concat([common.bytes, own.bytes]), listBytes: common.listBytes + own.listBytes };
  }

  #common(path: string, coding: string | undefined): RequestBlock {
    const key = `${path} ${coding ?? ""}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const texts = { ":path": path, ...this.#base };
    const block = blockOf(coding === undefined ? texts : { ...texts, "grpc-encoding": coding });
    if (this.#kept.size < maxKept) this.#kept.set(key, block);
    return block;
  }
}

/** The headers that a call has of its own. */
function textsOf({ leftMs, more }: CallHeaders): Record<string, string> {
  const texts: Record<string, string> = {};
  if (leftMs < Number.POSITIVE_INFINITY) texts["grpc-timeout"] = formatTimeout(leftMs);
  for (const given in more) {
    const value = more[given];
    if (value === undefined) continue;
    const name = given.toLowerCase();
    // As the bytes that are sent: of characters above a byte its lower half.
    const text =
      typeof value === "string" ? Buffer.from(value, "latin1").toString("latin1") : encodeBinaryHeader(value);
    const isOfConnection = connectionHeaders.has(name) || (name === "te" && text !== "trailers");
    if (!namePattern.test(name) || isOfConnection || badValuePattern.test(text)) {
      throw new RangeError(`the header ${JSON.stringify(name)} cannot be sent`);
    }
    texts[name] = text;
  }
  return texts;
}

function blockOf(texts: HeaderTexts): RequestBlock {
  let listBytes = 0;
  for (const name in texts) listBytes += headerField(name, String(texts[name])).size;
  return { bytes: encodeHeaderBlock(texts), listBytes };
}
