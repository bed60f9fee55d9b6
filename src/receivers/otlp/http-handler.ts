/** OTLP over HTTP: one POST is one request, in protobuf or JSON, packed or not. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { encodeExportResponse, exportResponseJson, type PartialSuccess } from "../../codec/otlp/export-response.ts";
import { rpcStatusJson } from "../../codec/otlp/rpc-status.ts";
import { type CorsCheck, createCors } from "../../component/http-cors.ts";
import {
  checkCaller,
  type RequestHeaders,
  type ServerAuthenticator,
  withRequestParams,
} from "../../component/server-auth.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import { type ContentCoding, unpack } from "../../transport/content-coding.ts";
import { encodeStatus, GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import { pathOf } from "../../transport/http-router.ts";
import type { HttpHandler } from "../../transport/http-server.ts";
import type { OtlpHttpConfig } from "./config.ts";
import type { Intake } from "./intake.ts";
import { readBody } from "./read-body.ts";
import { httpStatus } from "./refusal.ts";
import { type ClientSettings, httpClientInfo } from "./request-client.ts";

export interface HttpParts {
  readonly config: OtlpHttpConfig;
  readonly intake: Intake;
  readonly budget: ByteBudget;
  readonly authenticator: ServerAuthenticator | undefined;
}

const defaultMaxBodyBytes = 20 * 1024 * 1024;
const defaultWriteTimeoutMs = 30_000;

type Encoding = "application/x-protobuf" | "application/json";

/** Names in `Content-Encoding`; `deflate` is a zlib stream, and `snappy` is read in both of its forms. */
const codings: Readonly<Record<string, ContentCoding>> = {
  gzip: "gzip",
  zstd: "zstd",
  zlib: "zlib",
  deflate: "zlib",
  snappy: "snappy",
  "x-snappy-framed": "snappy-framed",
};

/** Answers every request of the server. */
export function createHttpHandler(parts: HttpParts): HttpHandler {
  const handler = new OtlpHttpHandler(parts);
  return (request, response) => handler.handle(request, response);
}

class OtlpHttpHandler {
  readonly #parts: HttpParts;
  readonly #signals: ReadonlyMap<string, Signal>;
  readonly #cors: CorsCheck | undefined;
  readonly #codings: ReadonlyMap<string, ContentCoding>;
  readonly #takesPlain: boolean;
  readonly #client: ClientSettings;
  readonly #maxBodyBytes: number;
  readonly #writeTimeoutMs: number;
  /** Headers of every answer. */
  readonly #headers: readonly (readonly [string, string])[];

