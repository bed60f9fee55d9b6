/** Gets pages over HTTP: headers as Prometheus sends them, timeout, size limits, gzip, buffers that are used again. */

import { acceptHeader } from "../../codec/exposition/negotiate.ts";
import { DecodeError, toError } from "../../model/errors.ts";
import { collectBody } from "../../transport/collect-body.ts";
import { GrowableBuffer } from "../../transport/growable-buffer.ts";
import { decompressGzip } from "../../transport/gunzip.ts";
import type { HttpClient } from "../../transport/http-client.ts";
import type { ScrapeConfig, ScrapeProtocol } from "../config/types.ts";
import { FetchError, type FetchedPage, type PageFetcher, type ScrapeTarget } from "./scrape-target.ts";

/** Buffers beyond this are not kept for the next page. */
const keptBufferBytes = 8 * 1024 * 1024;
const keptBuffers = 16;
/** Asked for where a job names only protocols that are not built. */
const textProtocols: readonly ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

/** Buffers for pages under way; shared by all jobs of a process. */
export class PageBuffers {
  readonly #free: GrowableBuffer[] = [];

  take(): GrowableBuffer {
    return this.#free.pop() ?? new GrowableBuffer();
  }

  give(buffer: GrowableBuffer): void {
    if (this.#free.length < keptBuffers && buffer.capacity <= keptBufferBytes) this.#free.push(buffer);
  }
}

export interface PageFetcherParts {
  readonly config: ScrapeConfig;
  readonly client: HttpClient;
  readonly buffers: PageBuffers;
  /** Bytes of an uncompressed page where the job has no `body_size_limit`. */
  readonly ownBodyBytes: number;
}

export class HttpPageFetcher implements PageFetcher {
  readonly #parts: PageFetcherParts;
  readonly #headers: Readonly<Record<string, string>>;
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
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      attempt.abort();
    }, target.timeoutMs);
    const buffer = this.#parts.buffers.take();
    try {
      return await this.#get(target, attempt.signal, buffer);
    } catch (caught) {
      this.#parts.buffers.give(buffer);
      if (timedOut)
        throw new FetchError("timeout", `context deadline exceeded: no whole page within ${target.timeoutMs} ms`);
      throw caught instanceof FetchError
        ? caught
        : new FetchError("network", toError(caught).message, { cause: caught });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  async #get(target: ScrapeTarget, signal: AbortSignal, buffer: GrowableBuffer): Promise<FetchedPage> {
    const response = await this.#parts.client.request({
      method: "GET",
      url: parseUrl(target.url),
      headers: { ...this.#headers, "X-Prometheus-Scrape-Timeout-Seconds": String(target.timeoutMs / 1000) },
      signal,
      ...(target.socketPath === undefined ? {} : { socketPath: target.socketPath }),
    });
    if (response.status !== 200) {
      await response.body.dump();
      throw new FetchError("status", `server returned HTTP status ${response.status} ${response.statusText}`.trim());
    }
    const body = await collectBody(response, { maxBytes: this.#maxBytes, into: buffer });
    if (body === "too-large") throw this.#tooLarge();
    const contentType = first(response.headers["content-type"]);
    const { buffers } = this.#parts;
    if (first(response.headers["content-encoding"]) !== "gzip") {
      return { contentType, page: buffer.bytes, length: body.length, release: () => buffers.give(buffer) };
    }
    const page = this.#unpack(body);
    buffers.give(buffer);
    return { contentType, page, length: page.length, release: () => {} };
  }

  #unpack(body: Uint8Array): Buffer {
    try {
      const unpacked = decompressGzip(body, { maxBytes: this.#maxBytes });
      if (unpacked === "too-large") throw this.#tooLarge();
      return Buffer.from(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength);
    } catch (caught) {
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

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new FetchError("network", `invalid URL ${JSON.stringify(text.slice(0, 200))}`);
  }
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
