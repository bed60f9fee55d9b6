import { connect, type Socket } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createOwnClient, startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import {
  answerAll,
  answerFrames,
  endsRequest,
  type Frame,
  headersFrame,
  type RawPeer,
  serveFrames,
  settings,
  startGreeter,
} from "../../test/support/http2-raw.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { frameMessage } from "./grpc-wire.ts";
import { ClientConnection } from "./http2-client-connection.ts";
import { ClientStream } from "./http2-client-stream.ts";
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
import { clientChunks } from "./socket-reads.ts";

const x = { path: testPath, message: Buffer.from("x") };

/** A connection to a server that says `greeting` and answers each request. */
async function connectTo(greeting: Uint8Array): Promise<Socket> {
  const { port } = await startGreeter(greeting, answerAll);
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Bytes of which no two stretches are the same. */
function counted(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) buffer.writeUInt32BE(at, at);
  return buffer;
}

describe("a message", () => {
  test("is sent byte by byte through windows of one byte", async () => {
    const message = counted(200);
    const { client, peers } = await serveFrames(settingsFrame([[4, 1]]), (peer, frame) => {
      answerAll(peer, frame);
      if (frame.type === 0 && !endsRequest(frame)) peer.send(windowFrame(frame.stream, 1), windowFrame(0, 1));
    });
    expect(await client.call({ ...x, message })).toMatchObject({ code: 0, isSent: true });
    expect(peers[0]?.of(frameTypes.data)).toHaveLength(205);
    expect(peers[0]?.bodyOf(1)).toEqual(frameMessage(message));
  });

  test("of 30 MB in pieces goes through as it is, in frames of the size that the server takes", async () => {
    const pieces = [7, 1_000_000, 0, 9_999_993, 19_000_000].map(counted);
    const { client, peers } = await serveFrames(settingsFrame([[5, 20_000]]), (peer, frame) => {
      answerAll(peer, frame);
      if (frame.type !== 0 || frame.payload.length === 0) return;
      peer.send(windowFrame(0, frame.payload.length));
      if (!endsRequest(frame)) peer.send(windowFrame(frame.stream, frame.payload.length));
    });
    expect(await client.call({ ...x, message: pieces })).toMatchObject({ code: 0, isSent: true });
    expect(peers[0]?.bodyOf(1).equals(frameMessage(Buffer.concat(pieces)))).toBe(true);
    expect(Math.max(...(peers[0]?.of(frameTypes.data) ?? []).map(({ payload }) => payload.length))).toBe(20_000);
  });

  test("follows changes of the initial window, below zero too", async () => {
    const message = counted(3000);
    const { client, peers } = await serveFrames(settingsFrame([[4, 1000]]), () => {});
    const call = client.call({ ...x, message });
    const sent = async (bytes: number) => {
      await expect.poll(() => peers[0]?.bodyOf(1).length).toBe(bytes);
      // An answer to a ping comes behind all that the client sends before it.
      const [peer] = peers as [RawPeer];
      const pings = peer.of(frameTypes.ping).length;
      peer.send(encodeFrame(6, 0, 0, Buffer.alloc(8)));
      await expect.poll(() => peer.of(frameTypes.ping).length).toBe(pings + 1);
      expect(peer.bodyOf(1)).toHaveLength(bytes);
      return peer;
    };
    (await sent(1000)).send(settingsFrame([[4, 100]]));
    // It is at -900 now.
    (await sent(1000)).send(windowFrame(1, 900));
    (await sent(1000)).send(windowFrame(1, 50));
    (await sent(1050)).send(
      settingsFrame([
        [4, 0],
        [4, 300],
      ]),
    );
    const peer = await sent(1250);
    peer.send(settingsFrame([[4, 3000]]));
    await sent(3005);
    peer.send(answerFrames(1, "ok"));
    expect(await call).toMatchObject({ code: 0 });
    expect(peer.bodyOf(1)).toEqual(frameMessage(message));
  });

  test("waits for a window until its time is over, and the stream is given up", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[4, 0]]), () => {});
    const resets = () => peers[0]?.of(frameTypes.reset) ?? [];
    await expect
      .poll(async () => {
        // On a busy machine the time of a call may be over before there is a connection.
        expect(await client.call({ ...x, timeoutMs: 60 })).toMatchObject({ code: 4 });
        return resets().map(({ stream, payload }) => [stream, payload.readUInt32BE(0)])[0];
      })
      .toEqual([1, http2Codes.CANCEL]);
    expect(peers[0]?.of(frameTypes.data)).toEqual([]);
  });

  test("that waits for a window does not hold up another", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[4, 10]]), (peer, frame) => {
      if (peer.bodyOf(frame.stream).length === 6) answerAll(peer, frame);
    });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    const held = client.call({ ...x, message: counted(1000), timeoutMs: 5000 });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    peers[0]?.send(windowFrame(3, 10_000));
    await expect.poll(() => peers[0]?.bodyOf(3).length).toBe(1005);
    peers[0]?.send(answerFrames(3, "ok"));
    expect(await held).toMatchObject({ code: 0 });
  });

  test("whose server stops to read is not all in memory, and its memory counts as read until it is written", async () => {
    const { client, peers } = await serveFrames(
      Buffer.concat([settingsFrame([[4, 2 ** 30]]), windowFrame(0, 2 ** 30)]),
      (peer, frame) => {
        if (frame.type !== 1) return;
        peer.socket.pause();
        peer.send(answerFrames(1, "enough"));
      },
    );
    expect(await client.call({ ...x, message: Buffer.alloc(60_000_000) })).toMatchObject({ code: 0, isSent: false });
    const [peer] = peers as [RawPeer];
    peer.socket.resume();
    await expect.poll(() => peer.of(frameTypes.reset)).toHaveLength(1);
    expect(peer.bodyOf(1).length).toBeLessThan(20_000_000);
  });
});

