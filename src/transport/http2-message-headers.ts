/** The headers of HTTP/2 requests and responses: header blocks become an object, within a bound, and the same block the same object. */

import type { IncomingHttpHeaders } from "node:http";
import { HpackDecoder } from "./hpack-decoder.ts";
import type { HeaderField } from "./hpack-tables.ts";

/** The headers of a message, or its trailers. Messages with the same headers share it: not to be changed. */
export interface MessageHeaders {
  /** As node:http2 has them: pseudo-headers too, names in lower case, values of one name joined. */
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Of the body, as `content-length` says; NaN where that is no number. */
  readonly declaredBytes: number | undefined;
}

/** Blocks up to this size are remembered, the last few of a connection: Go writes the same headers in changing order. */
const maxRememberedBytes = 1024;
const maxRemembered = 4;

/** Which pseudo-headers a block may have, and which it must. */
export interface HeaderRules {
  readonly pseudo: ReadonlySet<string>;
  readonly needed: readonly string[];
}

/** RFC 9113 section 8.3.1. */
export const requestRules: HeaderRules = {
  pseudo: new Set([":method", ":scheme", ":path", ":authority"]),
  needed: [":method", ":scheme", ":path"],
};
/** RFC 9113 section 8.3.2: `:status` is in the headers of a response, and not in its trailers. */
export const responseRules: HeaderRules = { pseudo: new Set([":status"]), needed: [] };

/** HTTP/2 has no such headers (RFC 9113 section 8.2.2). */
const connectionHeaders: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
/** Of these the first counts, as in Node. */
const singleHeaders: ReadonlySet<string> = new Set([
  "authorization",
  "content-type",
  "content-length",
  "user-agent",
  "host",
]);

export class HeaderReader {
  readonly #decoder = new HpackDecoder();
  readonly #maxBytes: number;
  readonly #rules: HeaderRules;
  /** For the decoder's table as it is after so many changes; the next is put at `#next`. */
  readonly #remembered: { readonly block: Buffer; readonly headers: MessageHeaders }[] = [];
  #next = 0;
  #changes = 0;

  /** `maxBytes` counts as SETTINGS_MAX_HEADER_LIST_SIZE does. */
  constructor(maxBytes: number, rules: HeaderRules) {
    this.#maxBytes = maxBytes;
    this.#rules = rules;
  }

  /** Throws Http2Error for a block that cannot be decoded, after which no other can be. */
  read(block: Buffer): MessageHeaders | "too-large" | "malformed" {
    const known = this.#find(block);
    if (known !== undefined) return known;
    const headers = this.#decode(block);
    if (this.#changes !== this.#decoder.changes) {
      this.#changes = this.#decoder.changes;
      this.#remembered.length = 0;
      this.#next = 0;
    } else if (typeof headers === "object" && block.length <= maxRememberedBytes) {
      this.#remembered[this.#next] = { block: Buffer.from(block), headers };
      this.#next = (this.#next + 1) % maxRemembered;
    }
    return headers;
  }

  /** The headers of a block that is byte for byte a remembered one, where the table has not changed since. */
  #find(block: Buffer): MessageHeaders | undefined {
    if (this.#changes !== this.#decoder.changes) return undefined;
    for (const { block: known, headers } of this.#remembered) if (areSame(known, block)) return headers;
    return undefined;
  }

  /** Decodes a block that nobody wants, for the decoder's table. */
  skip(block: Buffer): void {
    this.#decoder.decode(block, ignore);
  }

  #decode(block: Buffer): MessageHeaders | "too-large" | "malformed" {
    const headers: Record<string, string> = Object.create(null);
    const rawHeaders: string[] = [];
    let bytes = 0;
    let isMalformed = false;
    let isRegular = false;
    const { pseudo } = this.#rules;
    this.#decoder.decode(block, (field) => {
      bytes += field.size;
      if (bytes > this.#maxBytes || isMalformed) return;
      const isPseudo = field.name.startsWith(":");
      isMalformed =
        !field.isValid || (isPseudo && isRegular) || !addHeader(headers, field, isPseudo ? pseudo : undefined);
      isRegular ||= !isPseudo;
      rawHeaders.push(field.name, field.value);
    });
    if (bytes > this.#maxBytes) return "too-large";
    const isWhole = this.#rules.needed.every((name) => headers[name] !== undefined);
    if (isMalformed || !isWhole) return "malformed";
    return { headers, rawHeaders, declaredBytes: bodyBytes(headers["content-length"]) };
  }
}

function ignore(): void {}

/** For few bytes: less than a call of `equals` costs. */
function areSame(known: Buffer, block: Buffer): boolean {
  const { length } = known;
  if (block.length !== length) return false;
  for (let i = 0; i < length; i++) if (known[i] !== block[i]) return false;
  return true;
}

function bodyBytes(contentLength: string | undefined): number | undefined {
  if (contentLength === undefined) return undefined;
  return /^[0-9]{1,15}$/.test(contentLength) ? Number(contentLength) : Number.NaN;
}

/** False where the header makes the message malformed. `pseudo` are those that may be, where it is one. */
function addHeader(
  headers: Record<string, string>,
  { name, value }: HeaderField,
  pseudo: ReadonlySet<string> | undefined,
): boolean {
  const present = headers[name];
  if (pseudo !== undefined) {
    if (present !== undefined || !pseudo.has(name)) return false;
  } else if (connectionHeaders.has(name) || (name === "te" && value !== "trailers")) {
    return false;
  }
  if (present === undefined) headers[name] = value;
  else if (!singleHeaders.has(name)) headers[name] = `${present}${name === "cookie" ? "; " : ", "}${value}`;
  return true;
}
