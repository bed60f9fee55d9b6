/** The options that say where a collector's configuration comes from, as otelcol has them. */

import type { Command } from "commander";
import type { ConfigSources } from "../collector/load-config.ts";
import { exitUsage } from "./exit-codes.ts";

export interface ConfigFlags {
  readonly config: string[];
  readonly set: string[];
  readonly featureGates: string[];
}

export function addConfigOptions(command: Command): Command {
  const collect = (value: string, earlier: string[]) => [...earlier, value];
  return command
    .option("--config <uri>", "file, file:PATH, env:NAME or yaml:TEXT; repeatable, later ones win", collect, [])
    .option("--set <key=value>", "sets one key, as a.b.c=value; repeatable, over all files", collect, [])
    .option("--feature-gates <list>", "accepted, without effect", collect, []);
}

/** Reads the environment, which is where `${env:...}` looks. */
export function sourcesOf(flags: ConfigFlags): ConfigSources {
  return { uris: flags.config, sets: flags.set, env: process.env };
}

/** Ends with a usage error where a file stands without the flag that names it; `flags` is what to write before it. */
export function refuseArguments(command: Command, flags: string): void {
  const [first] = command.args;
  if (first === undefined) return;
  command.error(`error: unexpected argument '${first}': a file is named with ${flags}`, { exitCode: exitUsage });
}
