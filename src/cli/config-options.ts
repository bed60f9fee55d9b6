/** The options that say where a collector's configuration comes from, as otelcol has them. */

import type { Command } from "commander";
import type { ConfigSources } from "../collector/load-config.ts";

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
