import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { startOwnServer } from "../../test/support/grpc-kit.ts";
import { ask, startHttp1, statusesOf } from "../../test/support/http1-kit.ts";
import type { ServerTlsConfig } from "./server-tls.ts";

let folder = "";
let tls: ServerTlsConfig = {};
let ca = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tls-handshakes-"));
  const authority = createTestAuthority(folder);
  const { cert, key } = authority.issue("server");
  tls = { cert, key };
  ca = authority.ca;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Resolves when the server has ended the connection. */
function closeOf(socket: Socket): Promise<void> {
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

const startHttp = (timeoutMs: number) => startHttp1({ tls, limits: { headersTimeoutMs: timeoutMs } });
const startGrpc = (handshakeTimeoutMs: number) =>
  startOwnServer(async ({ message }) => message, { tls, limits: { handshakeTimeoutMs } });

describe.each([
  ["HTTP", startHttp],
  ["gRPC", startGrpc],
])("a connection to a TLS port of %s", (_name, start) => {
  test("that is silent is ended in time", async () => {
    const { port } = await start(50);
    await closeOf(connect(port, "127.0.0.1"));
  });

  test("that speaks no TLS is ended at once", async () => {
    const { port } = await start(20_000);
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await closeOf(socket);
  });

  test("answers no second handshake of TLS 1.2", async () => {
    const { port } = await start(20_000);
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      ca,
      maxVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
    });
    onTestFinished(() => void socket.destroy());
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const outcome = await new Promise((resolve) => {
      socket.once("error", (error: Error & { code?: string }) => resolve(error.code));
      socket.renegotiate({}, () => resolve("renegotiated"));
    });
    expect(outcome).toBe("ERR_SSL_NO_RENEGOTIATION");
  });

  test("whose client ends its side at once is ended", async () => {
    const { port } = await start(20_000);
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end();
    await closeOf(socket);
  });

  test("whose TLS is not up does not keep the server from its end", async () => {
    const server = await start(20_000);
    const secure = connectTls({ port: server.port, host: "127.0.0.1", ca });
    const [silent, ended] = [connect(server.port, "127.0.0.1"), closeOf(secure)];
    await Promise.all([
      new Promise((resolve) => secure.once("secureConnect", resolve)),
      new Promise((resolve) => silent.once("connect", resolve)),
    ]);
    const closed = closeOf(silent);
    await server.close(60_000);
    await Promise.all([closed, ended]);
  });
});

test("a request over TLS is answered although the client has ended its side", async () => {
  const { port } = await startHttp(60_000);
  const options = { port, host: "127.0.0.1", ca, allowHalfOpen: true };
  const socket = connectTls(options);
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  socket.end(ask("GET"));
  await closeOf(socket);
  expect(statusesOf(received)).toEqual([200]);
});
