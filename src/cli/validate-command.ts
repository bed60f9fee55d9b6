/** `millrace validate`: checks a configuration and starts nothing; warns of what has no effect. */

import type { Command } from "commander";
import { ConfigError, type ConfigIssue, formatConfigIssue } from "../model/errors.ts";
import { addConfigOptions, type ConfigFlags, refuseArguments, sourcesOf } from "./config-options.ts";
import { exitConfig, exitUsage, printConfigError } from "./exit-codes.ts";

interface ValidateFlags extends ConfigFlags {
  readonly "config.file"?: string;
}

export function addValidateCommand(program: Command): void {
  const command = program
    .command("validate")
    .description("check a configuration: says nothing when it is good, else every fault with its place")
    .option("--config.file <file>", "a prometheus.yml, as millrace agent reads it");
  command.allowExcessArguments();
  addConfigOptions(command);
  command.action(async (flags: ValidateFlags) => {
    refuseArguments(command, "--config for a collector, --config.file for an agent");
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
    for (const notice of await check(flags, prometheusFile)) {
      process.stderr.write(`Warning: ${formatConfigIssue(notice)}\n`);
    }
    return 0;
  } catch (caught) {
    if (!(caught instanceof ConfigError)) throw caught;
    printConfigError(caught);
    return exitConfig;
  }
}

/** What is accepted and has no effect. */
async function check(flags: ConfigFlags, prometheusFile: string | undefined): Promise<readonly ConfigIssue[]> {
  if (prometheusFile === undefined) return await validateCollector(flags);
  const { readAgentConfig } = await import("../collector/agent/read-agent-config.ts");
  return readAgentConfig(prometheusFile, process.env, true).notices;
}

async function validateCollector(flags: ConfigFlags): Promise<readonly ConfigIssue[]> {
  const [{ validateConfig }, { SwitchableLogger }, { systemClock }] = await Promise.all([
    import("../collector/collector.ts"),
    import("../collector/switchable-logger.ts"),
    import("../collector/clock.ts"),
  ]);
  return await validateConfig(sourcesOf(flags), new SwitchableLogger(), systemClock);
}
