import fc from "fast-check";
import { expect, test } from "vitest";
import { RequestHeadMemo } from "./http1-head-memo.ts";
import { parseRequestHead } from "./http1-request-head.ts";

const text = (length: string, more = "") =>
  `POST /v1/metrics HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\nX-Length: 12\r\n${more}\r\n`;

function memoOf(known: string): RequestHeadMemo {
  const memo = new RequestHeadMemo();
  memo.remember(known, parseRequestHead(known));
  return memo;
}

function recall(memo: RequestHeadMemo, bytes: string, at = 0) {
  return memo.recall(Buffer.from(bytes, "latin1"), at);
}

test("a head that is the same, or has another length, is known", () => {
  const memo = memoOf(text("12"));
  expect(recall(memo, `${text("12")}body`)).toMatchObject({ contentLength: 12, url: "/v1/metrics" });
  expect(memo.end).toBe(text("12").length);
  const other = recall(memo, `xx${text("59123")}body`, 2);
  expect(other).toMatchObject({ contentLength: 59_123 });
  expect(other?.headers["content-length"]).toBe("59123");
  expect(memo.end).toBe(text("59123").length + 2);
  expect(recall(memo, text("0"))).toMatchObject({ contentLength: 0 });
});

test("a head without a length is known when it is the same", () => {
  const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect(recall(memoOf(chunked), chunked)).toMatchObject({ isChunked: true });
});

test.each([
  ["with another name", text("12").replace("X-", "Y-")],
  ["with another value", text("12").replace("Host: a", "Host: b")],
  ["with one header more", text("12", "A: b\r\n")],
  ["with zeros before its length", text("012")],
  ["without digits", text("")],
  ["with a length that no number holds", text("9999999999999999")],
  ["with something behind its length", text("12;")],
  ["with a longer line for its length", text("12 ")],
  ["that is not whole", text("12").slice(0, -1)],
  ["whose length is not whole", text("12").slice(0, 56)],
])("a head %s is not known", (_title, bytes) => {
  expect(recall(memoOf(text("12")), bytes)).toBeUndefined();
});

test("a head with zeros before its length is not remembered", () => {
  expect(recall(memoOf(text("012")), text("12"))).toBeUndefined();
});

test("a long head is not remembered", () => {
  const long = text("12", `A: ${"x".repeat(2048)}\r\n`);
  expect(recall(memoOf(long), long)).toBeUndefined();
});

test("what is known is what the head itself says", () => {
  const lines = fc.array(
    fc.constantFrom("A: b", "X: Content-Length: 9", "content-type: x", "Expect: 100-continue", "Connection: close"),
    { maxLength: 4 },
  );
  const length = fc.constantFrom("Content-Length: 5", "content-length:5", "CONTENT-LENGTH:\t 00005 \t", "A: 5");
  const build = (before: readonly string[], line: string, after: readonly string[]) =>
    `${["POST / HTTP/1.1", "Host: a", ...before, line, ...after].join("\r\n")}\r\n\r\n`;
  fc.assert(
    fc.property(lines, length, lines, fc.nat(99_999), (before, line, after, other) => {
      const memo = memoOf(build(before, line, after));
      const next = build(before, line.replace(/\d+/, String(other)), after);
      const found = recall(memo, next);
      if (found === undefined) return;
      const parsed = parseRequestHead(next);
      expect(found).toMatchObject({
        method: parsed.method,
        url: parsed.url,
        contentLength: parsed.contentLength,
        keepsAlive: parsed.keepsAlive,
        expectation: parsed.expectation,
      });
      expect({ ...found.headers }).toEqual({ ...parsed.headers });
      expect(found.rawHeaders).toEqual(parsed.rawHeaders);
    }),
  );
});
