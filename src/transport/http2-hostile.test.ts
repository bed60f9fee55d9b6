/** What a client of raw HTTP/2 may not get from a gRPC server: memory beyond the budget, a wrong end, a reader out of step. */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { createOwnClient, startOwnServer, testPath } from "../../test/support/grpc-kit.ts";
import { headersFrame, many, message, openRaw, RawClient, request, uint32 } from "../../test/support/http2-raw.ts";
import { ByteBudget } from "./byte-budget.ts";
import type { GrpcMethod } from "./grpc-server-call.ts";
import { GrpcError, grpcCodes } from "./grpc-status.ts";
import { type ConnectionOwner, ServerConnection } from "./http2-server-connection.ts";
import { clientPreface, encodeFrame, encodeHeaderBlock, frameTypes, http2Codes, settingsFrame } from "./http2-wire.ts";
import { readChunks } from "./socket-reads.ts";

/** A method whose calls end when the test says so. */
function heldMethod() {
  const answers: (() => void)[] = [];
  const method: GrpcMethod = (call) => new Promise((resolve) => answers.push(() => resolve(call.message)));
  onTestFinished(() => {
    for (const answer of answers) answer();
  });
  return { method, answers };
}

describe("the budget of a server", () => {
  test.each<readonly [string, (client: RawClient) => Promise<void>]>([
    [
      "whose client is gone",
      async (client) => {
        client.send(encodeFrame(3, 0, 1, uint32(http2Codes.CANCEL)));
        client.socket.end();
        await client.closed;
      },
    ],
    [
      "whose time has passed",
      async (client) => void (await expect.poll(() => client.of(frameTypes.headers)).not.toEqual([])),
    ],
  ])("holds the message of a call %s until the method settles", async (_title, end) => {
    const budget = new ByteBudget(1000);
    const { method, answers } = heldMethod();
    const server = await startOwnServer(method, { limits: { budget } });
    const client = new RawClient(server.port);
    const limited = headersFrame(1, 4, Buffer.concat([request, encodeHeaderBlock({ "grpc-timeout": "200m" })]));
    client.send(limited, encodeFrame(0, 1, 1, message));
    await expect.poll(() => answers.length).toBe(1);
    await end(client);
    expect(budget.usedBytes).toBe(message.length);
    answers[0]?.();
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  test("is not for the calls of one connection that never end", async () => {
    const budget = new ByteBudget(4000);
    const server = await startOwnServer(async (call) => call.message, { limits: { budget } });
    const client = new RawClient(server.port);
    const half = Buffer.concat([Buffer.from([0, 0, 0, 3, 0]), Buffer.alloc(395)]);
    for (let i = 0; i < 9; i++) client.send(headersFrame(2 * i + 1), encodeFrame(0, 0, 2 * i + 1, half));
    await expect.poll(() => client.of(frameTypes.headers).length).toBe(7);
    expect(budget.usedBytes).toBe(800);
    const other = await createOwnClient(server.port).call({ path: testPath, message: Buffer.alloc(2000) });
    expect(other.code).toBe(0);
    client.socket.destroy();
    await expect.poll(() => budget.usedBytes).toBe(0);
  });

  test("is for one call that is larger than the share of a connection", async () => {
    const budget = new ByteBudget(4000);
    const server = await startOwnServer(async (call) => call.message, { limits: { budget } });
    const result = await createOwnClient(server.port).call({ path: testPath, message: Buffer.alloc(3000) });
    expect([result.code, budget.usedBytes]).toEqual([0, 0]);
  });
});

test("a client may ping behind every answer", async () => {
  const { method, answers } = heldMethod();
  const client = await openRaw({}, method);
  for (let i = 0; i < 8; i++) client.send(headersFrame(2 * i + 1), encodeFrame(0, 1, 2 * i + 1, message));
  await expect.poll(() => answers.length).toBe(8);
  for (const [i, answer] of answers.entries()) {
    answer();
    await expect.poll(() => client.of(frameTypes.data).length).toBe(i + 1);
    client.send(encodeFrame(6, 0, 0, Buffer.alloc(8)));
    await expect.poll(() => client.of(frameTypes.ping).length).toBe(i + 1);
  }
  expect(client.of(frameTypes.goaway)).toEqual([]);
  client.send(many(4, encodeFrame(6, 0, 0, Buffer.alloc(8))));
  await client.closed;
  expect(client.of(frameTypes.goaway).map(({ payload }) => payload.readUInt32BE(4))).toEqual([11]);
});

test("a status has a text that is bounded", async () => {
  const server = await startOwnServer(async () => {
    throw new GrpcError(grpcCodes.UNAVAILABLE, "\u{1f600}".repeat(100_000), { retryAfterMs: 1000 });
  });
  const result = await createOwnClient(server.port).call({ path: testPath, message: Buffer.from("x") });
  expect([result.code, result.message]).toEqual([14, "\u{1f600}".repeat(512)]);
});

/** A client that has a call under way and knows which the server takes last. */
async function toldOfEnd(): Promise<{ client: RawClient; closed: Promise<void> }> {
  const { method, answers } = heldMethod();
  const server = await startOwnServer(method);
  const client = new RawClient(server.port);
  client.send(headersFrame(1), encodeFrame(0, 1, 1, message));
  await expect.poll(() => answers.length).toBe(1);
  const closed = server.close(60_000);
  await expect.poll(() => client.of(frameTypes.ping).length).toBe(1);
  client.send(...client.of(frameTypes.ping).map(({ payload }) => encodeFrame(6, 1, 0, payload)));
  await expect.poll(() => client.of(frameTypes.goaway).length).toBe(2);
  return { client, closed };
}

describe("the end of a connection", () => {
  test("names the last call that was taken, also where later ones were not", async () => {
    const { client, closed } = await toldOfEnd();
    client.send(headersFrame(3), headersFrame(5), encodeFrame(9, 4, 5));
    await client.closed;
    const lasts = client.of(frameTypes.goaway).map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);
    expect(lasts).toEqual([
      [2 ** 31 - 1, 0],
      [1, 0],
      [1, 1],
    ]);
    await closed;
  });

  test("comes to a client that opens calls behind it without end", async () => {
    const { client, closed } = await toldOfEnd();
    // More than a server that has run for long lets pass.
    client.send(Buffer.concat(Array.from({ length: 5000 }, (_, i) => headersFrame(2 * i + 3))));
    await client.closed;
    expect(client.of(frameTypes.goaway).map(({ payload }) => payload.readUInt32BE(4))).toEqual([0, 0, 11]);
    await closed;
  });

  test("comes with what nobody expected, since the rest cannot be read", () => {
    const sent: Buffer[] = [];
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        sent.push(chunk);
        done();
      },
    });
    const owner: ConnectionOwner = {
      opened: () => {
        throw new Error("unexpected");
      },
      refused: () => {},
      pinged: () => {},
      idle: () => {},
      closed: () => {},
    };
    const sizes = { maxStreams: 10, maxHeaderBytes: 1000, streamWindowBytes: 100_000, connectionWindowBytes: 100_000 };
    new ServerConnection(readChunks(socket as unknown as Socket), { ...sizes, sendTimeoutMs: 1000 }, owner);
    const bytes = Buffer.concat([clientPreface, settingsFrame([]), headersFrame(1), encodeFrame(0, 1, 1, message)]);
    expect(() => socket.emit("data", bytes)).toThrow("unexpected");
    const goaway = encodeFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Codes.INTERNAL_ERROR)]));
    expect(Buffer.concat(sent).subarray(-goaway.length)).toEqual(goaway);
    expect(() => socket.emit("data", Buffer.from("anything"))).not.toThrow();
  });
});
