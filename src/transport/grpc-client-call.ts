/** One unary call at the client: from its headers to a typed result. */

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { DecodeError, toError } from "../model/errors.ts";
import { unpack } from "./content-coding.ts";
import { decodeStatus, grpcCodes, percentDecode, type StatusDetail } from "./grpc-status.ts";
import { decodeBinaryHeader, grpcCodings, MessageReader } from "./grpc-wire.ts";

/** What came of a call. Never an exception: a connection that fails is UNAVAILABLE. */
export interface GrpcResult {
  /** One of `grpcCodes`. */
  readonly code: number;
  /** From the server, or what went wrong on the way. */
  readonly message: string;
  /** The wait that a RetryInfo asks for; undefined without one. */
  readonly retryAfterMs: number | undefined;
  readonly details: readonly StatusDetail[];
  /** The response message where the code is OK. */
  readonly response: Uint8Array;
  /** Of the server's last headers; binary ones are base64. */
  readonly trailers: IncomingHttpHeaders;
  /** Whether the memory of the message is not read any more: all of it is in the kernel. */
  readonly isSent?: boolean | undefined;
}

/** What one attempt came to. */
export interface CallOutcome {
  readonly result: GrpcResult;
  /** The server has certainly not looked at the call: it may be sent again. */
  readonly wasNotTaken: boolean;
}

const noBytes = new Uint8Array(0);
const noTrailers: IncomingHttpHeaders = {};

/** A result without anything from a server. */
export function failedResult(code: number, message: string): GrpcResult {
  return { code, message, retryAfterMs: undefined, details: [], response: noBytes, trailers: noTrailers };
}

export interface ClientCallOptions {
  readonly headers: OutgoingHttpHeaders;
  /** The frame, in pieces. */
  readonly frame: readonly Uint8Array[];
  readonly maxResponseBytes: number;
}

/** A call under way. */
export interface RunningCall {
  readonly outcome: Promise<CallOutcome>;
  /** Gives it up with this status. */
  cancel(code: number, message: string): void;
}

/** Sends a call; a session that takes none gives an outcome that was not taken. */
export function startCall(session: ClientHttp2Session, options: ClientCallOptions): RunningCall {
  let stream: ClientHttp2Stream;
  try {
    stream = session.request(options.headers, { endStream: false });
  } catch (caught) {
    const result = failedResult(grpcCodes.UNAVAILABLE, toError(caught).message);
    return { outcome: Promise.resolve({ result, wasNotTaken: true }), cancel: () => {} };
  }
  return new ClientCall(stream, options);
}

class ClientCall implements RunningCall {
  readonly outcome: Promise<CallOutcome>;
  readonly #stream: ClientHttp2Stream;
  readonly #reader: MessageReader;
  #resolve: (outcome: CallOutcome) => void = () => {};
  #headers: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #error: Error | undefined;
  #hasEnded = false;
  #isDone = false;

