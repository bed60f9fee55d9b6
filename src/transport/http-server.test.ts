import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
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

/** Sends bytes and returns everything that comes back until the end. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk) => {
    received += String(chunk);
  });
  socket.on("error", () => {});
  socket.write(text);
  await once(socket, "close");
  return received;
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
  expect(await raw(server.port, "GET / HTTP/1.1\r\nX: ")).toContain("408");
});

test("refuses headers beyond the limit", async () => {
  const server = await start({ limits: { maxHeaderBytes: 1024 } });
  expect(await raw(server.port, `GET / HTTP/1.1\r\nX: ${"x".repeat(2000)}\r\n\r\n`)).toContain("431");
});

test("closes connections beyond the limit", async () => {
  const server = await start({ limits: { maxConnections: 1 } });
  const first = connect(server.port, "127.0.0.1");
  onTestFinished(() => void first.destroy());
  await once(first, "connect");
  expect(await raw(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("");
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
  const folder = mkdtempSync(join(tmpdir(), "transport-server-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const authority = createTestAuthority(folder);
  const other = createTestAuthority(folder, "other");
  const [pair, client, next] = [authority.issue("server"), authority.issue("client"), other.issue("server")];
  const [certFile, keyFile] = [join(folder, "s.pem"), join(folder, "s.key")];
  copyFileSync(pair.certFile, certFile);
  copyFileSync(pair.keyFile, keyFile);
  const clock = vi.spyOn(performance, "now");
  onTestFinished(() => clock.mockRestore());
  clock.mockReturnValue(0);
  const server = await start({ tls: { certFile, keyFile, clientCaFile: authority.caFile } });
  const own = { cert: client.cert, key: client.key };
  expect(await get(server.url, { ...own, ca: authority.ca })).toEqual({ status: 200, body: "hello" });
  await expect(get(server.url, { ca: authority.ca })).rejects.toMatchObject({ name: "HttpError" });
  copyFileSync(next.certFile, certFile);
  clock.mockReturnValue(2000);
  expect((await get(server.url, { ...own, ca: authority.ca })).status).toBe(200);
  copyFileSync(next.keyFile, keyFile);
  clock.mockReturnValue(4000);
  expect((await get(server.url, { ...own, ca: other.ca })).status).toBe(200);
});

test.each([
  { tls: { certFile: "/nowhere/s.pem", key: "x" }, message: "tls.cert_file: /nowhere/s.pem: file not found" },
  { tls: {}, message: "tls.cert: no certificate given" },
])("names the key of a fault in its certificates: $message", async ({ tls, message }) => {
  await expect(start({ tls })).rejects.toMatchObject({ message });
});
