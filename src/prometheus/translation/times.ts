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

/** Nanoseconds of a `_created` value in seconds; 0 (unknown) for what is no time after 1970. */
export function nanosOfSeconds(seconds: number): bigint {
  if (!Number.isFinite(seconds) || seconds <= 0) return 0n;
  const whole = Math.trunc(seconds);
  return BigInt.asUintN(64, BigInt(whole) * 1_000_000_000n + BigInt(Math.trunc((seconds - whole) * 1e9)));
}