test("a server that reads all may ping as often as it likes during a message that fills the socket", async () => {
  const greeting = Buffer.concat([settingsFrame([[4, 2 ** 30]]), windowFrame(0, 2 ** 30)]);
  const { client, peers } = await serveFrames(greeting, (peer, frame) => {
    answerAll(peer, frame);
    if (frame.type !== frameTypes.data || endsRequest(frame)) return;
    peer.send(encodeFrame(frameTypes.ping, 0, 0, Buffer.alloc(8)));
    // Slower than the client, as a server that does something with what it reads.
    peer.socket.pause();
    setImmediate(() => peer.socket.resume());
  });
  expect(await client.call({ ...x, message: Buffer.alloc(40_000_000) })).toMatchObject({ code: 0 });
  expect(peers[0]?.of(frameTypes.ping).length).toBeGreaterThan(1500);
});

describe("headers", () => {
  test("above the size of a frame are continued, and name the empty table where a smaller one is wanted", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[1, 100]]), answerAll);
    for (let i = 0; i < 2; i++) {
      expect(await client.call({ ...x, headers: { "x-long": "y".repeat(40_000) } })).toMatchObject({ code: 0 });
    }
    const [first, ...rest] = peers[0]?.frames.filter(({ type }) => type === 1 || type === 9) ?? [];
    expect(rest.map(({ type, flags }) => [type, flags])).toEqual([
      [9, 0],
      [9, 4],
      [1, 0],
      [9, 0],
      [9, 4],
    ]);
    expect([first?.payload[0], rest[2]?.payload[0]]).toEqual([0x20, rest[2]?.payload[0]]);
    expect(rest[2]?.payload[0]).not.toBe(0x20);
  });

  test("above what the server takes are not sent", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[6, 1000]]), answerAll);
    const result = await client.call({ ...x, headers: { "x-long": "y".repeat(1000) } });
    expect(result).toMatchObject({ code: 14, message: "the server takes no more than 1000 bytes of headers" });
    expect(await client.call(x)).toMatchObject({ code: 0 });
    expect(peers[0]?.of(frameTypes.headers)).toHaveLength(1);
  });

  test.each<readonly [string, Readonly<Record<string, string>>]>([
    ["a line break", { "x-a": "b\nc: d" }],
    ["what becomes a line break", { "x-a": "b\u010ac: d" }],
    ["a name with a blank", { "x a": "b" }],
    ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"].map(
      (name) => [`${name}, which is of the connection`, { [name]: "close" }] as const,
    ),
    ["another te than trailers", { te: "gzip" }],
  ])("with %s are refused without their value", async (_title, headers) => {
    const { client } = await serveFrames(settings, answerAll);
    expect(await client.call({ ...x, headers })).toMatchObject({
      code: 14,
      message: `the header ${JSON.stringify(Object.keys(headers)[0])} cannot be sent`,
    });
  });

  test("have a host beside the authority where one is given", async () => {
    const server = await startOwnServer(async ({ headers }) =>
      Buffer.from(`${headers[":authority"]} ${headers["host"]} ${headers["te"]}`),
    );
    const client = createOwnClient(server.port, { authority: "a.example" });
    const { code, response } = await client.call({ ...x, headers: { Host: "b.example", te: "trailers" } });
    expect([code, String(Buffer.from(response))]).toEqual([0, "a.example b.example trailers"]);
  });

  test("of a call take the place of the client's own", async () => {
    const server = await startOwnServer(async ({ headers }) =>
      Buffer.from(`${headers["user-agent"]} ${headers["te"]}`),
    );
    const client = createOwnClient(server.port);
    for (const agent of ["one", "two"]) {
      const { response } = await client.call({ ...x, headers: { "User-Agent": agent } });
      expect(String(Buffer.from(response))).toBe(`${agent} trailers`);
    }
  });
});

