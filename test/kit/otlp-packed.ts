/** gRPC with codings that @grpc/grpc-js does not know, on node:http2: a client and a server for tests, apart from Millrace's own. */

import { connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { deflateSync, gunzipSync, gzipSync, inflateSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { packSnappyFramed, unpackSnappyFramed } from "../../src/transport/snappy-frames.ts";

interface Coding {
  pack(bytes: Uint8Array): Uint8Array;
  unpack(bytes: Uint8Array): Uint8Array;
}

const most = 64 * 1024 * 1024;

function unpackFramed(bytes: Uint8Array): Uint8Array {
  const unpacked = unpackSnappyFramed(bytes, most);
  if (unpacked === "too-large") throw new Error("more than a test sends");
  return unpacked;
}

/** By their names in `grpc-encoding` and `content-encoding`; of snappy the framed format. */
export const packings: Readonly<Record<string, Coding>> = {
  gzip: { pack: gzipSync, unpack: gunzipSync },
  zstd: { pack: zstdCompressSync, unpack: zstdDecompressSync },
  deflate: { pack: deflateSync, unpack: inflateSync },
  snappy: { pack: packSnappyFramed, unpack: unpackFramed },
};

const headerBytes = 5;

function frame(message: Uint8Array, isPacked: boolean): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = isPacked ? 1 : 0;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** Makes one call after another, each packed; rejects when one does not end with OK. */
export async function callPacked(
  port: number,
  coding: string,
  calls: readonly { readonly path: string; readonly message: Uint8Array }[],
): Promise<void> {
  const packing = packings[coding];
  if (packing === undefined) throw new Error(`no coding ${coding}`);
  const session = connect(`http://127.0.0.1:${port}`);
  const failed = new Promise<never>((_resolve, reject) => void session.once("error", reject));
  try {
    for (const { path, message } of calls) {
      const status = await Promise.race([callOnce(path, frame(packing.pack(message), true)), failed]);
      if (status !== "0") throw new Error(`${path}: ${status}`);
    }
  } finally {
    session.close();
  }

  function callOnce(path: string, body: Buffer): Promise<string> {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-encoding": coding,
    });
    let status = "no status";
    const read = (headers: object) => {
      if ("grpc-status" in headers) {
        const reason = "grpc-message" in headers ? headers["grpc-message"] : "";
        status = `${headers["grpc-status"]} ${reason}`.trim();
      }
    };
    stream.on("response", read).on("trailers", read).resume().end(body);
    return new Promise((resolve, reject) => void stream.once("error", reject).once("close", () => resolve(status)));
  }
}

export interface PackedServer extends Disposable {
  /** host:port. */
  readonly address: string;
}

/** Takes every call and hands path, coding and message on. */
export async function servePacked(
  take: (call: { readonly path: string; readonly coding: string; readonly message: Uint8Array }) => void,
): Promise<PackedServer> {
  const server: Http2Server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const body = Buffer.concat(chunks);
      const coding = String(headers["grpc-encoding"] ?? "identity");
      const message = body.subarray(headerBytes);
      const unpacked = body[0] === 1 ? packings[coding]?.unpack(message) : message;
      const isTaken = unpacked !== undefined && body.readUInt32BE(1) === message.length;
      if (isTaken) take({ path: String(headers[":path"]), coding, message: Uint8Array.from(unpacked) });
      stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": isTaken ? "0" : "3" }));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.end(frame(new Uint8Array(), false));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}
