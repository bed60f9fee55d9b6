import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { parseEndpoint } from "../../component/http-server-config.ts";
import { ConfigError } from "../../model/errors.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import healthCheck from "./health_check.ts";

const forever = new AbortController().signal;

async function setUp(section: object = {}) {
  const config = parseConfig(healthCheck, { endpoint: "127.0.0.1:0", ...section });
  const test = createTestContext(config as never, { id: "health_check" });
  const extension = healthCheck.create(test.context);
  await extension.start?.();
  test.startLoops();
  const url = String(test.log.entries.find((entry) => entry.fields["url"] !== undefined)?.fields["url"]);
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
  };
  const close = async () => {
    await test.stopLoops();
    await extension.shutdown?.(forever);
  };
  return { ...test, extension, get, close };
}

describe("health_check", () => {
  test("answers 200 with the time since it has been ready, and 503 before", async () => {
    const { get, host, clock, close } = await setUp();
    host.ready = false;
    expect(await get("/")).toEqual({
      status: 503,
      type: "application/json",
      body: '{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}',
    });
    host.ready = true;
    await clock.advance(1000);
    await clock.advance(61_500);
    expect(await get("/any/path?x=1")).toEqual({
      status: 200,
      type: "application/json",
      body: '{"status":"Server available","upSince":"2023-11-14T22:13:20.250Z","uptime":"1m2.25s"}',
    });
    await close();
    await close();
  });

  test("answers on its path only, with the texts and headers given", async () => {
    const { get, host, close } = await setUp({
      path: "/health",
      response_body: { healthy: "fine", unhealthy: "ill" },
      response_headers: { "x-a": "b" },
    });
    expect(await get("/health")).toEqual({ status: 200, type: "text/plain; charset=utf-8", body: "fine" });
    host.ready = false;
    expect(await get("/health")).toMatchObject({ status: 503, body: "ill" });
    expect(await get("/")).toMatchObject({ status: 404 });
    await close();
  });

  test("names the key when the port is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as AddressInfo;
    const error = await setUp({ endpoint: `127.0.0.1:${port}` }).catch((caught: unknown) => caught);
    other.close();
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(/^ConfigError: extensions::health_check::endpoint: .*EADDRINUSE|in use/);
  });

  test("names the key when a certificate cannot be read", async () => {
    const error = await setUp({ tls: { cert_file: "/no/such", key_file: "/no/such" } }).catch(
      (caught: unknown) => caught,
    );
    expect(String(error)).toContain("extensions::health_check::tls");
  });

  test.each([
    [{ endpoint: "localhost" }, "address"],
    [{ endpoint: "localhost:99999" }, "address"],
    [{ path: "health" }, "slash"],
    [{ endpont: "localhost:1" }, "endpont"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(healthCheck, section)).toThrow(message);
  });
});

describe("parseEndpoint", () => {
  test.each([
    ["localhost:1", { host: "localhost", port: 1 }],
    [":8888", { host: "", port: 8888 }],
    ["[::1]:80", { host: "::1", port: 80 }],
    ["::1:80", undefined],
    ["http://a:80", undefined],
    ["a:", undefined],
  ])("reads %s", (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
  });
});
