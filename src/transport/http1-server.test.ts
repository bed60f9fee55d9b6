import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import {
  collect,
  exchangeBytes,
  recorder,
  type SeenRequest,
  startHttp1,
  statusesOf,
} from "../../test/support/http1-kit.ts";
import { collectBody } from "./collect-body.ts";
import { createHttpClient } from "./http-client.ts";
import type { TlsConfig } from "./http-client-config.ts";
import { fieldLines } from "./http1-answer.ts";
import type { Http1Exchange, Http1Handler } from "./http1-exchange.ts";

const signal = new AbortController().signal;
const close = "Connection: close\r\n";

function handlerOf(handle: (exchange: Http1Exchange) => void): Http1Handler {
  return { writeTimeoutMs: 1000, handle };
}

const plain = (status: number, body: string | Uint8Array = "", more: object = {}) => ({
  status,
  fields: "x-own: yes\r\n",
  body,
  ...more,
});

const ask = (method: string, more = "") => `${method} / HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

async function open(port: number): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  await once(socket, "connect");
  return { socket, text: () => received };
}

describe("an answer", () => {
  test("has what node:http sends", async () => {
    const handler = handlerOf((exchange) => exchange.answer(plain(200, "hello")));
    const { port } = await startHttp1({ handler, limits: { keepAliveTimeoutMs: 5000 } });
    const { socket, text } = await open(port);
    socket.write(ask("GET"));
    await expect.poll(text).toMatch(/hello$/);
    expect(text()).toMatch(
      /^HTTP\/1\.1 200 OK\r\nx-own: yes\r\ncontent-length: 5\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nhello$/,
    );
  });

  test.each([
    ["a text", plain(200, "abc"), /content-length: 3\r\n[\s\S]*\r\n\r\nabc$/],
    ["bytes", plain(200, Buffer.from("a\u00e9")), /content-length: 3\r\n[\s\S]*\r\n\r\na\u00c3\u00a9$/],
    ["nothing", plain(200), /content-length: 0\r\n[\s\S]*\r\n\r\n$/],
    [
      "nothing with 204",
      plain(204),
      /^HTTP\/1\.1 204 No Content\r\nx-own: yes\r\nDate: [^\r]*\r\nconnection: close\r\n\r\n$/,
    ],
    ["a status without a name", plain(599, "a"), /^HTTP\/1\.1 599 Unknown\r\n/],
    ["a date of its own", plain(200, "", { fields: "date: now\r\n", hasDate: true }), /200 OK\r\ndate: now\r\ncontent/],
  ])("of %s", async (_title, answer, expected) => {
    const { port } = await startHttp1({ handler: handlerOf((exchange) => exchange.answer(answer)) });
    expect(await exchangeBytes(port, [ask("GET", close)])).toMatch(expected);
  });

  test("to HEAD has the length and no body", async () => {
    const { port } = await startHttp1({ handler: handlerOf((exchange) => exchange.answer(plain(404, "gone"))) });
    expect(await exchangeBytes(port, [ask("HEAD", close)])).toMatch(/content-length: 4\r\n[\s\S]*close\r\n\r\n$/);
  });

  test.each([
    ["the client says close", ask("GET", close), {}],
    ["the client speaks HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", {}],
    ["the handler says so", ask("GET"), { closes: true }],
  ])("ends the connection where %s", async (_title, text, more) => {
    const { port } = await startHttp1({ handler: handlerOf((exchange) => exchange.answer(plain(200, "", more))) });
    expect(await exchangeBytes(port, [text])).toMatch(/\r\nconnection: close\r\n\r\n$/);
  });

  test("is given once, and the handler's later ones are passed over", async () => {
    const isOver: boolean[] = [];
    const handler = handlerOf((exchange) => {
      isOver.push(exchange.isOver);
      exchange.answer(plain(200));
      exchange.answer(plain(500));
      exchange.fail(new Error("late"));
      isOver.push(exchange.isOver);
    });
    const { port } = await startHttp1({ handler });
    expect(statusesOf(await exchangeBytes(port, [ask("GET"), ask("GET", close)]))).toEqual([200, 200]);
    expect(isOver).toEqual([false, true, false, true]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("secret");
      },
    ],
    ["fails later", (exchange: Http1Exchange) => setImmediate(() => exchange.fail(new Error("secret")))],
    [
      "throws when the body has come",
      (exchange: Http1Exchange) =>
        collect(exchange, () => {
          throw new Error("secret");
        }),
    ],
  ])("is 500 without details where the handler %s", async (_title, handle) => {
    const onError = vi.fn();
    const { port } = await startHttp1({ handler: handlerOf(handle), onError });
    const answer = await exchangeBytes(port, [ask("POST", `${close}Content-Length: 3\r\n`), "abc"]);
    expect(answer).toMatch(
      /^HTTP\/1\.1 500 Internal Server Error\r\ncontent-type: text\/plain[\s\S]*\r\n\r\ninternal error\n$/,
    );
    expect(onError).toHaveBeenCalledOnce();
  });
});

test.each(["a\r\nb", "\u0000", "\u010a"])("a header's value may not be %j", (value) => {
  expect(() => fieldLines([["x", value]])).toThrow("the value of header x has a character that no header may have");
});

test("of headers with one name the last counts, where the first stood", () => {
  const fields = [
    ["A", "1"],
    ["b", "\u00e92"],
    ["a", "3"],
  ] as const;
  expect(fieldLines(fields)).toBe("a: 3\r\nb: \u00e92\r\n");
});

describe("a request", () => {
  test("has address, headers and body, declared or in chunks", async () => {
    const seen: unknown[] = [];
    const handler = handlerOf((exchange) => {
      const { remoteAddress, contentLength } = exchange;
      collect(exchange, (body) => {
        seen.push([remoteAddress, contentLength, exchange.header("x"), exchange.headers["host"], body]);
        exchange.answer(plain(200));
      });
    });
    const { port } = await startHttp1({ handler });
    const chunked = "Transfer-Encoding: chunked\r\n\r\n2;a\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n";
    await exchangeBytes(port, [ask("POST", "X: 1\r\nContent-Length: 3\r\n"), "abc", ask("POST", close + chunked)]);
    expect(seen).toEqual([
      ["127.0.0.1", 3, "1", "a", "abc"],
      ["127.0.0.1", -1, undefined, "a", "abc"],
    ]);
  });

  test("waits until the one before is answered, and reads on then", async () => {
    const exchanges: Http1Exchange[] = [];
    const { port } = await startHttp1({ handler: handlerOf((exchange) => void exchanges.push(exchange)) });
    const { socket, text } = await open(port);
    socket.write(ask("GET").repeat(2) + ask("POST", "Content-Length: 3\r\n"));
    await expect.poll(() => exchanges.length).toBe(1);
    socket.write("abc");
    exchanges[0]?.answer(plain(201));
    await expect.poll(() => exchanges.length).toBe(2);
    exchanges[1]?.answer(plain(202));
    await expect.poll(() => exchanges.length).toBe(3);
    const third = exchanges[2];
    if (third !== undefined) collect(third, (body) => third.answer(plain(203, body)));
    await expect.poll(text).toMatch(/abc$/);
    expect(statusesOf(text())).toEqual([201, 202, 203]);
  });

  test("whose body is not wanted leaves the connection for the next", async () => {
    const handler = handlerOf((exchange) => exchange.answer(plain(404)));
    const { port } = await startHttp1({ handler });
    const chunked = `${ask("POST", "Transfer-Encoding: chunked\r\n")}3\r\nabc\r\n`;
    const declared = ask("POST", "Content-Length: 6\r\n");
    const pieces = [declared, "abc", `def${chunked}`, `0\r\n\r\n${ask("GET", close)}`];
    expect(statusesOf(await exchangeBytes(port, pieces))).toEqual([404, 404, 404]);
  });

  test("that came whole is answered where the client has ended its side", async () => {
    const handler = handlerOf((exchange) => setImmediate(() => setImmediate(() => exchange.answer(plain(200)))));
    const { port } = await startHttp1({ handler });
    expect(statusesOf(await exchangeBytes(port, [ask("GET") + ask("GET")], true))).toEqual([200, 200]);
  });

  test.each([
    ["a head", "GET / HT"],
    ["a body", `${ask("POST", "Content-Length: 3\r\n")}ab`],
  ])("that ends within %s is refused", async (_title, text) => {
    const { port } = await startHttp1();
    expect(statusesOf(await exchangeBytes(port, [text], true))).toEqual([400]);
  });

  test("whose connection breaks tells who reads its body", async () => {
    const cut = vi.fn();
    const handler = handlerOf((exchange) => collect(exchange, () => {}, cut));
    const { port } = await startHttp1({ handler });
    const { socket } = await open(port);
    socket.write(ask("POST", "Content-Length: 3\r\n"));
    socket.write("a");
    socket.resetAndDestroy();
    await expect.poll(() => cut.mock.calls.length).toBe(1);
  });

  test("whose connection is gone when its body is asked for hears so at once", async () => {
    let held: Http1Exchange | undefined;
    const handler = handlerOf((exchange) => {
      held = exchange;
    });
    const { port } = await startHttp1({ handler });
    const { socket } = await open(port);
    socket.write(ask("POST", "Content-Length: 3\r\n"));
    await expect.poll(() => held).toBeDefined();
    socket.resetAndDestroy();
    await expect.poll(() => held?.isOver).toBe(true);
    const cut = vi.fn();
    if (held !== undefined) collect(held, () => {}, cut);
    expect(cut).toHaveBeenCalledOnce();
  });
});

describe("Expect", () => {
  const expecting = (what: string, more = "") => ask("POST", `Expect: ${what}\r\nContent-Length: 3\r\n${more}`);

  test("100-continue is answered when the body is wanted", async () => {
    const { port } = await startHttp1();
    const { socket, text } = await open(port);
    socket.write(expecting("100-Continue", close));
    await expect.poll(text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("abc");
    await once(socket, "close");
    expect(statusesOf(text())).toEqual([100, 200]);
  });

  test("100-continue has the final answer alone where the body is not wanted, and the connection ends", async () => {
    const { port } = await startHttp1({ handler: handlerOf((exchange) => exchange.answer(plain(401))) });
    const { socket, text } = await open(port);
    socket.write(expecting("100-continue"));
    await once(socket, "end");
    socket.end();
    await once(socket, "close");
    expect(text()).toMatch(/^HTTP\/1\.1 401 [\s\S]*connection: close\r\n\r\n$/);
  });

  test("100-continue without a body, or in HTTP/1.0, means nothing", async () => {
    const { port } = await startHttp1();
    const old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc";
    expect(statusesOf(await exchangeBytes(port, [ask("GET", `Expect: 100-continue\r\n${close}`)]))).toEqual([200]);
    expect(statusesOf(await exchangeBytes(port, [old]))).toEqual([200]);
  });

  test("anything else is 417", async () => {
    const { port } = await startHttp1();
    expect(statusesOf(await exchangeBytes(port, [expecting("x")], true))).toEqual([417]);
  });
});

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

test("a kept client of node:http sends one after the other on one connection", async () => {
  const seen: SeenRequest[] = [];
  const { port } = await startHttp1({ handler: recorder(seen) });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (let i = 0; i < 20; i++) {
    const body = "x".repeat(i * 10_000);
    const answer = await new Promise<string>((resolve, reject) => {
      const outgoing = httpRequest({ port, host: "127.0.0.1", agent, method: "POST", path: `/${i}` }, (response) => {
        ports.add(outgoing.socket?.localPort);
        buffer(response).then((bytes) => resolve(String(bytes)), reject);
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
    expect(answer).toBe(String(i + 1));
    expect(seen.at(-1)?.body).toBe(body);
  }
  expect(ports.size).toBe(1);
});

test("serves on a socket file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "http1-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const socketPath = join(folder, "s");
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
  const folder = mkdtempSync(join(tmpdir(), "http1-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const authority = createTestAuthority(folder);
  const other = createTestAuthority(folder, "other");
  const [pair, client, next] = [authority.issue("server"), authority.issue("client"), other.issue("server")];
  const [certFile, keyFile] = [join(folder, "s.pem"), join(folder, "s.key")];
  copyFileSync(pair.certFile, certFile);
  copyFileSync(pair.keyFile, keyFile);
  const clock = vi.spyOn(performance, "now");
  onTestFinished(() => clock.mockRestore());
  clock.mockReturnValue(0);
  const seen: SeenRequest[] = [];
  const tls = { certFile, keyFile, clientCaFile: authority.caFile };
  const { port } = await startHttp1({ tls, handler: recorder(seen) });
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
  const own = { cert: client.cert, key: client.key };
  const large = Buffer.alloc(1_000_000, "x");
  expect(await post({ ...own, ca: authority.ca }, large)).toBe(200);
  expect(seen.at(-1)?.body.length).toBe(large.length);
  await expect(post({ ca: authority.ca }, large)).rejects.toMatchObject({ name: "HttpError" });
  copyFileSync(next.certFile, certFile);
  copyFileSync(next.keyFile, keyFile);
  clock.mockReturnValue(4000);
  expect(await post({ ...own, ca: other.ca }, large)).toBe(200);
});
