/** The millrace command: reads the arguments and runs one of its commands. */

import { Command, CommanderError } from "commander";
import { productVersion } from "../collector/version.ts";
import { chooseKernels } from "../kernels/kernels.ts";
import { toError } from "../model/errors.ts";
import { addAgentCommand } from "./agent-command.ts";
import { addComponentsCommand } from "./components-command.ts";
import { exitConfig, exitUsage } from "./exit-codes.ts";
import { addPrintConfigCommand } from "./print-config-command.ts";
import { addQueueCommand } from "./queue-command.ts";
import { addRunCommand } from "./run-command.ts";
import { addValidateCommand } from "./validate-command.ts";

async function main(): Promise<void> {
  if (process.env["MILLRACE_KERNELS"] === "plain") chooseKernels("plain");
  const program = new Command("millrace");
  program
    .description("An OpenTelemetry Collector centred on metrics that joins Prometheus and OTLP.")
    .version(`millrace ${productVersion()}`, "-v, --version", "print the version")
    .showHelpAfterError("(millrace --help lists the commands)")
    .exitOverride();
  addRunCommand(program);
  addAgentCommand(program);
  addValidateCommand(program);
  addComponentsCommand(program);
  addPrintConfigCommand(program);
  addQueueCommand(program);
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
    else {
      process.stderr.write(`Error: ${toError(error).stack ?? String(error)}\n`);
      process.exitCode = exitConfig;
    }
  }
}

await main();
