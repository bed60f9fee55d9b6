/** Counts of histograms and summaries as the whole numbers that OTLP has for them. */

/** What otelcol-contrib (0.155, on amd64) makes of a number that is no unsigned 64-bit integer at all. */
const noCount = 2n ** 63n;

/**
 * A scraped count as an unsigned 64-bit integer, always the one that otelcol-contrib sends. Fractions are cut. A negative
 * number down to -2^63 wraps around, so a bucket that falls by two says 2^64 - 2; NaN and what is too large say 2^63.
 */
export function wholeCount(value: number): bigint {
  const whole = Math.trunc(value);
  return whole >= -(2 ** 63) && whole < 2 ** 64 ? BigInt.asUintN(64, BigInt(whole)) : noCount;
}
