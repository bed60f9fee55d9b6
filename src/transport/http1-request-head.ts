/** Reads the head of an HTTP/1.1 request (RFC 9112) and decides how its body is framed; anything doubtful is refused. */

import { METHODS } from "node:http";

/** Names in lower case. Of names that may stand once the first value counts, others are joined, as node:http does. */
export type HeaderRecord = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A request that cannot be taken, with the status that its client is answered before the connection ends. */
export class RequestFault extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "RequestFault";
    this.status = status;
  }
}

interface Framing {
  readonly method: string;
  readonly url: string;
  readonly isOld: boolean;
  readonly isChunked: boolean;
  readonly keepsAlive: boolean;
  readonly expectation: string | undefined;
}

/** A request's head. Immutable: requests with equal heads share it. */
export class RequestHead implements Framing {
  readonly method: string;
  /** The target as it was sent. */
  readonly url: string;
  /** HTTP/1.0. */
  readonly isOld: boolean;
  /** Bytes of the body that are announced; -1 where none are. */
  readonly contentLength: number;
  readonly isChunked: boolean;
  /** Whether the client wants to go on with the connection. */
  readonly keepsAlive: boolean;
  /** The value of `Expect` in lower case. */
  readonly expectation: string | undefined;
  readonly #fields: readonly string[];
  /** The head that this one is but for its length. */
  readonly #base: RequestHead | undefined;
  #rawHeaders: readonly string[] | undefined;
  #headers: HeaderRecord | undefined;

  /** `fields` are names and values in turn; where there is a base, another length than they say counts. */
  constructor(framing: Framing, fields: readonly string[], contentLength: number, base?: RequestHead) {
    this.method = framing.method;
    this.url = framing.url;
    this.isOld = framing.isOld;
    this.contentLength = contentLength;
    this.isChunked = framing.isChunked;
    this.keepsAlive = framing.keepsAlive;
    this.expectation = framing.expectation;
    this.#fields = fields;
    this.#base = base;
  }

  /** Names and values in turn, as they were sent. */
  get rawHeaders(): readonly string[] {
    this.#rawHeaders ??= this.#base === undefined ? this.#fields : withLength(this.#fields, this.contentLength);
    return this.#rawHeaders;
  }

  get headers(): HeaderRecord {
    this.#headers ??= toRecord(this.rawHeaders);
    return this.#headers;
  }

