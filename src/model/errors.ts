/** The three error classes of Millrace, each with a stable code that callers may match on. */

/** A place in a configuration file: lines and columns count from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with a configuration. */
export interface ConfigIssue {
  /** Where in the configuration, e.g. `receivers::prometheus::config::scrape_configs[0]::scrape_intervall`. */
  readonly path: string;
  /** What was expected and what was found, lower case, without a full stop. */
  readonly message: string;
  readonly at?: SourcePosition | undefined;
  /** The valid key nearest to a misspelt one. */
  readonly nearest?: string | undefined;
}

/** Formats an issue as `path: message, did you mean "x"? (file:line:column)`. */
export function formatConfigIssue(issue: ConfigIssue): string {
  const head = issue.path === "" ? issue.message : `${issue.path}: ${issue.message}`;
  const hint = issue.nearest === undefined ? "" : `, did you mean ${JSON.stringify(issue.nearest)}?`;
  const at = issue.at === undefined ? "" : ` (${issue.at.file}:${issue.at.line}:${issue.at.column})`;
  return head + hint + at;
}

/** A configuration that cannot be used; carries every issue that was found, not only the first. */
export class ConfigError extends Error {
  readonly code = "CONFIG_INVALID";
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], options?: ErrorOptions) {
    super(issues.map(formatConfigIssue).join("\n"), options);
    this.name = "ConfigError";
    this.issues = issues;
  }
}

/** Bytes that are not what their format demands; thrown by codecs and parsers only. */
export class DecodeError extends Error {
  readonly code = "DECODE_INVALID";
  readonly format: string;
  /** Byte offset of the fault in the input. */
  readonly offset: number;

  constructor(format: string, offset: number, message: string, options?: ErrorOptions) {
    super(`${format}: ${message} (at byte ${offset})`, options);
    this.name = "DecodeError";
    this.format = format;
    this.offset = offset;
  }
}

export type ConsumeErrorCode =
  | "CONSUME_REFUSED"
  | "CONSUME_QUEUE_FULL"
  | "CONSUME_MEMORY_LIMIT"
  | "CONSUME_TIMEOUT"
  | "CONSUME_UNREACHABLE"
  | "CONSUME_REJECTED"
  | "CONSUME_SHUTDOWN";

/** Data that the next component did not take. Permanent: the same data will be refused again. */
export class ConsumeError extends Error {
  readonly code: ConsumeErrorCode;
  readonly permanent: boolean;
  /** How long the refusing side asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;
  /** So many items of the data were refused for good, and the rest was taken; undefined where nothing was. */
  readonly rejectedItems: number | undefined;

  constructor(
    code: ConsumeErrorCode,
    message: string,
    options: ErrorOptions & {
      permanent: boolean;
      retryAfterMs?: number | undefined;
      rejectedItems?: number | undefined;
    },
  ) {
    super(message, options);
    this.name = "ConsumeError";
    this.code = code;
    this.permanent = options.permanent;
    this.retryAfterMs = options.retryAfterMs;
    this.rejectedItems = options.rejectedItems;
  }
}

/** Normalises anything caught to an Error. */
export function toError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(String(caught));
}
