/** `millrace run`: a collector, also reached without the word `run`, as otelcol is. */

import type { Command } from "commander";
import { parseGoDuration } from "../codec/yaml/go-duration.ts";
import { addConfigOptions, type ConfigFlags, refuseArguments, sourcesOf } from "./config-options.ts";
import { exitUsage } from "./exit-codes.ts";
import { runUntilSignal } from "./run-until-signal.ts";

export function addRunCommand(program: Command): void {
  const command = program
    .command("run", { isDefault: true })
    .description("run a collector; also without the word run: millrace --config FILE")
    .allowExcessArguments()
    .option(
      "--shutdown-timeout <duration>",
      "time for data on its way to arrive when a signal ends the process",
      "25s",
    );
  addConfigOptions(command);
  command.action(async (flags: ConfigFlags & { shutdownTimeout: string }) => {
    const [first] = command.args;
    if (/[./]/.test(first ?? "")) refuseArguments(command, "--config");
    if (first !== undefined) command.error(`error: unknown command '${first}'`, { exitCode: exitUsage });
    if (flags.config.length === 0) {
      command.error("error: --config is missing: name a configuration file", { exitCode: exitUsage });
    }
    const shutdownTimeoutMs = parseGoDuration(flags.shutdownTimeout);
    if (shutdownTimeoutMs === undefined || shutdownTimeoutMs < 0) {
      const got = JSON.stringify(flags.shutdownTimeout);
      command.error(`error: --shutdown-timeout: expected a duration like "30s", got ${got}`, { exitCode: exitUsage });
      return;
    }
    process.exitCode = await run(flags, shutdownTimeoutMs);
  });
}

async function run(flags: ConfigFlags, shutdownTimeoutMs: number): Promise<number> {
  const [{ Collector }, { SwitchableLogger }, { systemClock }] = await Promise.all([
    import("../collector/collector.ts"),
    import("../collector/switchable-logger.ts"),
    import("../collector/clock.ts"),
  ]);
  const log = new SwitchableLogger();
  const collector = new Collector({ ...sourcesOf(flags), shutdownTimeoutMs }, log, systemClock);
  if (flags.featureGates.length > 0) log.info("Feature gates have no effect", { gates: flags.featureGates });
  try {
    return await runUntilSignal(collector, log);
  } finally {
    log.flush();
  }
}
