import { describe, expect, test } from "vitest";
import { checkTrailers, parseRequestHead, RequestFault } from "./http1-request-head.ts";

const head = (...lines: readonly string[]) => `${lines.join("\r\n")}\r\n\r\n`;
const post = (...lines: readonly string[]) => head("POST /v1/logs HTTP/1.1", "Host: a", ...lines);

function statusOf(parse: () => unknown): number | undefined {
  try {
    parse();
    return undefined;
  } catch (caught) {
    if (!(caught instanceof RequestFault)) throw caught;
    return caught.status;
  }
}

describe("a head that is taken", () => {
  test.each([
    ["a path", "GET /a?b=c HTTP/1.1", { method: "GET", url: "/a?b=c" }],
    ["an address", "POST http://a:1/b HTTP/1.1", { url: "http://a:1/b" }],
    ["a star", "OPTIONS * HTTP/1.1", { method: "OPTIONS", url: "*" }],
    ["marks of any kind", 'GET /"<>\\^`{|}#~ HTTP/1.1', { url: '/"<>\\^`{|}#~' }],
    ["a method with a dash", "M-SEARCH / HTTP/1.1", { method: "M-SEARCH" }],
    ["HTTP/1.0", "GET / HTTP/1.0", { isOld: true, keepsAlive: false }],
  ])("%s", (_title, line, expected) => {
    expect(parseRequestHead(head(line, "Host: a"))).toMatchObject(expected);
  });

  test.each([
    ["no body", [], { contentLength: -1, isChunked: false, keepsAlive: true, expectation: undefined }],
    ["a length", ["Content-Length: 12"], { contentLength: 12 }],
    ["a length with zeros and blanks", ["content-length: \t007\t "], { contentLength: 7 }],
    ["chunks", ["Transfer-Encoding: Chunked"], { isChunked: true, contentLength: -1 }],
    ["an end of the connection", ["Connection: x, CLOSE"], { keepsAlive: false }],
    ["close before keep-alive", ["Connection: keep-alive", "Connection: close"], { keepsAlive: false }],
    ["an expectation", ["Expect: 100-Continue"], { expectation: "100-continue" }],
    ["two expectations", ["Expect: 100-continue", "Expect: x"], { expectation: "100-continue, x" }],
    ["an upgrade", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"], { keepsAlive: true }],
    ["the most headers", Array.from({ length: 999 }, () => "a:"), {}],
  ])("%s", (_title, lines, expected) => {
    expect(parseRequestHead(post(...lines))).toMatchObject(expected);
  });

  test("HTTP/1.0 without Host, kept where it asks for it", () => {
    expect(parseRequestHead(head("GET / HTTP/1.0", "Connection: Keep-Alive"))).toMatchObject({ keepsAlive: true });
  });

  test("an empty Host", () => {
    expect(parseRequestHead(head("GET / HTTP/1.1", "Host:")).headers["host"]).toBe("");
  });

  test("headers are in lower case, raw ones as they came, repeated ones joined as node:http does", () => {
    const parsed = parseRequestHead(
      post(
        "X: 1",
        "x:\t 2 \t",
        "Empty:",
        "Content-Type: a",
        "Content-Type: b",
        "Cookie: a",
        "Cookie: b",
        "Set-Cookie: c",
        "Set-Cookie: d",
        "__proto__: y",
        "constructor: z",
        "Bytes: \u00e9\u00a0",
      ),
    );
    expect({ ...parsed.headers }).toEqual(
      Object.assign(Object.create(null), {
        host: "a",
        x: "1, 2",
        empty: "",
        "content-type": "a",
        cookie: "a; b",
        "set-cookie": ["c", "d"],
        ["__proto__"]: "y",
        constructor: "z",
        bytes: "\u00e9\u00a0",
      }),
    );
    expect(parsed.rawHeaders.slice(0, 6)).toEqual(["Host", "a", "X", "1", "x", "2"]);
    expect([parsed.header("x"), parsed.header("set-cookie"), parsed.header("toString")]).toEqual([
      "1, 2",
      undefined,
      undefined,
    ]);
  });

  test("may be had again with another length", () => {
    const parsed = parseRequestHead(post("Content-Length: 12", "X: 12"));
    const other = parsed.withLength(5).withLength(7);
    expect(other.contentLength).toBe(7);
    expect(other.header("x")).toBe("12");
    expect({ ...other.headers }).toEqual({ host: "a", "content-length": "7", x: "12" });
    expect(other.rawHeaders).toEqual(["Host", "a", "Content-Length", "7", "X", "12"]);
    expect(parsed.headers["content-length"]).toBe("12");
  });
});

describe("a head that is refused", () => {
  test.each([
    ["GET  / HTTP/1.1", 400],
    ["GET /  HTTP/1.1", 400],
    ["GET / HTTP/1.1 ", 400],
    ["GET\t/ HTTP/1.1", 400],
    ["GET HTTP/1.1", 400],
    ["GET /", 400],
    ["GET / HTTP/1", 400],
    ["GET / HTTP/1.10", 400],
    ["GET / http/1.1", 400],
    ["GET / ICE/1.0", 400],
    ["GET foo HTTP/1.1", 400],
    ["GET ?a HTTP/1.1", 400],
    ["GET *a HTTP/1.1", 400],
    ["GET foo:bar HTTP/1.1", 400],
    ["GET http:///a HTTP/1.1", 400],
    ["GET /\u00e9 HTTP/1.1", 400],
    ["GET /a b HTTP/1.1", 400],
    ["get / HTTP/1.1", 400],
    ["FOO / HTTP/1.1", 400],
    ["CONNECT a:1 HTTP/1.1", 400],
    ["PRI * HTTP/2.0", 400],
    ["GET / HTTP/2.0", 505],
    ["GET / HTTP/0.9", 505],
    ["GET / HTTP/1.2", 505],
  ])("%s", (line, status) => {
    expect(statusOf(() => parseRequestHead(head(line, "Host: a")))).toBe(status);
  });

  test.each([
    ["no colon", ["foo"], 400],
    ["a blank before the colon", ["foo : a"], 400],
    ["no name", [": a"], 400],
    ["a name that is no token", ["a(b: c"], 400],
    ["a folded line", ["a: b", " c"], 400],
    ["a folded line behind an empty value", ["a:", "\tc"], 400],
    ["two hosts", ["Host: b"], 400],
    ["two equal lengths", ["Content-Length: 3", "Content-Length: 3"], 400],
    ["a list of lengths", ["Content-Length: 3, 3"], 400],
    ["a length with a sign", ["Content-Length: +3"], 400],
    ["a length below zero", ["Content-Length: -3"], 400],
    ["an empty length", ["Content-Length:"], 400],
    ["a length in hexadecimal", ["Content-Length: 0x3"], 400],
    ["a length of two words", ["Content-Length: 3 3"], 400],
    ["a length that no number holds", ["Content-Length: 9999999999999999"], 400],
    ["a length and chunks", ["Content-Length: 3", "Transfer-Encoding: chunked"], 400],
    ["chunks and a length", ["Transfer-Encoding: chunked", "Content-Length: 3"], 400],
    ["another coding", ["Transfer-Encoding: gzip"], 400],
    ["identity", ["Transfer-Encoding: identity"], 400],
    ["chunks twice", ["Transfer-Encoding: chunked, chunked"], 400],
    ["chunks in two lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400],
    ["chunks before another coding", ["Transfer-Encoding: chunked, gzip"], 400],
    ["chunks with a parameter", ["Transfer-Encoding: chunked;a=b"], 400],
    ["chunks behind a vertical tab", ["Transfer-Encoding: \u000bchunked"], 400],
    ["an empty coding", ["Transfer-Encoding:"], 400],
    ["a coding before chunks", ["Transfer-Encoding: gzip, chunked"], 501],
    ["too many headers", Array.from({ length: 1000 }, () => "a:"), 431],
  ])("%s", (_title, lines, status) => {
    expect(statusOf(() => parseRequestHead(post(...lines)))).toBe(status);
  });

  test("HTTP/1.1 without Host, HTTP/1.0 with chunks", () => {
    expect(statusOf(() => parseRequestHead(head("GET / HTTP/1.1")))).toBe(400);
    expect(statusOf(() => parseRequestHead(head("POST / HTTP/1.0", "Transfer-Encoding: chunked")))).toBe(400);
  });
});

test.each([
  ["", undefined],
  ["a: b\r\n", undefined],
  ["foo bar\r\n", 400],
  ["a: b\r\n c\r\n", 400],
  ["Content-Length: 1\r\n", 400],
  ["transfer-encoding: chunked\r\n", 400],
])("trailers %j", (lines, status) => {
  expect(statusOf(() => checkTrailers(`${lines}\r\n`))).toBe(status);
});
