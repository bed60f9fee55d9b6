/** What a disk queue is opened with, and what it tells. */

import type { LockDirectory } from "./directory-lock.ts";
import type { FileLayer } from "./file-layer.ts";
import type { ItemCodec } from "./item-codec.ts";
import type { GivenLimits } from "./queue-limits.ts";
import type { Damage } from "./recover-queue.ts";

/** Why records were given up without being handed out. */
export type GiveUpReason = "queue_full" | "too_old" | "damaged";

export interface DurableQueueOptions<T> extends GivenLimits {
  readonly directory: string;
  readonly codec: ItemCodec<T>;
  /** Syncs before `append` resolves. Default false: what was appended survives the process, not the power. */
  readonly fsync?: boolean | undefined;
  /** Size at which a segment is closed. Default 64 MiB, and at most an eighth of `maxBytes`. */
  readonly segmentBytes?: number | undefined;
  /** Bytes of items in memory. Default 16 MiB. */
  readonly memoryBytes?: number | undefined;
  readonly createDirectory?: boolean | undefined;
  /** Of directories that are made; files get the same without the right to search. Default 0o750. */
  readonly directoryPermissions?: number | undefined;
  readonly now: () => number;
  /** Never rejects; ends early when the signal aborts, where it can. Must not keep the process alive longer than that. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Hears of damage that is found, at the start and later. */
  readonly damaged?: ((damage: Damage) => void) | undefined;
  readonly gaveUp?: ((reason: GiveUpReason, records: number, items: number) => void) | undefined;
  readonly files?: FileLayer | undefined;
  readonly lock?: LockDirectory | undefined;
}

/** A record that was handed out. */
export interface Handed<T> {
  readonly sequence: number;
  readonly item: T;
  /** Items at its beginning that were delivered before a restart. */
  readonly done: number;
  readonly timeMs: number;
}

/** What is not acknowledged, and what it takes. */
export interface DurableStats {
  readonly records: number;
  readonly items: number;
  /** Of records that are not acknowledged. */
  readonly bytes: number;
  /** Of all files. */
  readonly diskBytes: number;
  readonly segments: number;
  /** Bytes of items in memory that are not handed out. */
  readonly memoryBytes: number;
  /** When the oldest record was accepted; undefined for an empty queue. */
  readonly oldestMs: number | undefined;
}

/** Of one lane: what is not acknowledged. */
export interface LaneStats {
  readonly lane: number;
  readonly records: number;
  readonly items: number;
  readonly bytes: number;
  readonly oldestMs: number | undefined;
}
