import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import { headersFrame, many, message, openRaw, request, settings, uint32 } from "../../test/support/http2-raw.ts";
import { clientPreface, encodeFrame, encodeHeaderBlock, frameTypes, http2Codes, settingsFrame } from "./http2-wire.ts";

const withLength = (length: string, flags = 4) =>
  headersFrame(1, flags, Buffer.concat([request, encodeHeaderBlock({ "content-length": length })]));

describe("what ends a connection is named in a GOAWAY", () => {
  test.each<readonly [string, keyof typeof http2Codes, readonly Uint8Array[]]>([
    ["data of a stream that never began", "PROTOCOL_ERROR", [encodeFrame(0, 0, 1, message)]],
    ["data of the connection", "PROTOCOL_ERROR", [encodeFrame(0, 0, 0, message)]],
    ["headers of an even stream", "PROTOCOL_ERROR", [headersFrame(2)]],
    ["headers of the connection", "PROTOCOL_ERROR", [headersFrame(0)]],
    ["a reset of a stream that never began", "PROTOCOL_ERROR", [encodeFrame(3, 0, 1, uint32(8))]],
    ["a reset of an odd size", "FRAME_SIZE_ERROR", [headersFrame(1), encodeFrame(3, 0, 1, Buffer.alloc(3))]],
    ["settings of a stream", "PROTOCOL_ERROR", [encodeFrame(4, 0, 1)]],
    ["an answer to settings that says something", "FRAME_SIZE_ERROR", [encodeFrame(4, 1, 0, Buffer.alloc(6))]],
    ["a window that begins too large", "FLOW_CONTROL_ERROR", [settingsFrame([[4, 2 ** 31]])]],
    ["frames too small", "PROTOCOL_ERROR", [settingsFrame([[5, 16_383]])]],
    ["a push that is neither on nor off", "PROTOCOL_ERROR", [settingsFrame([[2, 2]])]],
    ["a push", "PROTOCOL_ERROR", [encodeFrame(5, 4, 1, Buffer.alloc(8))]],
    ["a ping of an odd size", "FRAME_SIZE_ERROR", [encodeFrame(6, 0, 0, Buffer.alloc(7))]],
    ["a ping of a stream", "PROTOCOL_ERROR", [encodeFrame(6, 0, 1, Buffer.alloc(8))]],
    ["a window of nothing more", "PROTOCOL_ERROR", [encodeFrame(8, 0, 0, uint32(0))]],
    ["a window that overflows", "FLOW_CONTROL_ERROR", [encodeFrame(8, 0, 0, uint32(2 ** 31 - 1))]],
    ["a continuation of nothing", "PROTOCOL_ERROR", [encodeFrame(9, 4, 1, request)]],
    ["a continuation of another stream", "PROTOCOL_ERROR", [headersFrame(1, 0), encodeFrame(9, 4, 3)]],
    ["data within headers", "PROTOCOL_ERROR", [headersFrame(1, 0), encodeFrame(0, 0, 1, message)]],
    ["an unknown frame within headers", "PROTOCOL_ERROR", [headersFrame(1, 0), encodeFrame(77, 0, 1)]],
    ["headers without an end", "ENHANCE_YOUR_CALM", [headersFrame(1, 0), many(50, encodeFrame(9, 0, 1))]],
    [
      "headers of 100 KB",
      "ENHANCE_YOUR_CALM",
      [headersFrame(1, 0), many(10, encodeFrame(9, 0, 1, Buffer.alloc(9999)))],
    ],
    ["headers that are no HPACK", "COMPRESSION_ERROR", [headersFrame(1, 4, Buffer.from([0x80]))]],
    ["a trailer that is no HPACK", "COMPRESSION_ERROR", [headersFrame(1), headersFrame(1, 5, Buffer.from([0x80]))]],
    ["more padding than data", "PROTOCOL_ERROR", [headersFrame(1), encodeFrame(0, 8, 1, Buffer.from([9, 0]))]],
    ["padding without a length", "FRAME_SIZE_ERROR", [headersFrame(1), encodeFrame(0, 8, 1)]],
    ["more padding than headers", "PROTOCOL_ERROR", [encodeFrame(1, 12, 1, Buffer.from([9, 0x82]))]],
    ["a frame above the announced size", "FRAME_SIZE_ERROR", [Buffer.from("ffffff000000000001", "hex")]],
    ["a flood of settings", "ENHANCE_YOUR_CALM", [many(10_000, settings)]],
    ["a flood of answers to pings", "ENHANCE_YOUR_CALM", [many(10_000, encodeFrame(6, 1, 0, Buffer.alloc(8)))]],
    ["a flood of priorities", "ENHANCE_YOUR_CALM", [many(10_000, encodeFrame(2, 0, 1, Buffer.alloc(5)))]],
    ["a flood of windows", "ENHANCE_YOUR_CALM", [many(10_000, encodeFrame(8, 0, 0, uint32(1)))]],
    ["headers of a stream that was skipped", "PROTOCOL_ERROR", [headersFrame(9), headersFrame(5)]],
    ["33 settings at once", "ENHANCE_YOUR_CALM", [settingsFrame(Array.from({ length: 33 }, () => [4, 65_535]))]],
    [
      "a flood of padding",
      "ENHANCE_YOUR_CALM",
      [headersFrame(1), many(10_000, encodeFrame(0, 8, 1, Buffer.from([1, 0])))],
    ],
    ["a flood of empty data", "ENHANCE_YOUR_CALM", [headersFrame(1), many(10_000, encodeFrame(0, 0, 1))]],
    ["a flood of frames of no known type", "ENHANCE_YOUR_CALM", [many(10_000, encodeFrame(99, 0, 0, Buffer.alloc(3)))]],
  ])("%s: %s", async (_title, code, frames) => {
    const client = await openRaw();
    client.send(...frames);
    await client.closed;
    expect(client.of(frameTypes.goaway).map(({ payload }) => payload.readUInt32BE(4))).toEqual([http2Codes[code]]);
  });

  test("streams that are opened only to be broken count as given up", async () => {
    const client = await openRaw();
    for (let i = 0; i < 700; i++) client.send(headersFrame(2 * i + 1), encodeFrame(8, 0, 2 * i + 1, uint32(0)));
    await client.closed;
    expect(client.of(frameTypes.goaway).map(({ payload }) => payload.readUInt32BE(4))).toEqual([11]);
  });
});

