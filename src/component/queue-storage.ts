/** Queues on disk from an extension: `sending_queue: { storage: <id> }`. */

import type { GiveUpReason } from "../durable/durable-options.ts";
import type { DurableQueue } from "../durable/durable-queue.ts";
import type { ItemCodec } from "../durable/item-codec.ts";
import type { Damage } from "../durable/recover-queue.ts";
import type { OpenedQueue } from "../durable/shared-queues.ts";
import { ConfigError, toError } from "../model/errors.ts";
import type { Signal } from "../model/otlp-request.ts";
import type { CreateContext } from "./define.ts";
import { observeQueues, queueEvents } from "./queue-metrics.ts";

export type { OpenedQueue } from "../durable/shared-queues.ts";

/** Which queue is wanted, and who hears of its damage. */
export interface QueueRequest<T> {
  /** Id of the exporter, a dot, the signal: the same after every restart. */
  readonly name: string;
  readonly codec: ItemCodec<T>;
  damaged(damage: Damage): void;
  gaveUp(reason: GiveUpReason, records: number, items: number): void;
}

/** What an extension offers that keeps queues on disk. */
export interface QueueStorage {
  /** Resolves when the queue has recovered. Rejects with StorageError when it cannot be used. */
  openQueue<T>(request: QueueRequest<T>): Promise<OpenedQueue<T>>;
}

export interface ExporterQueue {
  /** Id of the extension. */
  readonly storage: string;
  readonly signal: Signal;
  /** The key that names the extension; `sending_queue` unless given. */
  readonly section?: string | undefined;
}

/**
 * Opens the queue of an exporter for a signal and shows what is in it. Belongs to the start, when the extensions run. Rejects
 * with ConfigError where the extension does not run, keeps no queues, or cannot open this one.
 */
export async function openExporterQueue<T>(
  { id, log, meter, clock, host }: Pick<CreateContext<unknown>, "id" | "log" | "meter" | "clock" | "host">,
  { storage, signal, section = "sending_queue" }: ExporterQueue,
  codec: ItemCodec<T>,
): Promise<OpenedQueue<T>> {
  const fault = (message: string, cause?: unknown) =>
    new ConfigError([{ path: `exporters::${id}::${section}::storage`, message }], { cause });
  const extension = host.extension(storage);
  if (!isQueueStorage(extension)) {
    const name = JSON.stringify(storage);
    throw fault(
      extension === undefined
        ? `no extension ${name} is active: service::extensions has to name it`
        : `${name} keeps no queues`,
    );
  }
  const labels = { exporter: id, data_type: signal };
  let opened: OpenedQueue<T>;
  try {
    const name = `${id}.${signal}`;
    opened = await extension.openQueue({ name, codec, ...queueEvents({ meter, log, clock }, labels) });
  } catch (caught) {
    throw fault(toError(caught).message, caught);
  }
  const { queue, directory } = opened;
  let isReleased = false;
  const entry: readonly [Record<string, string>, DurableQueue<unknown>] = [labels, queue as DurableQueue<unknown>];
  const stopObserving = observeQueues(meter, clock, () => [entry]);
  const { records, items, diskBytes } = queue.stats();
  log.info("Opened the queue on disk", { directory, records, items, bytes: diskBytes });
  return {
    ...opened,
    async release() {
      stopObserving();
      const { records: left, items: leftItems } = queue.stats();
      if (left > 0 && !isReleased && !opened.isShared()) {
        log.info("What is not delivered stays on disk", { directory, records: left, items: leftItems });
      }
      isReleased = true;
      await opened.release();
    },
  };
}

function isQueueStorage(extension: unknown): extension is QueueStorage {
  return (
    typeof extension === "object" &&
    extension !== null &&
    "openQueue" in extension &&
    typeof extension.openQueue === "function"
  );
}
