/** One request at an HTTP/1.1 server, as the handler of the server has it. */

import type { Http1Answer } from "./http1-answer.ts";
import type { BodyListener } from "./http1-body-reader.ts";
import type { HeaderRecord, RequestHead } from "./http1-request-head.ts";

/** The connection of a request. */
export interface ExchangeConnection {
  readonly remoteAddress: string;
  readBody(exchange: Http1Exchange, listener: BodyListener): void;
  answer(exchange: Http1Exchange, answer: Http1Answer): void;
  fail(exchange: Http1Exchange, error: unknown): void;
  isCurrent(exchange: Http1Exchange): boolean;
}

/** Answers requests. */
export interface Http1Handler {
  /**
   * A request's head has come. The handler answers now or later; before that it may ask for the body. What it throws, and what
   * its body listener throws, becomes a 500 without details.
   */
  handle(exchange: Http1Exchange): void;
  /** For a client to read an answer, in milliseconds. */
  readonly writeTimeoutMs: number;
}

export class Http1Exchange {
  readonly #connection: ExchangeConnection;
  readonly #head: RequestHead;

  constructor(connection: ExchangeConnection, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
  }

  get method(): string {
    return this.#head.method;
  }

  /** The target as it was sent. */
  get url(): string {
    return this.#head.url;
  }

  get headers(): HeaderRecord {
    return this.#head.headers;
  }

  /** One of the headers, by its name in lower case; Content-Length and Set-Cookie are none. */
  header(name: string): string | undefined {
    return this.#head.header(name);
  }

  /** Names and values in turn. */
  get rawHeaders(): readonly string[] {
    return this.#head.rawHeaders;
  }

  /** Bytes of the body that were announced; -1 where they were not. */
  get contentLength(): number {
    return this.#head.contentLength;
  }

  /** Empty behind a socket file. */
  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  /** Nobody waits for the answer any more: it was given, or the connection has ended. */
  get isOver(): boolean {
    return !this.#connection.isCurrent(this);
  }

  /** Hands the body on, once; what of it has come already, before this returns. */
  readBody(listener: BodyListener): void {
    this.#connection.readBody(this, listener);
  }

  /** Answers the request, once; what of its body was not read is passed over. */
  answer(answer: Http1Answer): void {
    this.#connection.answer(this, answer);
  }

  /** Answers 500 without details, and tells the server's owner what happened. */
  fail(error: unknown): void {
    this.#connection.fail(this, error);
  }
}
