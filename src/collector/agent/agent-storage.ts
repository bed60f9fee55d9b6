/** The queues on disk of an agent: one directory for each endpoint, kept open over reloads. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { observeQueues, queueEvents } from "../../component/queue-metrics.ts";
import type { Clock, Logger, Meter } from "../../component/telemetry.ts";
import type { DurableQueueOptions } from "../../durable/durable-options.ts";
import { DurableQueue } from "../../durable/durable-queue.ts";
import { SamplesCodec } from "../../durable/samples-codec.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import type { Identities } from "../../model/identities.ts";
import { translatedOrigin } from "../../prometheus/translation/translated-layout.ts";

export interface AgentStorageParts {
  readonly path: string;
  /** Of each endpoint. */
  readonly limits: Pick<DurableQueueOptions<SamplesSegment>, "maxBytes" | "maxAgeMs" | "minFreeBytes" | "whenFull">;
  readonly fsync: boolean;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
}

type Queue = DurableQueue<SamplesSegment>;

export class AgentStorage {
  readonly #parts: AgentStorageParts;
  readonly #queues = new Map<string, Queue>();

  constructor(parts: AgentStorageParts) {
    this.#parts = parts;
    observeQueues(parts.meter, parts.clock, () => this.#observed());
  }

  /** A queue of this URL that is not in use. Throws ConfigError when it cannot be opened. */
  async open(url: string, inUse: ReadonlySet<Queue>): Promise<Queue> {
    const digest = createHash("sha256").update(url).digest("hex").slice(0, 16);
    for (let number = 0; ; number++) {
      const name = `${digest}-${number}`;
      const known = this.#queues.get(name) ?? (await this.#open(name));
      if (!inUse.has(known)) return known;
    }
  }

  async close(): Promise<void> {
    for (const [name, queue] of this.#queues) {
      this.#queues.delete(name);
      await queue.close();
    }
  }

  async #open(name: string): Promise<Queue> {
    const { path, limits, fsync, identities, clock, log, meter } = this.#parts;
    const directory = join(path, "remote-write", name);
    try {
      const queue = await DurableQueue.open<SamplesSegment>({
        ...limits,
        ...queueEvents({ meter, log, clock }, { queue: name }),
        directory,
        codec: new SamplesCodec(identities, translatedOrigin),
        fsync,
        now: clock.now,
        sleep: (ms) => sleep(ms, undefined, { ref: false }),
      });
      this.#queues.set(name, queue);
      const { records, items, diskBytes } = queue.stats();
      log.info("Opened the queue on disk", { directory, records, samples: items, bytes: diskBytes });
      return queue;
    } catch (caught) {
      const { code, message: why } = toError(caught) as Error & { code?: unknown };
      const message = code === "STORAGE_UNUSABLE" ? `${why}; --storage.agent.path="" keeps queues in memory` : why;
      throw new ConfigError([{ path: "--storage.agent.path", message }], { cause: caught });
    }
  }

  *#observed(): Iterable<readonly [{ queue: string }, DurableQueue<unknown>]> {
    for (const [queue, durable] of this.#queues) yield [{ queue }, durable as DurableQueue<unknown>];
  }
}
