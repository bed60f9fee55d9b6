import { getEventListeners, once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { failure, testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttp, serveTcp } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { readBody } from "./collect-body.ts";
import { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClient, HttpResponse } from "./http-client.ts";

const noLimit = new AbortController().signal;

async function text(response: HttpResponse): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function get(by: HttpClient, url: string, signal: AbortSignal = noLimit): Promise<string> {
  return text(await by.request({ method: "GET", url: new URL(url), signal }));
}

/** undici offers a connection again one turn of the event loop after the response's end. */
function released(): Promise<void> {
  return new Promise(setImmediate);
}

test("sends method, path, query, body and headers as given", async () => {
  const seen: unknown[] = [];
  const server = await serveHttp(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    seen.push([request.method, request.url, Buffer.concat(chunks).toString(), request.headers["x-a"]]);
    response.writeHead(204, "Nothing here").end();
  });
  const response = await testHttpClient().request({
    method: "POST",
    url: new URL(`${server.url}/write?a=b%20c`),
    headers: { "X-A": "1" },
    body: Buffer.from("payload"),
    signal: noLimit,
  });
  await response.body.dump();
  expect([response.status, response.statusText]).toEqual([204, "Nothing here"]);
  expect(seen).toEqual([["POST", "/write?a=b%20c", "payload", "1"]]);
});

test("uses one connection for requests that follow each other", async () => {
  const server = await serveHttp((_request, response) => response.end("x".repeat(100_000)));
  const by = testHttpClient();
  for (let i = 0; i < 5; i += 1) {
    expect((await get(by, server.url)).length).toBe(100_000);
    await released();
  }
  expect(server.connections()).toBe(1);
});

test("opens a connection for each request when keep-alive is off", async () => {
  const server = await serveHttp((_request, response) => response.end("x"));
  const by = testHttpClient({ disableKeepAlives: true });
  await get(by, server.url);
  await get(by, server.url);
  expect(server.connections()).toBe(2);
});

test("opens no more connections to a host than allowed", async () => {
  const server = await serveHttp((_request, response) => setImmediate(() => response.end("x")));
  const by = testHttpClient({ maxConnectionsPerHost: 2 });
  await Promise.all(Array.from({ length: 10 }, () => get(by, server.url)));
  expect(server.connections()).toBe(2);
});

test("does not keep idle connections beyond the limit", async () => {
  const servers = await Promise.all([1, 2, 3, 4].map(() => serveHttp((_request, response) => response.end("x"))));
  const by = testHttpClient({ maxIdleConnections: 1 });
  for (let round = 0; round < 2; round += 1) {
    for (const server of servers) {
      await get(by, server.url);
    }
  }
  await vi.waitFor(() => expect(servers.reduce((sum, server) => sum + server.open(), 0)).toBeLessThanOrEqual(2));
});

test("closes idle connections after the idle time", async () => {
  const server = await serveHttp((_request, response) => response.end("x"));
  const by = testHttpClient({ idleConnectionTimeoutMs: 50 });
  await get(by, server.url);
  await vi.waitFor(() => expect(server.open()).toBe(0), { timeout: 5000 });
});

