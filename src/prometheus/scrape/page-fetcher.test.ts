/** Pages over HTTP: what is asked for, which answers are pages, and how each failure is named. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { waitFor } from "../../../test/kit/wait.ts";
import { serveHttp, serveTcp } from "../../../test/support/http-servers.ts";
import { createPageClient } from "../../transport/page-client.ts";
import { testJob } from "../config/test-decode.ts";
import { HttpPageFetcher, PageBuffers } from "./page-fetcher.ts";
import { FetchError, type ScrapeTarget } from "./scrape-target.ts";

const never = new AbortController().signal;

interface Options {
  /** Keys of the job as flow YAML. */
  readonly keys?: string;
  readonly ownBodyBytes?: number;
  readonly buffers?: PageBuffers;
}

function createFetcher({ keys = "", ownBodyBytes = 1 << 20, buffers = new PageBuffers(1 << 30) }: Options = {}) {
  const config = testJob(keys === "" ? "static_configs: []" : keys);
  const client = createPageClient(config.http, { userAgent: "test/1" });
  const fetcher = new HttpPageFetcher({ config, client, buffers, ownBodyBytes });
  onTestFinished(() => fetcher.close());
  return fetcher;
}

function targetAt(url: string, more: Partial<ScrapeTarget> = {}): ScrapeTarget {
  return {
    jobName: "a",
    labels: [],
    discoveredLabels: {},
    url,
    socketPath: undefined,
    intervalMs: 10_000,
    timeoutMs: 5_000,
    identity: "id",
    hash: 0,
    ...more,
  };
}

interface Got {
  readonly text: string;
  readonly contentType: string | undefined;
}

/** Fetches once from a server of its own. */
async function fetchFrom(
  listener: RequestListener,
  options: Options & { target?: Partial<ScrapeTarget> } = {},
): Promise<Got> {
  const server = await serveHttp(listener);
  const fetched = await createFetcher(options).fetch(targetAt(server.url, options.target), never);
  const got = { text: fetched.page.toString("utf8", 0, fetched.length), contentType: fetched.contentType };
  fetched.release();
  return got;
}

/** `kind: message` of the failure. */
async function failureOf(work: Promise<unknown>): Promise<string> {
  const caught = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(caught instanceof FetchError)) throw new Error(`expected a FetchError, got ${String(caught)}`);
  return `${caught.kind}: ${caught.message}`;
}

const page = "a 1\nb 2\n";
const sending =
  (body: string | Buffer, headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    void response.writeHead(200, headers).end(body);
/** Without a length in advance. */
const sendingChunks =
  (body: string | Buffer, headers: Record<string, string> = {}): RequestListener =>
  (_, response) => {
    response.writeHead(200, headers);
    if (body.length > 0) response.write(body);
    response.end();
  };
const zipped = { "Content-Encoding": "gzip" };

describe("requests", () => {
  async function headersOf(keys: string, target: Partial<ScrapeTarget> = {}): Promise<IncomingMessage["headers"]> {
    let headers: IncomingMessage["headers"] = {};
    await fetchFrom(
      (request, response) => {
        headers = request.headers;
        response.end(page);
      },
      { keys, target },
    );
    return headers;
  }

  test.each([
    ["", "gzip"],
    ["enable_compression: false", "identity"],
  ])("with %j accept the encoding %s", async (keys, encoding) => {
    expect((await headersOf(keys))["accept-encoding"]).toBe(encoding);
  });

  test.each([
    ["scrape_protocols: [PrometheusText0.0.4]", /^text\/plain;version=0\.0\.4/],
    ["scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]", /^application\/openmetrics-text;version=1\.0\.0/],
    ["scrape_protocols: [PrometheusProto]", /^application\/openmetrics-text;version=1\.0\.0.*text\/plain/],
  ])("with %s ask for what is built of it", async (keys, accept) => {
    const asked = (await headersOf(keys)).accept;
    expect(asked).toMatch(accept);
    expect(asked).not.toContain("protobuf");
  });

  test("tell the target its timeout in seconds", async () => {
    const headers = await headersOf("", { timeoutMs: 2500 });
    expect(headers["x-prometheus-scrape-timeout-seconds"]).toBe("2.5");
    expect(headers["user-agent"]).toBe("test/1");
  });

  test("go through a Unix socket where the target has one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-socket-"));
    const socketPath = join(folder, "target.sock");
    const server = createServer((request, response) => response.end(`at ${request.headers.host}${request.url}`));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    onTestFinished(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    const fetched = await createFetcher().fetch(targetAt("http://name.example/metrics", { socketPath }), never);
    expect(fetched.page.toString("utf8", 0, fetched.length)).toBe("at name.example/metrics");
  });
});

