/** What a server may not get from a client: its process, its memory, its time, or calls that never end. */

import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { type AddressInfo, Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createTestAuthority } from "../../test/support/certificates.ts";
import { createOwnClient, testPath } from "../../test/support/grpc-kit.ts";
import {
  answerFrames,
  endsRequest,
  type Frame,
  headersFrame,
  many,
  type RawPeer,
  responseHead,
  serveFrames,
  settings,
  startRawServer,
} from "../../test/support/http2-raw.ts";
import { propertyRuns } from "../../test/support/property-runs.ts";
import { testFolder } from "../../test/support/test-folder.ts";
import {
  encodeFrame,
  frameTypes,
  goawayFrame,
  http2Codes,
  resetFrame,
  settingsFrame,
  windowFrame,
} from "./http2-wire.ts";

const x = { path: testPath, message: Buffer.from("x"), timeoutMs: 5000 };

/** A server that says the same to each request; the calls of a client to it, which must all end. */
function hostile(answer: (peer: RawPeer, stream: number) => void, greeting: Uint8Array = settings) {
  const hear = (peer: RawPeer, frame: Frame) => {
    if (endsRequest(frame)) answer(peer, frame.stream);
  };
  return serveFrames(greeting, hear, { backoffMs: 1, maxBackoffMs: 1 });
}

describe("a call ends, and the next is answered by a server that behaves", () => {
  test("whatever the bytes behind the settings", async () => {
    let said: Uint8Array | undefined;
    const { client, peers } = await hostile((peer, stream) => {
      if (said !== undefined) peer.socket.end(said);
      else peer.send(answerFrames(stream, "ok"));
    });
    const frame = fc
      .record({
        type: fc.integer({ min: 0, max: 11 }),
        flags: fc.constantFrom(0, 1, 4, 5, 8, 9, 13, 32, 255),
        stream: fc.constantFrom(0, 1, 1, 2, 3),
        payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(responseHead)),
      })
      .map(({ type, flags, stream, payload }) => encodeFrame(type, flags, stream, payload));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(frame, { maxLength: 12 }).map((frames) => Buffer.concat(frames)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (noise) => {
        said = noise;
        const { code } = await client.call(x);
        expect(code).toBeGreaterThanOrEqual(0);
        said = undefined;
        // One more may go the way of the connection, which the server has left.
        await expect.poll(async () => (await client.call({ ...x, waitForReady: true })).code).toBe(0);
      }),
      { numRuns: propertyRuns(150) },
    );
    expect(peers.length).toBeGreaterThan(propertyRuns(100));
  });

  test("whatever the first bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        const { port } = await startRawServer((peer) => void peer.socket.end(bytes));
        const client = createOwnClient(port);
        expect(await client.call(x)).toMatchObject({ code: 14, message: expect.stringContaining("connect to") });
        client.destroy();
      }),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe("a server that wastes", () => {
  /** An entry of 4 KB in the table, and it again and again. */
  const bomb = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 0x7f, 0xc0, 0x1d]),
    Buffer.alloc(3900, "b"),
    Buffer.alloc(60_000, 0x80 | 62),
  ]);
  test.each<readonly [string, Uint8Array, string]>([
    [
      "headers that unpack to 240 MB",
      Buffer.concat([
        headersFrame(1, 0, bomb.subarray(0, 16_000)),
        ...[1, 2, 3].map((i) => encodeFrame(9, i === 3 ? 4 : 0, 1, bomb.subarray(i * 16_000, (i + 1) * 16_000))),
      ]),
      "headers of more than 16384 bytes",
    ],
    ["headers of 1 MB", headersFrame(1, 4, Buffer.alloc(1_000_000)), "a frame above every need"],
    ["resets", many(5000, resetFrame(1, 8)), "reset code 8"],
    ["GOAWAYs", many(5000, goawayFrame(1, 0, "")), "too_many_frames"],
    ["windows of a closed stream", Buffer.concat([resetFrame(1, 8), many(5000, windowFrame(1, 1))]), "reset code 8"],
  ])("by %s", async (_title, bytes, message) => {
    const { client } = await hostile((peer) => peer.send(bytes));
    expect(await client.call(x)).toMatchObject({ code: 14, message: expect.stringContaining(message) });
  });

  test("by answers to nothing for ever is left", async () => {
    const { client, peers } = await hostile((peer, stream) => {
      peer.send(answerFrames(stream, "ok"), many(5000, answerFrames(stream, "more")));
    });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    await expect.poll(() => peers[0]?.of(frameTypes.goaway)).toHaveLength(1);
    expect(await client.call({ ...x, waitForReady: true })).toMatchObject({ code: 0 });
  });

  test("by pings whose answers it does not read is left", async () => {
    const { client, peers } = await hostile((peer) => {
      peer.socket.pause();
      const flood = () => {
        if (peer.socket.destroyed) return;
        peer.socket.write(many(100, encodeFrame(6, 0, 0, Buffer.alloc(8))), () => setImmediate(flood));
      };
      flood();
    });
    expect((await client.call(x)).code).toBe(14);
    await expect.poll(() => peers[0]?.socket.destroyed, { timeout: 5000 }).toBe(true);
  });

  test("by complaints of pings without end does not end keepalive", async () => {
    const keepalive = { timeMs: 10, timeoutMs: 3000, permitWithoutStream: false };
    const answer = (peer: RawPeer, frame: Frame, index: number) => {
      if (index === 0 && endsRequest(frame)) {
        peer.send(many(40, goawayFrame(frame.stream, http2Codes.ENHANCE_YOUR_CALM, "too_many_pings")));
        peer.send(answerFrames(frame.stream, "ok"));
      } else if (index === 1 && frame.type === frameTypes.ping) peer.send(answerFrames(1, "alive"));
    };
    const { client, peers } = await serveFrames(settings, answer, { keepalive });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    expect(await client.call({ ...x, waitForReady: true })).toMatchObject({ code: 0, response: Buffer.from("alive") });
    expect(peers).toHaveLength(2);
  });

  test("by an answer without an end is given up at the limit of a message", async () => {
    const { client } = await hostile((peer, stream) => {
      peer.send(headersFrame(stream, 4, responseHead), encodeFrame(0, 0, stream, Buffer.from([0, 0, 0x10, 0, 0])));
      const drip = () => {
        if (peer.socket.destroyed) return;
        peer.socket.write(many(100, encodeFrame(0, 0, stream, Buffer.alloc(1000))), () => setImmediate(drip));
      };
      drip();
    });
    expect(await client.call(x)).toMatchObject({ code: 13 });
  });

  test("by a window of nothing for ever holds calls no longer than their time", async () => {
    const { client } = await hostile(() => {}, settingsFrame([[4, 0]]));
    const calls = Array.from({ length: 20 }, () => client.call({ ...x, timeoutMs: 60 }));
    expect(new Set((await Promise.all(calls)).map(({ code }) => code))).toEqual(new Set([4]));
  });
});