  constructor(stream: ClientHttp2Stream, { frame, maxResponseBytes }: ClientCallOptions) {
    this.#stream = stream;
    this.#reader = new MessageReader(maxResponseBytes);
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    stream.on("error", (error) => {
      this.#error = error;
    });
    stream.once("response", (headers) => {
      this.#headers = headers;
      if (headers["grpc-status"] !== undefined) this.#trailers = headers;
    });
    stream.once("trailers", (trailers) => {
      this.#trailers = trailers;
      if (this.#hasEnded) this.#finish();
    });
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.once("end", () => {
      this.#hasEnded = true;
      if (this.#trailers !== undefined) this.#finish();
    });
    stream.once("close", () => this.#finish());
    this.#send(frame);
  }

  cancel(code: number, message: string): void {
    this.#end({ result: failedResult(code, message), wasNotTaken: false });
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #send(frame: readonly Uint8Array[]): void {
    if (frame.length === 1) {
      this.#stream.end(frame[0]);
      return;
    }
    this.#stream.cork();
    for (const piece of frame) this.#stream.write(piece);
    this.#stream.end();
    this.#stream.uncork();
  }

  #receive(chunk: Buffer): void {
    if (this.#isDone || this.#headers?.[":status"] !== 200) return;
    if (this.#reader.push(chunk)) return;
    const tooLarge = `the response has ${this.#reader.declaredBytes} bytes, more than are taken`;
    const isLarge = this.#reader.fault === "too-large";
    const code = isLarge ? grpcCodes.RESOURCE_EXHAUSTED : grpcCodes.INTERNAL;
    this.cancel(code, isLarge ? tooLarge : "malformed response");
  }

  #finish(): void {
    if (this.#isDone) return;
    const result = this.#result();
    const code = this.#stream.rstCode;
    const wasNotTaken = this.#headers === undefined && code === constants.NGHTTP2_REFUSED_STREAM;
    this.#end({ result, wasNotTaken });
    // The server has answered; what was not sent yet is not wanted.
    if (!this.#stream.writableFinished && !this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #end(outcome: CallOutcome): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#resolve(outcome);
  }

  #result(): GrpcResult {
    const trailers = this.#trailers;
    if (trailers === undefined) return this.#resultWithoutStatus();
    const code = statusCode(trailers["grpc-status"]);
    const message = percentDecode(String(trailers["grpc-message"] ?? ""));
    if (code === grpcCodes.OK) return this.#response(trailers);
    const details = trailers["grpc-status-details-bin"];
    const status = typeof details === "string" ? decodeStatus(decodeBinaryHeader(details)) : undefined;
    return {
      code,
      message,
      retryAfterMs: status?.retryAfterMs,
      details: status?.details ?? [],
      response: noBytes,
      trailers,
    };
  }

  #response(trailers: IncomingHttpHeaders): GrpcResult {
    // A server may answer before it has read all: then what is left of the message still waits for the socket.
    const isSent = this.#stream.writableFinished;
    const ok = { code: grpcCodes.OK, message: "", retryAfterMs: undefined, details: [], trailers, isSent };
    const reader = this.#reader;
    // Without a message the server has still said OK.
    if (reader.isEmpty) return { ...ok, response: noBytes };
    if (!reader.isComplete) return failedResult(grpcCodes.INTERNAL, "the response is cut off");
    if (!reader.isPacked) return { ...ok, response: reader.take() };
    const coding = grpcCodings.get(String(this.#headers?.["grpc-encoding"]));
    if (coding === undefined) return failedResult(grpcCodes.INTERNAL, "the response has an unknown encoding");
    try {
      const response = unpack(coding, reader.take(), reader.maxBytes);
      if (response !== "too-large") return { ...ok, response };
      return failedResult(grpcCodes.RESOURCE_EXHAUSTED, "the response is too large when unpacked");
    } catch (caught) {
      if (!(caught instanceof DecodeError)) throw caught;
      return failedResult(grpcCodes.INTERNAL, `cannot unpack the response: ${caught.message}`);
    }
  }

  /** A cut on the way says nothing about the data: UNAVAILABLE, so that it is tried again. */
  #resultWithoutStatus(): GrpcResult {
    const status = this.#headers?.[":status"];
    if (status !== undefined && status !== 200) {
      return failedResult(httpCodes[status] ?? grpcCodes.UNKNOWN, `the server answered with HTTP status ${status}`);
    }
    const reset = this.#stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
    const why = this.#error === undefined ? `stream ended without a status (${resetName(reset)})` : this.#error.message;
    const isInsecure = reset === constants.NGHTTP2_INADEQUATE_SECURITY;
    return failedResult(isInsecure ? grpcCodes.PERMISSION_DENIED : grpcCodes.UNAVAILABLE, why);
  }
}

/** gRPC's http-grpc-status-mapping.md. */
const httpCodes: Readonly<Record<number, number>> = {
  400: grpcCodes.INTERNAL,
  401: grpcCodes.UNAUTHENTICATED,
  403: grpcCodes.PERMISSION_DENIED,
  404: grpcCodes.UNIMPLEMENTED,
  429: grpcCodes.UNAVAILABLE,
  502: grpcCodes.UNAVAILABLE,
  503: grpcCodes.UNAVAILABLE,
  504: grpcCodes.UNAVAILABLE,
};

function statusCode(header: unknown): number {
  return typeof header === "string" && /^[0-9]{1,9}$/.test(header) ? Number(header) : grpcCodes.UNKNOWN;
}

const resetNames = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"];

function resetName(code: number): string {
  return resetNames[code] ?? `reset code ${code}`;
}
