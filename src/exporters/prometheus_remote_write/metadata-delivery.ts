/** Sends the metadata of batches, one request after another, and counts what the server does not get. */

import { encodeMetadataRequest, type MetadataEntry } from "../../prometheus/remote-write/encode-request.ts";
import { type PostOutcome, type PostParts, postUntilDone } from "../../prometheus/remote-write/post-request.ts";
import type { ExporterMetrics } from "./exporter-metrics.ts";

/** Requests that wait for one another: metadata comes again with the next batch of the same metrics. */
const maxPending = 64;

export class MetadataDelivery {
  readonly #parts: Omit<PostParts, "retrying" | "stillWanted">;
  readonly #metrics: Pick<ExporterMetrics, "metadataDropped">;
  readonly #stopping = new AbortController();
  #last: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(parts: Omit<PostParts, "retrying" | "stillWanted">, metrics: Pick<ExporterMetrics, "metadataDropped">) {
    this.#parts = parts;
    this.#metrics = metrics;
  }

  /** Sends entries after all earlier ones; never throws. */
  send(entries: readonly MetadataEntry[]): void {
    if (entries.length === 0) return;
    if (this.#pending >= maxPending) {
      this.#metrics.metadataDropped("queue_full", entries.length, `${maxPending} requests of metadata wait before it`);
      return;
    }
    this.#pending++;
    const body = encodeMetadataRequest(entries);
    this.#last = this.#last.then(async () => {
      const parts = { ...this.#parts, retrying: () => {}, stillWanted: () => true };
      this.#account(await postUntilDone(parts, body, this.#stopping.signal), entries.length);
      this.#pending--;
    });
  }

  /** Sends what waits until the deadline. Works twice. */
  async shutdown(deadline: AbortSignal): Promise<void> {
    const stop = () => this.#stopping.abort();
    if (deadline.aborted) stop();
    deadline.addEventListener("abort", stop, { once: true });
    await this.#last;
    stop();
  }

  #account(outcome: PostOutcome, entries: number): void {
    if (outcome.kind === "delivered") return;
    if (outcome.kind === "aborted") this.#metrics.metadataDropped("shutdown", entries, "not delivered before the end");
    else this.#metrics.metadataDropped(outcome.kind, entries, outcome.reason);
  }
}
