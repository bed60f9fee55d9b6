/** The limits of a queue on disk, and their defaults. */

/** What a queue may hold, and what happens at a limit; may change while it is open. */
export interface QueueLimits {
  /** Most bytes on disk. Default 10 GiB. */
  readonly maxBytes: number;
  /** Bytes of the device that are left free. Default 64 MiB. */
  readonly minFreeBytes: number;
  /** Older records are given up. 0, the default, is never. */
  readonly maxAgeMs: number;
  /** Refuse what comes (the default), or give the oldest segment up. */
  readonly whenFull: "block" | "drop_oldest";
}

/** Those that are not given have their defaults. */
export type GivenLimits = { readonly [K in keyof QueueLimits]?: QueueLimits[K] | undefined };

/** All limits. */
export function completeLimits({ maxBytes, minFreeBytes, maxAgeMs, whenFull }: GivenLimits): QueueLimits {
  return {
    maxBytes: maxBytes ?? 10 * 2 ** 30,
    minFreeBytes: minFreeBytes ?? 64 * 2 ** 20,
    maxAgeMs: maxAgeMs ?? 0,
    whenFull: whenFull ?? "block",
  };
}
