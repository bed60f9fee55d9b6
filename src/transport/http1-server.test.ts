import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
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
import { fieldLines } from "./http1-answer.ts";
import type { Http1Exchange } from "./http1-exchange.ts";

const close = "Connection: close\r\n";

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
