/** Answers of an HTTP/1.1 server as bytes: a head with what every answer has, and the body behind it. */

import { STATUS_CODES } from "node:http";

/** What a handler answers. */
export interface Http1Answer {
  readonly status: number;
  /** Header lines, each with its CR and LF, as `fieldLines` makes them; none that frames the body or speaks of the connection. */
  readonly fields: string;
  /** A text is ASCII. */
  readonly body: string | Uint8Array;
  /** The fields have a Date of their own. */
  readonly hasDate?: boolean | undefined;
  /** The connection ends with this answer. */
  readonly closes?: boolean | undefined;
}

/** A header of an answer. */
export type HeaderField = readonly [name: string, value: string];

const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Header lines; of fields with one name, whatever its case, the last counts. Throws TypeError for a value that no header may have;
 * names are not looked at.
 */
export function fieldLines(fields: readonly HeaderField[]): string {
  const lines = new Map<string, string>();
  for (const [name, value] of fields) {
    if (!fieldValue.test(value))
      throw new TypeError(`the value of header ${name} has a character that no header may have`);
    lines.set(name.toLowerCase(), `${name}: ${value}\r\n`);
  }
  return [...lines.values()].join("");
}

/** The rest of every head on a connection that is kept: how long it may idle. */
export function keepAliveLines(keepAliveTimeoutMs: number): string {
  const hint = keepAliveTimeoutMs > 0 ? `Keep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}\r\n` : "";
  return `Connection: keep-alive\r\n${hint}\r\n`;
}

const closeLines = "connection: close\r\n\r\n";

export interface AnswerFrame {
  /** `keepAliveLines` where the connection goes on; undefined where it ends. */
  readonly keepAlive: string | undefined;
  /** The request was HEAD: the length is told, the body not sent. */
  readonly isHead: boolean;
}

/** The whole answer: a text is Latin-1. */
export function encodeAnswer(answer: Http1Answer, { keepAlive, isHead }: AnswerFrame): string | Buffer {
  const { status, body } = answer;
  const length = status === 204 ? "" : `content-length: ${body.length}\r\n`;
  const date = answer.hasDate === true ? "" : dateLine();
  const head = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${answer.fields}${length}${date}${keepAlive ?? closeLines}`;
  if (isHead || body.length === 0) return head;
  if (typeof body === "string") return head + body;
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, "latin1");
  bytes.set(body, head.length);
  return bytes;
}

/** What a server answers of itself. */
export const ownAnswers = {
  internalError: { status: 500, fields: "content-type: text/plain; charset=utf-8\r\n", body: "internal error\n" },
  noExpectation: { status: 417, fields: "", body: "" },
} as const satisfies Record<string, Http1Answer>;

/** What a client is told whose request cannot be taken, as node:http tells it; the connection ends with it. */
export function encodeRefusal(status: number): string {
  return `HTTP/1.1 ${status} ${reasonOf(status)}\r\nConnection: close\r\n\r\n`;
}

/** The interim answer for which a client waits before it sends a body. */
export const continueAnswer = "HTTP/1.1 100 Continue\r\n\r\n";

function reasonOf(status: number): string {
  return STATUS_CODES[status] ?? "Unknown";
}

let dateSecond = 0;
let dateText = "";

function dateLine(): string {
  const nowMs = Date.now();
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
  }
  return dateText;
}