describe("what ends a stream leaves the connection", () => {
  test.each<readonly [string, keyof typeof http2Codes, readonly Uint8Array[]]>([
    ["a window of nothing more", "PROTOCOL_ERROR", [headersFrame(1), encodeFrame(8, 0, 1, uint32(0))]],
    ["a window that overflows", "FLOW_CONTROL_ERROR", [headersFrame(1), encodeFrame(8, 0, 1, uint32(2 ** 31 - 1))]],
    ["headers twice", "PROTOCOL_ERROR", [headersFrame(1), headersFrame(1)]],
    ["no path", "PROTOCOL_ERROR", [headersFrame(1, 4, encodeHeaderBlock({ ":method": "POST", ":scheme": "http" }))]],
    ["no scheme", "PROTOCOL_ERROR", [headersFrame(1, 4, encodeHeaderBlock({ ":method": "POST", ":path": testPath }))]],
    ["less than the declared length", "PROTOCOL_ERROR", [withLength("11"), encodeFrame(0, 1, 1, message)]],
    ["more than the declared length", "PROTOCOL_ERROR", [withLength("9"), encodeFrame(0, 0, 1, message)]],
    ["a declared length and no body", "PROTOCOL_ERROR", [withLength("1", 5)]],
    ["a length that is no number", "PROTOCOL_ERROR", [withLength("ten"), encodeFrame(0, 1, 1, message)]],
    [
      "less than the declared length before trailers",
      "PROTOCOL_ERROR",
      [withLength("11"), encodeFrame(0, 0, 1, message), headersFrame(1, 5, encodeHeaderBlock({ a: "b" }))],
    ],
    [
      "a header of HTTP/1",
      "PROTOCOL_ERROR",
      [headersFrame(1, 4, Buffer.concat([request, encodeHeaderBlock({ upgrade: "a" })]))],
    ],
    [
      "a pseudo-header behind others",
      "PROTOCOL_ERROR",
      [headersFrame(1, 4, Buffer.concat([request, encodeHeaderBlock({ ":authority": "a" })]))],
    ],
    [
      "headers beyond the limit",
      "ENHANCE_YOUR_CALM",
      [headersFrame(1, 4, Buffer.concat([request, encodeHeaderBlock({ a: "x".repeat(16_300), b: "y" })]))],
    ],
  ])("%s: %s", async (_title, code, frames) => {
    const client = await openRaw();
    client.send(...frames);
    await expect
      .poll(() => client.of(frameTypes.reset).map(({ payload }) => payload.readUInt32BE(0)))
      .toEqual([http2Codes[code]]);
    client.send(headersFrame(3), encodeFrame(0, 1, 3, message));
    await expect.poll(() => client.of(frameTypes.data).map(({ payload }) => payload)).toEqual([message]);
  });

  test("more than the window of a stream whose caller is not admitted yet", async () => {
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    onTestFinished(() => admit());
    const client = await openRaw({ authenticate: () => admitted });
    const begin = Buffer.from([0, 0, 0x30, 0, 0]);
    client.send(headersFrame(1), encodeFrame(0, 0, 1, begin), many(70, encodeFrame(0, 0, 1, Buffer.alloc(16_384))));
    await expect
      .poll(() => client.of(frameTypes.reset).map(({ payload }) => payload.readUInt32BE(0)))
      .toEqual([http2Codes.FLOW_CONTROL_ERROR]);
  });

  test("streams above the bound are refused", async () => {
    const client = await openRaw({ limits: { maxConcurrentStreams: 2 } });
    client.send(headersFrame(1), headersFrame(3), headersFrame(5), encodeFrame(0, 1, 1, message));
    await expect.poll(() => client.of(frameTypes.data).length).toBe(1);
    expect(client.of(frameTypes.reset).map(({ stream, payload }) => [stream, payload.readUInt32BE(0)])).toEqual([
      [5, 7],
    ]);
  });

  test("data of a stream that is closed is passed over", async () => {
    const client = await openRaw();
    client.send(headersFrame(1), encodeFrame(3, 0, 1, uint32(8)), encodeFrame(0, 1, 1, message));
    client.send(headersFrame(3), encodeFrame(0, 1, 3, message));
    await expect.poll(() => client.of(frameTypes.data).map(({ stream }) => stream)).toEqual([3]);
  });
});

