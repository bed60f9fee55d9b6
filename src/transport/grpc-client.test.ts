import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { Metadata, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { createOwnClient, startOwnServer, startPeerServer, testPath } from "../../test/support/grpc-kit.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import { createGrpcClient, type GrpcCompression } from "./grpc-client.ts";
import { startGrpcServer } from "./grpc-server.ts";
import type { GrpcMethod } from "./grpc-server-call.ts";
import { encodeStatus } from "./grpc-status.ts";
import { frameMessage } from "./grpc-wire.ts";
import { encodeFrame, encodeHeaderBlock, settingsFrame } from "./http2-wire.ts";

type PeerCall = ServerUnaryCall<Buffer, Buffer>;
type PeerAnswer = sendUnaryData<Buffer>;

const echo: GrpcMethod = async ({ message }) => message;
const peerEcho = (call: PeerCall, answer: PeerAnswer) => answer(null, call.request);

describe("against a grpc-js server", () => {
  test.each([0, 1, 16_379, 16_380, 3_000_000])("sends and gets %i bytes", async (size) => {
    const port = await startPeerServer(peerEcho);
    const message = Buffer.alloc(size, "abc");
    const result = await createOwnClient(port).call({ path: testPath, message });
    expect(result).toMatchObject({ code: 0, message: "", retryAfterMs: undefined });
    expect(Buffer.from(result.response).equals(message)).toBe(true);
  });

  test("sends a message in pieces, packed", async () => {
    const port = await startPeerServer(peerEcho);
    const message = [Buffer.alloc(20_000, "a"), Buffer.alloc(20_000, "b")];
    const client = createOwnClient(port);
    for (const compression of [undefined, "gzip"] as const) {
      const { code, response } = await client.call({ path: testPath, message, compression });
      expect([code, Buffer.concat(message).equals(response)]).toEqual([0, true]);
    }
  });

  test("tells code, message, details and the wait of an error", async () => {
    const port = await startPeerServer((_call, answer) => {
      const metadata = new Metadata();
      metadata.set("grpc-status-details-bin", encodeStatus(14, "later", 3000));
      answer({ code: 14, details: "later: \u00fc %", metadata });
    });
    const result = await createOwnClient(port).call({ path: testPath, message: Buffer.from("x") });
    expect(result).toMatchObject({ code: 14, message: "later: \u00fc %", retryAfterMs: 3000 });
    expect(result.details.map(({ typeUrl }) => typeUrl)).toEqual(["type.googleapis.com/google.rpc.RetryInfo"]);
  });

  test("sends metadata, binary too", async () => {
    const port = await startPeerServer((call, answer) => {
      answer(
        null,
        Buffer.concat([Buffer.from(String(call.metadata.get("x-text")[0])), call.metadata.get("x-bin")[0] as Buffer]),
      );
    });
    const headers = { "x-text": "a", "x-bin": Buffer.from([0, 255]) };
    const { response } = await createOwnClient(port).call({ path: testPath, message: Buffer.from("x"), headers });
    expect(Buffer.from(response)).toEqual(Buffer.from([0x61, 0, 255]));
  });

  test("ends with its time limit, of which the server is told", async () => {
    let deadline: unknown;
    const port = await startPeerServer((call) => {
      deadline = call.getDeadline();
    });
    const result = await createOwnClient(port).call({ path: testPath, message: Buffer.from("x"), timeoutMs: 80 });
    expect(result.code).toBe(4);
    expect(Number(deadline) - Date.now()).toBeLessThan(80);
  });

  test("takes an answer that came while the process had no time, though its time limit is over", async () => {
    const head = encodeHeaderBlock({ ":status": "200", "content-type": "application/grpc" });
    const trailers = encodeHeaderBlock({ "grpc-status": "0" });
    const answer = [encodeFrame(1, 4, 1, head), encodeFrame(0, 0, 1, frameMessage(Buffer.from("late")))];
    const server = createServer((socket) => {
      socket.on("error", () => {}).write(settingsFrame([]));
      socket.on("data", (chunk: Buffer) => {
        if (!chunk.includes("asked")) return;
        socket.write(Buffer.concat([...answer, encodeFrame(1, 5, 1, trailers)]));
        for (const end = performance.now() + 150; performance.now() < end; );
      });
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const client = createOwnClient((server.address() as AddressInfo).port);
    const result = await client.call({ path: testPath, message: Buffer.from("asked"), timeoutMs: 100 });
    expect([result.code, String(result.response)]).toEqual([0, "late"]);
  });

  test("refuses a response above the limit", async () => {
    const port = await startPeerServer((_call, answer) => answer(null, Buffer.alloc(5000)));
    const client = createOwnClient(port, { maxResponseBytes: 1000 });
    expect(await client.call({ path: testPath, message: Buffer.from("x") })).toMatchObject({ code: 8 });
  });

  test("says that all of a message was sent, whatever its size", async () => {
    const port = await startPeerServer(peerEcho);
    const client = createOwnClient(port);
    for (const size of [0, 1, 3_000_000]) {
      const { code, isSent } = await client.call({ path: testPath, message: Buffer.alloc(size) });
      expect([code, isSent]).toEqual([0, true]);
    }
  });

  test("does not say so where the server answers before it has read all", async () => {
    const server = createHttp2Server();
    onTestFinished(() => void server.close());
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "0" }, { endStream: true });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = createOwnClient((server.address() as AddressInfo).port);
    const { code, isSent } = await client.call({ path: testPath, message: Buffer.alloc(3_000_000) });
    expect([code, isSent]).toEqual([0, false]);
    client.destroy();
  });

  test("keeps more calls under way than the server takes at once", async () => {
    const port = await startPeerServer(peerEcho, { "grpc.max_concurrent_streams": 2 });
    const client = createOwnClient(port);
    const calls = Array.from({ length: 50 }, () => client.call({ path: testPath, message: Buffer.from("x") }));
    expect(new Set((await Promise.all(calls)).map(({ code }) => code))).toEqual(new Set([0]));
  });
});

describe("against our server", () => {
  test.each(["gzip", "zstd", "snappy"] as const)("packs with %s", async (compression: GrpcCompression) => {
    let encoding: unknown;
    const server = await startOwnServer(async ({ headers, message }) => {
      encoding = headers["grpc-encoding"];
      return message;
    });
    const message = Buffer.alloc(200_000, "abcdef");
    const { code, response } = await createOwnClient(server.port).call({ path: testPath, message, compression });
    expect([code, encoding, message.equals(response)]).toEqual([0, compression, true]);
  });

  test("takes turns with round_robin and stays with pick_first", async () => {
    const counts = [0, 0];
    const servers = await Promise.all(
      counts.map((_, i) =>
        startOwnServer(async ({ message }) => {
          counts[i] = (counts[i] ?? 0) + 1;
          return message;
        }),
      ),
    );
    const target = `ipv4:${servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
    const call = { path: testPath, message: Buffer.from("x") };
    const first = createOwnClient(0, { target });
    for (let i = 0; i < 6; i++) await first.call(call);
    expect(counts).toEqual([6, 0]);
    counts.fill(0);
    const robin = createOwnClient(0, { target, balancer: "round_robin" });
    await robin.call(call);
    await expect.poll(async () => (await robin.call(call)).code === 0 && counts.every((count) => count > 0)).toBe(true);
    counts.fill(0);
    for (let i = 0; i < 6; i++) await robin.call(call);
    expect(counts).toEqual([3, 3]);
    await servers[0]?.close(0);
    await expect.poll(async () => (await robin.call(call)).code).toBe(0);
  });

  test.each(["dns:///localhost", "passthrough:///localhost", "localhost", "dns:localhost"])(
    "connects to %s",
    async (name) => {
      const server = await startOwnServer(async ({ headers }) => Buffer.from(String(headers[":authority"])));
      const client = createOwnClient(0, { target: `${name}:${server.port}` });
      const { code, response } = await client.call({ path: testPath, message: Buffer.from("x") });
      expect([code, String(Buffer.from(response))]).toEqual([0, `localhost:${server.port}`]);
    },
  );

  test("connects to a socket file", async () => {
    const socketPath = join(testFolder(), "s.sock");
    const server = await startGrpcServer({ at: { socketPath }, methodAt: () => echo });
    onTestFinished(() => server.close(0));
    const client = createOwnClient(0, { target: `unix:${socketPath}` });
    expect((await client.call({ path: testPath, message: Buffer.from("x") })).code).toBe(0);
  });

  test("connects by TLS, mutual too, and verifies", async () => {
    const authority = createTestAuthority(testFolder());
    const [pair, own] = [authority.issue("server"), authority.issue("client")];
    const server = await startOwnServer(echo, {
      tls: { cert: pair.cert, key: pair.key, clientCa: authority.ca },
    });
    const target = `localhost:${server.port}`;
    const call = { path: testPath, message: Buffer.from("x") };
    const ca = authority.ca;
    const good = createOwnClient(0, { target, tls: { ca, cert: own.cert, key: own.key } });
    expect(await good.call(call)).toMatchObject({ code: 0 });
    const noCertificate = createOwnClient(0, { target, tls: { ca } });
    expect(await noCertificate.call(call)).toMatchObject({ code: 14 });
    const noTrust = createOwnClient(0, { target, tls: { cert: own.cert, key: own.key } });
    expect(await noTrust.call(call)).toMatchObject({ code: 14, message: expect.stringContaining("certificate") });
    const plain = createOwnClient(0, { target });
    expect(await plain.call(call)).toMatchObject({ code: 14 });
  });
});

describe("a transport that fails", () => {
  test("is UNAVAILABLE at once while a pause lasts, and is waited for on demand", async () => {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const client = createOwnClient(port, { backoffMs: 50, maxBackoffMs: 50 });
    const call = { path: testPath, message: Buffer.from("x") };
    expect(await client.call(call)).toMatchObject({ code: 14, message: expect.stringContaining("ECONNREFUSED") });
    expect(await client.call({ ...call, waitForReady: true, timeoutMs: 100 })).toMatchObject({ code: 4 });
    const waiting = client.call({ ...call, waitForReady: true, timeoutMs: 10_000 });
    await startOwnServer(echo, { at: { host: "127.0.0.1", port } });
    expect(await waiting).toMatchObject({ code: 0 });
  });

  test.each([
    ["closes", (socket: Socket) => void socket.destroy()],
    ["answers HTTP/1", (socket: Socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["says nothing", () => {}],
  ])("is UNAVAILABLE when the server %s", async (_title, behave) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      behave(socket);
    }).listen(0, "127.0.0.1");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await once(server, "listening");
    const client = createOwnClient((server.address() as AddressInfo).port, { connectTimeoutMs: 100 });
    expect((await client.call({ path: testPath, message: Buffer.from("x") })).code).toBe(14);
  });

  test("is UNAVAILABLE when HTTP/1 is spoken by a real server", async () => {
    const server = createHttpServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const client = createOwnClient((server.address() as AddressInfo).port, { connectTimeoutMs: 2000 });
    expect((await client.call({ path: testPath, message: Buffer.from("x") })).code).toBe(14);
  });

  test.each([
    ["during a call", 0],
    ["where calls end with their time limit before a ping is due", 10],
  ])("is noticed by keepalive pings %s", async (_title, timeoutMs) => {
    const sockets: Socket[] = [];
    const arrived = Promise.withResolvers<void>();
    const real = await startOwnServer(() => {
      arrived.resolve();
      return new Promise(() => {});
    });
    // A network that stops to carry anything once the call is on its way.
    const { connect } = await import("node:net");
    const relay = createServer((socket) => {
      const out = connect(real.port, "127.0.0.1");
      sockets.push(socket, out);
      socket.pipe(out);
      out.pipe(socket);
      for (const end of [socket, out]) end.on("error", () => {});
    }).listen(0, "127.0.0.1");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      relay.close();
    });
    await once(relay, "listening");
    const keepalive = { timeMs: 300, timeoutMs: 40, permitWithoutStream: false };
    const client = createOwnClient((relay.address() as AddressInfo).port, { keepalive });
    const call = { path: testPath, message: Buffer.from("x") };
    const first = client.call(call);
    await arrived.promise;
    for (const socket of sockets) socket.unpipe().pause();
    let isOver = false;
    void first.then(() => {
      isOver = true;
    });
    while (timeoutMs > 0 && !isOver) await client.call({ ...call, timeoutMs });
    expect(await first).toMatchObject({ code: 14, message: expect.stringContaining("keepalive") });
  });

  test("cancels when the signal aborts, before and after", async () => {
    const server = await startOwnServer(() => new Promise(() => {}));
    const client = createOwnClient(server.port);
    const call = { path: testPath, message: Buffer.from("x") };
    expect((await client.call({ ...call, signal: AbortSignal.abort() })).code).toBe(1);
    expect((await client.call({ ...call, signal: AbortSignal.timeout(50) })).code).toBe(1);
  });

  test("fails calls after the end of the client", async () => {
    const server = await startOwnServer(echo);
    const client = createOwnClient(server.port);
    const call = { path: testPath, message: Buffer.from("x") };
    const under = client.call(call);
    expect((await under).code).toBe(0);
    client.close();
    client.close();
    expect(await client.call(call)).toMatchObject({ code: 14 });
  });

  test.each(["", "a b:1", "host:99999", "ipv4:name:1"])("refuses the target %j", (target) => {
    expect(() => createGrpcClient({ target, userAgent: "test" })).toThrow("expected a gRPC target");
  });
});
