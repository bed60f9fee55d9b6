import { statSync, utimesSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { failure, testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttp } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import type { HttpClient } from "./http-client.ts";
import type { HttpClientConfig } from "./http-client-config.ts";

const noLimit = new AbortController().signal;

async function get(by: HttpClient, url: string): Promise<void> {
  await (await by.request({ method: "GET", url: new URL(url), signal: noLimit })).body.dump();
}

test.each<{ title: string; config: HttpClientConfig; expected: string | undefined; headers?: Record<string, string> }>([
  { title: "none", config: {}, expected: undefined },
  {
    title: "basic",
    config: { basicAuth: { username: "u", password: "p:\u00e9" } },
    expected: `Basic ${Buffer.from("u:p:\u00e9").toString("base64")}`,
  },
  {
    title: "authorization",
    config: { authorization: { type: "Token", credentials: "abc" } },
    expected: "Token abc",
  },
  {
    title: "one given with the request wins",
    config: { authorization: { type: "Bearer", credentials: "abc" } },
    headers: { Authorization: "Mine x" },
    expected: "Mine x",
  },
])("authorises: $title", async ({ config, expected, headers }) => {
  let seen: IncomingHttpHeaders = {};
  const server = await serveHttp((request, response) => {
    seen = request.headers;
    response.end();
  });
  const request = { method: "GET", url: new URL(server.url), headers, signal: noLimit } as const;
  await (await testHttpClient(config).request(request)).body.dump();
  expect([seen.authorization, seen["user-agent"]]).toEqual([expected, "test/1"]);
});

test("takes Basic credentials from the URL and keeps them out of the request line", async () => {
  const seen: unknown[] = [];
  const server = await serveHttp((request, response) => {
    seen.push(request.url, request.headers.authorization, request.headers.host);
    response.end();
  });
  await get(testHttpClient({}), `http://u:p%40@127.0.0.1:${server.port}/x`);
  expect(seen).toEqual(["/x", `Basic ${Buffer.from("u:p@").toString("base64")}`, `127.0.0.1:${server.port}`]);
});

test("reads credentials from files again when they change", async () => {
  const file = join(testFolder(), "token");
  const seen: (string | undefined)[] = [];
  const server = await serveHttp((request, response) => {
    seen.push(request.headers.authorization);
    response.end();
  });
  const by = testHttpClient({ authorization: { type: "Bearer", credentialsFile: file } });
  const error = await failure(get(by, server.url));
  expect(error.message).toBe(`authorization.credentials_file: ${file}: file not found`);
  writeFileSync(file, " one\n");
  await get(by, server.url);
  const { atime, mtime } = statSync(file);
  writeFileSync(file, " two\n");
  utimesSync(file, atime, mtime);
  await get(by, server.url);
  expect(seen).toEqual(["Bearer one", "Bearer two"]);
});

test("never shows a secret that is no valid header", async () => {
  const server = await serveHttp((_request, response) => response.end());
  const by = testHttpClient({ authorization: { type: "Bearer", credentials: "s3cret\nX: y" } });
  const error = await failure(get(by, server.url));
  expect(error.message).not.toContain("s3cret");
});

test("adds all http_headers, from values, secrets and files", async () => {
  const file = join(testFolder(), "h");
  writeFileSync(file, "from-file\n");
  let seen: string[] = [];
  const server = await serveHttp((request, response) => {
    seen = request.rawHeaders;
    response.end();
  });
  const httpHeaders = [{ name: "X-Scope", values: ["a", "b"], secrets: ["s"], files: [file] }];
  const request = { method: "GET", url: new URL(server.url), headers: { "X-Scope": "own" }, signal: noLimit } as const;
  await (await testHttpClient({ httpHeaders }).request(request)).body.dump();
  const values = seen.filter((_, index) => index % 2 === 1 && seen[index - 1] === "X-Scope");
  expect(values).toEqual(["own", "a", "b", "s", "from-file"]);
});
