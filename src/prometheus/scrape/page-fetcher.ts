/** Gets pages over HTTP: headers as Prometheus sends them, timeout, size limits, gzip, buffers that are used again. */

import { acceptHeader } from "../../codec/exposition/negotiate.ts";
import { DecodeError, toError } from "../../model/errors.ts";
import { GrowableBuffer } from "../../transport/growable-buffer.ts";
import { GzipReader } from "../../transport/gzip-reader.ts";
import { codeOf, HttpError } from "../../transport/http-error.ts";
import type { PageAnswer, PageClient, PageSource } from "../../transport/page-client.ts";
import { redactQuery } from "../../transport/redact-url.ts";
import type { ScrapeConfig, ScrapeProtocol } from "../config/types.ts";
import { FetchError, type FetchedPage, type PageFetcher, type ScrapeTarget } from "./scrape-target.ts";

/** Memory that is kept for the next pages: a large page read into fresh memory costs a page fault every four kilobytes. */
const keptBytes = 64 * 1024 * 1024;
/** Pages after which the buffers are dropped that were free all the while: the first scrapes of all targets need the most. */
const givesBetweenLooks = 64;
/** Asked for where a job names only protocols that are not built. */
const textProtocols: readonly ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

/**
 * Buffers for pages under way; shared by all jobs of a process. A buffer may grow to as much as it leaves free of the bytes
 * that all of them may have, so that however many targets send without end, there is room for the pages of the others.
 */
export class PageBuffers {
  readonly #maxBytes: number;
  /** Bytes of the buffers that were taken. */
  #takenBytes = 0;
  #gzip: GzipReader | undefined;
  readonly #free: GrowableBuffer[] = [];
  #freeBytes = 0;
  /** Buffers that nobody needed since the last look: the fewest that were free. */
  #spare = 0;
  #gives = 0;

  /** `maxBytes` bounds the buffers of all pages under way; a page's first 16 KiB are always to be had. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Unpacks pages; synchronously, so that one is enough. */
  get gzip(): GzipReader {
    this.#gzip ??= new GzipReader();
    return this.#gzip;
  }

  /** Bytes of the buffers that wait for the next pages. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Bytes of the buffers of pages under way. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  take(): GrowableBuffer {
    const buffer = this.#free.pop();
    if (buffer === undefined) {
      const fresh = new GrowableBuffer(undefined, this.#mayGrow);
      this.#takenBytes += fresh.capacity;
      return fresh;
    }
    this.#takenBytes += buffer.capacity;
    this.#freeBytes -= buffer.capacity;
    this.#spare = Math.min(this.#spare, this.#free.length);
    return buffer;
  }

  readonly #mayGrow = (fromBytes: number, toBytes: number): boolean => {
    const others = this.#takenBytes - fromBytes;
    if (others + 2 * toBytes > this.#maxBytes) return false;
    this.#takenBytes = others + toBytes;
    return true;
  };

  give(buffer: GrowableBuffer): void {
    this.#takenBytes -= buffer.capacity;
    if (this.#freeBytes + buffer.capacity > keptBytes) return;
    this.#freeBytes += buffer.capacity;
    this.#free.push(buffer);
    if (++this.#gives % givesBetweenLooks === 0) this.#dropSpare();
  }

  /** The last one given is taken first, so that those that nobody needs are the first. */
  #dropSpare(): void {
    for (const buffer of this.#free.splice(0, this.#spare)) this.#freeBytes -= buffer.capacity;
    this.#spare = this.#free.length;
  }
}

export interface PageFetcherParts {
  readonly config: ScrapeConfig;
  readonly client: PageClient;
  readonly buffers: PageBuffers;
  /** Bytes of an uncompressed page where the job has no `body_size_limit`. */
  readonly ownBodyBytes: number;
}

export class HttpPageFetcher implements PageFetcher {
  readonly #parts: PageFetcherParts;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #sources = new WeakMap<ScrapeTarget, PageSource>();
  /** The largest page accepted, and how to say so. */
  readonly #maxBytes: number;

