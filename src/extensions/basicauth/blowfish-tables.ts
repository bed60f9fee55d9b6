/** The first state of Blowfish, which is the fraction of pi in binary: computed instead of written down. */

const subkeyCount = 18;
const boxCount = 4 * 256;
const wordBits = 32;
const guardBits = 64n;

/** Subkeys and boxes before any key. */
export interface BlowfishTables {
  readonly subkeys: Int32Array;
  readonly boxes: Int32Array;
}

let computed: BlowfishTables | undefined;

/** Takes 30 ms the first time. */
export function blowfishTables(): BlowfishTables {
  computed ??= computeTables();
  return computed;
}

function computeTables(): BlowfishTables {
  const words = subkeyCount + boxCount;
  const bits = BigInt(words * wordBits);
  const one = 1n << (bits + guardBits);
  // Machin: pi = 16 arctan(1/5) - 4 arctan(1/239).
  const pi = 16n * inverseArctan(5n, one) - 4n * inverseArctan(239n, one);
  const fraction = (pi - 3n * one) >> guardBits;
  const digits = fraction.toString(16).padStart(words * 8, "0");
  const all = Int32Array.from({ length: words }, (_, i) => Number.parseInt(digits.slice(i * 8, i * 8 + 8), 16) | 0);
  return { subkeys: all.subarray(0, subkeyCount), boxes: all.subarray(subkeyCount) };
}

/** arctan(1 / x) in units of 1 / `one`. */
function inverseArctan(x: bigint, one: bigint): bigint {
  let power = one / x;
  let sum = power;
  for (let n = 3n; power !== 0n; n += 2n) {
    power /= -x * x;
    sum += power / n;
  }
  return sum;
}
