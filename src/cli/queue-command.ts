/** `millrace queue`: what is in a queue on disk, and is it whole. */

import type { Command } from "commander";
import type { InspectedQueue } from "../durable/inspect-queue.ts";
import { toError } from "../model/errors.ts";
import { exitConfig } from "./exit-codes.ts";

export function addQueueCommand(program: Command): void {
  const command = program.command("queue").description("look at queues on disk; nothing is changed");
  const add = (name: string, description: string, isThorough: boolean) =>
    command
      .command(name)
      .argument("<dir>", "directory of a queue, or one that has queues below it")
      .description(description)
      .option("--json", "print JSON", false)
      .action(async (directory: string, { json }: { json: boolean }) => {
        process.exitCode = await inspect(directory, isThorough, json);
      });
  add("inspect", "list segments, records and damage that the indexes show", false);
  add("verify", "read every record; ends with 1 when something is damaged", true);
}

async function inspect(directory: string, isThorough: boolean, json: boolean): Promise<number> {
  const { findQueues, inspectQueue } = await import("../durable/inspect-queue.ts");
  const { systemFiles } = await import("../durable/file-layer.ts");
  try {
    const directories = await findQueues(systemFiles, directory);
    if (directories.length === 0) throw new Error(`${directory} has no queue`);
    const queues: InspectedQueue[] = [];
    for (const one of directories) queues.push(await inspectQueue(systemFiles, one, isThorough));
    process.stdout.write(json ? `${JSON.stringify(queues, undefined, 2)}\n` : queues.map(show).join("\n"));
    return isThorough && queues.some(({ damage }) => damage.length > 0) ? exitConfig : 0;
  } catch (caught) {
    process.stderr.write(`Error: ${toError(caught).message}\n`);
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
  for (const { kind, file, offset, bytes } of damage) {
    lines.push(`  damaged: ${kind} in ${file} at byte ${offset}, ${bytes} bytes`);
  }
  return `${lines.join("\n")}\n`;
}

function time(ms: number | undefined): string {
  return ms === undefined ? "-" : new Date(ms).toISOString();
}
