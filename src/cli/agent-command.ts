/** `millrace agent`: flags as Prometheus has them, signals, exit codes. */

import type { Command } from "commander";
import { parseByteSize } from "../codec/yaml/field-types.ts";
import type { AgentOptions } from "../collector/agent/agent-options.ts";
import { ConfigError } from "../model/errors.ts";
import { parsePromDuration } from "../prometheus/config/prom-duration.ts";
import { refuseArguments } from "./config-options.ts";
import { exitUsage } from "./exit-codes.ts";
import { runUntilSignal } from "./run-until-signal.ts";

/** Flags of a Prometheus agent that are accepted and have nothing to do here. */
const ignoredFlags = [
  "--web.read-timeout <duration>",
  "--web.max-connections <number>",
  "--web.route-prefix <path>",
  "--web.user-assets <path>",
  "--web.console.templates <path>",
  "--web.console.libraries <path>",
  "--web.page-title <title>",
  "--web.cors.origin <regex>",
  "--web.max-notifications-subscribers <number>",
  "--web.enable-admin-api",
  "--web.remote-write-receiver.accepted-protobuf-messages <name>",
  "--config.auto-reload",
  "--config.auto-reload-interval <duration>",
  "--auto-gomaxprocs",
  "--no-auto-gomaxprocs",
  "--auto-gomemlimit",
  "--no-auto-gomemlimit",
  "--auto-gomemlimit.ratio <number>",
  "--auto-gomemlimit.refresh-interval <duration>",
  "--storage.agent.wal-compression [flag]",
  "--storage.agent.wal-compression-type <type>",
  "--storage.agent.wal-segment-size <bytes>",
  "--storage.agent.wal-truncate-frequency <duration>",
  "--storage.agent.checkpoint-from-in-memory-series",
  "--storage.agent.checkpoint-batch-size <number>",
  "--storage.agent.retention.min-time <duration>",
  "--storage.agent.no-lockfile [flag]",
  "--scrape.adjust-timestamps [flag]",
  "--scrape.timestamp-tolerance <duration>",
  "--scrape.discovery-reload-interval <duration>",
  "--enable-feature <list>",
  "--agent",
];

/** Flags of a Prometheus agent that are refused: without them something would be open unasked, or data refused unseen. */
const refusedFlags: readonly (readonly [flag: string, why: string])[] = [
  ["--web.config.file <file>", "TLS and passwords of the API come in a later version of Millrace"],
  ["--web.enable-remote-write-receiver", "receiving remote write comes in a later version of Millrace"],
  ["--web.enable-otlp-receiver", "OTLP is received by millrace run, with the receiver otlp"],
];

export function addAgentCommand(program: Command): void {
  const command = program
    .command("agent")
    .description("scrape and remote-write with a prometheus.yml, in the place of a Prometheus agent")
    .option("--config.file <file>", "Prometheus configuration file", "prometheus.yml")
    .option("--web.listen-address <address>", "address of the API, health checks and own metrics", "localhost:9090")
    .option("--web.external-url <url>", "URL under which the agent is reached from outside", "")
    .option("--web.enable-lifecycle", "allow /-/reload and /-/quit", false)
    .option("--storage.agent.path <dir>", 'directory of the queues on disk; "" keeps them in memory', "data-agent/")
    .option("--storage.agent.max-size <bytes>", "bytes that each remote_write entry may queue on disk", "10GiB")
    .option("--storage.agent.min-free-space <bytes>", "bytes of the device that queues on disk leave free", "64MiB")
    .option(
      "--storage.agent.when-full <rule>",
      "at a limit: drop_oldest, or block, which refuses scrapes",
      "drop_oldest",
    )
    .option("--storage.agent.retention.max-time <duration>", "older samples on disk are dropped; 0 means never", "0s")
    .option("--storage.agent.fsync", "survive a power cut too: a scrape counts as taken when it is synced", false)
    .option("--storage.remote.flush-deadline <duration>", "how long to deliver what is queued at shutdown", "25s")
    .option("--queue.max-size <bytes>", "samples that each remote_write entry may queue", "256MiB")
    .option("--scrape.max-body-size <bytes>", "largest page of a target without body_size_limit", "256MiB")
    .option(
      "--scrape.max-all-pages-size <bytes>",
      "memory for pages under way; 0: a quarter of the memory there is",
      "0",
    )
    .option("--scrape.max-series <number>", "most series of one target", "1000000")
    .option("--scrape.max-line-size <bytes>", "longest line of a page", "1MiB")
    .option("--scrape.max-labels <number>", "most labels of one series", "512")
    .option("--log.level <level>", "debug, info, warn or error", "info")
    .option("--log.format <format>", "logfmt or json", "logfmt");
  for (const flag of ignoredFlags) command.option(flag, "accepted, without effect");
  for (const [flag, why] of refusedFlags) command.option(flag, `refused: ${why}`);
  command.allowExcessArguments();
  command.action(async (flags: Record<string, string | boolean>) => {
    refuseArguments(command, "--config.file");
    process.exitCode = await runAgent(flags);
  });
}

