/** OTLP over HTTP: one POST is one request, in protobuf or JSON, packed or not. */

import { type CorsCheck, createCors } from "../../component/http-cors.ts";
import {
  checkCaller,
  type RequestHeaders,
  type ServerAuthenticator,
  withRequestParams,
} from "../../component/server-auth.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import type { ContentCoding } from "../../transport/content-coding.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import { pathOf } from "../../transport/http-router.ts";
import type { HeaderField } from "../../transport/http1-answer.ts";
import type { Http1Exchange, Http1Handler } from "../../transport/http1-exchange.ts";
import type { OtlpHttpConfig } from "./config.ts";
import { type Encoding, HttpAnswers } from "./http-answers.ts";
import { type CallSettings, HttpCall } from "./http-call.ts";
import type { Intake } from "./intake.ts";
import { profilesPaths, type UnservedSignals } from "./unserved-signals.ts";

export interface HttpParts {
  readonly config: OtlpHttpConfig;
  readonly intake: Intake;
  readonly unserved: UnservedSignals;
  readonly budget: ByteBudget;
  readonly authenticator: ServerAuthenticator | undefined;
}

const defaultMaxBodyBytes = 20 * 1024 * 1024;
const defaultWriteTimeoutMs = 30_000;
const noFields: readonly HeaderField[] = [];

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
export function createHttpHandler(parts: HttpParts): Http1Handler {
  return new OtlpHttpHandler(parts);
}

class OtlpHttpHandler implements Http1Handler {
  readonly writeTimeoutMs: number;
  readonly #calls: CallSettings;
  readonly #signals: ReadonlyMap<string, Signal>;
  readonly #unserved: UnservedSignals;
  readonly #cors: CorsCheck | undefined;
  readonly #authenticator: ServerAuthenticator | undefined;
  /** Parameters of the URL that stand for headers. */
  readonly #requestParams: readonly string[] | undefined;
  readonly #codings: ReadonlyMap<string, ContentCoding>;
  readonly #takesPlain: boolean;

  constructor({ config, intake, unserved, budget, authenticator }: HttpParts) {
    this.writeTimeoutMs = config.write_timeout || defaultWriteTimeoutMs;
    const fields = (config.response_headers ?? []).map(({ name, value }) => [name, value.reveal()] as const);
    this.#calls = {
      intake,
      budget,
      maxBodyBytes: config.max_request_body_size || defaultMaxBodyBytes,
      client: { includeMetadata: config.include_metadata, authenticator },
      answers: new HttpAnswers(fields, !config.keep_alives_enabled),
    };
    this.#signals = new Map<string, Signal>([
      [config.traces_url_path, "traces"],
      [config.metrics_url_path, "metrics"],
      [config.logs_url_path, "logs"],
    ]);
    this.#unserved = unserved;
    this.#cors = createCors(config.cors);
    this.#authenticator = authenticator;
    this.#requestParams = config.auth?.request_params;
    const allowed = config.compression_algorithms;
    const names = Object.keys(codings).filter((name) => allowed?.includes(name as never) ?? true);
    this.#codings = new Map(names.map((name) => [name, codings[name] as ContentCoding]));
    this.#takesPlain = allowed === undefined || allowed.length === 0 || allowed.includes("");
  }

  handle(exchange: Http1Exchange): void {
    const { answers, intake } = this.#calls;
    const ofOrigin = this.#cors?.(exchange);
    const cors = ofOrigin?.fields ?? noFields;
    if (ofOrigin?.isPreflight === true) {
      exchange.answer(answers.preflight(cors));
      return;
    }
    const path = pathOf(exchange);
    const signal = this.#signals.get(path) ?? this.#signals.get(plainPath(path));
    if (signal === undefined || !intake.takes(signal)) {
      if (exchange.method === "POST") this.#countUnserved(signal, path);
      exchange.answer(answers.text(404, "404 page not found", cors));
      return;
    }
    if (exchange.method !== "POST") {
      const text = "405 method not allowed, supported: [POST]";
      exchange.answer(answers.text(405, text, [...cors, ["allow", "POST"]]));
      return;
    }
    const encoding = encodingOf(exchange.header("content-type"));
    if (encoding === undefined) {
      const text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
      exchange.answer(answers.text(415, text, cors));
      return;
    }
    this.#take(exchange, new HttpCall(this.#calls, exchange, { signal, encoding, cors }));
  }

  #countUnserved(signal: Signal | undefined, path: string): void {
    if (signal !== undefined) this.#unserved.count("http", signal);
    else if (path === profilesPaths.http) this.#unserved.count("http", "profiles");
  }

  #take(exchange: Http1Exchange, call: HttpCall): void {
    if (this.#authenticator === undefined) {
      this.#begin(exchange, call, undefined);
      return;
    }
    const headers = withRequestParams(exchange.headers, exchange.url, this.#requestParams);
    const go = (refused: string | undefined): void => {
      if (refused === undefined) this.#begin(exchange, call, headers);
      else call.refuse(new GrpcError(grpcCodes.UNAUTHENTICATED, refused));
    };
    const answer = checkCaller(this.#authenticator, headers);
    if (answer instanceof Promise) answer.then(go).catch((caught: unknown) => exchange.fail(caught));
    else go(answer);
  }

  #begin(exchange: Http1Exchange, call: HttpCall, callerHeaders: RequestHeaders | undefined): void {
    try {
      call.begin(this.#codingOf(exchange.header("content-encoding")), callerHeaders);
    } catch (caught) {
      call.refuse(caught);
    }
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
}

/** Of an absolute address (RFC 9112, 3.2.2) the path; slashes that the end of a client's endpoint has doubled count once. */
function plainPath(path: string): string {
  return path.replace(/^https?:\/\/[^/]*/i, "").replace(/\/{2,}/g, "/");
}

function encodingOf(contentType: string | undefined): Encoding | undefined {
  if (contentType === "application/x-protobuf" || contentType === "application/json") return contentType;
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  return type === "application/x-protobuf" || type === "application/json" ? type : undefined;
}
