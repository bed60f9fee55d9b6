/** One unary call at the server: from its headers to its trailers. */

import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { DecodeError, toError } from "../model/errors.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { type ContentCoding, unpack } from "./content-coding.ts";
import { encodeStatus, GrpcError, grpcCodes, percentEncode } from "./grpc-status.ts";
import {
  acceptedEncodings,
  encodeBinaryHeader,
  frameMessage,
  grpcCodings,
  MessageReader,
  parseTimeout,
} from "./grpc-wire.ts";

/** What a method is called with. */
export interface GrpcRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Lower-case names; those that end with `-bin` are base64, see `decodeBinaryHeader`. */
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came: here nothing is joined. */
  readonly rawHeaders: readonly string[];
  /** The client's IP address; empty behind a socket file. */
  readonly remoteAddress: string;
  /** The unpacked message, in memory of its own. */
  readonly message: Uint8Array;
}

/** Answers with the response message. A GrpcError becomes the status of the call; anything else becomes INTERNAL without details. */
export type GrpcMethod = (request: GrpcRequest) => Promise<Uint8Array>;

/** What all calls of a server share. */
export interface CallSettings {
  /** The method at a path; undefined answers UNIMPLEMENTED. Asked for every call. */
  readonly methodAt: (path: string) => GrpcMethod | undefined;
  /** Throws or rejects with a GrpcError for a caller that may not call; asked before the message is read. */
  readonly authenticate: ((headers: IncomingHttpHeaders) => void | Promise<void>) | undefined;
  readonly maxMessageBytes: number;
  readonly budget: ByteBudget;
  /** For the whole message to come. */
  readonly receiveTimeoutMs: number;
  /** For the answer to be read. */
  readonly sendTimeoutMs: number;
  readonly onError: (error: Error, path: string) => void;
}

/** Told what happens to a call. */
export interface CallOwner {
  /** The stream is closed; nothing follows. `wasReset`: the client gave it up. */
  callEnded(call: ServerCall, wasReset: boolean): void;
  /** The client's IP address; empty behind a socket file. */
  readonly remoteAddress: string;
}

/** The headers of a call as node:http2 has them, and names and values in turn as they came. */
export interface CallHeaders {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
}

const okHeaders: OutgoingHttpHeaders = { ":status": 200, "content-type": "application/grpc" };
const okTrailers: OutgoingHttpHeaders = { "grpc-status": "0" };
const withTrailers = { waitForTrailers: true, sendDate: false };
const withoutBody = { endStream: true, sendDate: false };
const emptyFrame = frameMessage(new Uint8Array(0));
const budgetRetryMs = 1000;

/** Owns the stream. All ends lead through `#finish`. */
export class ServerCall {
  readonly #settings: CallSettings;
  readonly #owner: CallOwner;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #rawHeaders: readonly string[];
  readonly #path: string;
  #coding: ContentCoding | undefined;
  #heldBytes = 0;
  /** The client's time limit, by performance.now(). */
  #deadlineMs = Number.POSITIVE_INFINITY;
  /** When the phase that the call is in has taken too long. */
  #phaseEndMs = Number.POSITIVE_INFINITY;
  #isAnswered = false;

