/** What a pull parser of an exposition page offers, whatever its format. */

export type EntryKind = "series" | "type" | "help" | "unit" | "comment" | "end";

/** The type word of the last TYPE line; empty before the first. It decides how `le` and `quantile` read. */
export type ParserState =
  | ""
  | "counter"
  | "gauge"
  | "histogram"
  | "gaugehistogram"
  | "summary"
  | "info"
  | "stateset"
  | "unknown"
  | "untyped";

/** The exemplar behind a sample of an OpenMetrics page. Its label names and values are not unescaped, as in Prometheus. */
export interface Exemplar {
  readonly labels: [string, string][];
  readonly value: number;
  /** Undefined when the page gives none. */
  readonly timestampMs: number | undefined;
}

/**
 * A pull parser of one page. What the fields hold is valid until the next call of `next`, `seek` or `reset`. Accepts what
 * Prometheus' own parser accepts, with one difference: a quoted name that is not UTF-8 is a fault here already.
 */
export interface ExpositionParser {
  /** Begins another page: `page[0..length)`. The page must not change while it is parsed. */
  reset(page: Uint8Array, length?: number): void;
  /**
   * Parses the next entry; after "end" every call returns "end". Throws DecodeError (format "text" or "openmetrics", byte
   * offset, line number in the message) when the page is invalid; the parser may then only be `seek`ed or `reset`.
   */
  next(): EntryKind;
  /** Continues at a byte offset that begins a line. The state stays as it is. */
  seek(offset: number): void;
  /** Where the next unparsed line begins. */
  readonly offset: number;

  /** For "series": the bytes of the name and its labels as written (in the text format with blanks before the name). */
  readonly seriesStart: number;
  readonly seriesEnd: number;
  readonly value: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Whole milliseconds; undefined when the page gives none. */
  readonly timestampMs: number | undefined;
  /** OpenMetrics only. */
  readonly exemplar: Exemplar | undefined;
  /**
   * The labels of the series in page order, behind `__name__`. Nothing is checked for duplicates or emptiness. The value
   * of `le` is rewritten while the state is "histogram", that of `quantile` while it is "summary".
   */
  labels(): [string, string][];
  /** The metric name as `labels` has it. */
  readonly seriesName: string;
  /** Where the metric name stands, without quotes and still escaped. */
  readonly nameStart: number;
  readonly nameEnd: number;
  /** How many labels the series has, `__name__` included. */
  readonly labelCount: number;
  /**
   * Where the labels stand, in page order: start and end of the name, start and end of the value, without quotes and still
   * escaped. More numbers may follow than there are labels.
   */
  readonly labelBounds: readonly number[];

  /** For "type", "help" and "unit": the family as written; escapes in a quoted name stay, as in Prometheus. */
  readonly metricName: string;
  /** The type word, the unescaped help or the unit. */
  readonly text: string;

  readonly state: ParserState;
  setState(state: ParserState): void;
}
