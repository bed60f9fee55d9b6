/** Pages from real servers: kept connections, hostile ones, and what goes another way than plain HTTP/1.1. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { failure } from "../../test/support/http-client-kit.ts";
import { serveHttp, serveProxy, serveTcp } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { createPageClient, type PageAnswer, type PageClient } from "./page-client.ts";
import type { PlainFirstOptions } from "./plain-first.ts";

const never = new AbortController().signal;

function client(config: HttpClientConfig = {}, options: Partial<PlainFirstOptions> = {}): PageClient {
  const created = createPageClient(config, { userAgent: "test/1", ...options });
  onTestFinished(() => created.close());
  return created;
}

interface Options {
  readonly headers?: Record<string, string>;
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly socketPath?: string;
}

async function fetchPage(by: PageClient, url: string, options: Options = {}): Promise<PageAnswer & { body: string }> {
  const { headers = {}, maxBytes = 1_000_000, timeoutMs = 5000, signal = never, socketPath } = options;
  const into = new GrowableBuffer(16);
  const answer = await by
    .source({ url: new URL(url), headers, socketPath })
    .fetch(into, { maxBytes, timeoutMs }, signal);
  return { ...answer, body: into.bytes.toString("latin1") };
}

async function text(by: PageClient, url: string, options: Options = {}): Promise<string> {
  return (await fetchPage(by, url, options)).body;
}

/** A server that gives each request the next answer of its connection. */
function serveAnswers(answersOf: (connection: number) => readonly ((socket: Socket) => void)[]) {
  let connections = 0;
  return serveTcp((socket) => {
    const answers = [...answersOf(connections++)];
    socket.on("data", () => (answers.shift() ?? ((each: Socket) => each.destroy()))(socket));
  });
}

const page = (body: string) => (socket: Socket) => {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
};