  constructor(parts: HttpParts) {
    const { config } = parts;
    this.#parts = parts;
    this.#signals = new Map<string, Signal>([
      [config.traces_url_path, "traces"],
      [config.metrics_url_path, "metrics"],
      [config.logs_url_path, "logs"],
    ]);
    this.#cors = createCors(config.cors);
    const allowed = config.compression_algorithms;
    const names = Object.keys(codings).filter((name) => allowed?.includes(name as never) ?? true);
    this.#codings = new Map(names.map((name) => [name, codings[name] as ContentCoding]));
    this.#client = { includeMetadata: config.include_metadata, authenticator: parts.authenticator };
    this.#takesPlain = allowed === undefined || allowed.length === 0 || allowed.includes("");
    this.#maxBodyBytes = config.max_request_body_size || defaultMaxBodyBytes;
    this.#writeTimeoutMs = config.write_timeout || defaultWriteTimeoutMs;
    this.#headers = (config.response_headers ?? []).map(({ name, value }) => [name, value.reveal()]);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of this.#headers) response.setHeader(name, value);
    if (!this.#parts.config.keep_alives_enabled) response.setHeader("connection", "close");
    response.on("prefinish", () => this.#limitReading(response));
    if (this.#cors?.(request, response)) return;
    const signal = this.#signals.get(pathOf(request));
    if (signal === undefined || !this.#parts.intake.takes(signal)) {
      answerText(request, response, 404, "404 page not found");
      return;
    }
    if (request.method !== "POST") {
      response.setHeader("allow", "POST");
      answerText(request, response, 405, "405 method not allowed, supported: [POST]");
      return;
    }
    const encoding = encodingOf(request.headers["content-type"]);
    if (encoding === undefined) {
      const text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
      answerText(request, response, 415, text);
      return;
    }
    try {
      const partial = await this.#take(request, signal, encoding === "application/json");
      answerSuccess(response, signal, { encoding, partial });
    } catch (caught) {
      if (response.destroyed || request.errored) return;
      if (!(caught instanceof GrpcError)) throw caught;
      answerFailure(request, response, encoding, caught);
    }
  }

  async #take(request: IncomingMessage, signal: Signal, isJson: boolean): Promise<PartialSuccess | undefined> {
    const { intake, budget } = this.#parts;
    const headers = await this.#authenticate(request);
    const coding = this.#codingOf(request.headers["content-encoding"]);
    const hold = { budget, bytes: 0 };
    try {
      const body = await readBody(request, hold, this.#maxBodyBytes);
      const bytes = coding === undefined ? body : this.#unpack(coding, body);
      if (bytes !== body) holdMore(hold, bytes.length);
      const client = httpClientInfo(request, headers, this.#client);
      return await intake.take(signal, bytes, { transport: "http", isJson, client });
    } finally {
      budget.give(hold.bytes);
    }
  }

  /** The headers with the parameters that stand for some. */
  async #authenticate(request: IncomingMessage): Promise<RequestHeaders> {
    const { authenticator, config } = this.#parts;
    if (authenticator === undefined) return request.headers;
    const headers = withRequestParams(request.headers, request.url, config.auth?.request_params);
    const refused = await checkCaller(authenticator, headers);
    if (refused !== undefined) throw new GrpcError(grpcCodes.UNAUTHENTICATED, refused);
    return headers;
  }

  #codingOf(header: string | undefined): ContentCoding | undefined {
    const name = header?.trim().toLowerCase() ?? "";
    if (name === "" || name === "identity") {
      if (this.#takesPlain) return undefined;
      throw new GrpcError(grpcCodes.INVALID_ARGUMENT, "bodies must be packed here");
    }
    const coding = this.#codings.get(name);
    if (coding !== undefined) return coding;
    throw new GrpcError(
      grpcCodes.INVALID_ARGUMENT,
      `unsupported Content-Encoding: ${JSON.stringify(name.slice(0, 100))}`,
    );
  }

  #unpack(coding: ContentCoding, body: Uint8Array): Uint8Array {
    try {
      const bytes = unpack(coding, body, this.#maxBodyBytes);
      if (bytes !== "too-large") return bytes;
    } catch (caught) {
      if (!(caught instanceof DecodeError)) throw caught;
      throw new GrpcError(grpcCodes.INVALID_ARGUMENT, `cannot unpack the body: ${caught.message}`, { cause: caught });
    }
    const message = `the body has more than ${this.#maxBodyBytes} bytes when unpacked`;
    throw new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, message);
  }

  /** A client that never reads its answer does not keep the connection. */
  #limitReading(response: ServerResponse): void {
    const { socket } = response;
    if (socket === null || socket.writableLength === 0) return;
    const timer = setTimeout(() => socket.destroy(), this.#writeTimeoutMs);
    timer.unref();
    response.once("finish", () => clearTimeout(timer));
    socket.once("close", () => clearTimeout(timer));
  }
}

function holdMore(hold: { readonly budget: ByteBudget; bytes: number }, bytes: number): void {
  if (!hold.budget.take(bytes)) {
    throw new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, "too many requests under way", { retryAfterMs: 1000 });
  }
  hold.bytes += bytes;
}

function encodingOf(contentType: string | undefined): Encoding | undefined {
  if (contentType === "application/x-protobuf" || contentType === "application/json") return contentType;
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  return type === "application/x-protobuf" || type === "application/json" ? type : undefined;
}

function answerSuccess(
  response: ServerResponse,
  signal: Signal,
  { encoding, partial }: { readonly encoding: Encoding; readonly partial: PartialSuccess | undefined },
): void {
  const body = successBody(signal, encoding, partial);
  response.writeHead(200, { "content-type": encoding, "content-length": body.length }).end(body);
}

/** Without a partial success, a response in protobuf has no bytes. */
function successBody(signal: Signal, encoding: Encoding, partial: PartialSuccess | undefined): Buffer | string {
  if (encoding === "application/json") {
    const text = exportResponseJson(signal, partial);
    return partial === undefined ? text : Buffer.from(text);
  }
  return partial === undefined ? "" : Buffer.from(encodeExportResponse(partial));
}

/** The body is a google.rpc.Status in the request's encoding. */
function answerFailure(
  request: IncomingMessage,
  response: ServerResponse,
  encoding: Encoding,
  { code, message, retryAfterMs }: GrpcError,
): void {
  const body =
    encoding === "application/json"
      ? Buffer.from(rpcStatusJson({ code, message, retryAfterMs }))
      : encodeStatus(code, message, retryAfterMs);
  const headers: Record<string, string | number> = { "content-type": encoding, "content-length": body.length };
  if (retryAfterMs !== undefined) headers["retry-after"] = Math.max(1, Math.ceil(retryAfterMs / 1000));
  response.writeHead(httpStatus(code, retryAfterMs !== undefined), headers).end(body);
  discard(request);
}

function answerText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
  discard(request);
}

/** What is still read of a body that is not wanted, so that its sender comes to read the answer. */
const maxDiscardedBytes = 4 * 1024 * 1024;
const maxDiscardMs = 5000;

function discard(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  let left = maxDiscardedBytes;
  const timer = setTimeout(() => request.destroy(), maxDiscardMs);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.resume();
}
