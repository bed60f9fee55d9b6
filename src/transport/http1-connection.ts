/** A server's side of an HTTP/1.1 connection: one request at a time, read from the socket's chunks and answered in one write. */

import type { Socket } from "node:net";
import { toError } from "../model/errors.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { continueAnswer, encodeAnswer, encodeRefusal, type Http1Answer, ownAnswers } from "./http1-answer.ts";
import { type BodyListener, BodyReader } from "./http1-body-reader.ts";
import { type ExchangeConnection, Http1Exchange, type Http1Handler } from "./http1-exchange.ts";
import { HeadReader } from "./http1-head-reader.ts";
import { HeldBytes } from "./http1-held-bytes.ts";
import { RequestFault, type RequestHead } from "./http1-request-head.ts";
import { isOver, WriteWatch } from "./http1-write-watch.ts";
import type { SocketReads } from "./socket-reads.ts";

export interface ConnectionSettings {
  readonly handler: Http1Handler;
  readonly maxHeaderBytes: number;
  /** 0 is unlimited, as of the next two. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** What `keepAliveLines` gives for it. */
  readonly keepAlive: string;
  /** For what came before it could be read on, of all connections. */
  readonly held: ByteBudget;
  readonly onError: (error: Error) => void;
  readonly onClose: (connection: Http1Connection) => void;
}

/** What is still read of a body that is not wanted, so that its sender comes to read the answer. */
const maxDiscardedBytes = 4 * 1024 * 1024;
const maxDiscardMs = 5000;
/** For a client to end its side after a refusal, which a reset could overtake. */
const lingerMs = 1000;
/** More than the client is told, so that it is the first to end an idle connection. */
const keepAliveGraceMs = 1000;

/** The head is read; or it is the handler's turn, before or after the body; the body is read, or passed over; or the end has begun. */
type State = "head" | "held" | "body" | "answering" | "discarding" | "ending";

export class Http1Connection implements ExchangeConnection {
  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  readonly #heads: HeadReader;
  readonly #body = new BodyReader();
  readonly #writes: WriteWatch;
  /** What came while it could not be read on. */
  readonly #held: HeldBytes;
  #state: State = "head";
  #exchange: Http1Exchange | undefined;
  #listener: BodyListener | undefined;
  #head: RequestHead | undefined;
  #awaitsContinue = false;
  #isReading = false;
  #isClosing = false;
  /** Something that came behind the request was not kept. */
  #isCut = false;
  #isClosed = false;
  #hasServed = false;
  #hasClientEnded = false;
  #discardedBytes = 0;
  /** When the present wait began, as the first check since then saw it. */
  #sinceMs = -1;
  #remoteAddress: string | undefined;

