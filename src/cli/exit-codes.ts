/** How commands end: exit codes, and errors on standard error. */

import { ConfigError } from "../model/errors.ts";

/** A configuration that cannot be used, or something it names that cannot be had. */
export const exitConfig = 1;
/** Arguments that are not understood. */
export const exitUsage = 2;

/** Prints every issue, one to a line. */
export function printConfigError(error: ConfigError): void {
  const what = isOfConfiguration(error) ? "invalid configuration" : "cannot start";
  process.stderr.write(`Error: ${what}:\n${error.message}\n`);
}

/** Whether the configuration itself is at fault, and not a port, a file or a directory that cannot be had. */
function isOfConfiguration({ cause }: ConfigError): boolean {
  return cause === undefined || (cause instanceof ConfigError && isOfConfiguration(cause));
}