  constructor(parts: PageFetcherParts) {
    this.#parts = parts;
    const { config, ownBodyBytes } = parts;
    const readable = config.scrapeProtocols.filter(
      (name) => name !== "PrometheusProto" && name !== "OpenMetricsText2.0.0",
    );
    const protocols = readable.length > 0 ? readable : textProtocols;
    this.#headers = {
      Accept: acceptHeader(protocols, config.metricNameEscapingScheme),
      "Accept-Encoding": config.enableCompression ? "gzip" : "identity",
    };
    // Prometheus refuses a page of exactly the limit too.
    this.#maxBytes = config.bodySizeLimitBytes > 0 ? config.bodySizeLimitBytes - 1 : ownBodyBytes;
  }

  async fetch(target: ScrapeTarget, signal: AbortSignal): Promise<FetchedPage> {
    const { buffers } = this.#parts;
    const buffer = buffers.take();
    try {
      const answer = await this.#sourceOf(target).fetch(
        buffer,
        { maxBytes: this.#maxBytes, timeoutMs: target.timeoutMs },
        signal,
      );
      return this.#pageOf(answer, buffer);
    } catch (caught) {
      buffers.give(buffer);
      if (codeOf(caught) === "BUFFER_LIMIT") throw this.#noRoom();
      throw fetchError(caught, target);
    }
  }

  #noRoom(): FetchError {
    const { maxBytes } = this.#parts.buffers;
    return new FetchError(
      "own_limit",
      `no room for the page beside the others under way: the limit for all of them is ${maxBytes} bytes`,
    );
  }

  /** Worked out once per target: the loop keeps its target for as long as it runs. */
  #sourceOf(target: ScrapeTarget): PageSource {
    let source = this.#sources.get(target);
    if (source === undefined) {
      source = this.#parts.client.source({
        url: parseUrl(target.url),
        headers: { ...this.#headers, "X-Prometheus-Scrape-Timeout-Seconds": String(target.timeoutMs / 1000) },
        socketPath: target.socketPath,
      });
      this.#sources.set(target, source);
    }
    return source;
  }

  #pageOf(answer: PageAnswer, buffer: GrowableBuffer): FetchedPage {
    if (answer.status !== 200) {
      throw new FetchError("status", `server returned HTTP status ${answer.status} ${answer.statusText}`.trim());
    }
    if (answer.outcome === "too-large") throw this.#tooLarge();
    const { contentType } = answer;
    const { buffers } = this.#parts;
    if (answer.contentEncoding !== "gzip") return pageIn(buffer, contentType, buffers);
    const unpacked = this.#unpack(buffer.bytes);
    buffers.give(buffer);
    return pageIn(unpacked, contentType, buffers);
  }

  #unpack(body: Buffer): GrowableBuffer {
    const { buffers } = this.#parts;
    const into = buffers.take();
    try {
      if (buffers.gzip.unpack(body, into, this.#maxBytes)) return into;
      throw this.#tooLarge();
    } catch (caught) {
      buffers.give(into);
      if (!(caught instanceof DecodeError)) throw caught;
      throw new FetchError("decompress", caught.message, { cause: caught });
    }
  }

  #tooLarge(): FetchError {
    const { bodySizeLimitBytes } = this.#parts.config;
    const limit = bodySizeLimitBytes > 0 ? `body_size_limit of ${bodySizeLimitBytes}` : `limit of ${this.#maxBytes}`;
    return new FetchError("body_size", `body size limit exceeded: the page is larger than the ${limit} bytes`);
  }

  close(): Promise<void> {
    return this.#parts.client.close();
  }
}

function pageIn(buffer: GrowableBuffer, contentType: string | undefined, buffers: PageBuffers): FetchedPage {
  return { contentType, page: buffer.memory, length: buffer.length, release: () => buffers.give(buffer) };
}

function fetchError(caught: unknown, target: ScrapeTarget): FetchError {
  if (caught instanceof FetchError) return caught;
  if (caught instanceof HttpError && caught.code === "TIMEOUT") {
    return new FetchError("timeout", `context deadline exceeded: no whole page within ${target.timeoutMs} ms`);
  }
  return new FetchError("network", toError(caught).message, { cause: caught });
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // Of an address "user:password@host" the sign is escaped.
    const shown = text.replace(/\/\/[^/]*(@|%40)/, "//xxxxx@").slice(0, 200);
    throw new FetchError("network", `invalid URL ${JSON.stringify(redactQuery(shown))}`);
  }
}
