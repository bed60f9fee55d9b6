/** The queues on disk of an agent: one directory for each endpoint, kept open over reloads. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { observeQueues, queueEvents } from "../../component/queue-metrics.ts";
import type { Clock, Logger, Meter } from "../../component/telemetry.ts";
import type { DurableQueueOptions } from "../../durable/durable-options.ts";
import { DurableQueue } from "../../durable/durable-queue.ts";
import { systemFiles } from "../../durable/file-layer.ts";
import { SamplesCodec } from "../../durable/samples-codec.ts";
import { waitingData } from "../../durable/waiting-data.ts";
import type { SamplesSegment } from "../../model/batch.ts";
import { ConfigError, toError } from "../../model/errors.ts";
import type { Identities } from "../../model/identities.ts";
import type { RemoteWriteConfig } from "../../prometheus/config/types.ts";
import { translatedOrigin } from "../../prometheus/translation/translated-layout.ts";
import { endpointFolder } from "./endpoint-folder.ts";

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
  /** By the name of the directory. */
  readonly #queues = new Map<string, Queue>();
  /** Directories that were warned of. */
  readonly #warned = new Set<string>();

  constructor(parts: AgentStorageParts) {
    this.#parts = parts;
    observeQueues(parts.meter, parts.clock, () => this.#observed());
  }

  /** The queue of this entry; of several that are alike, one that is not in use. Throws ConfigError when it cannot be opened. */
  async open(entry: RemoteWriteConfig, inUse: ReadonlySet<Queue>): Promise<Queue> {
    const folder = endpointFolder(entry);
    for (let number = 0; ; number++) {
      const name = `${folder}-${number}`;
      const known = this.#queues.get(name) ?? (await this.#open(name));
      if (!inUse.has(known)) return known;
    }
  }

  /** Warns, once of each, of queues with data that is not in use any more: of entries that are gone, or go elsewhere now. */
  async warnOfUnused(inUse: ReadonlySet<Queue>): Promise<void> {
    const { log } = this.#parts;
    for (const name of await listFolders(this.#folder)) {
      const open = this.#queues.get(name);
      if (this.#warned.has(name) || (open !== undefined && inUse.has(open))) continue;
      const directory = join(this.#folder, name);
      const hint = `nothing sends, ages or bounds it; after the end of this process, millrace queue replay ${directory} --to URL does`;
      try {
        const { records, diskBytes: bytes } = open?.stats() ?? (await waitingData(systemFiles, directory));
        if (records === 0) continue;
        log.warn("No remote_write entry uses this queue", { directory, records, bytes, hint });
      } catch (caught) {
        log.warn("No remote_write entry uses this queue", { directory, err: toError(caught).message, hint });
      }
      this.#warned.add(name);
    }
  }

  async close(): Promise<void> {
    for (const [name, queue] of this.#queues) {
      this.#queues.delete(name);
      await queue.close();
    }
  }

  async #open(name: string): Promise<Queue> {
    const { limits, fsync, identities, clock, log, meter } = this.#parts;
    const directory = join(this.#folder, name);
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

  get #folder(): string {
    return join(this.#parts.path, "remote-write");
  }

  *#observed(): Iterable<readonly [{ queue: string }, DurableQueue<unknown>]> {
    for (const [queue, durable] of this.#queues) yield [{ queue }, durable as DurableQueue<unknown>];
  }
}

/** Names of directories in a directory; none where it is not there. */
async function listFolders(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}