describe("requests in unusual forms are taken", () => {
  const padded = (frame: Uint8Array, bytes: number) =>
    Buffer.concat([Buffer.from([bytes]), frame, Buffer.alloc(bytes)]);
  test.each<readonly [string, readonly Uint8Array[]]>([
    [
      "padded, with a priority",
      [
        encodeFrame(1, 4 + 8 + 32, 1, padded(Buffer.concat([Buffer.alloc(5), request]), 7)),
        encodeFrame(0, 9, 1, padded(message, 200)),
      ],
    ],
    [
      "in parts",
      [
        headersFrame(1, 0, request.subarray(0, 3)),
        encodeFrame(9, 4, 1, request.subarray(3)),
        ...[...message].map((byte) => encodeFrame(0, 0, 1, Buffer.from([byte]))),
        encodeFrame(0, 1, 1),
      ],
    ],
    ["with their length", [withLength("10"), encodeFrame(0, 1, 1, message)]],
    [
      "with trailers",
      [headersFrame(1), encodeFrame(0, 0, 1, message), headersFrame(1, 5, encodeHeaderBlock({ a: "b" }))],
    ],
    [
      "among frames that say nothing here",
      [
        encodeFrame(2, 0, 3, Buffer.alloc(5)),
        headersFrame(1),
        encodeFrame(99, 255, 1, Buffer.alloc(100)),
        encodeFrame(0, 1, 1, message),
      ],
    ],
  ])("%s, in one piece and byte by byte", async (_title, frames) => {
    for (const step of [1_000_000, 1]) {
      const client = await openRaw();
      const bytes = Buffer.concat(frames);
      client.socket.setNoDelay(true);
      for (let at = 0; at < bytes.length; at += step) {
        client.send(bytes.subarray(at, at + step));
        if (step === 1) await new Promise((resolve) => setImmediate(resolve));
      }
      await expect.poll(() => client.of(frameTypes.data).map(({ payload }) => payload)).toEqual([message]);
    }
  });
});

