/** Keyed 32-bit hashes of byte ranges and of lists of numbers, for the identity tables. */

/** The secret of a process: two odd multipliers and a seed; without them nobody can prepare colliding input. */
export interface HashKey {
  readonly seed: number;
  readonly first: number;
  readonly second: number;
}

/** Makes a key from 12 random bytes. */
export function createHashKey(random: Uint8Array): HashKey {
  const view = new DataView(random.buffer, random.byteOffset, 12);
  return {
    seed: view.getUint32(0, true) | 0,
    first: view.getUint32(4, true) | 1,
    second: view.getUint32(8, true) | 1,
  };
}

/**
 * One step. A difference in the top bits passes a multiplication unchanged, whatever the key is, so that a second word
 * could undo it: the shift brings it down, and a second secret multiplier spreads it.
 */
function mix(hash: number, word: number, first: number, second: number): number {
  const product = Math.imul(hash ^ word, first);
  const spread = Math.imul(product ^ (product >>> 15), second);
  return spread ^ (spread >>> 14);
}

/** Hash of `bytes[start..end)`. */
export function hashBytes({ seed, first, second }: HashKey, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed ^ (end - start);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = mix(hash, word, first, second);
  }
  for (; i < end; i++) hash = mix(hash, bytes[i] as number, second, first);
  hash = Math.imul(hash, second);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Hash of `list[start..end)`. */
export function hashNumbers({ seed, first, second }: HashKey, list: Uint32Array, start: number, end: number): number {
  let hash = seed ^ (end - start);
  for (let i = start; i < end; i++) hash = mix(hash, list[i] as number, first, second);
  hash = Math.imul(hash, second);
  return (hash ^ (hash >>> 16)) >>> 0;
}
