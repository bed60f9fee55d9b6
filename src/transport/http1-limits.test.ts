import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  ask,
  collect,
  exchangeBytes,
  handlerOf,
  open,
  plain,
  recorder,
  type SeenRequest,
  startHttp1,
  statusesOf,
} from "../../test/support/http1-kit.ts";
import { replacedCertificates } from "../../test/support/replaced-certificates.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { collectBody } from "./collect-body.ts";
import { createHttpClient } from "./http-client.ts";
import type { TlsConfig } from "./http-client-config.ts";
import type { Http1Exchange } from "./http1-exchange.ts";

const signal = new AbortController().signal;

describe("limits", () => {
  test.each([
    ["a silent connection", ""],
    ["a head that does not come whole", "GET / HTTP/1.1\r\nX: "],
    ["empty lines", "\r\n\r\n"],
  ])("%s is 408", async (_title, text) => {
    const { port } = await startHttp1({ limits: { headersTimeoutMs: 50 } });
    expect(statusesOf(await exchangeBytes(port, [text]))).toEqual([408]);
  });

  test("a body that does not come whole is 408, and its reader hears of it", async () => {
    const cut = vi.fn();
    const handler = handlerOf((exchange) => collect(exchange, () => {}, cut));
    const { port } = await startHttp1({ handler, limits: { requestTimeoutMs: 50 } });
    expect(statusesOf(await exchangeBytes(port, [ask("POST", "Content-Length: 3\r\n"), "ab"]))).toEqual([408]);
    expect(cut).toHaveBeenCalledOnce();
  });

  test("an idle connection is ended without a word, a second later than the client was told", async () => {
    const { port } = await startHttp1({ limits: { keepAliveTimeoutMs: 50 } });
    const startedMs = performance.now();
    expect(statusesOf(await exchangeBytes(port, [ask("GET")]))).toEqual([200]);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
  });

  test("a sender whose body was not waited for any longer may go on for seconds, so that it comes to read why", async () => {
    const clock = vi.spyOn(performance, "now");
    onTestFinished(() => clock.mockRestore());
    let nowMs = 0;
    clock.mockReturnValue(nowMs);
    const { port } = await startHttp1({ limits: { requestTimeoutMs: 50 } });
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const pass = () => {
      nowMs += 200;
      clock.mockReturnValue(nowMs);
      socket.write("x");
      return nowMs;
    };
    onTestFinished(() => void socket.destroy());
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.write(ask("POST", "Content-Length: 1000\r\n"));
    await expect.poll(() => pass() && statusesOf(received)).toEqual([408]);
    const refusedMs = nowMs;
    await expect.poll(pass, { timeout: 5000 }).toBeGreaterThan(refusedMs + 2500);
    expect(socket.closed).toBe(false);
    await expect.poll(() => pass() && socket.closed, { timeout: 5000 }).toBe(true);
  });

  test("connections beyond the limit are closed", async () => {
    const { port } = await startHttp1({ limits: { maxConnections: 1 } });
    await open(port);
    expect(await exchangeBytes(port, [ask("GET")])).toBe("");
  });

  test.each([
    ["headers", `X: ${"x".repeat(1000)}\r\n`],
    ["many headers", "X:\r\n".repeat(300)],
  ])("%s that are too large are 431", async (_title, lines) => {
    const { port } = await startHttp1({ limits: { maxHeaderBytes: 1000 } });
    expect(statusesOf(await exchangeBytes(port, [ask("GET", lines)]))).toEqual([431]);
  });
});

describe("empty lines behind a body", () => {
  const post = `${ask("POST", "Content-Length: 3\r\n")}abc\r\n`;

  test.each([
    ["ends in silence when it idles", { keepAliveTimeoutMs: 50, headersTimeoutMs: 100 }, false],
    ["ends in silence with the client's side", {}, true],
  ])("begin no request: the connection %s", async (_title, limits, ends) => {
    const { port } = await startHttp1({ limits });
    expect(statusesOf(await exchangeBytes(port, [post, "\r\n"], ends))).toEqual([200]);
  });

  test("do not keep a server from its end", async () => {
    const server = await startHttp1();
    const { socket, text } = await open(server.port);
    socket.write(post);
    await expect.poll(text).not.toBe("");
    const closed = once(socket, "close");
    await server.close(60_000);
    await closed;
    expect(statusesOf(text())).toEqual([200]);
  });

  test.each([
    ["count for the request behind them alone", post.repeat(200), 200],
    ["are not without limit", post + "\r\n".repeat(1000), 431],
  ])("%s", async (_title, text, last) => {
    const { port } = await startHttp1({ limits: { maxHeaderBytes: 200 } });
    expect(statusesOf(await exchangeBytes(port, [text], true)).at(-1)).toBe(last);
  });
});

