/** How connections are read: into one buffer that they share, where node:net can be brought to it, else by their `data` events. */

import { type OnReadOpts, Socket } from "node:net";
import { releaseChunk } from "./release-chunk.ts";

/** A connection and who hears of what comes on it. */
export interface SocketReads {
  readonly socket: Socket;
  /** Told of every read; to be set before the first. The chunk's memory is used for something else afterwards. */
  listener: (chunk: Buffer) => void;
}

/** Larger than most requests: one read, where chunks of 64 KiB are several and memory of their own each. */
const bufferBytes = 256 * 1024;

// What was read is used up before anything else can be.
let sharedBuffer: Buffer | undefined;

/**
 * Reads a connection that its server accepted with `pauseOnConnect` and nobody has listened to: into the shared buffer where
 * that can be. The socket of the result is to be used then, and not the accepted one any more.
 */
export function readShared(accepted: Socket): SocketReads {
  return shareReads(accepted) ?? readChunks(accepted);
}

/** Reads by `data` events. */
export function readChunks(socket: Socket): SocketReads {
  const reads = new Reads(socket);
  socket.on("data", (chunk: Buffer) => {
    reads.listener(chunk);
    releaseChunk(chunk);
  });
  // It may have been accepted paused.
  socket.resume();
  return reads;
}

/** A client's connection. */
export interface ClientReads {
  readonly socket: Socket;
  /** Once: tells `listener` of every read, those before too. The chunk's memory is used for something else afterwards. */
  start(listener: (chunk: Buffer) => void): void;
}

/** Reads a client's connection, which `connect` makes with this way to read, into the shared buffer. */
export function connectShared(connect: (onread: OnReadOpts) => Socket): ClientReads {
  sharedBuffer ??= Buffer.allocUnsafeSlow(bufferBytes);
  const buffer = sharedBuffer;
  let early: Buffer[] = [];
  let listen = (chunk: Buffer): void => void early.push(Buffer.from(chunk));
  const callback = (bytes: number) => {
    listen(buffer.subarray(0, bytes));
    return true;
  };
  return {
    socket: connect({ buffer, callback }),
    start(listener) {
      listen = listener;
      const chunks = early;
      early = [];
      for (const chunk of chunks) listener(chunk);
    },
  };
}

/** Reads a client's connection that was made elsewhere by `data` events. */
export function clientChunks(socket: Socket): ClientReads {
  return {
    socket,
    start(listener) {
      readChunks(socket).listener = listener;
    },
  };
}

class Reads implements SocketReads {
  socket: Socket;
  listener: (chunk: Buffer) => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
  }
}

/** What node:net keeps of an accepted connection. It is not documented, so it is looked at before it is used. */
interface Internals {
  _handle?: unknown;
  _server?: unknown;
  server?: unknown;
}

/**
 * Node takes a buffer to read into (`onread`) from clients alone: so the accepted connection is handed to a socket made as theirs
 * are. Undefined where this Node does not look as expected; nothing has changed then.
 */
function shareReads(accepted: Socket): SocketReads | undefined {
  const from = accepted as unknown as Internals;
  const { _handle: handle, _server: server } = from;
  if (!takesBuffer(handle) || typeof server !== "object" || server === null) return undefined;
  sharedBuffer ??= Buffer.allocUnsafeSlow(bufferBytes);
  const buffer = sharedBuffer;
  const reads = new Reads(accepted);
  const callback = (bytes: number) => {
    reads.listener(buffer.subarray(0, bytes));
    return true;
  };
  const options = { handle, onread: { buffer, callback }, allowHalfOpen: accepted.allowHalfOpen };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  reads.socket = socket;
  const to = socket as unknown as Internals;
  // By this the server counts its connections and ends with the last; the accepted socket's end is not the connection's now.
  to._server = server;
  to.server = server;
  from._handle = null;
  from._server = null;
  return reads;
}

function takesBuffer(handle: unknown): boolean {
  const use: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "useUserBuffer") : undefined;
  return typeof use === "function";
}