describe("answers", () => {
  test.each([
    ["identity", sending(page)],
    ["chunked", sendingChunks(page)],
    ["gzip", sending(gzipSync(page), zipped)],
    ["chunked gzip", sendingChunks(gzipSync(page), zipped)],
    ["gzip of several members", sending(Buffer.concat([gzipSync("a 1\n"), gzipSync("b 2\n")]), zipped)],
  ])("are read whole (%s)", async (_, listener) => {
    expect((await fetchFrom(listener)).text).toBe(page);
  });

  test("may be empty", async () => {
    expect((await fetchFrom(sending(""))).text).toBe("");
  });

  test.each([
    ["text/plain; version=0.0.4"],
    ["application/openmetrics-text; version=1.0.0; charset=utf-8"],
    ["nonsense"],
    [undefined],
  ])("keep the content type %j as it was sent", async (contentType) => {
    const headers: Record<string, string> = contentType === undefined ? {} : { "Content-Type": contentType };
    expect((await fetchFrom(sending(page, headers))).contentType).toBe(contentType);
  });

  test.each([
    [204, "No Content"],
    [206, "Partial Content"],
    [304, "Not Modified"],
    [404, "Not Found"],
    [500, "Internal Server Error"],
    [503, "Service Unavailable"],
  ])("with status %i are no pages", async (status, text) => {
    const work = fetchFrom((_, response) => void response.writeHead(status).end());
    expect(await failureOf(work)).toBe(`status: server returned HTTP status ${status} ${text}`);
  });

  test("share buffers once they are released", async () => {
    const buffers = new PageBuffers(1 << 30);
    const server = await serveHttp((request, response) => void response.end(request.url));
    const fetcher = createFetcher({ buffers });
    const first = await fetcher.fetch(targetAt(`${server.url}/1`), never);
    const second = await fetcher.fetch(targetAt(`${server.url}/22`), never);
    expect(first.page.buffer).not.toBe(second.page.buffer);
    expect(first.page.toString("utf8", 0, first.length)).toBe("/1");
    first.release();
    const third = await fetcher.fetch(targetAt(`${server.url}/333`), never);
    expect(third.page.buffer).toBe(first.page.buffer);
    expect(second.page.toString("utf8", 0, second.length)).toBe("/22");
  });

  test("that fail give their buffer back", async () => {
    const buffers = new PageBuffers(1 << 30);
    const known = buffers.take();
    buffers.give(known);
    await failureOf(fetchFrom((_, response) => void response.writeHead(500).end(), { buffers }));
    await failureOf(fetchFrom(sending("x".repeat(100)), { buffers, ownBodyBytes: 10 }));
    await failureOf(fetchFrom(sending("no gzip", zipped), { buffers }));
    expect(buffers.take()).toBe(known);
  });
});

