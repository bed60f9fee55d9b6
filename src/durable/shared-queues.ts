/** Queues on disk that are open in this process: who takes a queue's place at a reload shares it until the other has ended. */

import { dirname, resolve } from "node:path";
import type { DurableQueueOptions } from "./durable-options.ts";
import { DurableQueue } from "./durable-queue.ts";

/** A queue that somebody uses. */
export interface OpenedQueue<T> {
  readonly queue: DurableQueue<T>;
  readonly directory: string;
  /** Whether somebody else uses it too. */
  isShared(): boolean;
  /** Ends the use; the last one closes the queue. Works twice. */
  release(): Promise<void>;
}

interface Entry {
  readonly opening: Promise<DurableQueue<unknown>>;
  readonly fsync: boolean;
  users: number;
}

/** By directory. The lock of a directory keeps other processes away, this table two components of one. */
const entries = new Map<string, Entry>();
/** Directories whose queue is being closed. */
const closing = new Map<string, Promise<void>>();

/**
 * Opens the queue of a directory, or shares the one that is open: then the options of whoever opened it hold. All users of
 * a directory must have the same type of items. Rejects as `DurableQueue.open` does.
 */
export async function openShared<T>(options: DurableQueueOptions<T>): Promise<OpenedQueue<T>> {
  const directory = resolve(options.directory);
  for (let end = closing.get(directory); end !== undefined; end = closing.get(directory)) await end;
  let entry = entries.get(directory);
  if (entry === undefined) {
    const opening = DurableQueue.open<T>(options) as Promise<DurableQueue<unknown>>;
    entry = { opening, fsync: options.fsync === true, users: 0 };
    entries.set(directory, entry);
  }
  const mine = entry;
  mine.users++;
  let released: Promise<void> | undefined;
  const release = async () => {
    if (--mine.users > 0) return;
    entries.delete(directory);
    const closed = mine.opening.then((queue) => queue.close());
    closing.set(
      directory,
      closed.catch(() => {}).then(() => void closing.delete(directory)),
    );
    await closed;
  };
  try {
    return {
      queue: (await mine.opening) as DurableQueue<T>,
      directory,
      isShared: () => mine.users > 1,
      release: () => {
        released ??= release();
        return released;
      },
    };
  } catch (caught) {
    if (--mine.users === 0) entries.delete(directory);
    throw caught;
  }
}

/** The open queues of which the directory is in this one and that are not synced as `fsync` says. */
export function syncedOtherwise(directory: string, fsync: boolean): string[] {
  const parent = resolve(directory);
  return [...entries].filter(([one, entry]) => dirname(one) === parent && entry.fsync !== fsync).map(([one]) => one);
}
