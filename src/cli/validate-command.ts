/** `millrace validate`: checks a configuration and starts nothing. */

import type { Command } from "commander";
import { ConfigError } from "../model/errors.ts";
import { addConfigOptions, type ConfigFlags, refuseArguments, sourcesOf } from "./config-options.ts";
import { exitConfig, exitUsage, printConfigError } from "./exit-codes.ts";

interface ValidateFlags extends ConfigFlags {
  readonly "config.file"?: string;
}

export function addValidateCommand(program: Command): void {
  const command = program
    .command("validate")
    .description("check a configuration: silent when it is good, else every fault with its place")
    .option("--config.file <file>", "a prometheus.yml, as millrace agent reads it");
  command.argument("[extra...]");
  addConfigOptions(command);
  command.action(async (extra: string[], flags: ValidateFlags) => {
    refuseArguments(command, extra, "--config for a collector, --config.file for an agent");
    const prometheusFile = flags["config.file"];
    if ((flags.config.length === 0) === (prometheusFile === undefined)) {
      command.error("error: expected --config FILE for a collector or --config.file FILE for an agent", {
        exitCode: exitUsage,
      });
    }
    process.exitCode = await validate(flags, prometheusFile);
  });
}

async function validate(flags: ConfigFlags, prometheusFile: string | undefined): Promise<number> {
  try {
    if (prometheusFile === undefined) await validateCollector(flags);
    else (await import("../collector/agent/read-agent-config.ts")).readAgentConfig(prometheusFile, process.env, true);
    return 0;
  } catch (caught) {
    if (!(caught instanceof ConfigError)) throw caught;
    printConfigError(caught);
    return exitConfig;
  }
}

async function validateCollector(flags: ConfigFlags): Promise<void> {
  const [{ validateConfig }, { SwitchableLogger }, { systemClock }] = await Promise.all([
    import("../collector/collector.ts"),
    import("../collector/switchable-logger.ts"),
    import("../collector/clock.ts"),
  ]);
  await validateConfig(sourcesOf(flags), new SwitchableLogger(), systemClock);
}