async function runAgent(flags: Record<string, string | boolean>): Promise<number> {
  let options: AgentOptions;
  try {
    options = readOptions(flags);
  } catch (caught) {
    if (!(caught instanceof ConfigError)) throw caught;
    process.stderr.write(`Error: ${caught.message}\n`);
    return exitUsage;
  }
  const { createLogger } = await import("../collector/logger.ts");
  const { Agent } = await import("../collector/agent/agent.ts");
  const { systemClock } = await import("../collector/clock.ts");
  const { logger, flush } = createLogger({
    level: options.logLevel,
    encoding: options.logFormat,
    outputPaths: ["stderr"],
    initialFields: {},
  });
  for (const name of givenFlags(flags, ignoredFlags)) {
    logger.warn("flag is accepted, but has no effect", { flag: name });
  }
  const agent = new Agent(options, logger, systemClock);
  try {
    return await runUntilSignal(agent, logger);
  } finally {
    flush();
  }
}

/** Which of these flags are given; `--no-x` is one with `--x`. */
function givenFlags(flags: Record<string, string | boolean>, texts: readonly string[]): Set<string> {
  const names = texts.map((text) => (text.split(" ")[0] ?? "").replace(/^--no-/, "--"));
  return new Set(names.filter((name) => isGiven(flags, name)));
}

/** The parser of arguments names `--a.b-c` as `a.bC`. */
function flagKey(name: string): string {
  return name.replace(/^--/, "").replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function isGiven(flags: Record<string, string | boolean>, name: string): boolean {
  return flags[flagKey(name)] !== undefined;
}

function readOptions(flags: Record<string, string | boolean>): AgentOptions {
  const issues: { path: string; message: string }[] = [];
  const flag = (name: string) => flags[flagKey(name)];
  const text = (name: string) => String(flag(name) ?? "");
  const read = <T>(name: string, expected: string, parse: (value: string) => T | undefined): T => {
    const value = parse(text(name));
    if (value === undefined) issues.push({ path: `--${name}`, message: `expected ${expected}, got "${text(name)}"` });
    return value as T;
  };
  const oneOf =
    <T extends string>(...allowed: T[]) =>
    (value: string) =>
      allowed.find((word) => word === value);
  const options: AgentOptions = {
    env: process.env,
    configFile: text("config.file"),
    listenAddress: text("web.listen-address"),
    storagePath: text("storage.agent.path") || undefined,
    minFreeBytes: read("storage.agent.min-free-space", "a size like 64MiB", parseByteSize),
    whenStorageFull: read("storage.agent.when-full", "block or drop_oldest", oneOf("block", "drop_oldest")),
    maxStorageAgeMs: read("storage.agent.retention.max-time", "a duration like 4h", parsePromDuration),
    syncsStorage: flag("storage.agent.fsync") === true,
    maxStorageBytes: read("storage.agent.max-size", "a size like 10GiB", parseByteSize),
    flushDeadlineMs: read("storage.remote.flush-deadline", "a duration like 1m", parsePromDuration),
    maxQueuedBytes: read("queue.max-size", "a size like 256MiB", parseByteSize),
    enableLifecycle: flag("web.enable-lifecycle") === true,
    logLevel: read("log.level", "debug, info, warn or error", oneOf("debug", "info", "warn", "error")),
    logFormat: read("log.format", "logfmt or json", oneOf("logfmt", "json")),
    externalUrl: text("web.external-url"),
    maxBodyBytes: read("scrape.max-body-size", "a size like 256MiB", parseByteSize),
    maxAllPagesBytes: read("scrape.max-all-pages-size", "a size like 1GiB", parseByteSize),
    maxSeriesPerTarget: read("scrape.max-series", "a positive number", parseCount),
    maxLineBytes: read("scrape.max-line-size", "a size like 1MiB", parseByteSize),
    maxLabels: read("scrape.max-labels", "a positive number", parseCount),
  };
  for (const [text, message] of refusedFlags) {
    const [path = ""] = text.split(" ");
    if (isGiven(flags, path)) issues.push({ path, message });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return options;
}

function parseCount(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}
