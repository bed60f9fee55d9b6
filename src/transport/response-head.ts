/** Reads the head of an HTTP/1.1 response (RFC 9112) and decides how its body is framed; anything doubtful is refused. */

/** What of a response's head matters to whoever fetches a page. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly location: string | undefined;
  readonly retryAfter: string | undefined;
  /** Bytes of the body; -1 where they are not told. */
  readonly contentLength: number;
  readonly chunked: boolean;
  /** The server leaves the connection open after this response. */
  readonly keepsAlive: boolean;
  /** How long the server says it keeps an idle connection, -1 where it does not say. */
  readonly keptForMs: number;
}

/** A response that cannot be understood, or that ended too early; the code is that of the HttpError made of it. */
export class ResponseFault extends Error {
  readonly code: "RESPONSE_INVALID" | "RESPONSE_CUT_SHORT" | "HEADERS_TOO_LARGE";

  constructor(code: ResponseFault["code"], message: string) {
    super(message);
    this.name = "ResponseFault";
    this.code = code;
  }
}

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const forbiddenInValue = /[\x00-\x08\x0a-\x1f\x7f]/;
const digits = /^\d{1,15}$/;
const maxHintSeconds = 1_000_000;

interface Fields {
  contentType?: string;
  contentEncoding?: string;
  location?: string;
  retryAfter?: string;
  contentLength?: string;
  transferEncoding?: string;
  connection?: string;
  keepAlive?: string;
}

const wanted: ReadonlyMap<string, keyof Fields> = new Map<string, keyof Fields>([
  ["content-type", "contentType"],
  ["content-encoding", "contentEncoding"],
  ["location", "location"],
  ["retry-after", "retryAfter"],
  ["content-length", "contentLength"],
  ["transfer-encoding", "transferEncoding"],
  ["connection", "connection"],
  ["keep-alive", "keepAlive"],
]);

/** Names of which a second header line adds to the first; of the others the first counts. */
const lists: ReadonlySet<keyof Fields> = new Set(["contentLength", "transferEncoding", "connection", "keepAlive"]);

/**
 * `text` is the head as Latin-1 with its empty line; lines may end in LF alone, as they may for Go. Throws
 * ResponseFault, whose message holds nothing that the server sent.
 */
export function parseHead(text: string): ResponseHead {
  const firstEnd = text.indexOf("\n");
  const status = statusLine.exec(lineAt(text, 0, firstEnd));
  if (status === null) throw invalid("no HTTP/1.1 status line");
  const isOld = status[1] === "0";
  const fields = readFields(text, firstEnd + 1);
  const chunked = isChunked(fields.transferEncoding, isOld);
  const contentLength = lengthOf(fields.contentLength);
  if (chunked && contentLength >= 0) throw invalid("both Content-Length and Transfer-Encoding");
  return {
    status: Number(status[2]),
    statusText: (status[3] ?? "").replace(/[^\x20-\x7e\x80-\xff]/g, ""),
    contentType: fields.contentType,
    contentEncoding: fields.contentEncoding,
    location: fields.location,
    retryAfter: fields.retryAfter,
    contentLength,
    chunked,
    keepsAlive: keepsAlive(fields.connection, isOld),
    keptForMs: keptForMs(fields.keepAlive),
  };
}

function readFields(text: string, from: number): Fields {
  const fields: Fields = {};
  let start = from;
  for (;;) {
    let end = text.indexOf("\n", start);
    let line = lineAt(text, start, end);
    if (line === "" || end < 0) return fields;
    const colon = line.indexOf(":");
    // Checked before the lines that go on: a name may not be folded.
    if (colon <= 0 || !headerName.test(line.slice(0, colon))) throw invalid("a header line without a name");
    while (text.charCodeAt(end + 1) === 0x20 || text.charCodeAt(end + 1) === 0x09) {
      start = end + 1;
      end = text.indexOf("\n", start);
      line += ` ${lineAt(text, start, end).trim()}`;
    }
    start = end + 1;
    if (forbiddenInValue.test(line)) throw invalid("a control character in a header");
    addField(fields, line, colon);
  }
}

function addField(fields: Fields, line: string, colon: number): void {
  const key = wanted.get(line.slice(0, colon).toLowerCase());
  if (key === undefined) return;
  const value = line.slice(colon + 1).trim();
  const before = fields[key];
  if (before === undefined) fields[key] = value;
  else if (lists.has(key)) fields[key] = `${before},${value}`;
}

/** The line without its end. */
function lineAt(text: string, start: number, lf: number): string {
  const end = lf < 0 ? text.length : lf;
  return text.slice(start, text.charCodeAt(end - 1) === 0x0d ? end - 1 : end);
}

/** Repeated equal lengths are one (RFC 9110 section 8.6); -1 without any. */
function lengthOf(value: string | undefined): number {
  if (value === undefined) return -1;
  if (digits.test(value)) return Number(value);
  const all = value.split(",").map((part) => part.trim());
  const first = all[0] ?? "";
  if (!digits.test(first)) throw invalid("Content-Length is no number of bytes");
  if (all.some((part) => part !== first)) throw invalid("Content-Length given twice with different values");
  return Number(first);
}

function isChunked(value: string | undefined, isOld: boolean): boolean {
  if (value === undefined) return false;
  if (isOld) throw invalid("Transfer-Encoding in an HTTP/1.0 response");
  if (value.toLowerCase() !== "chunked") throw invalid("a Transfer-Encoding other than chunked");
  return true;
}

function keepsAlive(value: string | undefined, isOld: boolean): boolean {
  if (value === undefined) return !isOld;
  const tokens = value
    .toLowerCase()
    .split(",")
    .map((token) => token.trim());
  if (tokens.includes("close")) return false;
  return !isOld || tokens.includes("keep-alive");
}

function keptForMs(value: string | undefined): number {
  if (value === undefined) return -1;
  const seconds = /(?:^|[,\s])timeout\s*=\s*(\d{1,9})/i.exec(value)?.[1];
  return seconds === undefined ? -1 : Math.min(Number(seconds), maxHintSeconds) * 1000;
}

/** A response that breaks the rules in this way. */
export function invalid(what: string): ResponseFault {
  return new ResponseFault("RESPONSE_INVALID", `not a valid HTTP response: ${what}`);
}
