import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { exchangeBytes } from "../../test/support/http1-kit.ts";
import { replacedCertificates } from "../../test/support/replaced-certificates.ts";
import { collectBody } from "./collect-body.ts";
import { createHttpClient } from "./http-client.ts";
import type { TlsConfig } from "./http-client-config.ts";
import { type HttpServerOptions, type RunningHttpServer, startHttpServer } from "./http-server.ts";

const signal = new AbortController().signal;

async function start(options: Partial<HttpServerOptions>): Promise<RunningHttpServer> {
  const handler: HttpServerOptions["handler"] = (_request, response) => void response.end("hello");
  const server = await startHttpServer({ host: "127.0.0.1", port: 0, handler, ...options });
  onTestFinished(() => server.close(0));
  return server;
}

async function get(url: string, tls?: TlsConfig): Promise<{ status: number; body: string }> {
  const client = createHttpClient({ tls }, { userAgent: "test/1" });
  try {
    const response = await client.request({ method: "GET", url: new URL(url), signal });
    return { status: response.status, body: String(await collectBody(response, { maxBytes: 1000 })) };
  } finally {
    await client.close();
  }
}

test("serves on a free port and says where", async () => {
  const server = await start({});
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  expect(await get(server.url)).toEqual({ status: 200, body: "hello" });
});

test("names address and code when the port is in use", async () => {
  const { port } = await start({});
  await expect(start({ port })).rejects.toMatchObject({
    code: "EADDRINUSE",
    message: `listen on 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
  });
});

test.each([
  { title: "throws", handler: () => Promise.reject(new Error("secret detail")) },
  {
    title: "throws at once",
    handler: () => {
      throw new Error("secret detail");
    },
  },
])("answers 500 without details when a handler $title", async ({ handler }) => {
  const onError = vi.fn();
  const server = await start({ handler, onError });
  expect(await get(server.url)).toEqual({ status: 500, body: "internal error\n" });
  expect(onError).toHaveBeenCalledOnce();
});

test("ends a connection whose headers do not come", async () => {
  const server = await start({ limits: { headersTimeoutMs: 50 } });
  expect(await exchangeBytes(server.port, ["GET / HTTP/1.1\r\nX: "])).toContain("408");
});

test("refuses headers beyond the limit", async () => {
  const server = await start({ limits: { maxHeaderBytes: 1024 } });
  expect(await exchangeBytes(server.port, [`GET / HTTP/1.1\r\nX: ${"x".repeat(2000)}\r\n\r\n`])).toContain("431");
});

test("closes connections beyond the limit", async () => {
  const server = await start({ limits: { maxConnections: 1 } });
  const first = connect(server.port, "127.0.0.1");
  onTestFinished(() => void first.destroy());
  await once(first, "connect");
  expect(await exchangeBytes(server.port, ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"])).toBe("");
});

test("finishes requests under way when it closes", async () => {
  let release: () => void = () => {};
  const begun = new Promise<void>((begin) => {
    release = begin;
  });
  let finish: () => void = () => {};
  const server = await start({
    handler: (_request, response) => {
      finish = () => response.end("done");
      release();
    },
  });
  const answer = get(server.url);
  await begun;
  const closed = server.close(10_000);
  finish();
  expect(await answer).toEqual({ status: 200, body: "done" });
  await closed;
  await server.close(0);
});

test("does not wait beyond the deadline when it closes", async () => {
  const server = await start({ handler: () => {} });
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "connect");
  const gone = once(socket, "close");
  await server.close(20);
  await gone;
});

test("serves https, asks for client certificates and takes new files", async () => {
  const files = replacedCertificates();
  const server = await start({ tls: files.tls });
  expect(await get(server.url, { ...files.client, ca: files.ca })).toEqual({ status: 200, body: "hello" });
  await expect(get(server.url, { ca: files.ca })).rejects.toMatchObject({ name: "HttpError" });
  files.replaceCert();
  files.setNow(2000);
  expect((await get(server.url, { ...files.client, ca: files.ca })).status).toBe(200);
  files.replaceKey();
  files.setNow(4000);
  expect((await get(server.url, { ...files.client, ca: files.nextCa })).status).toBe(200);
});

test.each([
  { tls: { certFile: "/nowhere/s.pem", key: "x" }, message: "tls.cert_file: /nowhere/s.pem: file not found" },
  { tls: {}, message: "tls.cert: no certificate given" },
])("names the key of a fault in its certificates: $message", async ({ tls, message }) => {
  await expect(start({ tls })).rejects.toMatchObject({ message });
});
