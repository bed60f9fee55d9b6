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

/** Hash of `bytes[start..end)`. The secret multiplies after each word, so collisions depend on it. */
export function hashBytes(key: HashKey, bytes: Uint8Array, start: number, end: number): number {
  const first = key.first;
  let hash = key.seed ^ (end - start);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, first);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), key.second);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, key.second);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Hash of `list[start..end)`. */
export function hashNumbers(key: HashKey, list: Uint32Array, start: number, end: number): number {
  const first = key.first;
  let hash = key.seed ^ (end - start);
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ (list[i] as number), first);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, key.second);
  return (hash ^ (hash >>> 16)) >>> 0;
}
