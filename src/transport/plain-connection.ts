/** One kept connection to an HTTP/1.1 server: a request at a time, its response read through a buffer that all share. */

import { isIP, connect as netConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import type { GrowableBuffer } from "./growable-buffer.ts";
import type { RequestPhase } from "./http-error.ts";
import type { ResponseHead } from "./response-head.ts";
import { ResponseReader } from "./response-reader.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** Where a connection goes. */
export interface PlainEndpoint {
  /** Without brackets; unused with `socketPath`. */
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly secure: boolean;
}

export interface PlainConnectionOptions {
  readonly endpoint: PlainEndpoint;
  /** Set where the endpoint is secure. */
  readonly material: TlsMaterial | undefined;
  /** A session of an earlier connection that may be resumed. */
  readonly session: Buffer | undefined;
  /** What the socket is read into; its content is used up before anything else can be read. */
  readonly readBuffer: Buffer;
  readonly connectTimeoutMs: number;
  readonly onSession: (session: Buffer) => void;
  /** Once, when the socket is gone for whatever reason; never during `send`. */
  readonly onClosed: (connection: PlainConnection) => void;
}

/** What is sent, and where the body of the answer goes. */
export interface PlainMessage {
  readonly method: "GET" | "POST";
  /** Request line and headers with the empty line. */
  readonly text: string;
  readonly body: Uint8Array | undefined;
  readonly into: GrowableBuffer;
  readonly maxBytes: number;
}

/** Hears how a request went: exactly one call, after which the connection is idle or closed. */
export interface PlainExchange {
  answered(head: ResponseHead, outcome: "complete" | "too-large"): void;
  /** `isStale` tells that a kept connection was closed before anything of the response came. */
  failed(error: Error, isStale: boolean): void;
}

const keepAliveProbeMs = 60_000;

export class PlainConnection {
  readonly material: TlsMaterial | undefined;
  /** Monotonic milliseconds at which an idle connection is closed; set by the pool. */
  idleUntilMs = 0;
  readonly #socket: Socket;
  readonly #options: PlainConnectionOptions;
  readonly #reader = new ResponseReader();
  #exchange: PlainExchange | undefined;
  #isConnected = false;
  #isClosed = false;
  /** The body of any answer is kept, not only that of a page. */
  #wantsAll = false;
  #served = 0;
  #fault: Error | undefined;
  #connectTimer: NodeJS.Timeout | undefined;
  /** Where the next bytes go: the buffer that all share, or directly to where the body is kept. */
  #reads: Buffer;

  constructor(options: PlainConnectionOptions) {
    this.#options = options;
    this.material = options.material;
    this.#reads = options.readBuffer;
    this.#socket = this.#open();
    const socket = this.#socket;
    socket.setNoDelay(true).setKeepAlive(true, keepAliveProbeMs);
    socket.once(options.endpoint.secure ? "secureConnect" : "connect", () => {
      this.#isConnected = true;
      clearTimeout(this.#connectTimer);
    });
    socket.on("error", (error) => this.#close(error));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#close(undefined));
    this.#connectTimer = setTimeout(() => {
      this.#close(Object.assign(new Error("no connection"), { code: "CONNECT_TIMEOUT" }));
    }, options.connectTimeoutMs);
  }

  /** The head of the answer under way, once it is there. */
  get head(): ResponseHead | undefined {
    return this.#exchange === undefined ? undefined : this.#reader.head;
  }

  get phase(): RequestPhase {
    if (!this.#isConnected) return "connecting";
    return this.#reader.head === undefined ? "waiting for the response" : "reading the body";
  }

  get isUsable(): boolean {
    return !this.#isClosed;
  }

  /** Whether the system has taken all bytes that were sent: nobody reads their memory any more. */
  get isWritten(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** Only on a connection that is idle. */
  send({ method, text, body, into, maxBytes }: PlainMessage, exchange: PlainExchange): void {
    this.#exchange = exchange;
    this.#wantsAll = method === "POST";
    this.#reader.begin(into, maxBytes, this.#wantsAll);
    if (body === undefined) {
      this.#socket.write(text, "latin1");
      return;
    }
    this.#socket.cork();
    this.#socket.write(text, "latin1");
    this.#socket.write(body);
    this.#socket.uncork();
  }

  /** Leaves the request under way without a word and closes the connection. */
  destroy(): void {
    this.#exchange = undefined;
    this.#close(undefined);
  }

  #open(): Socket {
    const { endpoint, material, session, readBuffer, onSession } = this.#options;
    const callback = (length: number): boolean => this.#onRead(length);
    const { host, port, socketPath } = endpoint;
    const place = socketPath === undefined ? { host, port } : { path: socketPath };
    // The function is asked after each call of the callback.
    if (!endpoint.secure) return netConnect({ ...place, onread: { buffer: () => this.#nextReads(), callback } });
    const onread = { buffer: readBuffer, callback };
    const servername = material?.serverName ?? (isIP(host) === 0 ? host : "");
    const socket = tlsConnect({
      ...place,
      // Declared for sockets only, and handed on to the one beneath.
      ...{ onread },
      ALPNProtocols: ["http/1.1"],
      servername,
      ...(session === undefined ? {} : { session }),
      // The name that is verified, which a socket file has none of.
      ...(socketPath === undefined ? {} : { host }),
      ...(material === undefined
        ? {}
        : { secureContext: material.secureContext, rejectUnauthorized: material.rejectUnauthorized }),
      ...(material?.checkServerIdentity === undefined ? {} : { checkServerIdentity: material.checkServerIdentity }),
    });
    socket.on("session", onSession);
    return socket;
  }

  #nextReads(): Buffer {
    this.#reads = this.#reader.room() ?? this.#options.readBuffer;
    return this.#reads;
  }

  #onRead(length: number): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // Nobody asked for these bytes: they must not become the answer to the next request.
      this.#close(undefined);
      return false;
    }
    try {
      const { readBuffer } = this.#options;
      const state = this.#reads === readBuffer ? this.#reader.read(readBuffer, length) : this.#reader.advance(length);
      if (state === "more" && !this.#isUnwanted()) return true;
      this.#answered(exchange, state === "too-large" ? "too-large" : "complete");
    } catch (caught) {
      this.#close(caught instanceof Error ? caught : new Error(String(caught)));
    }
    return !this.#isClosed;
  }

  /** The rest of a body that is no page is not waited for. */
  #isUnwanted(): boolean {
    const { head } = this.#reader;
    return head !== undefined && head.status !== 200 && !this.#wantsAll;
  }

  #answered(exchange: PlainExchange, outcome: "complete" | "too-large"): void {
    const { head } = this.#reader;
    if (head === undefined) return;
    this.#exchange = undefined;
    this.#served += 1;
    if (!this.#reader.isReusable) this.#close(undefined);
    exchange.answered(head, outcome);
  }

  /** The other side sends nothing more. */
  #ended(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#close(undefined);
      return;
    }
    try {
      this.#reader.end();
      this.#answered(exchange, "complete");
    } catch (caught) {
      this.#close(caught instanceof Error ? caught : undefined);
    }
  }

  #close(fault: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fault = fault;
    clearTimeout(this.#connectTimer);
    this.#socket.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#options.onClosed(this);
    const { head } = this.#reader;
    if (this.#wantsAll && head !== undefined) {
      exchange?.answered(head, "too-large");
      return;
    }
    exchange?.failed(this.#fault ?? closedEarly(), this.#served > 0 && !this.#reader.hasBegun);
  }

  /** Time that the server says it keeps the connection, -1 where it does not say. */
  get keptForMs(): number {
    return this.#reader.head?.keptForMs ?? -1;
  }
}

function closedEarly(): Error {
  return Object.assign(new Error("connection closed before the response was complete"), { code: "RESPONSE_CUT_SHORT" });
}
