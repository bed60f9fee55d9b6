/** One unary call at the client: from its headers to a typed result. */

import type { IncomingHttpHeaders } from "node:http";
import { DecodeError } from "../model/errors.ts";
import { unpack } from "./content-coding.ts";
import { decodeStatus, grpcCodes, percentDecode, type StatusDetail } from "./grpc-status.ts";
import { decodeBinaryHeader, grpcCodings, MessageReader } from "./grpc-wire.ts";
import type { ClientConnection } from "./http2-client-connection.ts";
import { ClientStream, type RequestBlock, type ResponseListener } from "./http2-client-stream.ts";
import { http2Codes } from "./http2-wire.ts";

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
  readonly headers: RequestBlock;
  /** The frame, in pieces. */
  readonly frame: readonly Uint8Array[];
  readonly maxResponseBytes: number;
}

/** A call under way. A connection that takes none gives an outcome that was not taken. */
export class ClientCall implements ResponseListener {
  readonly outcome: Promise<CallOutcome>;
  readonly #http2: ClientConnection;
  readonly #stream: ClientStream;
  readonly #reader: MessageReader;
  #resolve: (outcome: CallOutcome) => void = () => {};
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #passedBytes = 0;
  #isDone = false;

  constructor(http2: ClientConnection, { headers, frame, maxResponseBytes }: ClientCallOptions) {
    this.#http2 = http2;
    this.#reader = new MessageReader(maxResponseBytes);
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#stream = new ClientStream(headers, frame, this);
    http2.start(this.#stream);
  }

  /** Gives it up with this status. */
  cancel(code: number, message: string): void {
    this.#end({ result: failedResult(code, message), wasNotTaken: false });
    this.#http2.cancel(this.#stream);
  }

  headers(headers: IncomingHttpHeaders): void {
    this.#headers = headers;
    if (headers["grpc-status"] !== undefined) this.#trailers = headers;
  }

  trailers(trailers: IncomingHttpHeaders): void {
    this.#trailers = trailers;
  }

  data(chunk: Buffer): void {
    if (this.#isDone) return;
    if (this.#headers?.[":status"] !== "200") {
      this.#passOver(chunk);
      return;
    }
    if (this.#reader.push(chunk)) return;
    const tooLarge = `the response has ${this.#reader.declaredBytes} bytes, more than are taken`;
    const isLarge = this.#reader.fault === "too-large";
    const code = isLarge ? grpcCodes.RESOURCE_EXHAUSTED : grpcCodes.INTERNAL;
    this.cancel(code, isLarge ? tooLarge : "malformed response");
  }

  /** A page that tells of an error; its end is waited for within the bound of an answer. */
  #passOver(chunk: Buffer): void {
    this.#passedBytes += chunk.length;
    if (this.#passedBytes <= this.#reader.maxBytes) return;
    this.#end({ result: this.#result(http2Codes.NO_ERROR, undefined), wasNotTaken: false });
    this.#http2.cancel(this.#stream);
  }

  closed(code: number, why: string | undefined): void {
    const wasNotTaken = this.#headers === undefined && code === http2Codes.REFUSED_STREAM;
    this.#end({ result: this.#result(code, why), wasNotTaken });
  }

  #end(outcome: CallOutcome): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#resolve(outcome);
  }

  #result(closeCode: number, why: string | undefined): GrpcResult {
    const trailers = this.#trailers;
    if (trailers === undefined) return this.#resultWithoutStatus(closeCode, why);
    const code = statusCode(trailers["grpc-status"]);
    const message = percentDecode(String(trailers["grpc-message"] ?? ""));
    if (code === grpcCodes.OK) {
      // A status that came first holds only where all of the answer came, and where it was gRPC that answered.
      const isWhole = closeCode === http2Codes.NO_ERROR && this.#headers?.[":status"] === "200";
      return isWhole ? this.#response(trailers) : this.#resultWithoutStatus(closeCode, why);
    }
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
    const isSent = this.#http2.isWritten(this.#stream);
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
  #resultWithoutStatus(closeCode: number, why: string | undefined): GrpcResult {
    const status = Number(this.#headers?.[":status"] ?? 200);
    if (status !== 200) {
      return failedResult(httpCodes[status] ?? grpcCodes.UNKNOWN, `the server answered with HTTP status ${status}`);
    }
    const isInsecure = closeCode === http2Codes.INADEQUATE_SECURITY;
    return failedResult(isInsecure ? grpcCodes.PERMISSION_DENIED : grpcCodes.UNAVAILABLE, why ?? closeText(closeCode));
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

const closeNames: ReadonlyMap<number, string> = new Map(Object.entries(http2Codes).map(([name, code]) => [code, name]));

/** As users know it from node:http2. */
function closeText(code: number): string {
  if (code === http2Codes.NO_ERROR) return "stream ended without a status (NO_ERROR)";
  if (code === http2Codes.CANCEL) return `stream ended without a status (reset code ${code})`;
  const name = closeNames.get(code);
  return `Stream closed with error code ${name === undefined ? code : `NGHTTP2_${name}`}`;
}