  constructor(
    settings: CallSettings,
    owner: CallOwner,
    stream: ServerHttp2Stream,
    { headers, rawHeaders }: CallHeaders,
  ) {
    this.#settings = settings;
    this.#owner = owner;
    this.#stream = stream;
    this.#headers = headers;
    this.#rawHeaders = rawHeaders;
    this.#path = String(headers[":path"] ?? "");
    stream.on("error", ignore);
    stream.once("close", () => this.#closed());
  }

  /** Checks the headers and begins to read. */
  begin(nowMs: number): void {
    const headers = this.#headers;
    if (headers[":method"] !== "POST") {
      this.#refuseHttp(405, "gRPC needs POST");
      return;
    }
    if (!isGrpc(headers["content-type"])) {
      this.#refuseHttp(415, "expected content-type application/grpc");
      return;
    }
    const timeout = headers["grpc-timeout"];
    const timeoutMs = typeof timeout === "string" ? parseTimeout(timeout) : Number.POSITIVE_INFINITY;
    if (timeoutMs === undefined) {
      this.#fail(grpcCodes.INTERNAL, "malformed grpc-timeout");
      return;
    }
    this.#deadlineMs = nowMs + timeoutMs;
    const method = this.#settings.methodAt(this.#path);
    if (method === undefined) {
      this.#fail(grpcCodes.UNIMPLEMENTED, `unknown method ${printable(this.#path)}`);
      return;
    }
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      this.#coding = grpcCodings.get(String(encoding));
      if (this.#coding === undefined) {
        this.#fail(grpcCodes.UNIMPLEMENTED, `grpc-encoding ${printable(String(encoding))} is not supported`);
        return;
      }
    }
    this.#phaseEndMs = nowMs + this.#settings.receiveTimeoutMs;
    const pending = this.#authenticate();
    if (pending === undefined) this.#read(method);
    else
      pending.then(
        () => this.#read(method),
        (caught: unknown) => this.#failWith(caught),
      );
  }

  /** Ends the call when one of its time limits has passed. */
  checkTime(nowMs: number): void {
    if (nowMs < this.#phaseEndMs && nowMs < this.#deadlineMs) return;
    if (this.#isAnswered) {
      if (nowMs >= this.#phaseEndMs) this.#stream.close(constants.NGHTTP2_CANCEL);
    } else if (nowMs >= this.#deadlineMs) {
      this.#fail(grpcCodes.DEADLINE_EXCEEDED, "the time limit of the call has passed");
    } else {
      this.#fail(grpcCodes.DEADLINE_EXCEEDED, `no complete message within ${this.#settings.receiveTimeoutMs} ms`);
    }
  }

  /** A promise only where the check takes its time. */
  #authenticate(): Promise<void> | undefined {
    try {
      return this.#settings.authenticate?.(this.#headers) ?? undefined;
    } catch (caught) {
      return Promise.reject(caught);
    }
  }

  #read(method: GrpcMethod): void {
    if (this.#isAnswered || this.#stream.destroyed) return;
    const reader = new MessageReader(this.#settings.maxMessageBytes);
    this.#stream.on("data", (chunk: Buffer) => this.#receive(reader, chunk));
    this.#stream.once("end", () => this.#received(reader, method));
  }

  #receive(reader: MessageReader, chunk: Buffer): void {
    if (this.#isAnswered) return;
    if (!this.#hold(chunk.length)) {
      this.#refuseForMemory();
      return;
    }
    if (reader.push(chunk)) return;
    const { maxMessageBytes } = this.#settings;
    if (reader.fault === "too-large") {
      const size = `${reader.declaredBytes} bytes, at most ${maxMessageBytes} are taken`;
      this.#fail(grpcCodes.RESOURCE_EXHAUSTED, `the message has ${size}`);
    } else if (reader.fault === "second") {
      this.#fail(grpcCodes.INTERNAL, "more than one message in a unary call");
    } else {
      this.#fail(grpcCodes.INTERNAL, "malformed message frame");
    }
  }

  #received(reader: MessageReader, method: GrpcMethod): void {
    // A client that gives up ends its stream as well.
    if (this.#isAnswered || this.#stream.closed || this.#stream.destroyed) return;
    if (!reader.isComplete) {
      const what = reader.isEmpty ? "no message in the call" : "the message is cut off";
      this.#fail(grpcCodes.INTERNAL, what);
      return;
    }
    const message = this.#unpack(reader);
    if (message === undefined) return;
    this.#phaseEndMs = Number.POSITIVE_INFINITY;
    const { remoteAddress } = this.#owner;
    method({ path: this.#path, headers: this.#headers, rawHeaders: this.#rawHeaders, remoteAddress, message }).then(
      (response) => this.#succeed(response),
      (caught: unknown) => this.#failWith(caught),
    );
  }

  #unpack(reader: MessageReader): Uint8Array | undefined {
    if (!reader.isPacked) return reader.take();
    if (this.#coding === undefined) {
      this.#fail(grpcCodes.INTERNAL, "a packed message without grpc-encoding");
      return undefined;
    }
    const { maxMessageBytes } = this.#settings;
    try {
      const message = unpack(this.#coding, reader.view(), maxMessageBytes);
      if (message === "too-large") {
        this.#fail(grpcCodes.RESOURCE_EXHAUSTED, `the message has more than ${maxMessageBytes} bytes when unpacked`);
        return undefined;
      }
      this.#release();
      if (this.#hold(message.length)) return message;
      this.#refuseForMemory();
    } catch (caught) {
      if (!(caught instanceof DecodeError)) throw caught;
      this.#fail(grpcCodes.INTERNAL, `cannot unpack the message: ${caught.message}`);
    }
    return undefined;
  }

  #refuseForMemory(): void {
    const error = new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, "too many requests under way", {
      retryAfterMs: budgetRetryMs,
    });
    this.#failWith(error);
  }

  #succeed(response: Uint8Array): void {
    if (this.#isAnswered || this.#stream.destroyed) return;
    this.#finish();
    this.#stream.respond(okHeaders, withTrailers);
    this.#stream.once("wantTrailers", () => {
      if (!this.#stream.destroyed) this.#stream.sendTrailers(okTrailers);
    });
    this.#stream.end(response.length === 0 ? emptyFrame : frameMessage(response));
  }

  #failWith(caught: unknown): void {
    if (caught instanceof GrpcError) {
      this.#fail(caught.code, caught.message, caught.retryAfterMs);
      return;
    }
    this.#settings.onError(toError(caught), this.#path);
    this.#fail(grpcCodes.INTERNAL, "internal error");
  }

