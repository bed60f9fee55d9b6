/** Times between the milliseconds and seconds of Prometheus and the nanoseconds of OTLP. */

const nanosPerMs = 1_000_000n;

/** Nanoseconds of milliseconds since 1970; 0 (unknown) for what is no time. */
export function nanosOfMs(timeMs: number): bigint {
  return Number.isFinite(timeMs) ? BigInt.asUintN(64, BigInt(Math.trunc(timeMs)) * nanosPerMs) : 0n;
}

/** Milliseconds of nanoseconds since 1970, rounded down. */
export function msOfNanos(timeUnixNano: bigint): number {
  return Number(BigInt.asIntN(64, timeUnixNano) / nanosPerMs);
}

/** 2^32 nanoseconds are so many milliseconds, and so many nanoseconds more. */
const msOfHigh = 4294;
const nanosOfHigh = 967_296;

/** The same of nanoseconds as the two halves of 64 bits; makes no bigint. */
export function msOfWords(low: number, high: number): number {
  if (high < 0) return msOfNanos((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  // Exact: the product and the sum stay below 2^53, and the quotient below 2^32.
  return high * msOfHigh + Math.floor((high * nanosOfHigh + (low >>> 0)) / 1_000_000);
}

/** Nanoseconds of a `_created` value in seconds; 0 (unknown) for what is no time after 1970. */
export function nanosOfSeconds(seconds: number): bigint {
  if (!Number.isFinite(seconds) || seconds <= 0) return 0n;
  const whole = Math.trunc(seconds);
  return BigInt.asUintN(64, BigInt(whole) * 1_000_000_000n + BigInt(Math.trunc((seconds - whole) * 1e9)));
}
