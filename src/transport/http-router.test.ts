import { expect, test } from "vitest";
import { serveHttp } from "../../test/support/http-servers.ts";
import { createRouter } from "./http-router.ts";

test.each([
  { method: "GET", path: "/metrics", status: 200, body: "metrics", allow: null },
  { method: "GET", path: "/metrics?x=/other", status: 200, body: "metrics", allow: null },
  { method: "HEAD", path: "/metrics", status: 200, body: "", allow: null },
  { method: "POST", path: "/metrics", status: 405, body: "method not allowed\n", allow: "GET, HEAD" },
  { method: "POST", path: "/-/reload", status: 200, body: "reload", allow: null },
  { method: "HEAD", path: "/-/reload", status: 405, body: "", allow: "POST, PUT" },
  { method: "GET", path: "/metrics/", status: 404, body: "not found\n", allow: null },
  { method: "GET", path: "/", status: 404, body: "not found\n", allow: null },
  { method: "GET", path: "/api/x/y", status: 200, body: "api", allow: null },
  { method: "GET", path: "/api/v1/z", status: 200, body: "v1", allow: null },
  { method: "GET", path: "/api", status: 404, body: "not found\n", allow: null },
])("answers $method $path with $status", async ({ method, path, status, body, allow }) => {
  const router = createRouter()
    .on("GET", "/metrics", (_request, response) => void response.end("metrics"))
    .on("POST", "/-/reload", (_request, response) => void response.end("reload"))
    .on("PUT", "/-/reload", (_request, response) => void response.end("reload"))
    .on("GET", "/api/*", (_request, response) => void response.end("api"))
    .on("GET", "/api/v1/*", (_request, response) => void response.end("v1"));
  const server = await serveHttp((request, response) => void router.handler(request, response));
  const response = await fetch(new URL(path, server.url), { method });
  expect([response.status, await response.text(), response.headers.get("allow")]).toEqual([status, body, allow]);
});
