/** Queues on disk that are open in this process: who takes a queue's place at a reload shares it until the other has ended. */

import { dirname, resolve } from "node:path";
import type { DurableQueueOptions } from "./durable-options.ts";
import { DurableQueue } from "./durable-queue.ts";
import type { GivenLimits } from "./queue-limits.ts";

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
  owner: string;
  users: number;
}

/** By directory. The lock of a directory keeps other processes away, this table two components of one. */
const entries = new Map<string, Entry>();
/** Directories whose queue is being closed. */
const closing = new Map<string, Promise<void>>();

/**
 * Opens the queue of a directory, or shares the one that is open: then the options of whoever opened it hold, but the limits
 * are those of the `owner`, whose section says where it is; `otherSync` hears that another owner opened it with another
 * `fsync`. All users of a directory must have the same type of items. Rejects as `DurableQueue.open` does.
 */
export async function openShared<T>(
  options: DurableQueueOptions<T>,
  owner = "",
  otherSync: () => void = () => {},
): Promise<OpenedQueue<T>> {
  const directory = resolve(options.directory);
  for (let end = closing.get(directory); end !== undefined; end = closing.get(directory)) await end;
  let entry = entries.get(directory);
  if (entry === undefined) {
    const opening = DurableQueue.open<T>(options) as Promise<DurableQueue<unknown>>;
    entry = { opening, fsync: options.fsync === true, owner, users: 0 };
    entries.set(directory, entry);
  } else if (entry.owner !== owner) {
    // A section that was renamed: without this neither its limits nor what a later reload makes of them would count.
    entry.owner = owner;
    entry.opening.then((queue) => queue.setLimits(options)).catch(() => {});
    if (entry.fsync !== (options.fsync === true)) otherSync();
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

/** Whether the queue of a directory is open in this process, or about to be closed. */
export function isOpenShared(directory: string): boolean {
  const path = resolve(directory);
  return entries.has(path) || closing.has(path);
}

export interface ChangedOptions extends GivenLimits {
  /** Where the owner's queues are from now on. */
  readonly directory: string;
  readonly fsync: boolean;
}

/** Open queues that a change does not reach, by directory. */
export interface Unchanged {
  /** They are not synced as it says. */
  readonly synced: readonly string[];
  /** They are in another directory. */
  readonly elsewhere: readonly string[];
}

/** Gives the owner's open queues the limits that its section has now; the rest is for those that are opened from now on. */
export function changeShared(owner: string, { directory, fsync, ...limits }: ChangedOptions): Unchanged {
  const parent = resolve(directory);
  const synced: string[] = [];
  const elsewhere: string[] = [];
  for (const [path, entry] of entries) {
    if (entry.owner !== owner) continue;
    // One that cannot be opened is its opener's to tell.
    entry.opening.then((queue) => queue.setLimits(limits)).catch(() => {});
    if (entry.fsync !== fsync) synced.push(path);
    if (dirname(path) !== parent) elsewhere.push(path);
  }
  return { synced, elsewhere };
}
