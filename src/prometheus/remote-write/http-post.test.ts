/** POSTs of remote write against real servers: headers, what becomes of the answer's body, redirects. */

import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { serveHttp, serveTcp } from "../../../test/support/http-servers.ts";
import { createPostClient, type PostClient } from "../../transport/post-client.ts";
import { createPost } from "./http-post.ts";
import type { PostAnswer } from "./post-request.ts";

const never = new AbortController().signal;

function createClient(): PostClient {
  const client = createPostClient({}, { userAgent: "test/1" });
  onTestFinished(() => client.close());
  return client;
}

function post(url: string, headers: Readonly<Record<string, string>> = {}): Promise<PostAnswer> {
  const client = createClient();
  return createPost(() => client, new URL(url), headers)(Buffer.from("body"), { "Retry-Attempt": "2" }, 30_000, never);
}

async function answered(listener: RequestListener): Promise<PostAnswer> {
  return post((await serveHttp(listener)).url);
}

describe("createPost", () => {
  test("sends the protocol's headers, those of the entry over them, and those of the attempt", async () => {
    let seen: { headers: IncomingMessage["headers"]; line: string; body: string } | undefined;
    const server = await serveHttp(async (request, response) => {
      const body = (await buffer(request)).toString();
      seen = { headers: request.headers, line: `${request.method} ${request.url}`, body };
      response.writeHead(204).end();
    });
    const headers = { "X-Scope-OrgID": "team", "X-Prometheus-Remote-Write-Version": "9" };
    const answer = await post(`${server.url}/api/v1/write?x=1`, headers);
    expect(answer).toEqual({ status: 204, retryAfter: undefined, reason: "No Content", isSent: true });
    expect(seen?.line).toBe("POST /api/v1/write?x=1");
    expect(seen?.body).toBe("body");
    expect(seen?.headers).toMatchObject({
      "content-encoding": "snappy",
      "content-type": "application/x-protobuf",
      "x-prometheus-remote-write-version": "9",
      "x-scope-orgid": "team",
      "retry-attempt": "2",
      "user-agent": "test/1",
    });
  });

  test("asks for the client at each attempt", async () => {
    const server = await serveHttp((_, response) => void response.end());
    const clients = [createClient(), createClient()];
    const asked: PostClient[] = [];
    const send = createPost(
      () => {
        const client = clients[asked.length] as PostClient;
        asked.push(client);
        return client;
      },
      new URL(server.url),
      {},
    );
    await send(Buffer.from("a"), {}, 30_000, never);
    await clients[0]?.close();
    expect((await send(Buffer.from("b"), {}, 30_000, never)).status).toBe(200);
    expect(asked).toEqual(clients);
  });

  test.each([
    [[], "Bad Request"],
    [[" \n "], "Bad Request"],
    [["out of order\nsecond line"], "Bad Request: out of order"],
    [["  out of", " order \r\n", "second"], "Bad Request: out of order"],
    [["x".repeat(1023)], `Bad Request: ${"x".repeat(1023)}`],
    [["x".repeat(1000), "y".repeat(1000)], `Bad Request: ${"x".repeat(1000)}${"y".repeat(24)}`],
    [[Buffer.from([0xc3]), Buffer.from([0xa9])], "Bad Request: \u00e9"],
    [[Buffer.from([0xff, 0x41])], "Bad Request: \ufffdA"],
  ])("makes a reason of the first line of at most 1,024 bytes of %j", async (chunks, reason) => {
    const answer = await answered(async (_, response) => {
      response.writeHead(400);
      for (const chunk of chunks) {
        response.write(chunk);
        await new Promise(setImmediate);
      }
      response.end();
    });
    expect(answer).toMatchObject({ status: 400, reason });
  });

  test("does not read an endless reason to its end", async () => {
    let open: ServerResponse | undefined;
    const answer = await answered((_, response) => {
      open = response;
      response.writeHead(500);
      const more = () => {
        while (!response.destroyed && response.write("z".repeat(65_536)));
      };
      response.on("drain", more).on("error", () => {});
      more();
    });
    expect(answer.reason).toBe(`Internal Server Error: ${"z".repeat(1024)}`);
    if (open?.destroyed === false) await once(open, "close");
  });

  test("takes the status as the answer when the body breaks off", async () => {
    const server = await serveTcp((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\npoisoned"));
    });
    expect(await post(server.url)).toMatchObject({ status: 400, reason: "Bad Request: poisoned" });
  });

  test.each([200, 400])("takes a %i as the answer when the time is up within the body", async (status) => {
    const server = await serveHttp((_, response) => {
      response.writeHead(status, { "Retry-After": "7" });
      response.write("part");
    });
    const client = createClient();
    const send = createPost(() => client, new URL(server.url), {});
    expect(await send(Buffer.from("body"), {}, 1000, never)).toMatchObject({ status, retryAfter: "7" });
  });

  test("rejects when no answer comes in time", async () => {
    const server = await serveHttp(() => {});
    const client = createClient();
    const send = createPost(() => client, new URL(server.url), {});
    await expect(send(Buffer.from("body"), {}, 50, never)).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("rejects when no answer comes", async () => {
    const server = await serveTcp((socket) => socket.once("data", () => socket.destroy()));
    await expect(post(server.url)).rejects.toThrow();
  });

  test.each([
    [301, "POST /moved body"],
    [302, "POST /moved body"],
    [307, "POST /moved body"],
    [308, "POST /moved body"],
  ])("sends the request again to where a %i leads", async (status, expected) => {
    const seen: string[] = [];
    const server = await serveHttp(async (request, response) => {
      const body = (await buffer(request)).toString();
      if (request.url !== "/moved") {
        response.writeHead(status, { Location: "/moved" }).end("moved");
        return;
      }
      seen.push(`${request.method} ${request.url} ${body}`);
      expect(request.headers["content-encoding"]).toBe("snappy");
      response.writeHead(200).end();
    });
    expect(await post(`${server.url}/old`)).toMatchObject({ status: 200 });
    expect(seen).toEqual([expected]);
  });

  test("takes a 303 as the answer: its page would be no proof of delivery", async () => {
    const seen: (string | undefined)[] = [];
    const answer = await answered((request, response) => {
      seen.push(request.url);
      response.writeHead(303, { Location: "/login" }).end("see the login page");
    });
    expect(answer).toMatchObject({ status: 303, reason: "See Other: see the login page" });
    expect(seen).toEqual(["/"]);
  });

  test("gives the first Retry-After", async () => {
    const answer = await answered((_, response) => {
      response.writeHead(429, { "Retry-After": "30" }).end();
    });
    expect(answer).toEqual({ status: 429, retryAfter: "30", reason: "Too Many Requests", isSent: true });
  });
});
