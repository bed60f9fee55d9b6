import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, constants, type OutgoingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { createOwnClient, startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { RunningGrpcServer } from "./grpc-server.ts";
import type { GrpcMethod } from "./grpc-server-call.ts";
import { frameMessage } from "./grpc-wire.ts";

const echo: GrpcMethod = async ({ message }) => message;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Whether another client is served as ever. */
async function servesOthers(server: RunningGrpcServer): Promise<void> {
  const result = await createOwnClient(server.port).call({
    path: testPath,
    message: Buffer.from("fine"),
    timeoutMs: 5000,
  });
  expect([result.code, String(Buffer.from(result.response))]).toEqual([0, "fine"]);
}

function openSocket(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Also where the server resets the connection. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Sends bytes and returns what comes back until the server ends the connection. */
async function exchange(port: number, bytes: Uint8Array | string): Promise<Buffer> {
  const socket = openSocket(port);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => void chunks.push(chunk));
  socket.write(bytes);
  await closed(socket);
  return Buffer.concat(chunks);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array | string = ""): Buffer {
  const body = Buffer.from(payload as never);
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, body]);
}

const settings = frame(4, 0, 0);

async function openSession(port: number, options: object = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${port}`, options);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  return session;
}

const headers: OutgoingHttpHeaders = {
  ":method": "POST",
  ":path": testPath,
  "content-type": "application/grpc",
  te: "trailers",
};

/** The answer to a call of one's own making. */
async function rawCall(session: ClientHttp2Session, given: OutgoingHttpHeaders, body?: Uint8Array) {
  const stream = session.request(given, { endStream: false });
  stream.on("error", () => {});
  if (body !== undefined) stream.end(body);
  const [response] = (await once(stream, "response")) as [Record<string, unknown>];
  stream.resume();
  const isWhole = response["grpc-status"] !== undefined || response[":status"] !== 200;
  const trailers = isWhole ? response : ((await once(stream, "trailers")) as [Record<string, unknown>])[0];
  return { status: response[":status"], code: trailers["grpc-status"], message: trailers["grpc-message"] };
}

describe("connections that speak something else are ended", () => {
  const cases: readonly (readonly [string, Uint8Array | string])[] = [
    ["HTTP/1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["TLS", Buffer.from("16030100a5010000a10303", "hex")],
    ["noise", Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 31) % 256))],
    ["a frame of 16 MB", Buffer.concat([Buffer.from(preface), settings, Buffer.from("ffffff000000000001", "hex")])],
    ["data of no stream", Buffer.concat([Buffer.from(preface), settings, frame(0, 0, 1, "abc")])],
    [
      "headers that are no HPACK",
      Buffer.concat([Buffer.from(preface), settings, frame(1, 4, 1, "\u007f\u007f\u007f\u007f")]),
    ],
    ["a window of zero more", Buffer.concat([Buffer.from(preface), settings, frame(8, 0, 0, Buffer.alloc(4))])],
    ["settings of an odd size", Buffer.concat([Buffer.from(preface), frame(4, 0, 0, "abc")])],
  ];
  test.each(cases)("%s", async (_title, bytes) => {
    const server = await startOwnServer(echo);
    await exchange(server.port, bytes);
    await servesOthers(server);
  });

  test("a flood of header frames", async () => {
    const server = await startOwnServer(echo);
    const socket = openSocket(server.port);
    socket.write(Buffer.concat([Buffer.from(preface), settings, frame(1, 0, 1, "\u0082")]));
    const flood = Buffer.concat(Array.from({ length: 2000 }, () => frame(9, 0, 1, Buffer.alloc(100))));
    socket.write(flood);
    socket.resume();
    await closed(socket);
    await servesOthers(server);
  });

  test("silence", async () => {
    const server = await startOwnServer(echo, { limits: { handshakeTimeoutMs: 60 } });
    expect(await exchange(server.port, "")).toBeInstanceOf(Buffer);
    expect(await exchange(server.port, preface.slice(0, 10))).toBeInstanceOf(Buffer);
    await servesOthers(server);
  });

  test("any bytes behind the preface", async () => {
    const server = await startOwnServer(echo, { limits: { handshakeTimeoutMs: 60 } });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const socket = openSocket(server.port);
        socket.end(Buffer.concat([Buffer.from(preface), settings, bytes]));
        socket.resume();
        await closed(socket);
      }),
      { numRuns: 60 },
    );
    await servesOthers(server);
  });
});

describe("calls that are none", () => {
  test.each([
    ["GET", { ":method": "GET" }, { status: 405 }],
    ["another content type", { "content-type": "application/json" }, { status: 415 }],
    ["gRPC-Web", { "content-type": "application/grpc-web+proto" }, { status: 415 }],
    ["JSON in gRPC", { "content-type": "application/grpc+json" }, { status: 415 }],
    ["no content type", { "content-type": undefined }, { status: 415 }],
    ["a time limit that is none", { "grpc-timeout": "soon" }, { status: 200, code: "13" }],
    ["an encoding that is not known", { "grpc-encoding": "br" }, { status: 200, code: "12" }],
    ["another method", { ":path": "/a/b" }, { status: 200, code: "12" }],
  ])("%s", async (_title, given, expected) => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    expect(
      await rawCall(session, { ...headers, ...given } as OutgoingHttpHeaders, frameMessage(Buffer.from("x"))),
    ).toMatchObject(expected);
    expect(await rawCall(session, headers, frameMessage(Buffer.from("x")))).toMatchObject({ code: "0" });
  });

  test.each([
    ["nothing", Buffer.alloc(0), "13"],
    ["half a header", Buffer.from([0, 0]), "13"],
    ["a message that is cut", frameMessage(Buffer.from("hello")).subarray(0, 8), "13"],
    ["two messages", Buffer.concat([frameMessage(Buffer.from("a")), frameMessage(Buffer.from("b"))]), "13"],
    ["a packed message without an encoding", frameMessage(Buffer.from("x"), true), "13"],
    ["unknown flags", Buffer.from([7, 0, 0, 0, 0]), "13"],
    ["a message of 4 GB", Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]), "8"],
  ])("%s", async (_title, body, code) => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    expect(await rawCall(session, headers, body)).toMatchObject({ status: 200, code });
    expect(await rawCall(session, headers, frameMessage(Buffer.from("x")))).toMatchObject({ code: "0" });
  });

  test("a packed message that is no gzip", async () => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    const packed = { ...headers, "grpc-encoding": "gzip" };
    expect(await rawCall(session, packed, frameMessage(Buffer.from("not gzip"), true))).toMatchObject({ code: "13" });
  });

  test("headers beyond the limit", async () => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    const stream = session.request({ ...headers, "x-large": "x".repeat(200_000) });
    stream.on("error", () => {});
    stream.end(frameMessage(Buffer.from("x")));
    await new Promise((resolve) => stream.once("close", resolve));
    await servesOthers(server);
  });
});

describe("clients that waste", () => {
  test("a body that drips is ended by its time", async () => {
    const budget = new ByteBudget(1000);
    const server = await startOwnServer(echo, { limits: { receiveTimeoutMs: 100, budget } });
    const session = await openSession(server.port);
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => {});
    stream.write(Buffer.from([0, 0, 0, 0, 200]));
    const drip = setInterval(() => stream.destroyed || stream.write(Buffer.alloc(1)), 20);
    onTestFinished(() => clearInterval(drip));
    const [response] = (await once(stream, "response")) as [Record<string, unknown>];
    expect(response["grpc-status"]).toBe("4");
    expect(budget.usedBytes).toBe(0);
    await servesOthers(server);
  });

  test("a client that reads no answer keeps no call", async () => {
    const server = await startOwnServer(echo, { limits: { sendTimeoutMs: 60 } });
    const session = await openSession(server.port, { settings: { initialWindowSize: 0 } });
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => {});
    stream.end(frameMessage(Buffer.alloc(1000)));
    await once(stream, "close");
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  });

  test("a client that opens calls and gives them up is sent away, and nobody else", async () => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    const gone = once(session, "goaway") as Promise<[number, number, Uint8Array]>;
    const flood = setInterval(() => {
      if (session.destroyed || session.closed) return;
      for (let i = 0; i < 100; i++) {
        const stream = session.request(headers, { endStream: false });
        stream.on("error", () => {});
        stream.close(constants.NGHTTP2_CANCEL);
      }
    }, 5);
    onTestFinished(() => clearInterval(flood));
    const [code] = await gone;
    expect(code).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await expect.poll(() => server.connections).toBe(0);
    await servesOthers(server);
  });

  test("a client that pings without end is sent away", async () => {
    const server = await startOwnServer(echo);
    const session = await openSession(server.port);
    const gone = once(session, "goaway") as Promise<[number, number, Uint8Array]>;
    for (let i = 0; i < 5; i++) session.ping(() => {});
    const [code, , data] = await gone;
    expect([code, String(data)]).toEqual([constants.NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings"]);
  });

  test("a client may ping as often as the policy says", async () => {
    const keepalive = { minPingIntervalMs: 0, permitWithoutStream: true };
    const server = await startOwnServer(echo, { keepalive });
    const session = await openSession(server.port);
    for (let i = 0; i < 8; i++) await new Promise<void>((resolve) => void session.ping(() => resolve()));
    expect(await rawCall(session, headers, frameMessage(Buffer.from("x")))).toMatchObject({ code: "0" });
  });

  test("a connection whose client is gone is noticed", async () => {
    const server = await startOwnServer(echo, { keepalive: { timeMs: 40, timeoutMs: 40 } });
    const socket = openSocket(server.port);
    socket.write(Buffer.concat([Buffer.from(preface), settings]));
    // Reads on, answers nothing.
    socket.resume();
    await expect.poll(() => server.connections).toBe(1);
    await closed(socket);
    expect(server.connections).toBe(0);
  });

  test("connections above the bound are closed", async () => {
    const server = await startOwnServer(echo, { limits: { maxConnections: 1 } });
    const session = await openSession(server.port);
    expect(await exchange(server.port, preface)).toHaveLength(0);
    expect(await rawCall(session, headers, frameMessage(Buffer.from("x")))).toMatchObject({ code: "0" });
  });
});
