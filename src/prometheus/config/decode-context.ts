/** What every part of the decoder shares: where faults and notices go, the mode, and the way to files and environment. */

import { formatPath } from "../../codec/yaml/config-node.ts";
import type { ConfigIssue, SourcePosition } from "../../model/errors.ts";

export type ConfigPath = readonly (string | number)[];

/** `agent` is a whole prometheus.yml, `receiver` the `config` block of the Collector's receiver. */
export type ConfigMode = "agent" | "receiver";

export interface DecodeContext {
  readonly mode: ConfigMode;
  readonly issues: ConfigIssue[];
  readonly notice: (notice: ConfigIssue) => void;
  /** The value of an environment variable. */
  readonly env: (name: string) => string | undefined;
  /** True where the file exists; asked in receiver mode only. */
  readonly fileExists: (path: string) => boolean;
  /** Resolves a path that is relative to the file being decoded; an empty path stays empty. */
  readonly resolvePath: (path: string) => string;
  /** Keys that a notice was given for already. */
  readonly noticed: Set<string>;
}

/** Records a fault. */
export function fail(context: DecodeContext, path: ConfigPath, message: string, at: SourcePosition | undefined): void {
  context.issues.push({ path: formatPath(path), message, at });
}

/** Tells once per configuration that `what` is accepted but does not act. */
export function noticeOnce(
  context: DecodeContext,
  what: string,
  path: ConfigPath,
  message: string,
  at: SourcePosition | undefined,
): void {
  if (context.noticed.has(what)) return;
  context.noticed.add(what);
  context.notice({ path: formatPath(path), message, at });
}
