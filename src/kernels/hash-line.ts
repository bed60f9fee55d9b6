/** The keyed 64-bit hash by which a page's lines are recognised; the same in every kernel. */

import { createHash, randomBytes } from "node:crypto";

/**
 * Why this hash: a target may try to make two lines collide, so what counts is a bound that holds for any two texts as
 * long as the key is secret. NH (the universal hash of UMAC, RFC 4418) multiplies key-shifted 32-bit words pairwise and
 * adds the 64-bit products: two different texts agree with a probability of 2^-32 over the keys. Two sums whose keys are
 * shifted by 16 bytes (Toeplitz) agree with 2^-64; a multilinear hash folds each to 32 bits and joins blocks of 1024
 * bytes. In all below 2^-61 for any two texts, and SIMD does it at 32 bytes in 14 instructions.
 */
export interface LineKey {
  /** 260 words for the blocks; the second sum uses words 4 to 259. */
  readonly blockWords: Int32Array;
  /** Four 64-bit multipliers (low word, high word) per block: two for each sum. */
  readonly foldWords: Uint32Array;
}

const blockBytes = 1024;
const maxBlocks = 15;
const blockKeyBytes = blockBytes + 16;
const foldKeyBytes = maxBlocks * 32;

/** Longer texts are hashed all the same, but not by the kernels: they leave them to the slow path. */
export const maxHashedBytes = maxBlocks * blockBytes;

/** Bytes of randomness that a key takes. */
export const lineKeyBytes: number = blockKeyBytes + foldKeyBytes;

/** Makes a key from `lineKeyBytes` random bytes. */
export function createLineKey(random: Uint8Array): LineKey {
  const words = new Uint32Array(Uint8Array.from(random).buffer, 0, lineKeyBytes / 4);
  return {
    blockWords: new Int32Array(words.buffer, 0, blockKeyBytes / 4),
    foldWords: words.subarray(blockKeyBytes / 4),
  };
}

/** The secret of this process. */
export const processLineKey: LineKey = createLineKey(randomBytes(lineKeyBytes));

const two16 = 65_536;
const two32 = 4_294_967_296;
/** Products below 2^48 that a double adds up exactly. */
const stridesPerSum = 8;

const lastStride = new Uint8Array(32);
const lastStrideView = new DataView(lastStride.buffer);

/** The two 64-bit sums of a block as words: low and high of the first, low and high of the second. */
const sums = new Float64Array(4);

/**
 * Hashes `bytes[start..end)`, of which `view` is a view too, to `out[at]` (low word) and `out[at + 1]` (high word).
 * 64-bit products are made of two products with 16 bits of one factor, which doubles hold exactly.
 */
export function hashLine(
  key: LineKey,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  out: Uint32Array,
  at = 0,
): void {
  if (end - start > maxHashedBytes) {
    hashLong(key, bytes.subarray(start, end), out, at);
    return;
  }
  const { foldWords } = key;
  let fold = 0;
  let firstLow = 0;
  let firstHigh = 0;
  let firstTop = 0;
  let secondLow = 0;
  let secondHigh = 0;
  let secondTop = 0;
  let from = start;
  do {
    const to = Math.min(from + blockBytes, end);
    sumBlock(key.blockWords, bytes, view, from, to);
    for (let word = 0; word < 2; word++, fold += 2) {
      const low = foldWords[fold] as number;
      const value = sums[word] as number;
      firstLow += value * (low & 0xffff);
      firstHigh += value * (low >>> 16);
      firstTop = (firstTop + Math.imul(value, foldWords[fold + 1] as number)) | 0;
    }
    for (let word = 2; word < 4; word++, fold += 2) {
      const low = foldWords[fold] as number;
      const value = sums[word] as number;
      secondLow += value * (low & 0xffff);
      secondHigh += value * (low >>> 16);
      secondTop = (secondTop + Math.imul(value, foldWords[fold + 1] as number)) | 0;
    }
    from = to;
  } while (from < end);
  out[at] = (topWord(firstLow, firstHigh) + firstTop) >>> 0;
  out[at + 1] = (topWord(secondLow, secondHigh) + secondTop) >>> 0;
}

/** Bits 32 to 63 of `low + high * 2^16`. The remainder operator of doubles is a function call of the runtime: slow. */
function topWord(low: number, high: number): number {
  const top = Math.floor(high / two16);
  return Math.floor((low + (high - top * two16) * two16) / two32) + top;
}

function sumBlock(key: Int32Array, bytes: Uint8Array, view: DataView, start: number, end: number): void {
  const count = end - start;
  sums[0] = count;
  sums[1] = 0;
  sums[2] = count;
  sums[3] = 0;
  const whole = start + (count & ~31);
  let word = 0;
  for (let from = start; from < whole; ) {
    const to = Math.min(from + 32 * stridesPerSum, whole);
    addStrides(key, word, view, from, to);
    word += (to - from) >>> 2;
    from = to;
  }
  if (whole === end) return;
  lastStride.fill(0);
  for (let at = whole; at < end; at++) lastStride[at - whole] = bytes[at] as number;
  addStrides(key, word, lastStrideView, 0, 32);
}

/** Adds the products of at most eight strides of 32 bytes to both sums. */
function addStrides(key: Int32Array, firstWord: number, view: DataView, start: number, end: number): void {
  let aLow = 0;
  let aHigh = 0;
  let bLow = 0;
  let bHigh = 0;
  let word = firstWord;
  for (let p = start; p < end; p += 32, word += 4) {
    for (const last = word + 4, q = p - 4 * word; word < last; word++) {
      const left = view.getInt32(q + 4 * word, true);
      const right = view.getInt32(q + 4 * word + 16, true);
      const middle = key[word + 4] as number;
      const aLeft = (left + (key[word] as number)) >>> 0;
      const aRight = (right + middle) | 0;
      aLow += aLeft * (aRight & 0xffff);
      aHigh += aLeft * (aRight >>> 16);
      const bLeft = (left + middle) >>> 0;
      const bRight = (right + (key[word + 8] as number)) | 0;
      bLow += bLeft * (bRight & 0xffff);
      bHigh += bLeft * (bRight >>> 16);
    }
  }
  addTo(0, aLow, aHigh);
  addTo(2, bLow, bHigh);
}

/** Adds `low + high * 2^16` to a sum, modulo 2^64. */
function addTo(sum: number, low: number, high: number): void {
  const top = Math.floor(high / two16);
  const lowTop = Math.floor(low / two32);
  const words = (sums[sum] as number) + (low - lowTop * two32) + (high - top * two16) * two16;
  const carry = Math.floor(words / two32);
  sums[sum] = words - carry * two32;
  sums[sum + 1] = ((sums[sum + 1] as number) + carry + lowTop + top) >>> 0;
}

/** Lines of this length do not occur in practice; SHA-256 behind the key is slow and safe. */
function hashLong(key: LineKey, text: Uint8Array, out: Uint32Array, at: number): void {
  const digest = createHash("sha256").update(key.foldWords).update(text).digest();
  out[at] = digest.readUInt32LE(0);
  out[at + 1] = digest.readUInt32LE(4);
}