describe("more calls than the server takes at once", () => {
  test("are sent one after the other, in their order", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[3, 1]]), (peer, frame) => {
      if (!endsRequest(frame)) return;
      expect(peer.of(frameTypes.headers)).toHaveLength((frame.stream + 1) / 2);
      setImmediate(() => peer.send(answerFrames(frame.stream, "ok")));
    });
    const messages = Array.from({ length: 20 }, (_, i) => `call ${i}`);
    const calls = messages.map((message) => client.call({ ...x, message: Buffer.from(message) }));
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual(messages.map(() => 0));
    const sent = messages.map((_, i) => String(peers[0]?.bodyOf(2 * i + 1).subarray(5)));
    expect(sent).toEqual(messages);
  });

  test("wait while it takes none, and go when it does or their time is over", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[3, 0]]), answerAll);
    const late = client.call({ ...x, timeoutMs: 50 });
    const calls = [1, 2, 3].map(() => client.call({ ...x, timeoutMs: 5000 }));
    expect(await late).toMatchObject({ code: 4 });
    expect(peers[0]?.of(frameTypes.headers)).toEqual([]);
    peers[0]?.send(settingsFrame([[3, 2]]));
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(peers[0]?.of(frameTypes.reset)).toEqual([]);
  });

  test("go on with the next when one is given up or refused", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[3, 1]]), (peer, frame) => {
      if (frame.stream === 3 && endsRequest(frame)) peer.send(resetFrame(3, http2Codes.ENHANCE_YOUR_CALM));
      if (frame.stream === 5) answerAll(peer, frame);
    });
    const calls = [50, 5000, 5000].map((timeoutMs) => client.call({ ...x, timeoutMs }));
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual([4, 14, 0]);
    expect(peers).toHaveLength(1);
  });
});

