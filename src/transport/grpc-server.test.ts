import { Metadata } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { callByPeer, createOwnClient, startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { GrpcMethod } from "./grpc-server-call.ts";
import { decodeStatus, GrpcError, grpcCodes } from "./grpc-status.ts";
import { decodeBinaryHeader } from "./grpc-wire.ts";

const echo: GrpcMethod = async ({ message }) => message;

describe("a grpc-js client", () => {
  test.each([0, 1, 5, 16_384, 100_000, 4 * 1024 * 1024])("gets %i bytes back", async (size) => {
    const server = await startOwnServer(echo);
    const message = Buffer.alloc(size, "abc");
    const options = { channel: { "grpc.max_receive_message_length": -1 } };
    const { code, response } = await callByPeer(server.port, message, options);
    expect(code).toBe(0);
    expect(response?.equals(message)).toBe(true);
  });

  test.each([
    ["gzip", 2],
    ["deflate", 1],
  ])("may pack messages with %s", async (_name, algorithm) => {
    const server = await startOwnServer(echo);
    const message = Buffer.alloc(50_000, "abc");
    const channel = { "grpc.default_compression_algorithm": algorithm };
    const { code, response } = await callByPeer(server.port, message, { channel });
    expect([code, response?.equals(message)]).toEqual([0, true]);
  });

  test("sends metadata, binary too", async () => {
    let seen: unknown;
    const server = await startOwnServer(async ({ headers, message }) => {
      seen = [headers["x-text"], decodeBinaryHeader(String(headers["x-raw-bin"]))];
      return message;
    });
    const metadata = new Metadata();
    metadata.set("x-text", "a value");
    metadata.set("x-raw-bin", Buffer.from([0, 255, 1]));
    await callByPeer(server.port, Buffer.from("x"), { metadata });
    expect(seen).toEqual(["a value", Buffer.from([0, 255, 1])]);
  });

  test("gets code, message and RetryInfo of an error", async () => {
    const server = await startOwnServer(async () => {
      throw new GrpcError(grpcCodes.UNAVAILABLE, "queue full: 100 % \u00fc\n", { retryAfterMs: 3500 });
    });
    const { code, details, metadata } = await callByPeer(server.port, Buffer.from("x"));
    const status = decodeStatus(metadata.get("grpc-status-details-bin")[0] as Buffer);
    expect({ code, details }).toEqual({ code: 14, details: "queue full: 100 % \u00fc\n" });
    expect(status).toMatchObject({ code: 14, message: "queue full: 100 % \u00fc\n", retryAfterMs: 3500 });
  });

  test("gets INTERNAL without details when a method breaks", async () => {
    const seen: string[] = [];
    const onError = (error: Error) => void seen.push(error.message);
    const broken = async (): Promise<Uint8Array> => {
      throw new Error("secret detail");
    };
    const server = await startOwnServer(broken, { onError });
    const { code, details } = await callByPeer(server.port, Buffer.from("x"));
    expect({ code, details, seen }).toEqual({ code: 13, details: "internal error", seen: ["secret detail"] });
  });

  test("gets UNIMPLEMENTED for a method that is not there", async () => {
    const server = await startOwnServer(echo);
    const { code, details } = await callByPeer(server.port, Buffer.from("x"), { path: "/no.Such/Method" });
    expect([code, details]).toEqual([12, 'unknown method "/no.Such/Method"']);
  });

  test.each([
    ["plain", 0],
    ["packed", 2],
  ])("gets RESOURCE_EXHAUSTED for a message above the limit, %s", async (_title, algorithm) => {
    const server = await startOwnServer(echo, { limits: { maxMessageBytes: 10_000 } });
    const channel = { "grpc.default_compression_algorithm": algorithm };
    const { code, details, metadata } = await callByPeer(server.port, Buffer.alloc(3_000_000), { channel });
    expect([code, details.includes("10000")]).toEqual([8, true]);
    expect(metadata.get("grpc-status-details-bin")).toEqual([]);
  });

  test("is told to come back when too much is under way", async () => {
    const budget = new ByteBudget(1000);
    budget.take(900);
    const server = await startOwnServer(echo, { limits: { budget } });
    const { code, metadata } = await callByPeer(server.port, Buffer.alloc(500));
    const status = decodeStatus(metadata.get("grpc-status-details-bin")[0] as Buffer);
    expect([code, status?.retryAfterMs]).toEqual([8, 1000]);
    expect(budget.usedBytes).toBe(900);
  });

  test("is refused by the check before its message is read", async () => {
    const authenticate = async () => {
      throw new GrpcError(grpcCodes.UNAUTHENTICATED, "no credentials");
    };
    const server = await startOwnServer(echo, { authenticate });
    const { code, details } = await callByPeer(server.port, Buffer.alloc(2_000_000));
    expect([code, details]).toEqual([16, "no credentials"]);
  });

  test("gets DEADLINE_EXCEEDED from the server as well", async () => {
    const server = await startOwnServer(() => new Promise(() => {}));
    const client = createOwnClient(server.port);
    // A time limit that only the server knows of.
    const { code } = await client.call({
      path: testPath,
      message: Buffer.from("x"),
      headers: { "grpc-timeout": "60m" },
    });
    expect(code).toBe(4);
  });

  test("that cancels leaves nothing behind when its method has ended", async () => {
    const budget = new ByteBudget(1_000_000);
    let answer: (bytes: Uint8Array) => void = () => {};
    let called: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      called = resolve;
    });
    const method: GrpcMethod = () =>
      new Promise((resolve) => {
        answer = resolve;
        called();
      });
    const server = await startOwnServer(method, { limits: { budget } });
    const abort = new AbortController();
    const client = createOwnClient(server.port);
    const call = client.call({ path: testPath, message: Buffer.alloc(100), signal: abort.signal });
    await begun;
    expect(budget.usedBytes).toBe(105);
    abort.abort();
    expect((await call).code).toBe(1);
    // The method has the message until then.
    expect(budget.usedBytes).toBe(105);
    answer(Buffer.from("late"));
    await expect.poll(() => budget.usedBytes).toBe(0);
  });
});

