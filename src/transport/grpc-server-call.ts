/** One unary call at the server: from its headers to its trailers. */

import type { IncomingHttpHeaders } from "node:http";
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
import type { MessageHeaders } from "./http2-message-headers.ts";
import type { ServerStream, StreamListener } from "./http2-server-stream.ts";
import { encodeHeaderBlock, type HeaderTexts, http2Codes } from "./http2-wire.ts";

/** What a method is called with. */
export interface GrpcRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Lower-case names; those that end with `-bin` are base64, see `decodeBinaryHeader`. Not to be changed: calls share it. */
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
  /** What the calls of the connection hold whose message is not complete yet; calls keep it up. */
  receivingBytes: number;
}

const headersOfAll: HeaderTexts = { ":status": 200, "content-type": "application/grpc" };
const okHeaders = encodeHeaderBlock(headersOfAll);
const okTrailers = encodeHeaderBlock({ "grpc-status": "0" });
const emptyFrame = frameMessage(new Uint8Array(0));
const budgetRetryMs = 1000;
/** Of the message of a status, which a peer may have written and clients bound: in characters. */
const maxStatusText = 1024;
/** What the calls of one connection that are not complete may hold of the budget, unless it is one call. */
const receivingShare = 1 / 4;

/** Owns the stream. All ends lead through `#finish`. */
export class ServerCall implements StreamListener {
  readonly #settings: CallSettings;
  readonly #owner: CallOwner;
  readonly #stream: ServerStream;
  readonly #headers: IncomingHttpHeaders;
  readonly #rawHeaders: readonly string[];
  readonly #path: string;
  readonly #reader: MessageReader;
  #method: GrpcMethod | undefined;
  #coding: ContentCoding | undefined;
  /** The caller may call. */
  #isAdmitted = false;
  #heldBytes = 0;
  /** The message is not complete yet: what is held counts for the connection. */
  #isReceiving = true;
  /** The client's time limit, by performance.now(). */
  #deadlineMs = Number.POSITIVE_INFINITY;
  /** When the phase that the call is in has taken too long. */
  #phaseEndMs = Number.POSITIVE_INFINITY;
  #isAnswered = false;
  /** Its owner's. */
  place = 0;

  constructor(settings: CallSettings, owner: CallOwner, stream: ServerStream, { headers, rawHeaders }: MessageHeaders) {
    this.#settings = settings;
    this.#owner = owner;
    this.#stream = stream;
    this.#headers = headers;
    this.#rawHeaders = rawHeaders;
    this.#path = String(headers[":path"] ?? "");
    this.#reader = new MessageReader(settings.maxMessageBytes);
    stream.listener = this;
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
    this.#method = method;
    const pending = this.#authenticate();
    if (pending === undefined) {
      this.#isAdmitted = true;
      return;
    }
    // Until then no more is taken than the window of the stream holds.
    this.#stream.pause();
    pending.then(
      () => this.#admit(),
      (caught: unknown) => this.#failWith(caught),
    );
  }

  /** Ends the call when one of its time limits has passed. */
  checkTime(nowMs: number): void {
    if (nowMs < this.#phaseEndMs && nowMs < this.#deadlineMs) return;
    if (this.#isAnswered) {
      if (nowMs >= this.#phaseEndMs) this.#stream.reset(http2Codes.CANCEL);
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

  #admit(): void {
    if (this.#isAnswered || this.#stream.isClosed) return;
    this.#isAdmitted = true;
    this.#stream.resume();
    if (this.#stream.isRequestComplete) this.#received();
  }

  data(chunk: Buffer): void {
    if (this.#isAnswered) return;
    if (!this.#hold(chunk.length)) {
      this.#refuseForMemory();
      return;
    }
    const reader = this.#reader;
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

  ended(): void {
    if (this.#isAdmitted) this.#received();
  }

  #received(): void {
    const method = this.#method;
    if (this.#isAnswered || this.#stream.isClosed || method === undefined) return;
    const reader = this.#reader;
    if (!reader.isComplete) {
      const what = reader.isEmpty ? "no message in the call" : "the message is cut off";
      this.#fail(grpcCodes.INTERNAL, what);
      return;
    }
    this.#owner.receivingBytes -= this.#heldBytes;
    this.#isReceiving = false;
    const message = this.#unpack(reader);
    if (message === undefined) return;
    this.#phaseEndMs = Number.POSITIVE_INFINITY;
    const { remoteAddress } = this.#owner;
    // The method has the message until it settles, also where the call ends before that.
    const lentBytes = this.#heldBytes;
    this.#heldBytes = 0;
    const giveBack = () => this.#settings.budget.give(lentBytes);
    method({ path: this.#path, headers: this.#headers, rawHeaders: this.#rawHeaders, remoteAddress, message }).then(
      (response) => {
        giveBack();
        this.#succeed(response);
      },
      (caught: unknown) => {
        giveBack();
        this.#failWith(caught);
      },
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
      const message = unpack(this.#coding, reader.take(), maxMessageBytes);
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
    if (this.#isAnswered) return;
    this.#finish();
    const body = response.length === 0 ? emptyFrame : frameMessage(response);
    this.#stream.respond({ headers: okHeaders, body, trailers: okTrailers });
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
  #fail(code: number, text: string, retryAfterMs?: number): void {
    if (this.#isAnswered) return;
    const message = text.slice(0, maxStatusText).toWellFormed();
    const details =
      retryAfterMs === undefined
        ? undefined
        : { "grpc-status-details-bin": encodeBinaryHeader(encodeStatus(code, message, retryAfterMs)) };
    this.#endWith({
      ...headersOfAll,
      "grpc-accept-encoding": acceptedEncodings,
      "grpc-status": code,
      "grpc-message": percentEncode(message),
      ...details,
    });
  }

  #refuseHttp(status: number, message: string): void {
    this.#endWith({ ":status": status, "content-type": "text/plain; charset=utf-8", "grpc-message": message });
  }

  #endWith(headers: HeaderTexts): void {
    this.#finish();
    this.#stream.respond({ headers: encodeHeaderBlock(headers) });
  }

  #finish(): void {
    this.#isAnswered = true;
    this.#release();
    this.#phaseEndMs = performance.now() + this.#settings.sendTimeoutMs;
  }

  #hold(bytes: number): boolean {
    const { budget } = this.#settings;
    if (this.#isReceiving) {
      const { receivingBytes } = this.#owner;
      const isAlone = receivingBytes === this.#heldBytes;
      if (!isAlone && receivingBytes + bytes > budget.maxBytes * receivingShare) return false;
    }
    if (!budget.take(bytes)) return false;
    this.#heldBytes += bytes;
    if (this.#isReceiving) this.#owner.receivingBytes += bytes;
    return true;
  }

  #release(): void {
    this.#settings.budget.give(this.#heldBytes);
    if (this.#isReceiving) this.#owner.receivingBytes -= this.#heldBytes;
    this.#heldBytes = 0;
  }

  closed(_code: number, wasGivenUp: boolean): void {
    this.#isAnswered = true;
    this.#release();
    this.#owner.callEnded(this, wasGivenUp);
  }
}

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
