/** `millrace print-config`: the configuration as merged, with everything left out that may be a secret. */

import type { Command } from "commander";
import { addConfigOptions, type ConfigFlags, refuseArguments, sourcesOf } from "./config-options.ts";
import { exitConfig, exitUsage, printConfigError } from "./exit-codes.ts";

export function addPrintConfigCommand(program: Command): void {
  const command = program
    .command("print-config")
    .alias("print-initial-config")
    .description("print the merged configuration; secrets and whatever came from ${...} are left out");
  command.allowExcessArguments();
  addConfigOptions(command);
  command.action(async (flags: ConfigFlags) => {
    refuseArguments(command, "--config");
    if (flags.config.length === 0) command.error("error: --config is missing", { exitCode: exitUsage });
    process.exitCode = await printConfig(flags);
  });
}

async function printConfig(flags: ConfigFlags): Promise<number> {
  const [{ resolveConfig }, { redactedConfig }, { stringify }, { ConfigError }] = await Promise.all([
    import("../config/resolve.ts"),
    import("../collector/redacted-config.ts"),
    import("yaml"),
    import("../model/errors.ts"),
  ]);
  const { root, issues } = resolveConfig(sourcesOf(flags));
  if (issues.length > 0 || root === undefined) {
    printConfigError(
      new ConfigError(issues.length > 0 ? issues : [{ path: "", message: "the configuration is empty" }]),
    );
    return exitConfig;
  }
  process.stdout.write(stringify(redactedConfig(root), { lineWidth: 0 }));
  return 0;
}
