import { once } from "node:events";
import { type AddressInfo, connect, createServer, Server, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { callByPeer, startOwnServer } from "../../test/support/grpc-kit.ts";
import { readShared, type SocketReads } from "./socket-reads.ts";

/** A server whose connections share their reads, and a client that is connected to it. */
async function connectPair(): Promise<{ server: Server; client: Socket; reads: SocketReads }> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = await accepted;
  const reads = readShared(socket);
  onTestFinished(() => {
    client.destroy();
    reads.socket.destroy();
    server.close();
  });
  return { server, client, reads };
}

/** Collects what comes, and where it lies. */
function listen(reads: SocketReads): { bytes: () => Buffer; memory: Set<ArrayBufferLike> } {
  const chunks: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  reads.listener = (chunk) => {
    chunks.push(Buffer.from(chunk));
    memory.add(chunk.buffer);
  };
  return { bytes: () => Buffer.concat(chunks), memory };
}

test("all connections are read into one buffer, and each listener gets its own bytes", async () => {
  const pairs = [await connectPair(), await connectPair()];
  const heard = pairs.map(({ reads }) => listen(reads));
  const sent = (i: number) => Buffer.alloc(1_000_000, i + 1);
  for (const [i, { client, reads }] of pairs.entries()) {
    client.end(sent(i));
    reads.socket.end("an answer");
  }
  await Promise.all(pairs.map(({ reads }) => once(reads.socket, "close")));
  expect(heard.map(({ bytes }, i) => bytes().equals(sent(i)))).toEqual([true, true]);
  expect(new Set(heard.flatMap(({ memory }) => [...memory])).size).toBe(1);
});

test("the connection keeps its addresses, and can be paused and written to", async () => {
  const { client, reads } = await connectPair();
  const { bytes } = listen(reads);
  expect(reads.socket.remotePort).toBe(client.localPort);
  reads.socket.pause();
  client.write("first");
  reads.socket.write("an answer");
  const [answer] = (await once(client, "data")) as [Buffer];
  expect(answer.toString()).toBe("an answer");
  expect(bytes().length).toBe(0);
  reads.socket.resume();
  await expect.poll(() => bytes().toString()).toBe("first");
});

test("the server counts the connection, and ends with it", async () => {
  const { server, client, reads } = await connectPair();
  const count = () => new Promise((resolve) => server.getConnections((_error, found) => resolve(found)));
  expect(await count()).toBe(1);
  const closed = once(server, "close");
  server.close();
  listen(reads);
  client.end();
  await closed;
  expect(await count()).toBe(0);
});

test("a socket whose inside is another is read by its data events, and its chunks are given back", () => {
  const odd = Object.assign(new Socket(), { _handle: { readStart: () => 0, close: () => {} }, _server: new Server() });
  for (const socket of [new Socket(), odd]) {
    const reads = readShared(socket);
    expect(reads.socket).toBe(socket);
    const { bytes } = listen(reads);
    const chunk = Buffer.from(new Uint8Array([1, 2, 3]).buffer);
    socket.emit("data", chunk);
    expect([...bytes()]).toEqual([1, 2, 3]);
    expect(chunk.length).toBe(0);
  }
  expect(odd).toHaveProperty("_server", expect.any(Server));
});

test("a gRPC server answers where reads cannot be shared as well", async () => {
  const { client } = await connectPair();
  // As if this Node's connections had no such method.
  let kind: unknown = Reflect.get(client, "_handle");
  while (kind !== null && !Object.hasOwn(kind as object, "useUserBuffer")) kind = Object.getPrototypeOf(kind);
  const { useUserBuffer } = kind as { useUserBuffer: unknown };
  Object.assign(kind as object, { useUserBuffer: undefined });
  onTestFinished(() => void Object.assign(kind as object, { useUserBuffer }));
  const { port } = await startOwnServer(async ({ message }) => message);
  const message = Buffer.alloc(300_000, 7);
  expect((await callByPeer(port, message)).response?.equals(message)).toBe(true);
});