describe("limits", () => {
  const bytes = (count: number) => "x".repeat(count);
  const own = "body_size: body size limit exceeded: the page is larger than the limit of 100 bytes";
  const configured = "body_size: body size limit exceeded: the page is larger than the body_size_limit of 100 bytes";
  const limit = "body_size_limit: 100B";

  test.each([
    ["identity", sending],
    ["chunked", sendingChunks],
  ] as const)("count the bytes of a page (%s)", async (_, send) => {
    expect((await fetchFrom(send(bytes(99)), { keys: limit })).text.length).toBe(99);
    expect(await failureOf(fetchFrom(send(bytes(100)), { keys: limit }))).toBe(configured);
    expect((await fetchFrom(send(bytes(100)), { ownBodyBytes: 100 })).text.length).toBe(100);
    expect(await failureOf(fetchFrom(send(bytes(101)), { ownBodyBytes: 100 }))).toBe(own);
  });

  test("count the bytes of a page after decompression", async () => {
    const send = (count: number) => sending(gzipSync(bytes(count)), zipped);
    expect((await fetchFrom(send(99), { keys: limit })).text.length).toBe(99);
    expect(await failureOf(fetchFrom(send(100), { keys: limit }))).toBe(configured);
    expect((await fetchFrom(send(100), { ownBodyBytes: 100 })).text.length).toBe(100);
    expect(await failureOf(fetchFrom(send(101), { ownBodyBytes: 100 }))).toBe(own);
  });

  test("stop a gzip bomb", async () => {
    const bomb = gzipSync(Buffer.alloc(32 << 20));
    expect(await failureOf(fetchFrom(sending(bomb, zipped), { ownBodyBytes: 1 << 16 }))).toMatch(/^body_size: /);
  });

  test.each(["body_size_limit: -1B", "body_size_limit: 0"])("of the job are off with %s", async (keys) => {
    expect((await fetchFrom(sending(bytes(100)), { keys, ownBodyBytes: 100 })).text.length).toBe(100);
    expect(await failureOf(fetchFrom(sending(bytes(101)), { keys, ownBodyBytes: 100 }))).toBe(own);
  });

  test("stop an endless page", async () => {
    const work = fetchFrom(
      (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(bytes(65_536)));
        };
        response.on("drain", more).on("error", () => {});
        more();
      },
      { ownBodyBytes: 1 << 18 },
    );
    expect(await failureOf(work)).toMatch(/^body_size: /);
  });
});