describe("the end of a connection", () => {
  test.each([
    ["that the server announces first", true],
    ["at once", false],
  ])("under load loses no call and repeats none, %s", async (_title, isAnnounced) => {
    const taken: string[] = [];
    const { client, peers } = await serveFrames(settingsFrame([[3, 10]]), (peer, frame, index) => {
      if (!endsRequest(frame)) return;
      const isLast = frame.stream === 2 * (20 + index) + 1;
      if (isLast && isAnnounced) peer.send(goawayFrame(2 ** 31 - 1, 0, ""));
      if (isLast) peer.send(goawayFrame(frame.stream, 0, ""));
      if (frame.stream > 2 * (20 + index) + 1) return;
      taken.push(String(peer.bodyOf(frame.stream).subarray(5)));
      setTimeout(() => peer.send(answerFrames(frame.stream, "ok")), frame.stream % 7);
    });
    const messages = Array.from({ length: 300 }, (_, i) => `${i}`);
    const waiting = [...messages];
    const sender = async () => {
      for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) {
        expect(await client.call({ ...x, message: Buffer.from(text), waitForReady: true })).toMatchObject({ code: 0 });
      }
    };
    await Promise.all(Array.from({ length: 12 }, sender));
    expect(taken.toSorted((a, b) => Number(a) - Number(b))).toEqual(messages);
    expect(peers.length).toBeGreaterThan(10);
    // Those that were told to go are gone.
    await expect.poll(() => peers.slice(0, -1).every(({ socket }) => socket.destroyed)).toBe(true);
  });

  test("lets calls under way end when the client is closed, those that wait too", async () => {
    const { client, peers } = await serveFrames(settingsFrame([[3, 1]]), () => {});
    const calls = [1, 2].map(() => client.call(x));
    await expect.poll(() => peers[0]?.bodyOf(1).length).toBe(6);
    client.close();
    peers[0]?.send(answerFrames(1, "ok"));
    await expect.poll(() => peers[0]?.bodyOf(3).length).toBe(6);
    peers[0]?.send(answerFrames(3, "ok"));
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual([0, 0]);
    await expect.poll(() => peers[0]?.of(frameTypes.goaway)).toHaveLength(1);
    await expect.poll(() => peers[0]?.socket.destroyed).toBe(true);
  });

  test.each([
    ["the server's GOAWAY", (peer: RawPeer, _client: GrpcClient) => peer.send(goawayFrame(1, 0, ""))],
    ["the client's own close", (_peer: RawPeer, client: GrpcClient) => client.close()],
  ])("does not come for want of a ping behind %s", async (_title, end) => {
    const keepalive = { timeMs: 20, timeoutMs: 500, permitWithoutStream: false };
    const hear = (peer: RawPeer, frame: Frame) => {
      if (endsRequest(frame)) end(peer, client);
      if (frame.type !== frameTypes.ping) return;
      peer.send(encodeFrame(frameTypes.ping, 1, 0, frame.payload));
      if (peer.of(frameTypes.ping).length === 3) peer.send(answerFrames(1, "ok"));
    };
    const { client } = await serveFrames(settings, hear, { keepalive });
    expect(await client.call({ ...x, timeoutMs: 5000 })).toMatchObject({ code: 0 });
  });

  test("comes when no number of a stream is left: what waits goes to another", async () => {
    const socket = await connectTo(settingsFrame([[3, 1]]));
    const codes: number[] = [];
    await new Promise<void>((resolve) => {
      const settings = { settingsTimeoutMs: 5000, firstStream: 2 ** 31 - 3 };
      const http2: ClientConnection = new ClientConnection(clientChunks(socket), settings, {
        ready() {
          const listener = { headers() {}, data() {}, trailers() {}, closed: (code: number) => void codes.push(code) };
          const block = { bytes: encodeHeaderBlock({ ":method": "POST" }), listBytes: 0 };
          setImmediate(() => {
            for (let i = 0; i < 3; i++) http2.start(new ClientStream(block, [frameMessage(x.message)], listener));
          });
        },
        wentAway() {},
        closed: () => resolve(),
      });
    });
    expect(codes.toSorted()).toEqual([0, 0, http2Codes.REFUSED_STREAM]);
  });

  test("comes where the server does not confirm settings", async () => {
    const socket = await connectTo(settings);
    const error = await new Promise<Error | undefined>((resolve) => {
      const owner = { ready() {}, wentAway() {}, closed: resolve };
      new ClientConnection(clientChunks(socket), { settingsTimeoutMs: 40 }, owner);
    });
    expect(error?.message).toBe("the server did not confirm settings within 40 ms");
  });

  test("does not come for want of confirmed settings where a call was answered", async () => {
    const socket = await connectTo(settings);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { promise: isReady, resolve: ready } = Promise.withResolvers<void>();
    const owner = { ready, wentAway() {}, closed() {} };
    const http2 = new ClientConnection(clientChunks(socket), { settingsTimeoutMs: 40 }, owner);
    await isReady;
    const code = await new Promise((closed) => {
      const listener = { headers() {}, data() {}, trailers() {}, closed };
      const block = { bytes: encodeHeaderBlock({ ":method": "POST" }), listBytes: 0 };
      http2.start(new ClientStream(block, [frameMessage(x.message)], listener));
    });
    vi.advanceTimersByTime(100_000);
    expect([code, http2.isReady]).toEqual([0, true]);
  });
});

test("a server that pings is answered while a large message waits for its windows", async () => {
  const { client, peers } = await serveFrames(settings, () => {});
  const call = client.call({ ...x, message: Buffer.alloc(1_000_000), timeoutMs: 5000 });
  await expect.poll(() => peers[0]?.bodyOf(1).length).toBe(65_535);
  peers[0]?.send(encodeFrame(6, 0, 0, Buffer.from("abcdefgh")));
  await expect.poll(() => peers[0]?.of(frameTypes.ping).map(({ payload }) => String(payload))).toEqual(["abcdefgh"]);
  peers[0]?.send(headersFrame(1, 5, encodeHeaderBlock({ ":status": "200", "grpc-status": "8" })));
  expect(await call).toMatchObject({ code: 8 });
  await expect.poll(() => peers[0]?.of(frameTypes.reset)).toHaveLength(1);
});
