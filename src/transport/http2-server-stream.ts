/** One request and its answer on a server's HTTP/2 connection. */

import { http2Codes } from "./http2-wire.ts";

/** Hears of what a client sends on a stream. */
export interface StreamListener {
  /** A piece of the body: part of a buffer that is given back afterwards, so that what is wanted of it must be copied. */
  data(chunk: Buffer): void;
  /** The request is complete. */
  ended(): void;
  /** Nothing follows. `code` is that of the reset, or 0; `wasGivenUp` where the client or the end of the connection did it. */
  closed(code: number, wasGivenUp: boolean): void;
}

/** An answer, as header blocks that `encodeHeaderBlock` made. */
export interface StreamAnswer {
  readonly headers: Buffer;
  /** Without body and trailers, the headers are the end. */
  readonly body?: Uint8Array | undefined;
  readonly trailers?: Buffer | undefined;
}

/** What a stream needs of its connection. */
export interface StreamOutput {
  answer(stream: ServerStream, answer: StreamAnswer): void;
  reset(stream: ServerStream, code: number): void;
  grant(stream: ServerStream): void;
}

export class ServerStream {
  readonly id: number;
  readonly #output: StreamOutput;
  listener: StreamListener | undefined;
  /** What the client may send, and what of it has come since it was last given more. */
  receiveWindowBytes: number;
  readBytes = 0;
  /** What the client takes. */
  sendWindowBytes: number;
  /** Of the body, as `content-length` says; NaN where that is no number. */
  readonly #declaredBytes: number | undefined;
  #bodyBytes = 0;
  /** Of an answer that waits for a window. */
  rest: Uint8Array | undefined;
  trailers: Buffer | undefined;
  /** The client has ended its side. */
  isRequestComplete = false;
  isAnswered = false;
  isClosed = false;
  #isPaused = false;

  constructor(
    id: number,
    output: StreamOutput,
    windows: { readonly receiveBytes: number; readonly sendBytes: number },
    declaredBytes: number | undefined,
  ) {
    this.id = id;
    this.#output = output;
    this.receiveWindowBytes = windows.receiveBytes;
    this.sendWindowBytes = windows.sendBytes;
    this.#declaredBytes = declaredBytes;
  }

  /** False where so much more is not what was declared (RFC 9113 section 8.1.1). */
  addBody(bytes: number): boolean {
    this.#bodyBytes += bytes;
    return this.#declaredBytes === undefined || this.#bodyBytes <= this.#declaredBytes;
  }

  /** Whether all that was declared has come. */
  get isBodyWhole(): boolean {
    return this.#declaredBytes === undefined || this.#bodyBytes === this.#declaredBytes;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The client gets no more window than it has. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.isClosed) this.#output.grant(this);
  }

  /** Once; does nothing on a closed stream. The rest of a request that is not complete is not wanted (RFC 9113 section 8.1). */
  respond(answer: StreamAnswer): void {
    if (this.isClosed || this.isAnswered) return;
    this.isAnswered = true;
    this.#output.answer(this, answer);
  }

  reset(code: number = http2Codes.CANCEL): void {
    if (!this.isClosed) this.#output.reset(this, code);
  }
}
