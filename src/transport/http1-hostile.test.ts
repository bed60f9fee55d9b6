import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  ask,
  exchangeBytes,
  handlerOf,
  open,
  plain,
  recorder,
  type SeenRequest,
  startHttp1,
  statusesOf,
} from "../../test/support/http1-kit.ts";
import type { Http1Handler } from "./http1-exchange.ts";

const chunked = ask("POST", "Transfer-Encoding: chunked\r\n");
const last = ask("GET", "Connection: close\r\n");

function closeOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once("close", resolve));
}

/** Passes over bodies. */
const refusing: Http1Handler = {
  writeTimeoutMs: 1000,
  handle: (exchange) => exchange.answer({ status: 404, fields: "", body: "" }),
};

describe("refused at once, whatever would come after it", () => {
  test.each([
    ["noise", "\u0001\u0002\u0003\u0004", 400],
    ["noise that may be text", "@@@@@@@@", 400],
    ["a long word", "A".repeat(100), 400],
    ["TLS", "\u0016\u0003\u0001\u0000\u00a5\u0001", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["lines that end in LF", "GET / HTTP/1.1\n", 400],
    ["a CR within a line", "GET / HTTP/1.1\r\nHost: a\rb", 400],
    ["a NUL in a value", "GET / HTTP/1.1\r\nHost: a\u0000", 400],
    ["no end of the head", `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}`, 431],
    ["no end of the target", `GET /${"x".repeat(20_000)}`, 431],
    ["empty lines without end", "\r\n".repeat(10_000), 431],
    ["chunks without a size", `${chunked}\r\n`, 400],
    ["a chunk's size that is none", `${chunked}zz`, 400],
    ["a chunk's size with a sign", `${chunked}-1`, 400],
    ["a chunk's size with 0x", `${chunked}0x3`, 400],
    ["a blank behind a chunk's size", `${chunked}3 `, 400],
    ["a chunk's size beyond numbers", `${chunked}fffffffffffffff`, 400],
    ["zeros without end", `${chunked}${"0".repeat(17)}`, 400],
    ["a chunk's line that ends in LF", `${chunked}3\n`, 400],
    ["a chunk longer than its size", `${chunked}3\r\nabcd`, 400],
    ["a chunk whose end lacks LF", `${chunked}3\r\nabc\rx`, 400],
    ["an extension without end", `${chunked}3;${"a".repeat(5000)}`, 400],
    ["extensions of 16 KiB in all", `${chunked}${`1;${"a".repeat(4000)}\r\na\r\n`.repeat(5)}`, 413],
    ["an extension that is none", `${chunked}3; a\r\n`, 400],
    ["trailers that are none", `${chunked}0\r\nfoo bar\r\n\r\n`, 400],
    ["trailers without end", `${chunked}0\r\n${"a: b\r\n".repeat(4000)}`, 431],
    ["a trailer that frames", `${chunked}0\r\nContent-Length: 5\r\n\r\n`, 400],
  ])("%s", async (_title, text, status) => {
    const seen: SeenRequest[] = [];
    const { port } = await startHttp1({ handler: recorder(seen) });
    // The client goes on as if nothing had happened; the refusal reaches it all the same.
    expect(statusesOf(await exchangeBytes(port, [text, last]))).toEqual([status]);
    expect(seen).toEqual([]);
  });
});

describe("a body that might hide a request", () => {
  const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
  test.each([
    ["behind a length and chunks", ask("POST", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")],
    ["behind two lengths", ask("POST", "Content-Length: 0\r\nContent-Length: 5\r\n")],
    ["behind a coding with a blank", ask("POST", "Transfer-Encoding : chunked\r\n")],
    ["behind a coding in disguise", ask("POST", "Transfer-Encoding: xchunked\r\n")],
    ["behind a folded coding", ask("POST", "Transfer-Encoding:\r\n chunked\r\n")],
    ["behind chunks of HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["behind the body of an older client", "GET / HTTP/1.0\r\n\r\n"],
    ["behind an answer that ends the connection", last],
  ])("%s", async (_title, head) => {
    const seen: SeenRequest[] = [];
    const { port } = await startHttp1({ handler: recorder(seen) });
    await exchangeBytes(port, [`${head}0\r\n\r\n${hidden}`]);
    expect(seen.map(({ url }) => url)).not.toContain("/hidden");
  });

  test("that was refused is passed over as its head frames it", async () => {
    const { port } = await startHttp1({ handler: refusing });
    const body = hidden.repeat(2);
    const pieces = [ask("POST", `Content-Length: ${body.length}\r\n`) + body + last];
    expect(statusesOf(await exchangeBytes(port, pieces))).toEqual([404, 404]);
  });

  test("that is broken while it is passed over ends the connection, after the one answer", async () => {
    const { port } = await startHttp1({ handler: refusing });
    expect(statusesOf(await exchangeBytes(port, [`${chunked}zz\r\n${hidden}`], true))).toEqual([404]);
  });
});

test("a body that is not wanted is passed over up to 4 MiB", async () => {
  const { port } = await startHttp1({ handler: refusing });
  const { socket } = await open(port);
  socket.write(ask("POST", "Content-Length: 4294967296\r\n"));
  const flood = setInterval(() => socket.write(Buffer.alloc(1_000_000)), 5);
  onTestFinished(() => clearInterval(flood));
  await closeOf(socket);
});

test("a head that drips is ended in time, and others are served meanwhile", async () => {
  const seen: SeenRequest[] = [];
  const { port } = await startHttp1({ handler: recorder(seen), limits: { headersTimeoutMs: 150 } });
  const { socket } = await open(port);
  let at = 0;
  const drip = setInterval(() => socket.write(ask("GET", "X: y\r\n".repeat(100))[at++] ?? ""), 5);
  onTestFinished(() => clearInterval(drip));
  const received = once(socket, "data");
  expect(statusesOf(await exchangeBytes(port, [last]))).toEqual([200]);
  expect(statusesOf(String(await received))).toEqual([408]);
});

test("a body byte by byte is whole", async () => {
  const seen: SeenRequest[] = [];
  const { port } = await startHttp1({ handler: recorder(seen) });
  const text = `${chunked}3;a="b"\r\nabc\r\n0\r\nx: y\r\n\r\n${ask("POST", "Content-Length: 3\r\n")}def${last}`;
  expect(statusesOf(await exchangeBytes(port, [...text]))).toEqual([200, 200, 200]);
  expect(seen.map(({ body }) => body)).toEqual(["abc", "def", ""]);
});

test("a flood of requests on one connection is answered in order", async () => {
  const seen: SeenRequest[] = [];
  const { port } = await startHttp1({ handler: recorder(seen) });
  const answer = await exchangeBytes(port, [ask("GET").repeat(20_000) + last]);
  expect(seen).toHaveLength(20_001);
  expect(answer.endsWith("\r\n\r\n20001")).toBe(true);
});

test("who never reads answers is not listened to, and ended in time", async () => {
  let answered = 0;
  const handler: Http1Handler = {
    writeTimeoutMs: 200,
    handle(exchange) {
      answered += 1;
      exchange.answer({ status: 200, fields: "", body: Buffer.alloc(10_000) });
    },
  };
  const { port } = await startHttp1({ handler });
  const { socket } = await open(port);
  socket.removeAllListeners("data").pause();
  // More than the buffers of the system hold, so that the client sees the end without reading.
  for (let i = 0; i < 200; i++) socket.write(ask("GET").repeat(5000));
  await closeOf(socket);
  // What the buffers of the system hold, of 500 MB.
  expect(answered).toBeLessThan(20_000);
});

test("what comes while a request is answered is held once, not without end", async () => {
  let held = 0;
  const handler = handlerOf((exchange) => {
    if (exchange.url === "/other") exchange.answer(plain(200));
    else held += 1;
  });
  const { port } = await startHttp1({ handler });
  const { socket } = await open(port);
  for (let i = 0; i < 200; i++) socket.write(ask("GET").repeat(5000));
  await expect.poll(() => held).toBe(1);
  for (let i = 0; i < 50; i++) await exchangeBytes(port, ["GET /other HTTP/1.0\r\n\r\n"]);
  expect(held).toBe(1);
  // The rest waits at the client.
  expect(socket.writableLength).toBeGreaterThan(10_000_000);
});
