/** Why points do not make it from one reading to the other. */

export type DropReason =
  /** A second row for a part that its point has already, or a second series with the same Prometheus labels. */
  | "duplicate"
  /** A bucket or quantile without a usable `le` or `quantile`. */
  | "malformed"
  /** A histogram or summary without a `_count` row of the same time. */
  | "incomplete"
  /** Bucket counts that fall, exceed the count, or are NaN, negative or too large. */
  | "invalid_histogram"
  | "invalid_summary"
  /** A row whose time differs from that of the first row of its point. */
  | "timestamp"
  /** Delta or unspecified temporality: remote write knows cumulative values only. */
  | "temporality"
  /** A metric name of nothing but underscores. */
  | "name"
  /** An attribute that makes no label name. */
  | "label"
  /** A kind of point that this way of sending does not carry. */
  | "unsupported";

const limit = 2 ** 64;

/** True for what truncates to an unsigned 64-bit integer. */
export function isUint64(value: number): boolean {
  return value >= 0 && value < limit;
}