describe("failures", () => {
  test.each([
    ["no gzip", Buffer.from("a 1\n")],
    ["gzip cut short", gzipSync(page).subarray(0, -4)],
    ["nothing", Buffer.alloc(0)],
  ])("name the encoding (%s)", async (_, body) => {
    expect(await failureOf(fetchFrom(sending(body, zipped)))).toMatch(/^decompress: /);
  });

  test.each([
    ["no answer", () => {}],
    ["half an answer", (socket: { write(text: string): void }) => socket.write("HTTP/1.1 200 OK\r\n\r\na 1\n")],
  ])("name the timeout (%s)", async (_, answer) => {
    const server = await serveTcp((socket) => answer(socket));
    const work = createFetcher().fetch(targetAt(server.url, { timeoutMs: 40 }), never);
    expect(await failureOf(work)).toBe("timeout: context deadline exceeded: no whole page within 40 ms");
  });

  test.each([
    ["reset before the answer", ""],
    ["reset in the middle", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n"],
    ["no HTTP", "SSH-2.0-x\r\n"],
  ])("name the network (%s)", async (_, text) => {
    const server = await serveTcp((socket) => socket.once("data", () => socket.end(text)));
    expect(await failureOf(createFetcher().fetch(targetAt(server.url), never))).toMatch(/^network: ./);
  });

  test.each(["", "no url", "http://"])("name a URL that is none (%j)", async (url) => {
    expect(await failureOf(createFetcher().fetch(targetAt(url), never))).toMatch(/^network: invalid URL/);
  });

  test("name a URL that is none without its password", async () => {
    const failure = await failureOf(createFetcher().fetch(targetAt("http://u:hush%40h:1/m?token=hush&a=b"), never));
    expect(failure).toBe('network: invalid URL "http://xxxxx@h:1/m?token=xxxxx&a=b"');
  });

  test("come at once when the scrape is called off", async () => {
    const stop = new AbortController();
    const server = await serveTcp((socket) => socket.once("data", () => stop.abort()));
    expect(await failureOf(createFetcher().fetch(targetAt(server.url), stop.signal))).toMatch(/^network: /);
    expect(await failureOf(createFetcher().fetch(targetAt(server.url), AbortSignal.abort()))).toMatch(/^network: /);
  });
});

describe("pages under way", () => {
  /** Sends without end until the connection is gone. */
  const endless: RequestListener = (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
    };
    response.on("drain", more).on("error", () => {});
    more();
  };
  const noRoom = /^own_limit: no room for the page .* the limit for all of them is 4194304 bytes$/;

  test("that would take more than they leave free fail, and nothing is left taken", async () => {
    const buffers = new PageBuffers(4 << 20);
    expect(await failureOf(fetchFrom(endless, { buffers, ownBodyBytes: 1 << 30 }))).toMatch(noRoom);
    const bomb = gzipSync(Buffer.alloc(32 << 20));
    expect(await failureOf(fetchFrom(sending(bomb, zipped), { buffers, ownBodyBytes: 1 << 30 }))).toMatch(noRoom);
    const large = sending("x".repeat(3 << 20));
    expect(await failureOf(fetchFrom(large, { buffers, ownBodyBytes: 1 << 30 }))).toMatch(noRoom);
    expect(buffers.takenBytes).toBe(0);
    expect((await fetchFrom(sending("x".repeat(1 << 20)), { buffers })).text.length).toBe(1 << 20);
    expect(buffers.takenBytes).toBe(0);
  });

  test("fail through undici as well", async () => {
    const server = await serveHttp((request, response) => {
      if (request.url === "/") response.writeHead(302, { location: "/page" }).end();
      else endless(request, response);
    });
    const fetcher = createFetcher({ buffers: new PageBuffers(4 << 20), ownBodyBytes: 1 << 30 });
    expect(await failureOf(fetcher.fetch(targetAt(server.url), never))).toMatch(noRoom);
  });

  test("of other targets have room, however many send without end", async () => {
    const buffers = new PageBuffers(4 << 20);
    const hold: RequestListener = (_, response) => void response.writeHead(200).write("x".repeat(100_000));
    const hostile = await serveHttp(hold);
    const fetcher = createFetcher({ buffers, ownBodyBytes: 1 << 30 });
    const stop = new AbortController();
    const held = Array.from({ length: 12 }, () => failureOf(fetcher.fetch(targetAt(hostile.url), stop.signal)));
    await waitFor("the pages to be under way", () => buffers.takenBytes > 12 * 100_000);
    const greedy = Array.from({ length: 2 }, () => failureOf(fetchFrom(endless, { buffers, ownBodyBytes: 1 << 30 })));
    expect((await fetchFrom(sending("x".repeat(100_000)), { buffers })).text.length).toBe(100_000);
    for (const failure of await Promise.all(greedy)) expect(failure).toMatch(noRoom);
    stop.abort();
    for (const failure of await Promise.all(held)) expect(failure).toMatch(/^network: /);
    expect(buffers.takenBytes).toBe(0);
  });
});

describe("PageBuffers", () => {
  test("let a page grow to what it leaves free, and the next to less", () => {
    const buffers = new PageBuffers(1_000_000);
    const capacities = [0, 1, 2].map(() => {
      const buffer = buffers.take();
      while (buffer.tryReserve(buffer.capacity + 1));
      return buffer.capacity;
    });
    expect(capacities).toEqual([...capacities].sort((a, b) => b - a));
    const taken = capacities.reduce((sum, capacity) => sum + capacity, 0);
    expect(buffers.takenBytes).toBe(taken);
    expect(taken).toBeLessThanOrEqual(1_000_000);
    expect(capacities[0]).toBeLessThanOrEqual(500_000);
    expect(capacities[2]).toBeGreaterThan(16_384);
  });

  test("drop what was needed once and not again", () => {
    const buffers = new PageBuffers(1 << 30);
    const taken = Array.from({ length: 20 }, () => {
      const buffer = buffers.take();
      buffer.reserve(100_000);
      return buffer;
    });
    for (const buffer of taken) buffers.give(buffer);
    const afterStart = buffers.freeBytes;
    expect(afterStart).toBeGreaterThanOrEqual(20 * 100_000);
    for (let page = 0; page < 200; page++) {
      const [a, b] = [buffers.take(), buffers.take()];
      buffers.give(a);
      buffers.give(b);
    }
    expect(buffers.freeBytes).toBe(afterStart / 10);
  });
});