describe("the end", () => {
  test("ends idle connections at once, and those under way after their answer", async () => {
    let held: Http1Exchange | undefined;
    const handler = handlerOf((exchange) => {
      if (exchange.url === "/held") held = exchange;
      else exchange.answer(plain(200));
    });
    const server = await startHttp1({ handler });
    const idle = await open(server.port);
    idle.socket.write(ask("GET"));
    await expect.poll(idle.text).not.toBe("");
    const silent = await open(server.port);
    const busy = await open(server.port);
    busy.socket.write("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => held).toBeDefined();
    const closed = server.close(10_000);
    await Promise.all([once(idle.socket, "close"), once(silent.socket, "close")]);
    held?.answer(plain(200, "done"));
    await closed;
    await server.close(0);
    await expect.poll(busy.text).toMatch(/connection: close\r\n\r\ndone$/);
    expect(silent.text()).toBe("");
  });

  test("keeps connections until another server is there, where it is replaced", async () => {
    const server = await startHttp1();
    const kept = await open(server.port);
    kept.socket.write(ask("GET"));
    await expect.poll(() => statusesOf(kept.text())).toEqual([200]);
    const replaced = Promise.withResolvers<void>();
    const ended = once(kept.socket, "close");
    const closed = server.close(60_000, undefined, replaced.promise);
    const late = connect(server.port, "127.0.0.1");
    await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
    kept.socket.write(ask("GET"));
    await expect.poll(() => statusesOf(kept.text())).toEqual([200, 200]);
    expect(kept.text()).not.toContain("connection: close");
    replaced.resolve();
    await Promise.all([closed, ended]);
  });

  test.each([
    ["the deadline", 20, false],
    ["who hurries", 10_000, true],
  ])("waits no longer than %s", async (_title, deadlineMs, hurries) => {
    const server = await startHttp1({ handler: handlerOf(() => {}) });
    const { socket } = await open(server.port);
    socket.write(ask("GET"));
    const hurry = new AbortController();
    const closed = server.close(deadlineMs, hurry.signal);
    if (hurries) hurry.abort();
    await closed;
  });
});

test("serves on a socket file", async () => {
  const socketPath = join(testFolder(), "s");
  const addresses: string[] = [];
  const handler = handlerOf((exchange) => {
    addresses.push(exchange.remoteAddress);
    exchange.answer(plain(200));
  });
  const { port } = await startHttp1({ at: { socketPath }, handler });
  const socket = connect(socketPath);
  socket.end(ask("GET"));
  const answer = await buffer(socket);
  expect([port, statusesOf(String(answer)), addresses]).toEqual([0, [200], [""]]);
});

test("serves https, asks for client certificates and takes new files", async () => {
  const files = replacedCertificates();
  const seen: SeenRequest[] = [];
  const { port } = await startHttp1({ tls: files.tls, handler: recorder(seen) });
  const post = async (options: TlsConfig, body: Buffer) => {
    const http = createHttpClient({ tls: options }, { userAgent: "test/1" });
    try {
      const url = new URL(`https://127.0.0.1:${port}/`);
      const response = await http.request({ method: "POST", url, body, signal });
      await collectBody(response, { maxBytes: 1000 });
      return response.status;
    } finally {
      await http.close();
    }
  };
  const large = Buffer.alloc(1_000_000, "x");
  expect(await post({ ...files.client, ca: files.ca }, large)).toBe(200);
  expect(seen.at(-1)?.body.length).toBe(large.length);
  await expect(post({ ca: files.ca }, large)).rejects.toMatchObject({ name: "HttpError" });
  files.replaceCert();
  files.replaceKey();
  files.setNow(4000);
  expect(await post({ ...files.client, ca: files.nextCa }, large)).toBe(200);
});
