import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testPath } from "../../test/support/grpc-kit.ts";
import {
  answerFrames,
  endsRequest,
  type Frame,
  headersFrame,
  many,
  type RawPeer,
  responseHead,
  responseTrailers,
  serveFrames,
  settings,
  uint32,
} from "../../test/support/http2-raw.ts";
import type { GrpcResult } from "./grpc-client-call.ts";
import { frameMessage } from "./grpc-wire.ts";
import {
  encodeFrame,
  encodeHeaderBlock,
  frameTypes,
  goawayFrame,
  http2Codes,
  resetFrame,
  settingsFrame,
  windowFrame,
} from "./http2-wire.ts";

const head = headersFrame(1, 4, responseHead);
const trailers = headersFrame(1, 5, responseTrailers);
const body = encodeFrame(0, 0, 1, frameMessage(Buffer.from("hi")));
const headOf = (headers: Record<string, string>, flags = 5) => headersFrame(1, flags, encodeHeaderBlock(headers));
const okFirst = { ":status": "200", "grpc-status": "0" };
const page = { ":status": "503", "content-type": "text/html" };
const ok = { code: 0, response: Buffer.from("hi") };
const unavailable = (message: string) => ({ code: 14, message });
const broken = (message: string) => unavailable(`the server broke HTTP/2: ${message}`);
const streamClosed = (name: string | number) => unavailable(`Stream closed with error code ${name}`);
const noStatus = unavailable("stream ended without a status (NO_ERROR)");

/** What a call sees of a server that says `frames` to the first request on its first connection. */
async function callTo(
  frames: readonly Uint8Array[],
  { ends = false, greeting = settings }: { ends?: boolean; greeting?: Uint8Array } = {},
): Promise<{ result: GrpcResult; peers: readonly RawPeer[] }> {
  const answer = (peer: RawPeer, frame: Frame, index: number) => {
    if (!endsRequest(frame) || index > 0 || frame.stream !== 1) return;
    peer.send(...frames);
    if (ends) peer.socket.end();
  };
  const { client, peers } = await serveFrames(greeting, answer, { maxResponseBytes: 1000 });
  const result = await client.call({ path: testPath, message: Buffer.from("asked"), timeoutMs: 5000 });
  return { result, peers };
}

