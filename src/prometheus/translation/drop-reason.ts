/** Why points do not make it from one reading to the other. */

export type DropReason =
  /** A second row for a part that its point has already, or a second series with the same Prometheus labels. */
  | "duplicate"
  /** A bucket or quantile without a usable `le` or `quantile`. */
  | "malformed"
  /** A histogram or summary without a `_count` row of the same time. */
  | "incomplete"
  /** A row that another row of the same family took the place of, as in otelcol-contrib. */
  | "replaced"
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
