/** Responses as bytes: what is understood, what is refused, and that neither depends on how the bytes are cut. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import { ResponseFault } from "./response-head.ts";
import { maxHeadBytes, ResponseReader } from "./response-reader.ts";

interface Read {
  readonly outcome: string;
  readonly status: number | undefined;
  readonly body: string;
  readonly reusable: boolean;
}

/** Feeds the pieces through one read buffer; `eof` says that the connection is closed after them. */
function readPieces(pieces: readonly Buffer[], { maxBytes = 1000, eof = false } = {}): Read {
  const reader = new ResponseReader();
  const into = new GrowableBuffer(4);
  const shared = Buffer.alloc(70_000);
  reader.begin(into, maxBytes);
  let outcome: string = "more";
  try {
    for (const piece of pieces) {
      if (outcome !== "more" || piece.length === 0) continue;
      piece.copy(shared);
      outcome = reader.read(shared, piece.length);
      shared.fill("#");
    }
    if (eof && outcome === "more") {
      reader.end();
      outcome = "done";
    }
  } catch (caught) {
    if (!(caught instanceof ResponseFault)) throw caught;
    outcome = caught.code;
  }
  return { outcome, status: reader.head?.status, body: into.bytes.toString("latin1"), reusable: reader.isReusable };
}

/** The same with bytes that go straight to where the body is kept, wherever the reader has room for them. */
function readIntoRoom(bytes: Buffer, sizes: readonly number[]): Read & { direct: number } {
  const reader = new ResponseReader();
  const into = new GrowableBuffer(4);
  const shared = Buffer.alloc(70_000);
  reader.begin(into, 1_000_000);
  let outcome: string = "more";
  let direct = 0;
  for (let at = 0, n = 0; at < bytes.length && outcome === "more"; n++) {
    const room = reader.room();
    const size = Math.min(sizes[n % sizes.length] ?? 1, (room ?? shared).length);
    const length = bytes.copy(room ?? shared, 0, at, at + size);
    outcome = room === undefined ? reader.read(shared, length) : reader.advance(length);
    if (room !== undefined) direct += length;
    at += length;
  }
  const body = into.bytes.toString("latin1");
  return { outcome, status: reader.head?.status, body, reusable: reader.isReusable, direct };
}

function read(text: string, options?: { maxBytes?: number; eof?: boolean }): Read {
  return readPieces([Buffer.from(text, "latin1")], options);
}

const ok = "HTTP/1.1 200 OK\r\n";
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

describe("a response is read", () => {
  test.each<[title: string, text: string, body: string, reusable: boolean]>([
    ["with a length", `${ok}Content-Length: 3\r\n\r\na 1`, "a 1", true],
    ["without a body", `${ok}content-length:0\r\n\r\n`, "", true],
    ["in chunks", `${chunked}2\r\na \r\n1\r\n1\r\n0\r\n\r\n`, "a 1", true],
    [
      "in chunks with upper and lower case, zeros and extensions",
      `${chunked}00A;x=y\r\n0123456789\r\na ; z\r\nabcdefghij\r\n0;e\r\n\r\n`,
      "0123456789abcdefghij",
      true,
    ],
    ["with trailers", `${chunked}1\r\nx\r\n0\r\nContent-Length: 7\r\nA: b\r\n\r\n`, "x", true],
    ["with lines that end in LF", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", "x", true],
    ["without a reason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", true],
    [
      "after interim responses",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`,
      "x",
      true,
    ],
    ["with the same length twice", `${ok}Content-Length: 1\r\nContent-Length: 1, 1\r\n\r\nx`, "x", true],
    ["with a folded header", `${ok}X: a\r\n b\r\nContent-Length: 1\r\n\r\nx`, "x", true],
    ["that closes", `${ok}Connection: Close\r\nContent-Length: 1\r\n\r\nx`, "x", false],
    ["that closes among other things", `${ok}Connection: x, close\r\nContent-Length: 1\r\n\r\nx`, "x", false],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false],
    ["of HTTP/1.0 that is kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "x", true],
    ["with bytes after it", `${ok}Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n`, "x", false],
    ["with bytes after its chunks", `${chunked}1\r\nx\r\n0\r\n\r\n!`, "x", false],
  ])("%s", (_, text, body, reusable) => {
    expect(read(text)).toEqual({ outcome: "done", status: 200, body, reusable });
  });

  test("until the connection is closed where it has no length", () => {
    expect(read(`${ok}\r\na 1\n`)).toMatchObject({ outcome: "more", body: "a 1\n" });
    expect(read(`${ok}\r\na 1\n`, { eof: true })).toMatchObject({ outcome: "done", body: "a 1\n", reusable: false });
  });

  test.each([204, 304])("without a body for status %i, whatever its length says", (status) => {
    expect(read(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`)).toMatchObject({
      outcome: "done",
      status,
      body: "",
    });
  });

  test("without keeping what is no page", () => {
    expect(read("HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry")).toEqual({
      outcome: "done",
      status: 500,
      body: "",
      reusable: true,
    });
  });
});