  /** Answers with headers alone, which are the trailers as well. */
  #fail(code: number, message: string, retryAfterMs?: number): void {
    if (this.#isAnswered) return;
    const headers: OutgoingHttpHeaders = {
      ...okHeaders,
      "grpc-accept-encoding": acceptedEncodings,
      "grpc-status": String(code),
      "grpc-message": percentEncode(message),
    };
    if (retryAfterMs !== undefined) {
      headers["grpc-status-details-bin"] = encodeBinaryHeader(encodeStatus(code, message, retryAfterMs));
    }
    this.#endWith(headers);
  }

  #refuseHttp(status: number, message: string): void {
    this.#endWith({ ":status": status, "content-type": "text/plain; charset=utf-8", "grpc-message": message });
  }

  #endWith(headers: OutgoingHttpHeaders): void {
    this.#finish();
    if (this.#stream.destroyed || this.#stream.headersSent) return;
    const wasComplete = this.#stream.readableEnded;
    this.#stream.respond(headers, withoutBody);
    // RFC 9113 section 8.1: the rest of the request is not wanted, and not an error.
    if (!wasComplete) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #finish(): void {
    this.#isAnswered = true;
    this.#release();
    this.#phaseEndMs = performance.now() + this.#settings.sendTimeoutMs;
  }

  #hold(bytes: number): boolean {
    if (!this.#settings.budget.take(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  #release(): void {
    this.#settings.budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #closed(): void {
    const wasReset = !this.#isAnswered || this.#stream.rstCode === constants.NGHTTP2_CANCEL;
    this.#isAnswered = true;
    this.#release();
    this.#owner.callEnded(this, wasReset);
  }
}

function ignore(): void {}

/** `application/grpc` and `application/grpc+proto`, with parameters. */
function isGrpc(contentType: string | undefined): boolean {
  return (
    contentType === "application/grpc" ||
    (contentType !== undefined && /^application\/grpc(?:\+proto)?(?:;|$)/.test(contentType))
  );
}

const maxShown = 100;

/** A text from the other side for a message: bounded. */
function printable(text: string): string {
  return JSON.stringify(text.length > maxShown ? `${text.slice(0, maxShown)}...` : text);
}
