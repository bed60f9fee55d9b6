/** Starts a process, reloads it on SIGHUP, and shuts it down on SIGINT or SIGTERM. */

import type { Logger } from "../component/telemetry.ts";
import { ConfigError, toError } from "../model/errors.ts";
import { exitConfig, printConfigError } from "./exit-codes.ts";

export interface Runnable {
  /** Throws ConfigError for what the operator can mend. */
  start(): Promise<void>;
  reload(): Promise<boolean>;
  shutdown(): Promise<void>;
}

/** A terminal signals the whole group, and the launcher passes the signal on: what comes this soon again is the same one. */
const sameSignalMs = 500;

/** Resolves with the exit code. Only a signal ends a process that has started; a second one ends it at once, with code 1. */
export async function runUntilSignal(runnable: Runnable, log: Logger): Promise<number> {
  const stopped = Promise.withResolvers<NodeJS.Signals>();
  let stoppingSinceMs: number | undefined;
  const stop = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs !== undefined) {
      if (performance.now() - stoppingSinceMs < sameSignalMs) return;
      log.warn("Received a second signal, exiting at once", { signal });
      process.exit(exitConfig);
    }
    stoppingSinceMs = performance.now();
    stopped.resolve(signal);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("SIGHUP", () => {
    runnable.reload().catch((error: unknown) => log.error("reload failed", { err: toError(error) }));
  });
  process.on("unhandledRejection", (reason) => log.error("unhandled rejection", { err: toError(reason).stack }));
  process.on("uncaughtException", (error) => log.error("uncaught exception", { err: error.stack }));
  try {
    await runnable.start();
  } catch (caught) {
    await runnable.shutdown().catch(() => {});
    if (caught instanceof ConfigError) printConfigError(caught);
    else process.stderr.write(`Error: cannot start: ${toError(caught).stack ?? ""}\n`);
    return exitConfig;
  }
  const signal = await stopped.promise;
  log.info("Received signal, exiting gracefully", { signal });
  await runnable.shutdown();
  return 0;
}