describe("a connection", () => {
  test("is used for pages that follow each other", async () => {
    const server = await serveHttp((request, response) => response.end(`at ${request.url}`.repeat(20_000)));
    const by = client();
    for (const path of ["/a", "/b", "/c"]) expect(await text(by, server.url + path)).toBe(`at ${path}`.repeat(20_000));
    expect(server.connections()).toBe(1);
  });

  test("brings large pages one after the other, whole and in order", async () => {
    const pages = [3_000_001, 10, 200_000, 65_536].map((size, n) => Buffer.alloc(size, `${n} page of ${size};`));
    const server = await serveHttp((request, response) => response.end(pages[Number(request.url?.slice(1))]));
    const by = client();
    for (const [n, expected] of [...pages, ...pages].entries()) {
      const got = await text(by, `${server.url}/${n % pages.length}`, { maxBytes: 4_000_000 });
      expect(got === expected.toString("latin1")).toBe(true);
    }
    expect(server.connections()).toBe(1);
  });

  test("is used by one request at a time", async () => {
    const server = await serveHttp((request, response) => setImmediate(() => response.end(request.url)));
    const by = client();
    const paths = ["/1", "/2", "/3", "/4"];
    expect(await Promise.all(paths.map((path) => text(by, server.url + path)))).toEqual(paths);
    expect(server.connections()).toBe(4);
  });

  test("is waited for where no more are allowed", async () => {
    const server = await serveHttp((request, response) => setImmediate(() => response.end(request.url)));
    const by = client({ maxConnectionsPerHost: 2 });
    const paths = Array.from({ length: 9 }, (_, at) => `/${at}`);
    expect(await Promise.all(paths.map((path) => text(by, server.url + path)))).toEqual(paths);
    expect(server.connections()).toBe(2);
  });

  test("is opened anew for one that waits when another ends badly", async () => {
    const server = await serveAnswers((at) => [at === 0 ? (socket) => socket.destroy() : page("ok")]);
    const by = client({ maxConnectionsPerHost: 1 });
    const [first, second] = await Promise.allSettled([text(by, server.url), text(by, server.url)]);
    expect([first.status, second.status === "fulfilled" && second.value]).toEqual(["rejected", "ok"]);
  });

  test.each<[title: string, config: HttpClientConfig]>([
    ["keep-alive is off", { disableKeepAlives: true }],
    ["too many are idle", { maxIdleConnections: 1 }],
  ])("is not kept where %s", async (_, config) => {
    const servers = await Promise.all([1, 2, 3].map(() => serveHttp((_request, response) => response.end("x"))));
    const by = client(config);
    for (const server of [...servers, ...servers]) await text(by, server.url);
    await vi.waitFor(() => expect(servers.reduce((sum, server) => sum + server.open(), 0)).toBeLessThanOrEqual(2));
  });

  test("is closed after the idle time", async () => {
    const server = await serveHttp((_request, response) => response.end("x"));
    await text(client({ idleConnectionTimeoutMs: 30 }), server.url);
    await vi.waitFor(() => expect(server.open()).toBe(0), { timeout: 5000 });
  });

  test("is closed before the server's own idle time is over", async () => {
    const server = await serveTcp((socket) => {
      socket.on("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 0\r\n\r\n"),
      );
    });
    await text(client(), server.url);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test.each<[title: string, answer: string]>([
    ["the server says so", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
    ["the server speaks HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["more came than was announced", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"],
    ["an error's body is not whole", "HTTP/1.1 503 No\r\nContent-Length: 2000000\r\n\r\n"],
  ])("is closed where %s", async (_, answer) => {
    const server = await serveTcp((socket) => socket.on("data", () => socket.write(answer)));
    const by = client();
    await fetchPage(by, server.url);
    await fetchPage(by, server.url);
    expect(server.connections()).toBe(2);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test("on which the server speaks unasked is never used again", async () => {
    const sockets: Socket[] = [];
    const server = await serveTcp((socket) => {
      sockets.push(socket);
      socket.on("data", () => page(`page ${sockets.length}`)(socket));
    });
    const by = client();
    expect(await text(by, server.url)).toBe("page 1");
    page("forged")(sockets[0] as Socket);
    await once(sockets[0] as Socket, "close");
    expect(await text(by, server.url)).toBe("page 2");
  });

  test("that the server closed is replaced, once", async () => {
    const end = (socket: Socket) => socket.destroy();
    const server = await serveAnswers((at) => [[page("1"), end], [page("2"), end], [end]][at] ?? []);
    const by = client();
    expect(await text(by, server.url)).toBe("1");
    expect(await text(by, server.url)).toBe("2");
    expect((await failure(text(by, server.url))).code).toMatch(/RESPONSE_CUT_SHORT|ECONNRESET/);
    expect(server.connections()).toBe(3);
  });

  test("that fails in the middle of a response is not replaced", async () => {
    const half = (socket: Socket) => socket.end("HTTP/1.1 200 OK\r\n");
    const server = await serveAnswers((at) => (at === 0 ? [page("1"), half] : [page("2")]));
    const by = client();
    await text(by, server.url);
    expect((await failure(text(by, server.url))).code).toBe("RESPONSE_CUT_SHORT");
  });

  test("goes to a unix socket where the request names one", async () => {
    const socketPath = join(testFolder(), "s");
    const server = createServer((request, response) => response.end(`${request.headers.host}${request.url}`));
    server.listen(socketPath);
    await once(server, "listening");
    onTestFinished(() => void server.close());
    expect(await text(client(), "http://target/metrics?a=b", { socketPath })).toBe("target/metrics?a=b");
  });
});

describe("a fetch ends", () => {
  const silent = (socket: Socket) => void socket.resume();
  const drip = (socket: Socket) => {
    socket.on("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const timer = setInterval(() => socket.write("1\r\nx\r\n"), 5);
      socket.on("close", () => clearInterval(timer));
    });
  };

  test.each<[title: string, serve: (socket: Socket) => void, phase: string]>([
    ["of silence", silent, "waiting for the response"],
    ["of a slow drip", drip, "reading the body"],
  ])("at its time limit (%s), and its connection with it", async (_, serve, phase) => {
    const server = await serveTcp(serve);
    const error = await failure(text(client(), server.url, { timeoutMs: 60 }));
    expect([error.code, error.phase]).toEqual(["TIMEOUT", phase]);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test("at its time limit while it waits for a connection", async () => {
    const server = await serveTcp(silent);
    const by = client({ maxConnectionsPerHost: 1 });
    const first = failure(text(by, server.url));
    expect((await failure(text(by, server.url, { timeoutMs: 30 }))).phase).toBe("connecting");
    await by.close();
    expect((await first).code).toBe("CLIENT_CLOSED");
  });

  test("with its signal, during and before", async () => {
    const server = await serveTcp(silent);
    const stop = new AbortController();
    const under = failure(text(client(), server.url, { signal: stop.signal }));
    await vi.waitFor(() => expect(server.open()).toBe(1));
    stop.abort();
    expect((await under).code).toBe("ABORTED");
    expect((await failure(text(client(), server.url, { signal: stop.signal }))).code).toBe("ABORTED");
    expect(server.connections()).toBe(1);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test("with its client; those that were under way may finish within the grace", async () => {
    const server = await serveHttp((_request, response) => setTimeout(() => response.end("done"), 30));
    const by = client();
    const under = text(by, server.url);
    await vi.waitFor(() => expect(server.open()).toBe(1));
    await by.close(5000);
    expect(await under).toBe("done");
    expect((await failure(text(by, server.url))).code).toBe("CLIENT_CLOSED");
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test.each<[title: string, answer: string, reset: boolean, code: RegExp]>([
    ["reset in the middle", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", true, /ECONNRESET|RESPONSE_CUT_SHORT/],
    ["closed too early", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", false, /RESPONSE_CUT_SHORT/],
    ["closed at once", "", false, /RESPONSE_CUT_SHORT/],
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", false, /RESPONSE_INVALID/],
    ["headers without end", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(20_000)}`, false, /HEADERS_TOO_LARGE/],
  ])("with an error for what is no whole page: %s", async (_, answer, reset, code) => {
    const server = await serveTcp((socket) => {
      socket.once("data", () => socket.write(answer, () => (reset ? socket.resetAndDestroy() : socket.end())));
    });
    const error = await failure(text(client(), server.url));
    expect(error.code).toMatch(code);
    expect(error.message).not.toContain("OpenSSH");
  });

  test("when the page is too large, and its connection with it", async () => {
    const server = await serveHttp((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
      };
      response.on("drain", more).on("error", () => {});
      more();
    });
    expect((await fetchPage(client(), server.url, { maxBytes: 100_000 })).outcome).toBe("too-large");
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  test("with the reason why there is no connection, without the password of the URL", async () => {
    const server = await serveHttp(() => {});
    await server.stop();
    const error = await failure(text(client(), `http://me:hunter2@127.0.0.1:${server.port}/m`));
    expect(error.message).toBe(
      `GET http://xxxxx@127.0.0.1:${server.port}/m: connection refused: 127.0.0.1:${server.port} (ECONNREFUSED)`,
    );
    expect((await failure(text(client(), "http://nowhere.invalid/"))).code).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  test.each(["a\r\nX-Evil: 1", "a\0", "\u20ac"])("before it begins where a header holds %j", async (value) => {
    const server = await serveHttp((_request, response) => response.end());
    const by = client({ httpHeaders: [{ name: "X-Secret", values: [value], secrets: [], files: [] }] });
    const error = await failure(text(by, server.url));
    expect([error.code, error.message]).toEqual([
      "HEADER_INVALID",
      "header X-Secret: a character that no header may hold",
    ]);
    expect(server.connections()).toBe(0);
  });
});

describe("a request carries", () => {
  async function headersOf(config: HttpClientConfig, user = "", headers: Record<string, string> = {}) {
    let seen: Record<string, unknown> = {};
    const server = await serveHttp((request, response) => {
      seen = request.headers;
      response.end();
    });
    await fetchPage(client(config), server.url.replace("//", `//${user}`), { headers });
    return { seen, host: `127.0.0.1:${server.port}` };
  }

  test("host, agent, its own headers and the configured ones", async () => {
    const config = { httpHeaders: [{ name: "X-A", values: ["1", "2"], secrets: ["3"], files: [] }] };
    const { seen, host } = await headersOf(config, "", { Accept: "text/plain" });
    expect(seen).toEqual({
      host,
      accept: "text/plain",
      "user-agent": "test/1",
      "x-a": "1, 2, 3",
      connection: "keep-alive",
    });
  });

  test.each<[title: string, config: HttpClientConfig, user: string, headers: Record<string, string>, value: string]>([
    ["basic_auth", { basicAuth: { username: "u", password: "p" } }, "", {}, "Basic dTpw"],
    ["authorization", { authorization: { type: "Bearer", credentials: "t" } }, "", {}, "Bearer t"],
    [
      "the URL before the configuration",
      { authorization: { type: "Bearer", credentials: "t" } },
      "u:p@",
      {},
      "Basic dTpw",
    ],
    ["the caller's before all", { basicAuth: { username: "u" } }, "u:p@", { Authorization: "Own x" }, "Own x"],
  ])("credentials of %s", async (_, config, user, headers, value) => {
    expect((await headersOf(config, user, headers)).seen["authorization"]).toBe(value);
  });
});

describe("another way is gone", () => {
  test("after a redirect, and from then on", async () => {
    const paths: (string | undefined)[] = [];
    const server = await serveHttp((request, response) => {
      paths.push(request.url);
      if (request.url === "/new") response.setHeader("Content-Type", "text/x").end("moved");
      else response.writeHead(302, { Location: "/new" }).end();
    });
    const source = client().source({ url: new URL(`${server.url}/old`), headers: {}, socketPath: undefined });
    const into = new GrowableBuffer();
    const limits = { maxBytes: 100, timeoutMs: 5000 };
    const answer = await source.fetch(into, limits, never);
    expect([answer.status, answer.contentType, into.bytes.toString()]).toEqual([200, "text/x", "moved"]);
    await source.fetch(into, limits, never);
    expect(paths).toEqual(["/old", "/old", "/new", "/old", "/new"]);
  });

  test("not after a redirect where none is followed", async () => {
    const server = await serveHttp((_request, response) => response.writeHead(302, { Location: "/new" }).end());
    expect((await fetchPage(client({ followRedirects: false }), server.url)).status).toBe(302);
  });

  test("through a proxy", async () => {
    const proxy = await serveProxy();
    expect(await text(client({ proxyUrl: proxy.url }), "http://target.invalid/m")).toBe("forwarded");
    expect(proxy.asked.map(({ line }) => line)).toEqual(["GET http://target.invalid/m"]);
  });

  test("within the time limit too", async () => {
    const server = await serveTcp((socket) => void socket.resume());
    const error = await failure(text(client({ proxyUrl: server.url }), "http://target.invalid/", { timeoutMs: 40 }));
    expect(error.code).toBe("TIMEOUT");
  });

  test("for schemes that nobody speaks", async () => {
    expect((await failure(text(client(), "ftp://h/"))).code).toBe("URL_INVALID");
  });
});

test("no listener stays on a signal after the client is closed", async () => {
  const server = await serveHttp((_request, response) => response.end("x"));
  const { signal } = new AbortController();
  const removed = vi.spyOn(signal, "removeEventListener");
  const added = vi.spyOn(signal, "addEventListener");
  const by = client();
  for (let i = 0; i < 5; i += 1) await text(by, server.url, { signal });
  await by.close();
  expect([added.mock.calls.length, removed.mock.calls.length]).toEqual([1, 1]);
});