  constructor(reads: SocketReads, settings: ConnectionSettings) {
    const { socket } = reads;
    this.#socket = socket;
    this.#settings = settings;
    this.#heads = new HeadReader(settings.maxHeaderBytes);
    this.#writes = new WriteWatch(socket);
    this.#held = new HeldBytes(settings.held);
    reads.listener = (chunk) => this.#receive(chunk);
    // Errors end the connection and are the client's.
    socket.on("error", () => {});
    socket.on("drain", () => this.#goOn());
    socket.once("end", () => this.#clientEnded());
    socket.once("close", () => this.#closed());
  }

  get remoteAddress(): string {
    // Node asks the system: once for a connection.
    this.#remoteAddress ??= this.#socket.remoteAddress ?? "";
    return this.#remoteAddress;
  }

  isCurrent(exchange: Http1Exchange): boolean {
    return this.#exchange === exchange;
  }

  /** Ends it now where no request is under way, else after the answer. */
  drain(): void {
    this.#isClosing = true;
    // A first request may be on its way: it is waited for until the next check but one.
    if (this.#isIdle && (this.#hasServed || this.#sinceMs >= 0)) this.#end(true);
  }

  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  /** Looks at every time limit; called a few times a second. */
  check(nowMs: number): void {
    const { handler, headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs } = this.#settings;
    if (isOver(this.#writes.waitedMs(nowMs), handler.writeTimeoutMs)) {
      this.destroy();
      return;
    }
    if (this.#sinceMs < 0) this.#sinceMs = nowMs;
    const waitedMs = nowMs - this.#sinceMs;
    switch (this.#state) {
      case "head":
        if (this.#isClosing && this.#isIdle) {
          if (waitedMs > 0) this.#end(true);
        } else if (this.#hasServed && this.#isIdle) {
          if (isOver(waitedMs, keepAliveTimeoutMs, keepAliveGraceMs)) this.#end(true);
        } else if (this.#writes.isFull) this.#sinceMs = -1;
        else if (isOver(waitedMs, headersTimeoutMs) || isOver(waitedMs, requestTimeoutMs)) this.#refuse(408);
        return;
      case "held":
      case "body":
      case "answering":
        if (!this.#body.isComplete && isOver(waitedMs, requestTimeoutMs)) this.#refuse(408);
        // Whether it still reads shows only when it is answered.
        else if (this.#hasClientEnded && isOver(waitedMs, handler.writeTimeoutMs)) this.destroy();
        return;
      case "discarding":
        if (waitedMs >= maxDiscardMs) this.destroy();
        return;
      case "ending":
        // The client still reads what it was told.
        if (this.#writes.isWaiting) this.#sinceMs = -1;
        else if (waitedMs >= (this.#body.isComplete ? lingerMs : maxDiscardMs)) this.destroy();
    }
  }

  get #isIdle(): boolean {
    return this.#state === "head" && this.#held.isEmpty && !this.#heads.hasBegun;
  }

  #receive(chunk: Buffer): void {
    if (this.#state === "ending" || this.#isCut) {
      this.#discard(chunk.length);
      return;
    }
    const rest = this.#held.isEmpty ? this.#read(chunk) : chunk;
    if (rest !== undefined) this.#hold(rest);
  }

  /** Keeps what cannot be read on now, and reads no more: at most what one read brings. */
  #hold(rest: Buffer): void {
    if (this.#held.add(rest)) {
      this.#socket.pause();
      return;
    }
    this.#held.release();
    if (this.#exchange === undefined || !this.#body.isComplete) {
      this.#refuse(503);
      return;
    }
    // The request is answered all the same, and the connection ends with it: what comes behind it is lost.
    this.#isClosing = true;
    this.#isCut = true;
    this.#socket.pause();
  }

  #goOn(): void {
    if (this.#isReading || this.#isStopped) return;
    const bytes = this.#held.take();
    if (bytes === undefined) return;
    const rest = this.#read(bytes);
    if (rest !== undefined) {
      this.#held.putBack(rest);
      return;
    }
    this.#held.release();
    if (this.#hasClientEnded) this.#actOnEnd();
    else this.#socket.resume();
  }

  /** Nothing is read until the handler goes on, or the client has read what it was told. */
  get #isStopped(): boolean {
    return this.#state === "held" || this.#state === "answering" || (this.#state === "head" && this.#writes.isFull);
  }

  /** What could not be read on of it. */
  #read(chunk: Buffer): Buffer | undefined {
    this.#isReading = true;
    let at = 0;
    try {
      while (at < chunk.length && !this.#isStopped) at = this.#readOn(chunk, at);
    } catch (caught) {
      if (caught instanceof RequestFault) this.#refuse(caught.status);
      else this.#broken(caught);
      at = chunk.length;
    }
    this.#isReading = false;
    return at < chunk.length ? chunk.subarray(at) : undefined;
  }

  /** The position behind what was understood. */
  #readOn(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(chunk, at);
      case "body": {
        const end = this.#body.read(chunk, at, this.#listener);
        // A listener may have answered.
        if (this.#body.isComplete && this.#state === "body") this.#bodyEnded();
        return end;
      }
      case "discarding": {
        const end = this.#body.read(chunk, at, undefined);
        this.#discard(end - at);
        if (this.#body.isComplete && this.#state === "discarding") this.#next();
        return end;
      }
      default:
        this.#discard(chunk.length - at);
        return chunk.length;
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    // Of the first request the time began with the connection.
    const beginsWait = this.#hasServed && !this.#heads.hasBegun;
    const head = this.#heads.read(chunk, at);
    if (beginsWait && (head !== undefined || this.#heads.hasBegun)) this.#sinceMs = -1;
    if (head === undefined) return chunk.length;
    const { end } = this.#heads;
    this.#begin(head);
    return end;
  }

  #begin(head: RequestHead): void {
    this.#body.begin(head);
    this.#head = head;
    this.#state = "held";
    const exchange = new Http1Exchange(this, head);
    this.#exchange = exchange;
    this.#awaitsContinue = false;
    if (head.expectation !== undefined && !head.isOld) {
      this.#awaitsContinue = !this.#body.isComplete;
      if (head.expectation !== "100-continue") {
        this.answer(exchange, ownAnswers.noExpectation);
        return;
      }
    }
    try {
      this.#settings.handler.handle(exchange);
    } catch (caught) {
      this.fail(exchange, caught);
    }
  }

  readBody(exchange: Http1Exchange, listener: BodyListener): void {
    if (this.#exchange !== exchange) {
      listener.bodyCut();
      return;
    }
    this.#listener = listener;
    this.#state = "body";
    if (this.#body.isComplete) {
      this.#bodyEnded();
      return;
    }
    if (this.#awaitsContinue) this.#writes.write(continueAnswer);
    this.#awaitsContinue = false;
    this.#goOn();
  }

  #bodyEnded(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#state = "answering";
    listener?.bodyEnded();
  }

  answer(exchange: Http1Exchange, answer: Http1Answer): void {
    if (this.#exchange !== exchange) return;
    const head = this.#head;
    const isComplete = this.#body.isComplete;
    // A client that waits for leave to send its body may send it or not after a refusal: where the next request begins is not known.
    const ends = this.#isClosing || this.#awaitsContinue || answer.closes === true || head?.keepsAlive !== true;
    const keepAlive = ends ? undefined : this.#settings.keepAlive;
    this.#forget();
    this.#writes.write(encodeAnswer(answer, { keepAlive, isHead: head?.method === "HEAD" }));
    if (ends) this.#end(isComplete && !this.#isCut);
    else if (isComplete) this.#next();
    else {
      this.#state = "discarding";
      this.#sinceMs = -1;
      this.#discardedBytes = 0;
      this.#goOn();
    }
  }

  fail(exchange: Http1Exchange, error: unknown): void {
    this.#settings.onError(toError(error));
    this.answer(exchange, ownAnswers.internalError);
  }

  #forget(): void {
    this.#exchange = undefined;
    this.#listener = undefined;
    this.#head = undefined;
  }

  /** The request is answered and read whole. */
  #next(): void {
    this.#state = "head";
    this.#hasServed = true;
    this.#sinceMs = -1;
    if (this.#isClosing) this.#end(true);
    else this.#goOn();
  }

  /** What a listener threw. */
  #broken(caught: unknown): void {
    const exchange = this.#exchange;
    this.#settings.onError(toError(caught));
    // The rest of the chunk is lost, and with it where the next request begins.
    if (exchange !== undefined) this.answer(exchange, { ...ownAnswers.internalError, closes: true });
    else this.#end(false);
  }

  /** The client is told why; whoever reads the body hears that it is cut. */
  #refuse(status: number): void {
    const listener = this.#listener;
    const isAnswered = this.#state === "discarding";
    this.#forget();
    if (!isAnswered) this.#writes.write(encodeRefusal(status));
    this.#end(false);
    listener?.bodyCut();
  }

  /** No more requests; what comes is passed over until the client ends its side, since a reset could overtake the answer. */
  #end(isComplete: boolean): void {
    this.#state = "ending";
    this.#sinceMs = -1;
    this.#discardedBytes = 0;
    this.#held.release();
    if (isComplete || this.#hasClientEnded) {
      this.#socket.destroySoon();
      return;
    }
    this.#socket.end();
    this.#socket.resume();
  }

  #discard(bytes: number): void {
    this.#discardedBytes += bytes;
    if (this.#discardedBytes > maxDiscardedBytes) this.destroy();
  }

  #clientEnded(): void {
    this.#hasClientEnded = true;
    // Over TLS this is told although reading is paused: what came before it is read first.
    if (this.#held.isEmpty) this.#actOnEnd();
    else this.#sinceMs = -1;
  }

  #actOnEnd(): void {
    // A request that came whole is answered.
    if (this.#exchange !== undefined && this.#body.isComplete) {
      this.#isClosing = true;
      this.#sinceMs = -1;
    } else if (this.#isIdle || this.#state === "discarding" || this.#state === "ending") this.#end(true);
    else this.#refuse(400);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const listener = this.#listener;
    this.#state = "ending";
    this.#held.release();
    this.#forget();
    listener?.bodyCut();
    this.#settings.onClose(this);
  }
}