test("repeats a GET whose kept connection the server had closed", async () => {
  let requests = 0;
  const server = await serveTcp((socket) => {
    let answered = false;
    socket.on("data", () => {
      requests += 1;
      if (answered) {
        socket.destroy();
      } else {
        answered = true;
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    });
  });
  const by = testHttpClient();
  expect(await get(by, server.url)).toBe("ok");
  await released();
  expect(await get(by, server.url)).toBe("ok");
  expect([requests, server.connections()]).toEqual([3, 2]);
});

test("does not repeat a POST", async () => {
  let requests = 0;
  const server = await serveTcp((socket) => {
    socket.on("data", () => {
      requests += 1;
      socket.destroy();
    });
  });
  const url = new URL(server.url);
  await failure(testHttpClient().request({ method: "POST", url, body: Buffer.from("x"), signal: noLimit }));
  expect(requests).toBe(1);
});

test("reaches a unix socket", async () => {
  const socketPath = join(testFolder(), "s");
  const server = createServer((request, response) => response.end(`${request.headers.host}${request.url}`));
  server.listen(socketPath);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const url = new URL("http://target/metrics");
  const response = await testHttpClient().request({ method: "GET", url, signal: noLimit, socketPath });
  expect(await text(response)).toBe("target/metrics");
});

test("collects a body into a buffer that is used again", async () => {
  const server = await serveHttp((request, response) => response.end(request.url === "/a" ? "first page" : "second"));
  const into = new GrowableBuffer(4);
  const by = testHttpClient();
  const ask = (path: string) =>
    by.collect({ method: "GET", url: new URL(path, server.url), signal: noLimit }, into, 100);
  const first = await ask("/a");
  expect([first.status, String(first.body)]).toEqual([200, "first page"]);
  expect(String((await ask("/b")).body)).toBe("second");
});

test.each([
  { title: "announced", chunked: false },
  { title: "chunked", chunked: true },
])("gives up a body beyond the limit: $title", async ({ chunked }) => {
  const server = await serveHttp((_request, response) => {
    if (!chunked) {
      response.setHeader("content-length", 1_000_000_000);
    }
    const more = (): void => {
      while (response.write("x".repeat(65_536)) && !response.destroyed);
    };
    response.on("drain", more);
    more();
  });
  const into = new GrowableBuffer();
  const request = { method: "GET", url: new URL(server.url), signal: noLimit } as const;
  expect((await testHttpClient().collect(request, into, 200_000)).body).toBe("too-large");
  expect(into.capacity).toBeLessThan(500_000);
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

test("accepts a body of exactly the limit", async () => {
  const server = await serveHttp((_request, response) => response.end("12345"));
  const request = { method: "GET", url: new URL(server.url), signal: noLimit } as const;
  expect(String((await testHttpClient().collect(request, new GrowableBuffer(), 5)).body)).toBe("12345");
  expect((await testHttpClient().collect(request, new GrowableBuffer(), 4)).body).toBe("too-large");
});

test("stops reading from the server while nobody reads the body", async () => {
  let written = 0;
  const server = await serveHttp((_request, response) => {
    const more = (): void => {
      while (response.write("x".repeat(65_536))) {
        written += 65_536;
      }
    };
    response.on("drain", more);
    more();
  });
  const by = testHttpClient();
  const response = await by.request({ method: "GET", url: new URL(server.url), signal: noLimit });
  let before = -1;
  await vi.waitFor(() => {
    const stuck = written === before;
    before = written;
    expect(stuck).toBe(true);
  });
  expect(written).toBeLessThan(64 * 1024 * 1024);
  await response.body.dump();
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

test("yields every byte to a slow reader", async () => {
  const page = "0123456789".repeat(100_000);
  const server = await serveHttp((_request, response) => response.end(page));
  const response = await testHttpClient().request({ method: "GET", url: new URL(server.url), signal: noLimit });
  let read = "";
  for await (const chunk of response.body) {
    await new Promise(setImmediate);
    read += chunk.toString();
  }
  expect(read === page).toBe(true);
});

test("ends a slow drip when the signal says so, and its connection", async () => {
  const server = await serveHttp((_request, response) => {
    response.write("a");
    const timer = setInterval(() => response.write("a"), 5);
    response.on("close", () => clearInterval(timer));
  });
  const error = await failure(get(testHttpClient(), server.url, AbortSignal.timeout(100)));
  expect([error.code, error.message]).toEqual([
    "TIMEOUT",
    `GET ${server.url}/: time limit reached while reading the body (TIMEOUT)`,
  ]);
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

test("ends a request that gets no answer", async () => {
  const server = await serveTcp((socket) => socket.resume());
  const error = await failure(get(testHttpClient(), server.url, AbortSignal.timeout(50)));
  expect(error.message).toContain("while waiting for the response");
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

test("ends a request that waits for a connection of the pool", async () => {
  const server = await serveTcp((socket) => socket.resume());
  const by = testHttpClient({ maxConnectionsPerHost: 1 });
  const stop = new AbortController();
  const first = failure(get(by, server.url, stop.signal));
  const error = await failure(get(by, server.url, AbortSignal.timeout(50)));
  expect(error.message).toContain("while connecting");
  stop.abort();
  expect((await first).code).toBe("ABORTED");
});

test("sends nothing for a signal that has ended before", async () => {
  const server = await serveHttp((_request, response) => response.end());
  expect((await failure(get(testHttpClient(), server.url, AbortSignal.abort()))).code).toBe("ABORTED");
  expect(server.connections()).toBe(0);
});

test.each([
  {
    title: "reset in the middle",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
    reset: true,
    code: /ECONNRESET|UND_ERR_SOCKET/,
  },
  {
    title: "closed before the announced end",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
    reset: false,
    code: /UND_ERR_SOCKET|UND_ERR_RES_CONTENT_LENGTH_MISMATCH/,
  },
  {
    title: "closed within chunks",
    answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
    reset: false,
    code: /UND_ERR_SOCKET|HPE_/,
  },
  { title: "no HTTP", answer: "SSH-2.0-OpenSSH_9.2\r\n", reset: false, code: /HPE_INVALID/ },
])("reports a body that is not whole: $title", async ({ answer, reset, code }) => {
  const server = await serveTcp((socket) => {
    socket.once("data", () => {
      socket.write(answer, () => (reset ? socket.resetAndDestroy() : socket.end()));
    });
  });
  expect((await failure(get(testHttpClient(), server.url))).code).toMatch(code);
});

test("says in plain words that nobody listens, without the password of the URL", async () => {
  const server = await serveHttp(() => {});
  await server.stop();
  const error = await failure(get(testHttpClient(), `http://me:hunter2@127.0.0.1:${server.port}/m?token=t0p&x=1`));
  expect(error.code).toBe("ECONNREFUSED");
  expect(error.message).toBe(
    `GET http://xxxxx@127.0.0.1:${server.port}/m?token=xxxxx&x=1: connection refused: 127.0.0.1:${server.port} (ECONNREFUSED)`,
  );
});

test("says that a host name does not exist", async () => {
  const error = await failure(get(testHttpClient(), "http://nowhere.invalid/"));
  expect(error.code).toMatch(/ENOTFOUND|EAI_AGAIN/);
  expect(error.message).toContain("nowhere.invalid");
});

test("refuses other schemes than http and https", async () => {
  expect((await failure(get(testHttpClient(), "ftp://h/"))).code).toBe("URL_INVALID");
});

test("ends requests under way and refuses new ones when closed", async () => {
  const server = await serveTcp((socket) => socket.resume());
  const by = testHttpClient();
  const under = failure(get(by, server.url));
  await vi.waitFor(() => expect(server.open()).toBe(1));
  await by.close();
  await by.close();
  await under;
  expect((await failure(get(by, server.url))).code).toBe("CLIENT_CLOSED");
  await vi.waitFor(() => expect(server.open()).toBe(0));
});

test("lets requests under way finish within the grace of close", async () => {
  const server = await serveHttp((_request, response) => setTimeout(() => response.end("done"), 30));
  const by = testHttpClient();
  const under = get(by, server.url);
  await vi.waitFor(() => expect(server.open()).toBe(1));
  await by.close(5000);
  expect(await under).toBe("done");
});

test("leaves no listener on the signal, whatever became of the request", async () => {
  const page = await serveHttp((_request, response) => response.end("x".repeat(1000)));
  const broken = await serveTcp((socket) => socket.destroy());
  const { signal } = new AbortController();
  const by = testHttpClient();
  await get(by, page.url, signal);
  await failure(get(by, broken.url, signal));
  await by.collect({ method: "GET", url: new URL(page.url), signal }, new GrowableBuffer(), 10);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("reports a reset while a body is collected", async () => {
  const server = await serveTcp((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", () => socket.resetAndDestroy());
    });
  });
  const work = testHttpClient().collect(
    { method: "GET", url: new URL(server.url), signal: noLimit },
    new GrowableBuffer(),
    1000,
  );
  const error = await failure(work);
  expect(error.phase).toBe("reading the body");
});

test.each<{ title: string; write: () => boolean; maxBytes: number; expected: string }>([
  { title: "complete", write: () => true, maxBytes: 5, expected: "complete" },
  { title: "too large", write: () => true, maxBytes: 4, expected: "too-large" },
  { title: "stopped by the sink", write: () => false, maxBytes: 5, expected: "stopped" },
])("feeds a body to a sink: $title", async ({ write, maxBytes, expected }) => {
  const server = await serveHttp((_request, response) => {
    response.write("123");
    response.end("45");
  });
  const response = await testHttpClient().request({ method: "GET", url: new URL(server.url), signal: noLimit });
  expect(await readBody(response, { write }, maxBytes)).toBe(expected);
});

test("passes on what a sink throws and closes the connection", async () => {
  const server = await serveHttp((_request, response) => void response.write("123"));
  const response = await testHttpClient().request({ method: "GET", url: new URL(server.url), signal: noLimit });
  const write = (): boolean => {
    throw new Error("no room");
  };
  await expect(readBody(response, { write }, 100)).rejects.toThrow("no room");
  await vi.waitFor(() => expect(server.open()).toBe(0));
});