describe("what a server sends, and what the call sees", () => {
  test.each<readonly [string, readonly Uint8Array[], Partial<GrpcResult>]>([
    ["an answer", [head, body, trailers], ok],
    [
      "an answer behind interim ones",
      [headOf({ ":status": "103" }, 4), headOf({ ":status": "100" }, 4), head, body, trailers],
      ok,
    ],
    ["a reset behind the answer", [head, body, trailers, resetFrame(1, 0)], ok],
    [
      "an answer in padding",
      [
        head,
        encodeFrame(0, 8, 1, Buffer.concat([Buffer.from([3]), frameMessage(Buffer.from("hi")), Buffer.alloc(3)])),
        trailers,
      ],
      ok,
    ],
    [
      "headers in parts",
      [headersFrame(1, 0, responseHead.subarray(0, 5)), encodeFrame(9, 4, 1, responseHead.subarray(5)), body, trailers],
      ok,
    ],
    [
      "unknown frames",
      [encodeFrame(99, 1, 1, Buffer.alloc(9)), head, encodeFrame(12, 0, 0, Buffer.alloc(3)), body, trailers],
      ok,
    ],
    ["priorities", [encodeFrame(2, 0, 1, Buffer.alloc(5)), head, body, trailers], ok],
    [
      "a status at once",
      [headOf({ ":status": "200", "grpc-status": "5", "grpc-message": "no%20way" })],
      { code: 5, message: "no way" },
    ],
    ["an answer whose status comes first", [headOf(okFirst, 4), body, encodeFrame(0, 1, 1)], ok],
    ["a good status first, and reset", [headOf(okFirst, 4), resetFrame(1, 2)], streamClosed("NGHTTP2_INTERNAL_ERROR")],
    [
      "a good status first, and reset as refused",
      [headOf(okFirst, 4), resetFrame(1, 7)],
      streamClosed("NGHTTP2_REFUSED_STREAM"),
    ],
    [
      "a good status first, and less than content-length",
      [headOf({ ...okFirst, "content-length": "8" }, 4), body, encodeFrame(0, 1, 1)],
      streamClosed("NGHTTP2_PROTOCOL_ERROR"),
    ],
    ["a bad status first, and reset", [headOf({ ...okFirst, "grpc-status": "3" }, 4), resetFrame(1, 2)], { code: 3 }],
    [
      "HTTP status 503 and a good one of gRPC",
      [headOf({ ...okFirst, ":status": "503" })],
      unavailable("the server answered with HTTP status 503"),
    ],
    [
      "HTTP status 204 and a good one of gRPC in trailers",
      [headOf({ ":status": "204" }, 4), trailers],
      { code: 2, message: "the server answered with HTTP status 204" },
    ],
    ["a status of HTTP and of gRPC", [headOf({ ":status": "500", "grpc-status": "3" })], { code: 3 }],
    ["a status that is no number", [headOf({ ":status": "200", "grpc-status": "x" })], { code: 2 }],
    ["HTTP status 503", [headOf(page)], unavailable("the server answered with HTTP status 503")],
    [
      "HTTP status 404 and a page",
      [headOf({ ":status": "404" }, 4), encodeFrame(0, 1, 1, Buffer.from("nope"))],
      { code: 12 },
    ],
    [
      "HTTP status 404 and a page without an end",
      [headOf({ ":status": "404" }, 4), many(3, encodeFrame(0, 0, 1, Buffer.alloc(900)))],
      { code: 12 },
    ],
    ["a page", [headOf({ ...page, ":status": "200" }, 4), encodeFrame(0, 1, 1, Buffer.from("nope"))], noStatus],
    ["no status", [headOf({ ":status": "200" })], noStatus],
    ["a message and no trailers", [head, encodeFrame(0, 1, 1, frameMessage(Buffer.from("hi")))], noStatus],
    [
      "half a message",
      [head, encodeFrame(0, 0, 1, Buffer.from([0, 0, 0, 0, 9, 1])), trailers],
      { code: 13, message: "the response is cut off" },
    ],
    ["two messages", [head, body, body, trailers], { code: 13, message: "malformed response" }],
    ["a message above the limit", [head, encodeFrame(0, 0, 1, frameMessage(Buffer.alloc(1001)))], { code: 8 }],
    ["reset NO_ERROR", [resetFrame(1, 0)], noStatus],
    ["reset PROTOCOL_ERROR", [resetFrame(1, 1)], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    ["reset INTERNAL_ERROR", [resetFrame(1, 2)], streamClosed("NGHTTP2_INTERNAL_ERROR")],
    ["reset FLOW_CONTROL_ERROR", [resetFrame(1, 3)], streamClosed("NGHTTP2_FLOW_CONTROL_ERROR")],
    ["reset REFUSED_STREAM behind headers", [head, resetFrame(1, 7)], streamClosed("NGHTTP2_REFUSED_STREAM")],
    ["reset CANCEL", [resetFrame(1, 8)], unavailable("stream ended without a status (reset code 8)")],
    ["reset ENHANCE_YOUR_CALM", [resetFrame(1, 11)], streamClosed("NGHTTP2_ENHANCE_YOUR_CALM")],
    ["reset INADEQUATE_SECURITY", [resetFrame(1, 12)], { code: 7 }],
    ["reset HTTP_1_1_REQUIRED", [resetFrame(1, 13)], streamClosed("NGHTTP2_HTTP_1_1_REQUIRED")],
    ["reset with a code that is none", [resetFrame(1, 99)], streamClosed(99)],
    ["a GOAWAY with an error, and the answer", [goawayFrame(1, 2, ""), head, body, trailers], ok],
    ["no :status", [headOf({ "content-type": "application/grpc" }, 4)], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    ["an interim answer that ends", [headOf({ ":status": "100" })], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    ["headers twice", [head, head], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    ["a :path", [headOf({ ":status": "200", ":path": "/" })], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    ["data before headers", [body], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
    [
      "less than content-length",
      [headOf({ ":status": "200", "content-length": "8" }, 4), body, trailers],
      streamClosed("NGHTTP2_PROTOCOL_ERROR"),
    ],
    [
      "headers of 20 KB",
      [headOf({ ":status": "200", x: "y".repeat(20_000) }, 4)],
      unavailable("the server answered with headers of more than 16384 bytes"),
    ],
    [
      "a window of the stream that overflows",
      [windowFrame(1, 2 ** 31 - 1)],
      streamClosed("NGHTTP2_FLOW_CONTROL_ERROR"),
    ],
    ["a window of nothing more for the stream", [windowFrame(1, 0)], streamClosed("NGHTTP2_PROTOCOL_ERROR")],
  ])("%s", async (_title, frames, expected) => {
    const { result, peers } = await callTo(frames);
    expect(result).toMatchObject(expected);
    // The connection goes on.
    expect(peers[0]?.of(frameTypes.goaway)).toEqual([]);
  });

  test.each<readonly [string, keyof typeof http2Codes, string, readonly Uint8Array[]]>([
    ["a window that overflows", "FLOW_CONTROL_ERROR", "a window too large", [windowFrame(0, 2 ** 31 - 1)]],
    ["a window of nothing more", "PROTOCOL_ERROR", "a window of nothing more", [windowFrame(0, 0)]],
    ["data of a stream that never began", "PROTOCOL_ERROR", "a frame of no stream", [encodeFrame(0, 0, 3)]],
    ["data of the connection", "PROTOCOL_ERROR", "a frame of no stream", [encodeFrame(0, 0, 0, Buffer.from("x"))]],
    ["headers of an even stream", "PROTOCOL_ERROR", "headers of no stream of a client", [headersFrame(2)]],
    ["a reset of a stream that never began", "PROTOCOL_ERROR", "a frame of no stream", [resetFrame(3, 8)]],
    [
      "a push",
      "PROTOCOL_ERROR",
      "a push that was not allowed",
      [encodeFrame(5, 4, 1, Buffer.concat([uint32(2), responseHead]))],
    ],
    ["settings of a stream", "PROTOCOL_ERROR", "a frame of the wrong stream", [encodeFrame(4, 0, 1)]],
    ["pushes turned on", "PROTOCOL_ERROR", "a setting out of range", [settingsFrame([[2, 1]])]],
    ["frames too small", "PROTOCOL_ERROR", "a setting out of range", [settingsFrame([[5, 100]])]],
    [
      "settings that confirm and say something",
      "FRAME_SIZE_ERROR",
      "an answer to settings with settings",
      [encodeFrame(4, 1, 0, Buffer.alloc(6))],
    ],
    [
      "33 settings at once",
      "ENHANCE_YOUR_CALM",
      "too many settings in a frame",
      [settingsFrame(Array.from({ length: 33 }, () => [4, 65_535]))],
    ],
    ["a window that begins too large", "FLOW_CONTROL_ERROR", "a window too large", [settingsFrame([[4, 2 ** 31]])]],
    ["a ping of 7 bytes", "FRAME_SIZE_ERROR", "a frame of the wrong size", [encodeFrame(6, 0, 0, Buffer.alloc(7))]],
    ["a GOAWAY of 4 bytes", "FRAME_SIZE_ERROR", "a frame of the wrong size", [encodeFrame(7, 0, 0, uint32(1))]],
    [
      "headers that are no HPACK",
      "COMPRESSION_ERROR",
      "an index of no header",
      [headersFrame(1, 4, Buffer.from([0x80]))],
    ],
    [
      "a frame within headers",
      "PROTOCOL_ERROR",
      "a frame between parts of headers",
      [headersFrame(1, 0, responseHead), body],
    ],
    ["a continuation of nothing", "PROTOCOL_ERROR", "a continuation of nothing", [encodeFrame(9, 4, 1)]],
    [
      "headers without an end",
      "ENHANCE_YOUR_CALM",
      "headers without an end",
      [headersFrame(1, 0, responseHead), many(50, encodeFrame(9, 0, 1))],
    ],
    [
      "a frame of 16 MB",
      "FRAME_SIZE_ERROR",
      "a frame above the announced size",
      [Buffer.from("ffffff000000000001", "hex")],
    ],
    [
      "more padding than data",
      "PROTOCOL_ERROR",
      "more padding than frame",
      [head, encodeFrame(0, 8, 1, Buffer.from([9, 0]))],
    ],
    ["a flood of settings", "ENHANCE_YOUR_CALM", "more to answer than is read", [many(5000, settings)]],
    [
      "a flood of pings",
      "ENHANCE_YOUR_CALM",
      "more to answer than is read",
      [many(5000, encodeFrame(6, 0, 0, Buffer.alloc(8)))],
    ],
    [
      "a flood of answers to pings",
      "ENHANCE_YOUR_CALM",
      "too_many_frames",
      [many(5000, encodeFrame(6, 1, 0, Buffer.alloc(8)))],
    ],
    ["a flood of windows", "ENHANCE_YOUR_CALM", "too_many_frames", [many(5000, windowFrame(0, 1))]],
    ["a flood of empty data", "ENHANCE_YOUR_CALM", "too_many_frames", [head, many(5000, encodeFrame(0, 0, 1))]],
    [
      "a flood of interim answers",
      "ENHANCE_YOUR_CALM",
      "too_many_frames",
      [many(5000, headOf({ ":status": "100" }, 4))],
    ],
    [
      "a flood of unknown frames",
      "ENHANCE_YOUR_CALM",
      "too_many_frames",
      [many(5000, encodeFrame(99, 0, 0, Buffer.alloc(3)))],
    ],
  ])("%s: the end of the connection with %s, and why", async (_title, code, why, frames) => {
    const { result, peers } = await callTo(frames);
    expect(result).toMatchObject(broken(why));
    await expect
      .poll(() => peers[0]?.of(frameTypes.goaway).map(({ payload }) => payload.readUInt32BE(4)))
      .toEqual([http2Codes[code]]);
  });

  test.each<readonly [string, readonly Uint8Array[], string]>([
    ["nothing", [], "stream ended without a status (reset code 8)"],
    ["headers", [head], "stream ended without a status (reset code 8)"],
    ["a good status", [headOf(okFirst, 4)], "stream ended without a status (reset code 8)"],
    ["a GOAWAY", [goawayFrame(1, 0, "")], "stream ended without a status (reset code 8)"],
    ["a GOAWAY with an error", [goawayFrame(1, 11, "")], "Session closed with error code 11"],
  ])("%s, and the end of the connection", async (_title, frames, message) => {
    expect((await callTo(frames, { ends: true })).result).toMatchObject(unavailable(message));
  });

  test.each([
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "the server does not speak HTTP/2: it answers in HTTP/1"],
    ["220 mail.example.com ESMTP ready", "the server does not speak HTTP/2: a frame above the announced size"],
    [String(goawayFrame(0, 0, "")), "the server does not speak HTTP/2: expected settings first"],
  ])("%j as the first words", async (text, message) => {
    const { result } = await callTo([], { greeting: Buffer.from(text) });
    expect(result).toMatchObject({ code: 14, message: expect.stringContaining(message) });
  });
});

describe("what was not looked at is sent again", () => {
  test.each<readonly [string, readonly Uint8Array[], number]>([
    ["a stream that is refused", [resetFrame(1, 7)], 1],
    ["a stream above the last of a GOAWAY", [goawayFrame(0, 0, "")], 2],
    ["a stream above the last of a GOAWAY with an error", [goawayFrame(0, 11, "too_many_pings")], 2],
  ])("%s", async (_title, frames, connections) => {
    const { client, peers } = await serveFrames(settings, (peer, frame, index) => {
      if (!endsRequest(frame)) return;
      if (index === 0 && frame.stream === 1) peer.send(...frames);
      else peer.send(answerFrames(frame.stream, "again"));
    });
    const result = await client.call({ path: testPath, message: Buffer.from("x") });
    expect(result).toMatchObject({ code: 0, response: Buffer.from("again"), isSent: false });
    expect(peers).toHaveLength(connections);
  });
});

test("an answer is the same wherever the server's bytes are cut", async () => {
  const large = frameMessage(Buffer.alloc(700, "abc"));
  const bytes = Buffer.concat([
    settingsFrame([
      [3, 100],
      [4, 1_000_000],
    ]),
    headOf({ ":status": "100" }, 4),
    headersFrame(1, 0, responseHead.subarray(0, 3)),
    encodeFrame(9, 4, 1, responseHead.subarray(3)),
    encodeFrame(6, 0, 0, Buffer.from("12345678")),
    encodeFrame(0, 8, 1, Buffer.concat([Buffer.from([2]), large.subarray(0, 300), Buffer.alloc(2)])),
    encodeFrame(99, 0, 1, Buffer.alloc(20)),
    encodeFrame(0, 0, 1, large.subarray(300)),
    windowFrame(1, 5),
    trailers,
  ]);
  const cuts = fc.array(fc.integer({ min: 0, max: bytes.length - settings.length }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(cuts, async (at) => {
      const answer = async (peer: RawPeer) => {
        const ends = [...at.toSorted((a, b) => a - b), bytes.length];
        let from = 0;
        for (const end of ends) {
          peer.send(bytes.subarray(from, end));
          from = end;
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const { client, peers } = await serveFrames(settings, (peer, frame) => void (endsRequest(frame) && answer(peer)));
      const result = await client.call({ path: testPath, message: Buffer.from("x"), timeoutMs: 5000 });
      expect([result.code, result.message, result.response.length]).toEqual([0, "", 700]);
      await expect
        .poll(() => peers[0]?.of(frameTypes.ping).map(({ payload }) => String(payload)))
        .toEqual(["12345678"]);
    }),
    { numRuns: 40 },
  );
});
