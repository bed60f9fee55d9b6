import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type CertificatePair, createTestAuthority, type TestAuthority } from "../../test/support/certificates.ts";
import { testHttpClient } from "../../test/support/http-client-kit.ts";
import { serveHttp, serveHttps, serveProxy, serveTcp, type TestServer } from "../../test/support/http-servers.ts";
import { collectBody } from "./collect-body.ts";
import type { HttpClient, HttpClientOptions } from "./http-client.ts";
import type { HttpClientConfig } from "./http-client-config.ts";

let folder: string;
let authority: TestAuthority;
let pair: CertificatePair;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "transport-proxy-"));
  authority = createTestAuthority(folder);
  pair = authority.issue("server");
});

afterAll(() => rmSync(folder, { recursive: true }));

function client(config: HttpClientConfig, options: Partial<HttpClientOptions> = {}): HttpClient {
  return testHttpClient({ tls: { ca: authority.ca }, ...config }, options);
}

async function get(by: HttpClient, url: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
  return String(await collectBody(await by.request({ method: "GET", url: new URL(url), signal }), { maxBytes: 1000 }));
}

function serveSecure(): Promise<TestServer> {
  return serveHttps({ cert: pair.cert, key: pair.key }, (_request, response) => response.end("secure"));
}

test("asks the proxy for a plain target in absolute form, over one connection for all targets", async () => {
  const proxy = await serveProxy();
  const by = client({ proxyUrl: `http://me:p%40ss@127.0.0.1:${proxy.port}` });
  expect(await get(by, "http://a.example/metrics?x=1")).toBe("forwarded");
  await new Promise(setImmediate);
  expect(await get(by, "http://b.example:9100/")).toBe("forwarded");
  expect(proxy.asked.map(({ line, headers }) => [line, headers.host])).toEqual([
    ["GET http://a.example/metrics?x=1", "a.example"],
    ["GET http://b.example:9100/", "b.example:9100"],
  ]);
  const credentials = `Basic ${Buffer.from("me:p@ss").toString("base64")}`;
  expect(proxy.asked[0]?.headers["proxy-authorization"]).toBe(credentials);
  expect(proxy.connections()).toBe(1);
});

test("tunnels to an https target, with the headers for the proxy", async () => {
  const proxy = await serveProxy();
  const target = await serveSecure();
  const by = client({
    proxyUrl: `http://me:pass@127.0.0.1:${proxy.port}`,
    proxyConnectHeader: { "X-Team": ["a", "b"] },
  });
  expect(await get(by, target.url)).toBe("secure");
  await new Promise(setImmediate);
  expect(await get(by, target.url)).toBe("secure");
  expect(proxy.asked.map(({ line }) => line)).toEqual([`CONNECT 127.0.0.1:${target.port}`]);
  const headers = proxy.asked[0]?.headers;
  expect([headers?.["x-team"], headers?.["proxy-authorization"], headers?.host]).toEqual([
    "a, b",
    `Basic ${Buffer.from("me:pass").toString("base64")}`,
    `127.0.0.1:${target.port}`,
  ]);
});

test("speaks TLS with a proxy of scheme https and verifies it by its own name", async () => {
  const lines: string[] = [];
  const proxy = await serveHttps({ cert: pair.cert, key: pair.key }, (request, response) => {
    lines.push(`${request.url}`);
    response.end("forwarded");
  });
  const byName = client({ proxyUrl: `https://localhost:${proxy.port}` });
  expect(await get(byName, "http://a.example/")).toBe("forwarded");
  const byAddress = client({ proxyUrl: `https://127.0.0.1:${proxy.port}` });
  expect(await get(byAddress, "http://b.example/")).toBe("forwarded");
  expect(lines).toEqual(["http://a.example/", "http://b.example/"]);
});

test("tunnels through a proxy of scheme https", async () => {
  const { connect } = await import("node:net");
  const target = await serveSecure();
  const proxy = createServer({ cert: pair.cert, key: pair.key });
  proxy.on("connect", (_request, socket) => {
    const upstream = connect(target.port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
    socket.on("error", () => upstream.destroy());
    upstream.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => void proxy.close());
  const by = client({ proxyUrl: `https://localhost:${(proxy.address() as AddressInfo).port}` });
  expect(await get(by, target.url)).toBe("secure");
  await by.close();
});

test("says what a proxy answered that opens no tunnel", async () => {
  const proxy = await serveProxy(407);
  const by = client({ proxyUrl: `http://me:hunter2@127.0.0.1:${proxy.port}` });
  await expect(get(by, "https://a.example/")).rejects.toMatchObject({
    code: "PROXY_REFUSED",
    message: `proxy 127.0.0.1:${proxy.port} answered 407 No to CONNECT a.example:443`,
  });
  await vi.waitFor(() => expect(proxy.open()).toBe(0));
});

test("gives up a proxy that never answers, and its connection", async () => {
  const proxy = await serveTcp((socket) => socket.resume());
  const by = client({ proxyUrl: proxy.url }, { connectTimeoutMs: 50 });
  await expect(get(by, "https://a.example/")).rejects.toMatchObject({ code: "TIMEOUT" });
  await vi.waitFor(() => expect(proxy.open()).toBe(0));
});

test("closes a tunnel under way when the client closes", async () => {
  const proxy = await serveTcp((socket) => socket.resume());
  const by = client({ proxyUrl: proxy.url });
  const work = expect(get(by, "https://a.example/")).rejects.toMatchObject({ name: "HttpError" });
  await vi.waitFor(() => expect(proxy.open()).toBe(1));
  await by.close();
  await work;
  await vi.waitFor(() => expect(proxy.open()).toBe(0));
});

test("reports a proxy that nobody runs", async () => {
  const proxy = await serveProxy();
  await proxy.stop();
  const by = client({ proxyUrl: proxy.url });
  await expect(get(by, "http://a.example/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await expect(get(by, "https://a.example/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("obeys no_proxy", async () => {
  const proxy = await serveProxy();
  const target = await serveHttp((_request, response) => response.end("direct"));
  const by = client({ proxyUrl: proxy.url, noProxy: "127.0.0.0/8" });
  expect(await get(by, target.url)).toBe("direct");
  expect(await get(by, "http://a.example/")).toBe("forwarded");
});

test("takes proxies from the environment it is given", async () => {
  const proxy = await serveProxy();
  const target = await serveHttp((_request, response) => response.end("direct"));
  const env = { http_proxy: `127.0.0.1:${proxy.port}`, NO_PROXY: "b.example" };
  const by = client({ proxyFromEnvironment: true }, { env });
  expect(await get(by, "http://a.example/")).toBe("forwarded");
  expect(await get(by, target.url)).toBe("direct");
  await expect(get(by, "http://b.example.invalid:1/")).resolves.toBe("forwarded");
});

test("does not use a proxy for a unix socket, nor an unsupported one", async () => {
  const by = client({ proxyUrl: "socks9://127.0.0.1:1" });
  await expect(get(by, "http://a.example/")).rejects.toMatchObject({
    message: "proxy_url: expected a proxy with scheme http or https, got socks9",
  });
});
