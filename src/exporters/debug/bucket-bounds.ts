/** The bounds of exponential buckets. */

/** Bucket i of a scale lies between exp(i * factor) and exp((i + 1) * factor). */
export function bucketFactor(scale: number): number {
  return Math.LN2 * 2 ** -scale;
}
