/** Posts against real servers: connections that are kept, answers of every framing, ends of every kind. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { serveHttp, serveTcp } from "../../test/support/http-servers.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { createPostClient, type PostTarget } from "./post-client.ts";

const never = new AbortController().signal;
const limits = { maxBytes: 100, timeoutMs: 20_000 };

function target(url: string, config: HttpClientConfig = {}): PostTarget {
  const client = createPostClient(config, { userAgent: "test/1" });
  onTestFinished(() => client.close());
  return client.target({ url: new URL(url), headers: { "Content-Type": "a/b" }, socketPath: undefined });
}

const content = (text: string, headers: readonly string[] = []) => ({ body: Buffer.from(text), headers });

describe("posts", () => {
  test("go one after the other over one connection, with bodies of any size", async () => {
    const seen: string[] = [];
    const sockets = new Set<Socket>();
    const server = await serveHttp(async (request, response) => {
      sockets.add(request.socket);
      const body = await buffer(request);
      seen.push(`${request.headers["x-n"]} ${body.length} ${request.headers["content-type"]}`);
      response.writeHead(204).end();
    });
    const to = target(server.url);
    for (const [n, size] of [0, 1, 70_000, 3_000_000].entries()) {
      const answer = await to.post(content("x".repeat(size), ["X-N", String(n)]), limits, never);
      expect(answer).toMatchObject({ status: 204, isWhole: true });
    }
    expect(seen).toEqual(["0 0 a/b", "1 1 a/b", "2 70000 a/b", "3 3000000 a/b"]);
    expect(sockets.size).toBe(1);
  });

  test.each([
    ["Content-Length: 5\r\n\r\nhello", "hello", true],
    ["Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", true],
    ["\r\nhello", "hello", true],
    ["Content-Length: 50\r\n\r\nhello", "hello", false],
    [`Content-Length: 200\r\n\r\n${"y".repeat(200)}`, "y".repeat(100), false],
    [`Transfer-Encoding: chunked\r\n\r\nc8\r\n${"y".repeat(200)}\r\n0\r\n\r\n`, "y".repeat(100), false],
  ])("are answered by %j", async (rest, text, isWhole) => {
    for (const status of ["200 OK", "418 Teapot"]) {
      const server = await serveTcp((socket) => {
        socket.once("data", () => socket.end(`HTTP/1.1 ${status}\r\nRetry-After: 9\r\n${rest}`));
      });
      const answer = await target(server.url).post(content("a"), limits, never);
      expect(Buffer.from(answer.body).toString()).toBe(text);
      expect(answer).toMatchObject({ status: Number.parseInt(status, 10), retryAfter: "9", isWhole });
    }
  });

  test.each([
    { what: "the system has taken it all", size: 10, isSent: true },
    // More than what the sockets of both sides hold.
    { what: "the answer came before it was read", size: 50_000_000, isSent: false },
  ])("say whether the memory of the body is free: $isSent when $what", async ({ size, isSent }) => {
    const server = await serveTcp((socket) => {
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      });
    });
    const answer = await target(server.url).post(content("x".repeat(size)), limits, never);
    expect(answer).toMatchObject({ status: 204, isSent });
  });

  test("are not repeated when a kept connection turns out to be closed", async () => {
    let posts = 0;
    const server = await serveTcp((socket) => {
      socket.on("data", () => {
        posts++;
        if (posts === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        else socket.destroy();
      });
      socket.on("error", () => {});
    });
    const to = target(server.url);
    await to.post(content("a"), limits, never);
    await expect(to.post(content("b"), limits, never)).rejects.toMatchObject({ name: "HttpError" });
    expect(posts).toBe(2);
  });

  test("end with the signal and the time limit, and the connection with them", async () => {
    const closed: Promise<unknown>[] = [];
    const server = await serveTcp((socket) => {
      socket.resume().on("error", () => {});
      closed.push(once(socket, "close"));
    });
    const to = target(server.url);
    await expect(to.post(content("a"), { ...limits, timeoutMs: 20 }, never)).rejects.toMatchObject({ code: "TIMEOUT" });
    const ending = new AbortController();
    const post = to.post(content("a"), limits, ending.signal);
    ending.abort();
    await expect(post).rejects.toMatchObject({ code: "ABORTED" });
    await Promise.all(closed);
  });

  test("with headers that no request may hold are refused, and the value is not shown", async () => {
    const server = await serveHttp((_, response) => void response.end());
    const post = target(server.url).post(content("a", ["X-Bad", "secret\r\nX: y"]), limits, never);
    await expect(post).rejects.toMatchObject({ code: "HEADER_INVALID" });
    await expect(post).rejects.not.toThrow(/secret/);
  });
});