describe("a response is refused", () => {
  test.each<[title: string, text: string]>([
    ["of another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["of another protocol that ends no line", "SSH-2.0"],
    ["of HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"],
    ["with a status that is none", "HTTP/1.1 20 OK\r\n\r\n"],
    ["with a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["that begins with an empty line", `\r\n\r\n${ok}\r\n`],
    ["that changes the protocol", "HTTP/1.1 101 Switching\r\n\r\n"],
    ["with a header that has no name", `${ok}: x\r\n\r\n`],
    ["with a header that has no colon", `${ok}nonsense\r\n\r\n`],
    ["with a space before the colon", `${ok}Content-Length : 1\r\n\r\nx`],
    ["with a space before the first header", `${ok} Content-Length: 1\r\n\r\nx`],
    ["with a zero byte in a header", `${ok}X: a\0b\r\n\r\n`],
    ["with CR within a header", `${ok}X: a\rContent-Length: 1\r\n\r\nx`],
    ["with a length and chunks", `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["with two lengths", `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`],
    ["with two lengths in one", `${ok}Content-Length: 1, 2\r\n\r\nxx`],
    ["with a negative length", `${ok}Content-Length: -1\r\n\r\n`],
    ["with a signed length", `${ok}Content-Length: +1\r\n\r\nx`],
    ["with a hexadecimal length", `${ok}Content-Length: 0x1\r\n\r\nx`],
    ["with an empty length", `${ok}Content-Length:\r\n\r\n`],
    ["with a huge length", `${ok}Content-Length: 99999999999999999999\r\n\r\n`],
    ["with gzip as transfer encoding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ["chunked twice", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["with a chunk that has no size", `${chunked}\r\n`],
    ["with a chunk's size that is no number", `${chunked}xyz\r\n`],
    ["with a negative chunk's size", `${chunked}-1\r\n`],
    ["with a chunk's size beyond all numbers", `${chunked}${"f".repeat(13)}\r\n`],
    ["with a chunk longer than its size", `${chunked}1\r\nxy\r\n0\r\n\r\n`],
    ["with LF after a chunk's size", `${chunked}1\nx\r\n0\r\n\r\n`],
    ["with LF within an extension", `${chunked}1;a\nx\r\n0\r\n\r\n`],
    ["with CR within an extension", `${chunked}1;a\rb\r\nx\r\n0\r\n\r\n`],
    ["with an endless extension", `${chunked}1;${"a".repeat(5000)}`],
    ["with long extensions of small chunks", chunked + `1;${"a".repeat(4000)}\r\nx\r\n`.repeat(10)],
  ])("%s", (_, text) => {
    expect(read(text)).toMatchObject({ outcome: "RESPONSE_INVALID", reusable: false });
  });

  test.each<[title: string, text: string]>([
    ["an endless line", `${ok}X: ${"a".repeat(maxHeadBytes)}`],
    ["endless headers", ok + "X: a\r\n".repeat(maxHeadBytes / 6)],
    ["endless interim responses", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)],
    ["endless trailers", `${chunked}0\r\n${"X: a\r\n".repeat(maxHeadBytes / 6 + 1)}`],
  ])("with %s", (_, text) => {
    expect(read(text)).toMatchObject({ outcome: "HEADERS_TOO_LARGE", reusable: false });
  });

  test.each<[title: string, text: string]>([
    ["nothing", ""],
    ["half a head", ok],
    ["half a body", `${ok}Content-Length: 2\r\n\r\nx`],
    ["half a chunk", `${chunked}2\r\nx`],
    ["no last chunk", `${chunked}1\r\nx\r\n`],
    ["no end of the trailers", `${chunked}0\r\n`],
  ])("that ends with %s", (_, text) => {
    expect(read(text, { eof: true })).toMatchObject({ outcome: "RESPONSE_CUT_SHORT", reusable: false });
  });

  test.each<[title: string, text: string]>([
    ["announced", `${ok}Content-Length: 1001\r\n\r\n`],
    ["sent in chunks", `${chunked}3e9\r\n${"x".repeat(1001)}`],
    ["sent until the end", `${ok}\r\n${"x".repeat(1001)}`],
  ])("as soon as it is larger than the limit (%s)", (_, text) => {
    expect(read(text)).toMatchObject({ outcome: "too-large", reusable: false });
  });

  test("only beyond the limit", () => {
    expect(read(`${ok}Content-Length: 1000\r\n\r\n${"x".repeat(1000)}`).outcome).toBe("done");
    expect(read(`${chunked}3e8\r\n${"x".repeat(1000)}\r\n0\r\n\r\n`).outcome).toBe("done");
  });
});

describe("however the bytes are cut", () => {
  const bodies = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }), { maxLength: 8 });
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 });

  function cut(text: string, sizes: readonly number[]): Buffer[] {
    const pieces: Buffer[] = [];
    let rest = Buffer.from(text, "latin1");
    for (const size of sizes) {
      pieces.push(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
    pieces.push(rest);
    return pieces;
  }

  test("a body is the same", () => {
    fc.assert(
      fc.property(bodies, cuts, fc.constantFrom("length", "chunked", "close"), (parts, sizes, framing) => {
        const body = parts.join("");
        const texts = {
          length: `${ok}Content-Length: ${body.length}\r\n\r\n${body}`,
          chunked: `${chunked}${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\nT: x\r\n\r\n`,
          close: `${ok}\r\n${body}`,
        };
        const got = readPieces(cut(texts[framing], sizes), { eof: true });
        expect(got).toEqual({ outcome: "done", status: 200, body, reusable: framing !== "close" });
      }),
    );
  });

  test("a large body is the same when it is read straight into its place", () => {
    const size = fc.oneof(fc.integer({ min: 60_000, max: 300_000 }), fc.constantFrom(65_536, 65_537, 131_072));
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1000, max: 300_000 }), fc.constant(65_536)), { minLength: 1 });
    const after = fc.constantFrom("", "HTTP/1.1 200 OK");
    fc.assert(
      fc.property(size, sizes, after, fc.constantFrom(200, 404), (length, cutAt, rest, status) => {
        const body = Buffer.alloc(length, "some bytes, ").toString("latin1");
        const text = `HTTP/1.1 ${status} X\r\nContent-Length: ${length}\r\n\r\n${body}${rest}`;
        const { direct, ...got } = readIntoRoom(Buffer.from(text, "latin1"), cutAt);
        const kept = status === 200 ? body : "";
        expect({ ...got, body: got.body === kept }).toMatchObject({ outcome: "done", status, body: true });
        if (status !== 200 || length < 65_536) expect(direct).toBe(0);
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  test("broken bytes are judged the same, and never with another error", () => {
    const whole = [
      `${ok}Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello`,
      `${chunked}3;x\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n`,
      `HTTP/1.1 100 Continue\r\n\r\n${ok}\r\nabc`,
    ];
    const damage = fc.array(
      fc.tuple(
        fc.nat(120),
        fc.oneof(fc.constantFrom("\r", "\n", "\r\n", " ", ":", "0", "f", ";", ""), fc.string({ maxLength: 3 })),
      ),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...whole), damage, cuts, (text, edits, sizes) => {
        let broken = text;
        for (const [at, put] of edits) broken = broken.slice(0, at) + put + broken.slice(at + 1);
        const inOne = readPieces([Buffer.from(broken, "latin1")], { eof: true });
        const inMany = readPieces(cut(broken, sizes), { eof: true });
        // A fault may be seen before bytes that a single read would have added to the body.
        expect([inMany.outcome, inMany.status]).toEqual([inOne.outcome, inOne.status]);
        if (inOne.outcome === "done") expect(inMany.body).toBe(inOne.body);
      }),
      { numRuns: propertyRuns(2000) },
    );
  });

  test("noise ends in a fault or in want of more", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }), (pieces) => {
        const { outcome } = readPieces(
          pieces.map((piece) => Buffer.from(piece)),
          { eof: true },
        );
        expect(outcome).not.toBe("more");
      }),
    );
  });
});
