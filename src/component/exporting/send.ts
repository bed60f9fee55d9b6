/** What an exporter does to send OTLP requests, and what comes of it. */

import type { OtlpRequest, Signal } from "../../model/otlp-request.ts";

/** What is to be sent at once: requests of one signal that are one message when their bytes stand behind one another. */
export interface OutgoingRequest {
  readonly signal: Signal;
  readonly requests: readonly OtlpRequest[];
  readonly items: number;
  readonly bytes: number;
}

/** What a server said of a request that it took. */
export interface SendAnswer {
  /** Items of it that it did not take, for good. */
  readonly rejectedItems: number;
  /** Why. */
  readonly message?: string | undefined;
  /** Whether nobody reads the bytes of the request any more, not even a socket; absent where that is not known. */
  readonly isSent?: boolean | undefined;
}

/** One attempt. Rejects with a ConsumeError; `signal` ends it. */
export type Send = (request: OutgoingRequest, signal: AbortSignal) => Promise<SendAnswer>;
