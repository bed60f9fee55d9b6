/** How commands end: exit codes, and errors on standard error. */

import type { ConfigError } from "../model/errors.ts";

/** A configuration that cannot be used, or something it names that cannot be had. */
export const exitConfig = 1;
/** Arguments that are not understood. */
export const exitUsage = 2;

/** Prints every issue, one to a line. */
export function printConfigError(error: ConfigError): void {
  process.stderr.write(`Error: invalid configuration:\n${error.message}\n`);
}