describe("answers", () => {
  const long = Buffer.alloc(100_000, "abc");
  const answer = async () => long;

  test("come as far as the windows go", async () => {
    const client = await openRaw({}, answer);
    client.send(settingsFrame([[4, 10]]), headersFrame(1), encodeFrame(0, 1, 1, message));
    const body = () => Buffer.concat(client.of(frameTypes.data).map(({ payload }) => payload));
    await expect.poll(() => body().length).toBe(10);
    client.send(settingsFrame([[4, 25]]));
    await expect.poll(() => body().length).toBe(25);
    client.send(encodeFrame(8, 0, 1, uint32(1_000_000)));
    await expect.poll(() => body().length).toBe(65_535);
    client.send(encodeFrame(8, 0, 0, uint32(1_000_000)));
    await expect.poll(() => client.of(frameTypes.headers).length).toBe(2);
    expect(body().subarray(5)).toEqual(long);
    expect(Math.max(...client.of(frameTypes.data).map(({ payload }) => payload.length))).toBe(16_384);
  });

  test("follow the last of the windows that one frame names", async () => {
    const client = await openRaw({}, answer);
    const windows = [0, 70_000, 1, 100, 20].map((bytes) => [4, bytes] as const);
    client.send(settingsFrame([[4, 0]]), headersFrame(1), encodeFrame(0, 1, 1, message), settingsFrame(windows));
    const body = () => Buffer.concat(client.of(frameTypes.data).map(({ payload }) => payload));
    await expect.poll(() => body().length).toBe(20);
    client.send(settingsFrame([[4, 30]]));
    await expect.poll(() => body().length).toBe(30);
  });

  test("are not kept for a client that reads nothing", async () => {
    const server = await startOwnServer(answer, { limits: { sendTimeoutMs: 80 } });
    const socket = connect(server.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.pause();
    const open = encodeFrame(8, 0, 0, uint32(2 ** 30));
    socket.write(Buffer.concat([clientPreface, settingsFrame([[4, 2 ** 30]]), open]));
    for (let i = 0; i < 300; i++) {
      socket.write(Buffer.concat([headersFrame(2 * i + 1), encodeFrame(0, 1, 2 * i + 1, message)]));
    }
    await expect.poll(() => server.connections).toBe(1);
    await expect.poll(() => server.connections, { timeout: 5000 }).toBe(0);
  });
});

describe("against node:http2", () => {
  async function openSession(port: number, options: object): Promise<ClientHttp2Session> {
    const session = connectHttp2(`http://127.0.0.1:${port}`, options);
    session.on("error", () => {});
    onTestFinished(() => session.destroy());
    await once(session, "remoteSettings");
    return session;
  }

  test.each([
    ["with the tables that are the default", {}],
    ["without tables", { settings: { headerTableSize: 0 } }],
    ["with headers in several frames", { paddingStrategy: 2 }],
  ])("headers come as they were sent, %s", async (_title, options) => {
    let seen: OutgoingHttpHeaders = {};
    const server = await startOwnServer(async ({ headers, message }) => {
      seen = headers;
      return message;
    });
    const session = await openSession(server.port, options);
    const name = fc.string({ unit: fc.constantFrom(..."abcdefghij"), minLength: 1, maxLength: 12 });
    const value = fc.string({
      unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 200,
    });
    const given = fc.dictionary(
      name.map((text) => `x-${text}`),
      value,
      { maxKeys: 20 },
    );
    await fc.assert(
      fc.asyncProperty(given, async (extra) => {
        const base = { ":method": "POST", ":path": testPath, "content-type": "application/grpc" };
        const stream = session.request({ ...base, ...extra });
        stream.end(message);
        stream.resume();
        const [trailers] = (await once(stream, "trailers")) as [OutgoingHttpHeaders];
        expect(trailers["grpc-status"]).toBe("0");
        expect(seen).toMatchObject({ ...base, ...extra });
      }),
      { numRuns: 60 },
    );
  });
});