describe("over TLS", () => {
  function issued() {
    const authority = createTestAuthority(testFolder());
    const { cert, key } = authority.issue("server");
    return { ca: authority.ca, cert, key };
  }

  test("a large message goes through node:http2 and back", async () => {
    const { ca, cert, key } = issued();
    const server = createSecureServer({ cert, key });
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.pipe(stream);
    });
    server.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const target = `localhost:${(server.address() as AddressInfo).port}`;
    const client = createOwnClient(0, { target, tls: { ca }, maxResponseBytes: 50_000_000 });
    const message = [Buffer.alloc(9_000_000, "abc"), Buffer.alloc(9_000_001, "d")];
    for (let i = 0; i < 3; i++) {
      const { code, response } = await client.call({ ...x, message, timeoutMs: 20_000 });
      expect([code, Buffer.concat(message).equals(response)]).toEqual([0, true]);
    }
    client.destroy();
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("a connection of %s sends small frames at once", async (maxVersion) => {
    const { ca, cert, key } = issued();
    const server = createSecureServer({ cert, key, maxVersion });
    server.on("stream", (stream) => stream.respond({ ":status": 200, "grpc-status": "0" }, { endStream: true }));
    server.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const setNoDelay = vi.spyOn(Socket.prototype, "setNoDelay");
    onTestFinished(() => setNoDelay.mockRestore());
    const { port } = server.address() as AddressInfo;
    const client = createOwnClient(0, { target: `localhost:${port}`, tls: { ca } });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    const ours = setNoDelay.mock.contexts.filter((socket) => socket instanceof TLSSocket && socket.remotePort === port);
    expect(ours).toHaveLength(1);
    client.destroy();
  });

  test("a server that chooses no HTTP/2 is refused", async () => {
    const { ca, cert, key } = issued();
    const server = createTlsServer({ cert, key }, (socket) => void socket.on("error", () => {}));
    server.listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const target = `localhost:${(server.address() as AddressInfo).port}`;
    const result = await createOwnClient(0, { target, tls: { ca } }).call(x);
    expect(result).toMatchObject({ code: 14, message: expect.stringContaining("does not offer HTTP/2 (ALPN h2)") });
  });
});
