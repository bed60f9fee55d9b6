/** One OTLP request over HTTP, from its body to its answer. */

import type { PartialSuccess } from "../../codec/otlp/export-response.ts";
import type { RequestHeaders } from "../../component/server-auth.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";
import type { ByteBudget } from "../../transport/byte-budget.ts";
import { type ContentCoding, unpack } from "../../transport/content-coding.ts";
import { GrpcError, grpcCodes } from "../../transport/grpc-status.ts";
import type { HeaderField } from "../../transport/http1-answer.ts";
import type { BodyListener } from "../../transport/http1-body-reader.ts";
import type { Http1Exchange } from "../../transport/http1-exchange.ts";
import type { Encoding, HttpAnswers } from "./http-answers.ts";
import type { Intake } from "./intake.ts";
import { LimitedBody } from "./read-body.ts";
import { type ClientSettings, httpClientInfo } from "./request-client.ts";

/** What all calls share. */
export interface CallSettings {
  readonly intake: Intake;
  readonly budget: ByteBudget;
  readonly maxBodyBytes: number;
  readonly client: ClientSettings;
  readonly answers: HttpAnswers;
}

/** What a request's head says. */
export interface CallHead {
  readonly signal: Signal;
  readonly encoding: Encoding;
  readonly cors: readonly HeaderField[];
}

export class HttpCall implements BodyListener {
  readonly #settings: CallSettings;
  readonly #exchange: Http1Exchange;
  readonly #head: CallHead;
  #coding: ContentCoding | undefined;
  #callerHeaders: RequestHeaders | undefined;
  #body: LimitedBody | undefined;

  constructor(settings: CallSettings, exchange: Http1Exchange, head: CallHead) {
    this.#settings = settings;
    this.#exchange = exchange;
    this.#head = head;
  }

  /** Takes the body; `callerHeaders` are those that an authenticator saw. */
  begin(coding: ContentCoding | undefined, callerHeaders: RequestHeaders | undefined): void {
    const { budget, maxBodyBytes } = this.#settings;
    this.#coding = coding;
    this.#callerHeaders = callerHeaders;
    this.#body = new LimitedBody(budget, maxBodyBytes, this.#exchange.contentLength);
    this.#exchange.readBody(this);
  }

  bodyPart(part: Buffer): void {
    try {
      this.#body?.add(part);
    } catch (caught) {
      this.refuse(caught);
    }
  }

  bodyEnded(): void {
    const { signal, encoding } = this.#head;
    const { intake } = this.#settings;
    let bytes: Uint8Array;
    try {
      bytes = this.#unpacked();
    } catch (caught) {
      this.refuse(caught);
      return;
    }
    const client = httpClientInfo(this.#exchange, this.#callerHeaders, this.#settings.client);
    intake
      .take(signal, bytes, { transport: "http", isJson: encoding === "application/json", client })
      .then(
        (partial) => this.#succeed(partial),
        (caught: unknown) => this.refuse(caught),
      )
      .catch((caught: unknown) => this.#exchange.fail(caught));
  }

  bodyCut(): void {
    this.#body?.release();
  }

  /** Answers with what was thrown: a GrpcError as it says, anything else without details. */
  refuse(caught: unknown): void {
    this.#body?.release();
    // Nobody waits for the answer any more.
    if (this.#exchange.isOver) return;
    const { encoding, cors } = this.#head;
    if (caught instanceof GrpcError) this.#exchange.answer(this.#settings.answers.failure(encoding, caught, cors));
    else this.#exchange.fail(caught);
  }

  #succeed(partial: PartialSuccess | undefined): void {
    this.#body?.release();
    const { signal, encoding, cors } = this.#head;
    this.#exchange.answer(this.#settings.answers.success(signal, encoding, { partial, cors }));
  }

  #unpacked(): Uint8Array {
    const body = this.#body?.take() ?? new Uint8Array(0);
    if (this.#coding === undefined) return body;
    const bytes = unpackWithin(this.#coding, body, this.#settings.maxBodyBytes);
    this.#body?.hold(bytes.length);
    return bytes;
  }
}

function unpackWithin(coding: ContentCoding, body: Uint8Array, maxBytes: number): Uint8Array {
  try {
    const bytes = unpack(coding, body, maxBytes);
    if (bytes !== "too-large") return bytes;
  } catch (caught) {
    if (!(caught instanceof DecodeError)) throw caught;
    throw new GrpcError(grpcCodes.INVALID_ARGUMENT, `cannot unpack the body: ${caught.message}`, { cause: caught });
  }
  throw new GrpcError(grpcCodes.RESOURCE_EXHAUSTED, `the body has more than ${maxBytes} bytes when unpacked`);
}
