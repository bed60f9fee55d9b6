/** A batcher for each combination of client metadata, so that what differs in it is never joined. */

import type { AnyBatch } from "../../model/any-batch.ts";
import { type ClientInfo, clientInfo } from "../../model/client-info.ts";
import { ConsumeError } from "../../model/errors.ts";
import type { Batcher, HandOn } from "./batcher.ts";

export interface ClientBatchersParts {
  /** Names of metadata; without any, there is one batcher for all. */
  readonly keys: readonly string[];
  /** Combinations of values; Infinity for no limit. */
  readonly maxCombinations: number;
  /** `client` is what its batches carry. */
  create(client: ClientInfo | undefined): Batcher;
  /** Hears how many batchers there are. */
  counted(batchers: number): void;
}

export class ClientBatchers {
  readonly #parts: ClientBatchersParts;
  readonly #batchers = new Map<string, Batcher>();
  readonly #timers = new Set<Promise<void>>();
  #signal: AbortSignal | undefined;

  constructor(parts: ClientBatchersParts) {
    this.#parts = parts;
    if (parts.keys.length === 0) this.#create("", undefined);
  }

  /** As `Batcher.add` does. Rejects for good with CONSUME_REJECTED where it would be one combination too many. */
  add(batch: AnyBatch, next: HandOn): Promise<void> {
    const { keys, maxCombinations } = this.#parts;
    const values = keys.map((key) => batch.client?.metadata(key) ?? []);
    const name = values.length === 0 ? "" : JSON.stringify(values);
    const known = this.#batchers.get(name);
    if (known !== undefined) return known.add(batch, next);
    if (this.#batchers.size >= maxCombinations) {
      const message = `more than ${maxCombinations} combinations of metadata_keys`;
      return Promise.reject(new ConsumeError("CONSUME_REJECTED", message, { permanent: true }));
    }
    const metadata = new Map(keys.map((key, i) => [key.toLowerCase(), values[i] ?? []] as const));
    return this.#create(name, clientInfo({ metadata })).add(batch, next);
  }

  /** Runs the timers of all batchers, until the signal aborts. */
  async runTimers(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    for (const batcher of this.#batchers.values()) this.#run(batcher, signal);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.all(this.#timers);
  }

  async shutdown(deadline: AbortSignal): Promise<void> {
    await Promise.all([...this.#batchers.values()].map((batcher) => batcher.shutdown(deadline)));
  }

  #create(name: string, client: ClientInfo | undefined): Batcher {
    const batcher = this.#parts.create(client);
    this.#batchers.set(name, batcher);
    this.#parts.counted(this.#batchers.size);
    if (this.#signal !== undefined) this.#run(batcher, this.#signal);
    return batcher;
  }

  #run(batcher: Batcher, signal: AbortSignal): void {
    const running = batcher.runTimer(signal).finally(() => this.#timers.delete(running));
    this.#timers.add(running);
  }
}
