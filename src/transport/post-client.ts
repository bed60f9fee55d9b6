/** Posts to the same URL again and again at the least cost: plain HTTP/1.1 where that is enough, undici everywhere else. */

import { performance } from "node:perf_hooks";
import { GrowableBuffer } from "./growable-buffer.ts";
import type { HttpClientConfig } from "./http-client-config.ts";
import { toHttpError } from "./http-error.ts";
import { PlainFirst, type PlainFirstOptions } from "./plain-first.ts";
import { type FetchLimits, PlainTarget, type PostContent, type TargetRequest } from "./plain-target.ts";
import { isRedirect } from "./redirects.ts";

/** What came back. */
export interface PostedAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly retryAfter: string | undefined;
  /** The body, or the first bytes of one that is longer than the limit or that broke off. */
  readonly body: Uint8Array;
  readonly isWhole: boolean;
  /** Whether nobody reads the memory of what was posted any more; undefined where that is not known. */
  readonly isSent?: boolean | undefined;
}

/** One URL. Several posts may be under way at once. */
export interface PostTarget {
  /** Every failure is an HttpError; TIMEOUT at the time limit, ABORTED by the signal. Redirects keep the method, a 303 is the answer. */
  post(content: PostContent, limits: FetchLimits, signal: AbortSignal): Promise<PostedAnswer>;
}

export interface PostClient {
  /** Keep it for as long as there is something to post: what it works out once is not worked out again. */
  target(request: TargetRequest): PostTarget;
  /** Reads all certificate files now, so that a fault shows at start; throws HttpError naming the key. */
  checkFiles(): void;
  /** Ends all posts, after waiting `graceMs` (0 unless given) for those under way. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

/** Opens nothing and reads nothing before the first post. */
export function createPostClient(config: HttpClientConfig, options: PlainFirstOptions): PostClient {
  const client = new PlainFirst(config, options);
  return {
    target(request) {
      const isPlain = client.isPlain(request.url, request.socketPath);
      return isPlain ? new PlainPost(client, request) : new FallbackPost(client, request);
    },
    checkFiles: () => client.fallback.checkFiles(),
    close: (graceMs = 0) => client.close(graceMs),
  };
}

/** Over plain HTTP/1.1, until the server answers with a redirect. */
class PlainPost implements PostTarget {
  readonly #client: PlainFirst;
  readonly #request: TargetRequest;
  readonly #target: PlainTarget;
  #free: GrowableBuffer[] = [];
  /** Set once the server has answered with a redirect. */
  #elsewhere: FallbackPost | undefined;

  constructor(client: PlainFirst, request: TargetRequest) {
    this.#client = client;
    this.#request = request;
    this.#target = new PlainTarget(client, "POST", request);
  }

  async post(content: PostContent, limits: FetchLimits, signal: AbortSignal): Promise<PostedAnswer> {
    if (this.#elsewhere !== undefined) return this.#elsewhere.post(content, limits, signal);
    const startMs = performance.now();
    const into = this.#free.pop() ?? new GrowableBuffer(answerBytes);
    const { head, outcome, isSent } = await this.#target.ask(into, limits, signal, content);
    if (
      this.#client.config.followRedirects !== false &&
      isRedirect(head.status, head.location) &&
      head.status !== 303
    ) {
      this.#elsewhere = new FallbackPost(this.#client, this.#request);
      const timeoutMs = Math.max(1, limits.timeoutMs - (performance.now() - startMs));
      return this.#elsewhere.post(content, { maxBytes: limits.maxBytes, timeoutMs }, signal);
    }
    const { status, statusText, contentType, contentEncoding, retryAfter } = head;
    const body = Uint8Array.prototype.slice.call(into.bytes);
    if (into.capacity <= answerBytes && this.#free.length < maxFreeBuffers) this.#free.push(into);
    return {
      status,
      statusText,
      contentType,
      contentEncoding,
      retryAfter,
      body,
      isWhole: outcome === "complete",
      isSent,
    };
  }
}

/** Answers are short; buffers that had to grow are not kept. */
const answerBytes = 4096;
const maxFreeBuffers = 16;

/** Through undici: proxies, redirects, OAuth 2.0, HTTP/2. */
class FallbackPost implements PostTarget {
  readonly #client: PlainFirst;
  readonly #request: TargetRequest;

  constructor(client: PlainFirst, request: TargetRequest) {
    this.#client = client;
    this.#request = request;
  }

  async post({ body, headers }: PostContent, limits: FetchLimits, signal: AbortSignal): Promise<PostedAnswer> {
    const { url, socketPath } = this.#request;
    const ending = new AbortController();
    const abort = () => ending.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(
      () => ending.abort(new DOMException("time limit reached", "TimeoutError")),
      limits.timeoutMs,
    );
    const all: Record<string, string> = { ...this.#request.headers };
    for (let at = 0; at < headers.length; at += 2) all[headers[at] ?? ""] = headers[at + 1] ?? "";
    try {
      const answer = await this.#client.fallback.request({
        method: "POST",
        url,
        headers: all,
        body,
        keepMethod: true,
        signal: ending.signal,
        socketPath,
      });
      const collected = await firstBytes(answer.body, limits.maxBytes);
      return {
        status: answer.status,
        statusText: answer.statusText,
        contentType: first(answer.headers["content-type"]),
        contentEncoding: first(answer.headers["content-encoding"]),
        retryAfter: first(answer.headers["retry-after"]),
        ...collected,
      };
    } catch (caught) {
      throw toHttpError(caught, { method: "POST", url, phase: "connecting" });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }
}

/** A body that breaks or hangs changes nothing: the status is the answer. */
async function firstBytes(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<Pick<PostedAnswer, "body" | "isWhole">> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk.subarray(0, maxBytes - length));
      length += chunk.length;
      if (length > maxBytes) return { body: Buffer.concat(chunks), isWhole: false };
    }
  } catch {
    return { body: Buffer.concat(chunks), isWhole: false };
  }
  return { body: Buffer.concat(chunks), isWhole: true };
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
