/** The queues on disk of an agent: one directory for each endpoint, kept open over reloads. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock, Logger, Meter } from "../../component/telemetry.ts";
import { DurableQueue } from "../../durable/durable-queue.ts";
import { SamplesCodec } from "../../durable/samples-codec.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import type { Identities } from "../../model/identities.ts";
import { translatedOrigin } from "../../prometheus/translation/translated-layout.ts";

export interface AgentStorageParts {
  readonly path: string;
  /** Of each endpoint. */
  readonly maxBytes: number;
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
    this.#observe();
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
    const { path, maxBytes, fsync, identities, clock, log, meter } = this.#parts;
    const directory = join(path, "remote-write", name);
    const damaged = meter.counter("millrace_storage_damage_total", {
      help: "Damage found in queues on disk, by kind.",
    });
    const dropped = meter.counter("millrace_storage_dropped_items_total", {
      help: "Samples of queues on disk that were given up, by reason.",
    });
    try {
      const queue = await DurableQueue.open<SamplesSegment>({
        directory,
        codec: new SamplesCodec(identities, translatedOrigin),
        maxBytes,
        fsync,
        whenFull: "drop_oldest",
        now: clock.now,
        sleep: (ms) => sleep(ms, undefined, { ref: false }),
        damaged: (damage) => {
          damaged.with({ kind: damage.kind }).add(1);
          log.warn("The queue on disk is damaged", { ...damage });
        },
        gaveUp: (reason, records, items) => {
          dropped.with({ reason }).add(items);
          log.error("samples dropped", { reason, count: items, records, directory });
        },
      });
      this.#queues.set(name, queue);
      const { records, items, diskBytes } = queue.stats();
      log.info("Opened the queue on disk", { directory, records, samples: items, bytes: diskBytes });
      return queue;
    } catch (caught) {
      const { message } = toError(caught);
      throw new ConfigError([{ path: "--storage.agent.path", message }], { cause: caught });
    }
  }

  #observe(): void {
    const { meter, clock } = this.#parts;
    const gauge = (name: string, help: string, read: (stats: ReturnType<Queue["stats"]>) => number) =>
      meter.observe(name, { help, type: "gauge" }, () =>
        Array.from(this.#queues, ([queue, durable]) => ({ labels: { queue }, value: read(durable.stats()) })),
      );
    gauge("millrace_storage_records", "Records on disk that are not delivered.", ({ records }) => records);
    gauge("millrace_storage_samples", "Samples on disk that are not delivered.", ({ items }) => items);
    gauge("millrace_storage_bytes", "Bytes of all files of a queue.", ({ diskBytes }) => diskBytes);
    gauge("millrace_storage_oldest_age_seconds", "Age of the oldest sample that is not delivered.", ({ oldestMs }) =>
      oldestMs === undefined ? 0 : Math.max(0, (clock.now() - oldestMs) / 1000),
    );
  }
}
