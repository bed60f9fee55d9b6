/** `millrace queue`: what is in a queue on disk, is it whole, send it elsewhere. */

import type { Command } from "commander";
import type { Damage } from "../durable/damage.ts";
import type { InspectedQueue } from "../durable/inspect-queue.ts";
import { toError } from "../model/errors.ts";
import { exitConfig, exitUsage } from "./exit-codes.ts";

export function addQueueCommand(program: Command): void {
  const command = program.command("queue").description("look at queues on disk, send them elsewhere");
  const add = (name: string, description: string, isThorough: boolean) =>
    command
      .command(name)
      .argument("<dir>", "directory of a queue, or one that has queues below it")
      .description(description)
      .option("--json", "print JSON", false)
      .action(async (directory: string, { json }: { json: boolean }) => {
        process.exitCode = await inspect(directory, isThorough, json);
      });
  add("inspect", "list segments, records and damage that the indexes show; nothing is changed", false);
  add("verify", "read every record; ends with 1 when something is damaged; nothing is changed", true);
  command
    .command("replay")
    .argument("<dir>", "directory of a queue that no process uses, or one that has queues below it")
    .description("send what waits: samples by remote write, requests by OTLP over HTTP; each lane in its order")
    .requiredOption("--to <url>", "remote-write URL, or base URL of an OTLP/HTTP server")
    .option("--header <name: value>", "header of every request; repeatable", collect, [])
    .option("--acknowledge", "take what was delivered out of the queue; without it everything stays", false)
    .option("--give-up-after <duration>", "how long a request that fails is repeated before the replay ends", "1m")
    .action(async (directory: string, flags: ReplayFlags) => {
      process.exitCode = await replay(directory, flags);
    });
}

interface ReplayFlags {
  readonly to: string;
  readonly header: readonly string[];
  readonly acknowledge: boolean;
  readonly giveUpAfter: string;
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

async function replay(directory: string, flags: ReplayFlags): Promise<number> {
  const { parseReplayUrl, replayQueue } = await import("../collector/replay-queue.ts");
  const { parsePromDuration } = await import("../prometheus/config/prom-duration.ts");
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  let exitCode = exitUsage;
  try {
    const giveUpMs = parsePromDuration(flags.giveUpAfter);
    if (giveUpMs === undefined) throw new Error(`--give-up-after: expected a duration, got "${flags.giveUpAfter}"`);
    const options = { to: parseReplayUrl(flags.to), acknowledge: flags.acknowledge, giveUpMs, env: process.env };
    const headers = Object.fromEntries(flags.header.map(parseHeader));
    exitCode = exitConfig;
    const { directories, isComplete } = await queuesBelow(directory);
    let hasRefused = false;
    for (const one of directories) {
      const damaged = (damage: Damage) => complain(damageText(damage));
      const lost = (records: number, items: number) =>
        complain(`${one}: ${records} records with ${items} items are damaged and not sent`);
      const refused = (items: number, message: string) => {
        hasRefused = true;
        complain(`${one}: the server refused ${items} items for good: ${JSON.stringify(message)}`);
      };
      const given = { ...options, headers, directory: one, damaged, lost, refused };
      const { records, items, failure } = await replayQueue(given, stop.signal);
      const kept = flags.acknowledge ? "taken out of the queue" : "still in the queue";
      process.stdout.write(`${one}: ${records} records with ${items} items delivered, ${kept}\n`);
      if (failure !== undefined) throw new Error(`${one}: ${failure}`);
    }
    return isComplete && !hasRefused ? 0 : exitConfig;
  } catch (caught) {
    complain(`Error: ${reason(caught, directory)}`);
    return exitCode;
  }
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The queues at and below a directory; those that cannot be looked into are named. Rejects where there is none. */
async function queuesBelow(directory: string): Promise<{ directories: string[]; isComplete: boolean }> {
  const { findQueues } = await import("../durable/inspect-queue.ts");
  const { systemFiles } = await import("../durable/file-layer.ts");
  let isComplete = true;
  const directories = await findQueues(systemFiles, directory, undefined, (_path, caught) => {
    isComplete = false;
    complain(`Error: ${toError(caught).message}`);
  });
  if (directories.length === 0 && isComplete) throw new Error(`${directory} has no queue`);
  return { directories, isComplete };
}

function reason(caught: unknown, directory: string): string {
  const { code, path, message } = toError(caught) as NodeJS.ErrnoException;
  if (path !== directory) return message;
  return code === "ENOENT"
    ? `${directory} does not exist`
    : code === "ENOTDIR"
      ? `${directory} is no directory`
      : message;
}

function parseHeader(text: string): [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n]*)$/.exec(text);
  // The value may be a secret: it is not repeated.
  if (match === null) throw new Error('--header: expected "Name: value"');
  return [match[1] ?? "", match[2] ?? ""];
}

async function inspect(directory: string, isThorough: boolean, json: boolean): Promise<number> {
  const { inspectQueue } = await import("../durable/inspect-queue.ts");
  const { systemFiles } = await import("../durable/file-layer.ts");
  try {
    const below = await queuesBelow(directory);
    let { isComplete } = below;
    const queues: InspectedQueue[] = [];
    for (const one of below.directories) {
      try {
        queues.push(await inspectQueue(systemFiles, one, isThorough));
      } catch (caught) {
        // The others are shown all the same.
        isComplete = false;
        complain(`Error: ${reason(caught, directory)}`);
      }
    }
    process.stdout.write(json ? `${JSON.stringify(queues, undefined, 2)}\n` : queues.map(show).join("\n"));
    const isDamaged = isThorough && queues.some(({ damage }) => damage.length > 0);
    return isDamaged || !isComplete ? exitConfig : 0;
  } catch (caught) {
    complain(`Error: ${reason(caught, directory)}`);
    return exitConfig;
  }
}

function show({ directory, id, segments, damage }: InspectedQueue): string {
  const lines = [`${directory}  queue ${id ?? "unknown"}`];
  for (const segment of segments) {
    const name = segment.file.slice(directory.length + 1);
    const span = `${time(segment.oldestMs)} to ${time(segment.newestMs)}`;
    const content = `${segment.waiting} of ${segment.records} records wait, ${segment.items} items in ${segment.lanes} lanes`;
    lines.push(`  ${name}  ${segment.bytes} bytes, ${content}, ${span}`);
  }
  const waiting = segments.reduce((sum, segment) => sum + segment.waiting, 0);
  lines.push(`  ${waiting} records wait in ${segments.length} segments`);
  for (const one of damage) lines.push(`  ${damageText(one)}`);
  return `${lines.join("\n")}\n`;
}

function damageText({ kind, file, offset, bytes }: Damage): string {
  return `damaged: ${kind} in ${file} at byte ${offset}, ${bytes} bytes`;
}

function time(ms: number | undefined): string {
  return ms === undefined ? "-" : new Date(ms).toISOString();
}