  /** One of the headers, by its name in lower case, but for Content-Length and Set-Cookie. */
  header(name: string): string | undefined {
    const value = (this.#base ?? this).headers[name];
    return typeof value === "string" ? value : undefined;
  }

  /** This head with another Content-Length; it must have one. */
  withLength(contentLength: number): RequestHead {
    return new RequestHead(this, this.#fields, contentLength, this.#base ?? this);
  }
}

// CONNECT is for proxies.
const methods: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== "CONNECT"));
const longestMethod = Math.max(...[...methods].map((method) => method.length));
const requestLine = /^([A-Z-]+) ([!-~]+) HTTP\/(\d)\.(\d)\r\n/;
/** A path, an address with its scheme, or `*`. */
const target = /^(?:\/[!-~]*|\*|[A-Za-z]+:\/\/[A-Za-z0-9\-._~:@!$&'()*+,;=%[\]]+(?:[/?][!-~]*)?)$/;
const field = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n/y;
const lengthDigits = /^\d{1,15}$/;
/** There are at most 8,000 in 16 KiB, and each costs more than its bytes. */
const maxFields = 1000;

/** Names of which the first counts. */
const singles: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

/**
 * `text` is the head as Latin-1 with its empty line. Throws RequestFault: 400, 431 for too many headers, 501 for a transfer
 * coding that is not known, 505 for another version.
 */
export function parseRequestHead(text: string): RequestHead {
  const line = requestLine.exec(text);
  const method = line?.[1] ?? "";
  const url = line?.[2] ?? "";
  if (line === null || !methods.has(method)) throw invalid("no request line");
  const isOld = line[4] === "0";
  if (line[3] !== "1" || (!isOld && line[4] !== "1")) throw new RequestFault(505, "another version of HTTP");
  if (!target.test(url)) throw invalid("the target is none");
  const fields = readFields(text, line[0].length);
  const own = framingFields(fields);
  if (own.hosts > 1 || (own.hosts === 0 && !isOld)) throw invalid("not one Host");
  const isChunked = readCodings(own.codings, isOld);
  if (isChunked && own.length !== undefined) throw invalid("both Content-Length and Transfer-Encoding");
  if (own.length !== undefined && !lengthDigits.test(own.length)) throw invalid("Content-Length is no number of bytes");
  const keepsAlive = readConnection(own.connection, isOld);
  const framing = { method, url, isOld, isChunked, keepsAlive, expectation: own.expectation };
  return new RequestHead(framing, fields, own.length === undefined ? -1 : Number(own.length));
}

/** Whether a head that begins so may still become one. */
export function mayBeginHead(text: string): boolean {
  const end = text.indexOf(" ");
  if (end >= 0) return methods.has(text.slice(0, end));
  if (text.length > longestMethod) return false;
  for (const method of methods) if (method.startsWith(text)) return true;
  return false;
}

/** Checks the fields behind a body, with the empty line, as strictly as those before it; none of them is kept. */
export function checkTrailers(text: string): void {
  const own = framingFields(readFields(text, 0));
  if (own.length !== undefined || own.codings !== undefined) throw invalid("a trailer that frames the body");
}

/** Names and values in turn, without the blanks around values. */
function readFields(text: string, from: number): string[] {
  const fields: string[] = [];
  const end = text.length - 2;
  field.lastIndex = from;
  let at = from;
  while (at < end) {
    const found = field.exec(text);
    if (found === null) throw invalid("a header line that is none");
    if (fields.length >= 2 * maxFields) throw new RequestFault(431, "too many headers");
    fields.push(found[1] ?? "", trimBlanks(found[2] ?? ""));
    at = field.lastIndex;
  }
  return fields;
}

/** Of Latin-1 text: `trim` would take a no-break space as well. */
function trimBlanks(value: string): string {
  let end = value.length;
  while (end > 0 && isBlank(value.charCodeAt(end - 1))) end--;
  return end === value.length ? value : value.slice(0, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

interface FramingFields {
  hosts: number;
  length: string | undefined;
  codings: string | undefined;
  connection: string | undefined;
  expectation: string | undefined;
}

function framingFields(fields: readonly string[]): FramingFields {
  const own: FramingFields = {
    hosts: 0,
    length: undefined,
    codings: undefined,
    connection: undefined,
    expectation: undefined,
  };
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1] ?? "";
    switch (fields[i]?.toLowerCase()) {
      case "host":
        own.hosts += 1;
        break;
      case "content-length":
        // Twice the same is refused as well, as llhttp does.
        if (own.length !== undefined) throw invalid("Content-Length given twice");
        own.length = value;
        break;
      case "transfer-encoding":
        own.codings = joined(own.codings, value);
        break;
      case "connection":
        own.connection = joined(own.connection, value);
        break;
      case "expect":
        own.expectation = joined(own.expectation, value).toLowerCase();
    }
  }
  return own;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function tokens(list: string): string[] {
  return list
    .toLowerCase()
    .split(",")
    .map((token) => token.trim());
}

/** Whether the body comes in chunks. */
function readCodings(value: string | undefined, isOld: boolean): boolean {
  if (value === undefined) return false;
  if (isOld) throw invalid("Transfer-Encoding in HTTP/1.0");
  if (value.toLowerCase() === "chunked") return true;
  const all = tokens(value);
  // Where chunks are not the last coding, and the last alone, the end of the body is not known.
  if (all.indexOf("chunked") !== all.length - 1) throw invalid("Transfer-Encoding that frames no body");
  throw new RequestFault(501, "a transfer coding that is not known");
}

function readConnection(value: string | undefined, isOld: boolean): boolean {
  if (value === undefined) return !isOld;
  const all = tokens(value);
  if (all.includes("close")) return false;
  return !isOld || all.includes("keep-alive");
}

function withLength(fields: readonly string[], contentLength: number): readonly string[] {
  return fields.map((value, i) =>
    i % 2 === 1 && fields[i - 1]?.toLowerCase() === "content-length" ? String(contentLength) : value,
  );
}

function toRecord(rawHeaders: readonly string[]): HeaderRecord {
  // Without a prototype, so that `__proto__` is a name as any other.
  const record: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    const before = record[name];
    if (name === "set-cookie") {
      if (Array.isArray(before)) before.push(value);
      else record[name] = [value];
    } else if (before === undefined) record[name] = value;
    else if (!singles.has(name)) record[name] = `${String(before)}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return record;
}

/** A request that breaks the rules in this way; nothing that was sent belongs in the text. */
export function invalid(what: string): RequestFault {
  return new RequestFault(400, `not a valid HTTP request: ${what}`);
}
