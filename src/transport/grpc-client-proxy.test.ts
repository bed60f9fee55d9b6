import { describe, expect, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { createOwnClient, startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import { serveProxy, serveTcp } from "../../test/support/http-servers.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import type { GrpcMethod } from "./grpc-server-call.ts";

const echo: GrpcMethod = async ({ message }) => message;
const call = { path: testPath, message: Buffer.from("hello") };
const answer = { code: 0, response: call.message };

describe("a gRPC client", () => {
  test("tunnels through the proxy of the environment, which looks the name up", async () => {
    const [proxy, server] = [await serveProxy(), await startOwnServer(echo)];
    const client = createOwnClient(server.port, {
      target: `nowhere.invalid:${server.port}`,
      proxy: { proxyFromEnvironment: true, env: { https_proxy: `me:p%40ss@127.0.0.1:${proxy.port}` } },
    });
    for (let i = 0; i < 2; i++) expect(await client.call(call)).toMatchObject(answer);
    expect(proxy.asked.map(({ line, headers }) => [line, headers["proxy-authorization"]])).toEqual([
      [`CONNECT nowhere.invalid:${server.port}`, `Basic ${Buffer.from("me:p@ss").toString("base64")}`],
    ]);
  });

  test("tunnels TLS through the proxy of its configuration, whatever the environment says", async () => {
    const authority = createTestAuthority(testFolder());
    const { cert, key } = authority.issue("server");
    const server = await startOwnServer(echo, { tls: { cert, key } });
    const proxy = await serveProxy();
    const client = createOwnClient(server.port, {
      tls: { ca: authority.ca },
      proxy: { proxyUrl: `http://127.0.0.1:${proxy.port}`, env: { HTTPS_PROXY: "http://127.0.0.1:1" } },
    });
    expect(await client.call(call)).toMatchObject(answer);
    expect(proxy.asked).toHaveLength(1);
  });

  test.each([
    ["NO_PROXY names the server", { NO_PROXY: "192.0.2.1,localhost" }, "localhost"],
    ["the server is this machine", {}, "127.0.0.1"],
    ["there is only HTTP_PROXY, as with Go's gRPC", { HTTPS_PROXY: "", HTTP_PROXY: "http://127.0.0.1:1" }, "localhost"],
  ])("goes straight where %s", async (_title, env, host) => {
    const server = await startOwnServer(echo);
    const client = createOwnClient(server.port, {
      target: `${host}:${server.port}`,
      proxy: { proxyFromEnvironment: true, env: { HTTPS_PROXY: "http://127.0.0.1:1", ...env } },
    });
    expect(await client.call(call)).toMatchObject(answer);
  });

  test("says why the proxy gave no tunnel", async () => {
    const refusing = await serveProxy(407);
    const results = [`http://127.0.0.1:${refusing.port}`, "socks5://127.0.0.1:1"].map((proxyUrl) =>
      createOwnClient(1, { target: "nowhere.invalid:4317", proxy: { proxyUrl } }).call(call),
    );
    const [refused, invalid] = await Promise.all(results);
    expect(refused).toMatchObject({ code: 14, message: expect.stringContaining("answered 407") });
    expect(invalid).toMatchObject({ code: 14, message: expect.stringContaining("expected a proxy with scheme http") });
  });

  test("does not wait longer than its limit for a proxy that hangs", async () => {
    const hanging = await serveTcp(() => {});
    const client = createOwnClient(1, {
      target: "nowhere.invalid:4317",
      proxy: { proxyUrl: hanging.url },
      connectTimeoutMs: 50,
    });
    expect(await client.call(call)).toMatchObject({ code: 14, message: expect.stringContaining("within 50 ms") });
  });
});