describe("connections", () => {
  test("take no more calls when they are old, and lose none", async () => {
    let calls = 0;
    const method: GrpcMethod = async ({ message }) => {
      calls += 1;
      return message;
    };
    const server = await startOwnServer(method, {
      keepalive: { maxConnectionAgeMs: 40, maxConnectionAgeGraceMs: 5000 },
    });
    const client = createOwnClient(server.port);
    const codes = new Set<number>();
    const until = performance.now() + 400;
    let sent = 0;
    while (performance.now() < until) {
      const results = await Promise.all(
        Array.from({ length: 8 }, () => client.call({ path: testPath, message: Buffer.from("x") })),
      );
      sent += results.length;
      for (const { code } of results) codes.add(code);
    }
    expect([...codes]).toEqual([0]);
    expect(calls).toBe(sent);
  });

  test("end when they are idle", async () => {
    const server = await startOwnServer(echo, { keepalive: { maxConnectionIdleMs: 40 } });
    const client = createOwnClient(server.port);
    await client.call({ path: testPath, message: Buffer.from("x") });
    expect(server.connections).toBe(1);
    await expect.poll(() => server.connections).toBe(0);
    expect((await client.call({ path: testPath, message: Buffer.from("x") })).code).toBe(0);
  });

  test("end with the server, after the calls under way", async () => {
    let finish: () => void = () => {};
    let called: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      called = resolve;
    });
    const method: GrpcMethod = ({ message }) =>
      new Promise((resolve) => {
        finish = () => resolve(message);
        called();
      });
    const server = await startOwnServer(method);
    const call = callByPeer(server.port, Buffer.from("last"));
    await begun;
    const closed = server.close(10_000);
    finish();
    expect((await call).code).toBe(0);
    await closed;
    await server.close(0);
    const refused = await createOwnClient(server.port).call({ path: testPath, message: Buffer.from("x") });
    expect([refused.code, refused.message.includes("ECONNREFUSED")]).toEqual([14, true]);
  });

  test("end by the deadline when a method hangs", async () => {
    let called: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      called = resolve;
    });
    const server = await startOwnServer(() => {
      called();
      return new Promise(() => {});
    });
    const call = callByPeer(server.port, Buffer.from("x"));
    await begun;
    await server.close(20);
    expect((await call).code).not.toBe(0);
  });
});
