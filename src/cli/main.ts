/** The millrace command: reads the arguments and runs one of its commands. */

import { Command, CommanderError } from "commander";
import { productVersion } from "../collector/version.ts";
import { addAgentCommand } from "./agent-command.ts";

const exitUsage = 2;

async function main(): Promise<void> {
  const program = new Command("millrace");
  program
    .description("An OpenTelemetry Collector centred on metrics that joins Prometheus and OTLP.")
    .version(`millrace ${productVersion()}`, "-v, --version", "print the version")
    .showHelpAfterError("(millrace --help lists the commands)")
    .exitOverride();
  addAgentCommand(program);
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
  }
}

await main();
