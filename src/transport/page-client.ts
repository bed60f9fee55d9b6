/** Gets the same pages again and again at the least cost: plain HTTP/1.1 where that is enough, undici everywhere else. */

import { performance } from "node:perf_hooks";
import type { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { toHttpError } from "./http-error.ts";
import { PlainFirst, type PlainFirstOptions } from "./plain-first.ts";
import { type FetchLimits, PlainTarget, type TargetRequest } from "./plain-target.ts";
import { isRedirect } from "./redirects.ts";

export interface PageAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** `complete` means that a body of status 200 is whole in the buffer; other bodies are not kept. */
  readonly outcome: "complete" | "too-large";
}

/** One page. Several fetches may be under way at once, each with a buffer of its own. */
export interface PageSource {
  /** Every failure is an HttpError; TIMEOUT at the time limit, ABORTED by the signal. */
  fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer>;
}

export interface PageClient {
  /** Keep it for as long as the page is fetched: what it works out once is not worked out again. */
  source(request: TargetRequest): PageSource;
  /** Ends all fetches, after waiting `graceMs` (0 unless given) for those under way. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

/** Opens nothing and reads nothing before the first fetch. */
export function createPageClient(config: HttpClientConfig, options: PlainFirstOptions): PageClient {
  const client = new PlainFirst(config, options);
  return {
    source(request) {
      const isPlain = client.isPlain(request.url, request.socketPath);
      return isPlain ? new PlainSource(client, request) : new FallbackSource(client, request);
    },
    close: (graceMs = 0) => client.close(graceMs),
  };
}

/** A page over plain HTTP/1.1, until its target answers with a redirect. */
class PlainSource implements PageSource {
  readonly #client: PlainFirst;
  readonly #request: TargetRequest;
  readonly #target: PlainTarget;
  /** Set once the target has answered with a redirect. */
  #elsewhere: FallbackSource | undefined;

  constructor(client: PlainFirst, request: TargetRequest) {
    this.#client = client;
    this.#request = request;
    this.#target = new PlainTarget(client, "GET", request);
  }

  fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer> {
    if (this.#elsewhere !== undefined) return this.#elsewhere.fetch(into, limits, signal);
    const startMs = performance.now();
    return this.#target.askFor(
      ({ head, outcome }) => {
        if (this.#client.config.followRedirects !== false && isRedirect(head.status, head.location)) {
          return this.#fetchElsewhere(into, limits, signal, startMs);
        }
        const { status, statusText, contentType, contentEncoding } = head;
        return { status, statusText, contentType, contentEncoding, outcome };
      },
      into,
      limits,
      signal,
    );
  }

  #fetchElsewhere(
    into: GrowableBuffer,
    limits: FetchLimits,
    signal: AbortSignal,
    startMs: number,
  ): Promise<PageAnswer> {
    this.#elsewhere = new FallbackSource(this.#client, this.#request);
    const timeoutMs = Math.max(1, limits.timeoutMs - (performance.now() - startMs));
    return this.#elsewhere.fetch(into, { maxBytes: limits.maxBytes, timeoutMs }, signal);
  }
}

/** Through undici: proxies, redirects, OAuth 2.0, HTTP/2. */
class FallbackSource implements PageSource {
  readonly #client: PlainFirst;
  readonly #request: TargetRequest;

  constructor(client: PlainFirst, request: TargetRequest) {
    this.#client = client;
    this.#request = request;
  }

  async fetch(into: GrowableBuffer, limits: FetchLimits, signal: AbortSignal): Promise<PageAnswer> {
    const { url, headers, socketPath } = this.#request;
    const ending = new AbortController();
    const abort = () => ending.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(
      () => ending.abort(new DOMException("time limit reached", "TimeoutError")),
      limits.timeoutMs,
    );
    try {
      const request = { method: "GET" as const, url, headers, socketPath, signal: ending.signal };
      const answer = await this.#client.fallback.collect(request, into, limits.maxBytes);
      return {
        status: answer.status,
        statusText: answer.statusText,
        contentType: first(answer.headers["content-type"]),
        contentEncoding: first(answer.headers["content-encoding"]),
        outcome: answer.body === "too-large" ? "too-large" : "complete",
      };
    } catch (caught) {
      throw toHttpError(caught, { method: "GET", url, phase: "connecting" });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
