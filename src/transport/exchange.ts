/** One request and its response on an undici dispatcher, without streams: the cheapest way undici offers. */

import type { Dispatcher } from "undici";
import { abortedError, HttpError, type RequestPhase, toHttpError } from "./http-error.ts";
import type { HttpResponse } from "./http-messages.ts";
import { ResponseBody } from "./response-body.ts";

/** A request as it goes to the dispatcher. */
export interface ExchangeRequest {
  readonly method: "GET" | "POST";
  /** What the request is for; used in messages. */
  readonly url: URL;
  /** Where the connection goes: the target's origin, or that of a proxy. */
  readonly origin: string;
  /** The request target: a path with query, or the whole URL for a proxy. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
  /** Close the connection after the response. */
  readonly closeAfter: boolean;
  /** The name for SNI where it is not that of the Host header. */
  readonly serverName: string | undefined;
}

/** Told of a response before any of its body arrives, so that a reader begun here gets every chunk without a queue. */
export type EarlyReader = (response: HttpResponse) => void;

/** Sends the request; rejects with HttpError when no response came or the signal ended it. */
export function exchange(
  dispatcher: Dispatcher,
  request: ExchangeRequest,
  readEarly?: EarlyReader | undefined,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const settle = (response: HttpResponse): void => {
      readEarly?.(response);
      resolve(response);
    };
    const handler = new ExchangeHandler(request, settle, reject);
    if (!handler.listen()) {
      return;
    }
    const options = {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      reset: request.closeAfter,
      servername: request.serverName,
    };
    dispatcher.dispatch(options, handler);
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #request: ExchangeRequest;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #body: ResponseBody | undefined;
  #phase: RequestPhase = "connecting";
  #aborted: HttpError | undefined;

  constructor(request: ExchangeRequest, resolve: (response: HttpResponse) => void, reject: (error: Error) => void) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** False when the signal had ended the request before it began. */
  listen(): boolean {
    if (this.#request.signal.aborted) {
      this.#onAbort();
      return false;
    }
    this.#request.signal.addEventListener("abort", this.#onAbort, { once: true });
    return true;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted !== undefined) {
      controller.abort(this.#aborted);
      return;
    }
    this.#phase = "waiting for the response";
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    statusText?: string,
  ): void {
    if (status < 200) {
      return;
    }
    this.#controller = controller;
    this.#phase = "reading the body";
    this.#body = new ResponseBody({
      pause: () => controller.pause(),
      resume: () => controller.resume(),
      stop: () => this.#stop(),
    });
    this.#resolve({ status, statusText: statusText ?? "", headers, body: this.#body });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    this.#unlisten();
    this.#body?.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail(this.#aborted ?? toHttpError(error, this.#failed()));
  }

  readonly #onAbort = (): void => {
    this.#aborted = abortedError(this.#request.signal.reason, this.#failed());
    // Rejected before undici is told: a request that still waits for a connection would be told only at its end.
    this.#fail(this.#aborted);
    this.#controller?.abort(this.#aborted);
  };

  #stop(): void {
    this.#unlisten();
    this.#aborted = new HttpError("ABORTED", "the body was not wanted");
    this.#controller?.abort(this.#aborted);
  }

  #fail(error: Error): void {
    this.#unlisten();
    if (this.#body === undefined) {
      this.#reject(error);
    } else {
      this.#body.fail(error);
    }
  }

  #failed(): { method: string; url: URL; phase: RequestPhase } {
    return { method: this.#request.method, url: this.#request.url, phase: this.#phase };
  }

  #unlisten(): void {
    this.#request.signal.removeEventListener("abort", this.#onAbort);
  }
}
