import type { IncomingHttpHeaders } from "node:http";
import { expect, test } from "vitest";
import { testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttp, type TestServer } from "../../test/support/http-servers.ts";
import { collectBody } from "./collect-body.ts";
import type { HttpClientConfig } from "./http-client-config.ts";

const signal = new AbortController().signal;

interface Seen {
  readonly line: string;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

/** Answers `/to/STATUS?URL` with that redirect and everything else with 200. */
async function redirecting(seen: Seen[]): Promise<TestServer> {
  return serveHttp(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    const url = request.url ?? "";
    seen.push({ line: `${request.method} ${url}`, body: Buffer.concat(chunks).toString(), headers: request.headers });
    const match = /^\/to\/(\d+)\?(.*)$/.exec(url);
    if (match === null) {
      response.end("end");
    } else {
      response.writeHead(Number(match[1]), { location: decodeURIComponent(match[2] ?? "") }).end("moved");
    }
  });
}

function to(status: number, target: string): string {
  return `/to/${status}?${encodeURIComponent(target)}`;
}

test.each([
  { status: 301, method: "GET", body: "" },
  { status: 302, method: "GET", body: "" },
  { status: 303, method: "GET", body: "" },
  { status: 307, method: "POST", body: "data" },
  { status: 308, method: "POST", body: "data" },
])("follows $status of a POST with $method", async ({ status, method, body }) => {
  const seen: Seen[] = [];
  const server = await redirecting(seen);
  const url = new URL(to(status, "/end?x=1"), server.url);
  const headers = { "content-type": "application/x-protobuf" };
  const response = await testHttpClient().request({ method: "POST", url, headers, body: Buffer.from("data"), signal });
  expect(String(await collectBody(response, { maxBytes: 100 }))).toBe("end");
  expect(seen[1]?.line).toBe(`${method} /end?x=1`);
  expect(seen[1]?.body).toBe(body);
  expect(seen[1]?.headers["content-type"]).toBe(body === "" ? undefined : "application/x-protobuf");
});

test("returns the redirect when told not to follow", async () => {
  const server = await redirecting([]);
  const url = new URL(to(302, "/end"), server.url);
  const response = await testHttpClient({ followRedirects: false }).request({ method: "GET", url, signal });
  await response.body.dump();
  expect([response.status, response.headers["location"]]).toEqual([302, "/end"]);
});

test("follows ten redirects and no more", async () => {
  const seen: Seen[] = [];
  const server = await serveHttp((request, response) => {
    seen.push({ line: request.url ?? "", body: "", headers: request.headers });
    response.writeHead(302, { location: "/again" }).end();
  });
  const work = testHttpClient().request({ method: "GET", url: new URL(server.url), signal });
  await expect(work).rejects.toMatchObject({ code: "TOO_MANY_REDIRECTS" });
  expect(seen.length).toBe(11);
});

const secretConfig: HttpClientConfig = {
  basicAuth: { username: "u", password: "p" },
  httpHeaders: [{ name: "X-Scope-OrgID", values: ["tenant"], secrets: [], files: [] }],
};

test("keeps credentials and configured headers on the same host", async () => {
  const seen: Seen[] = [];
  const server = await redirecting(seen);
  const url = new URL(to(302, "/end"), server.url);
  await (await testHttpClient(secretConfig).request({ method: "GET", url, signal })).body.dump();
  expect(seen[1]?.headers.authorization).toMatch(/^Basic /);
  expect(seen[1]?.headers["x-scope-orgid"]).toBe("tenant");
});

test("gives another host no credentials, no configured and no custom headers, nor the first host after that", async () => {
  const seen: Seen[] = [];
  const server = await redirecting(seen);
  const back = new URL("/end", server.url).href;
  const other = `http://localhost:${server.port}${to(302, back)}`;
  const url = new URL(to(302, other), server.url);
  const headers = { Accept: "text/plain", "X-Api-Key": "k", Cookie: "c=1" };
  await (await testHttpClient(secretConfig).request({ method: "GET", url, headers, signal })).body.dump();
  expect(seen.map(({ headers }) => [headers.authorization !== undefined, headers["x-scope-orgid"] ?? ""])).toEqual([
    [true, "tenant"],
    [false, ""],
    [false, ""],
  ]);
  const last = seen[2]?.headers;
  expect([last?.accept, last?.["x-api-key"], last?.cookie]).toEqual(["text/plain", undefined, undefined]);
});

test.each([
  { title: "another scheme", location: "file:///etc/passwd" },
  { title: "no URL", location: "http://[bad" },
])("refuses a redirect to $title", async ({ location }) => {
  const server = await redirecting([]);
  const url = new URL(to(302, location), server.url);
  const work = testHttpClient().request({ method: "GET", url, signal });
  await expect(work).rejects.toMatchObject({ code: "REDIRECT_INVALID" });
});

test("gives back a redirect without a location", async () => {
  const server = await serveHttp((_request, response) => response.writeHead(302).end());
  const response = await testHttpClient().request({ method: "GET", url: new URL(server.url), signal });
  await response.body.dump();
  expect(response.status).toBe(302);
});
