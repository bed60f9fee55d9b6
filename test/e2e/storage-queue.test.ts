/** `millrace queue`: what is in a queue that a killed process left, whether it is whole, and the way elsewhere. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../kit/free-port.ts";
import { NumberedSenders, NumberedSink } from "../kit/numbered-senders.ts";
import { TestProcess } from "../kit/processes.ts";
import { futureSegment, nowhere, queueConfig } from "../kit/queue-config.ts";
import { millrace, startMillraceRun } from "../kit/subjects.ts";
import { createTempFolder, type TempFolder } from "../kit/temp.ts";
import { waitFor } from "../kit/wait.ts";

/** A collector that takes OTLP and keeps what it sends on in a folder. */
function writeConfig(folder: TempFolder, name: string, endpoint: string, backend: string): string {
  return folder.write(`${name}.yaml`, queueConfig({ directory: folder.file(name), endpoint, backend }));
}

async function queue(...args: string[]): Promise<{ code: number | null; output: string }> {
  await using command = new TestProcess(millrace("millrace queue", "queue", ...args));
  const { code } = await command.ended;
  return { code, output: command.output };
}

/** Fills queues of all signals and kills their process. */
async function fill(folder: TempFolder) {
  const endpoint = `127.0.0.1:${await freePort()}`;
  await using started = await startMillraceRun(writeConfig(folder, "queues", endpoint, nowhere));
  const senders = new NumberedSenders(`http://${endpoint}`, 3, 1);
  await waitFor("items", () => senders.sources.every(({ acknowledged }) => acknowledged.size > 5));
  await senders.stop();
  started.signal("SIGKILL");
  await started.ended;
  return senders;
}

describe("a queue that a killed process left", () => {
  it("is shown, found whole, sent elsewhere in its order, and taken out only where that is asked for", async () => {
    using folder = createTempFolder("queue");
    const senders = await fill(folder);
    const directory = folder.file("queues");
    const shown = await queue("inspect", "--json", directory);
    const queues = JSON.parse(shown.output) as { segments: { waiting: number }[]; damage: unknown[] }[];
    expect(queues.length).toBe(3);
    const waiting = queues.flatMap(({ segments }) => segments).reduce((sum, one) => sum + one.waiting, 0);
    expect(waiting).toBeGreaterThanOrEqual(senders.acknowledged);
    expect(await queue("verify", directory)).toMatchObject({ code: 0 });

    await using sink = await NumberedSink.start();
    const endpoint = `127.0.0.1:${await freePort()}`;
    await using elsewhere = await startMillraceRun(writeConfig(folder, "elsewhere", endpoint, sink.url));
    const send = (...flags: string[]) => queue("replay", directory, "--to", `http://${endpoint}`, ...flags);
    for (const [flags, kept, rounds] of [
      [[], "still in the queue", 1],
      [["--acknowledge"], "taken out of the queue", 2],
    ] as const) {
      const { code, output } = await send(...flags);
      expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining(kept) });
      await waitFor("all of it", () => sink.size === rounds * waiting);
      expect(sink.compare(senders.sources)).toMatchObject({ lost: [], misplaced: [] });
    }
    expect((await queue("inspect", directory)).output.match(/^ {2}0 records wait/gm)?.length).toBe(3);
    await elsewhere.stop();
  });

  it("that is damaged is named with file and offset, and what is whole of it is sent", async () => {
    using folder = createTempFolder("queue");
    const senders = await fill(folder);
    const directory = folder.file("queues/otlp_http.logs");
    const name = readdirSync(directory).find((one) => one.startsWith("segment")) ?? "";
    const bytes = readFileSync(join(directory, name));
    bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
    writeFileSync(join(directory, name), bytes);
    const { code, output } = await queue("verify", folder.file("queues"));
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`damaged: record in .*${name} at byte \\d+, \\d+ bytes`));
    expect(readFileSync(join(directory, name))).toEqual(bytes);

    await using sink = await NumberedSink.start();
    const endpoint = `127.0.0.1:${await freePort()}`;
    await using elsewhere = await startMillraceRun(writeConfig(folder, "elsewhere", endpoint, sink.url));
    const replayed = await queue("replay", folder.file("queues"), "--to", `http://${endpoint}`);
    expect(replayed).toEqual({ code: 0, output: expect.stringMatching(/^damaged: record in .*$/m) });
    await waitFor("the rest", () => sink.compare(senders.sources).lost.length <= 1);
    expect(sink.compare(senders.sources)).toMatchObject({ lost: [expect.stringMatching(/^logs/)], misplaced: [] });
    await elsewhere.stop();
  });

  it("beside one that cannot be read is shown, and the other is named", async () => {
    using folder = createTempFolder("queue");
    await fill(folder);
    writeFileSync(join(folder.file("queues/otlp_http.logs"), "segment-000000000099.mrq"), futureSegment(99));
    for (const args of [["inspect"], ["inspect", "--json"], ["verify"]]) {
      const { code, output } = await queue(...args, folder.file("queues"));
      expect(code).toBe(1);
      expect(output).toMatch(/^Error: .*segment-000000000099.mrq has version 2 of the format/m);
      expect(output).toMatch(/otlp_http.traces[\s\S]*segment-000000000001/);
    }
  });

  it("stays whole where nobody takes it", async () => {
    using folder = createTempFolder("queue");
    await fill(folder);
    const directory = folder.file("queues");
    const { code, output } = await queue(
      "replay",
      directory,
      "--to",
      nowhere,
      "--acknowledge",
      "--give-up-after",
      "1s",
    );
    expect(code).toBe(1);
    expect(output).toContain("0 records with 0 items delivered");
    expect(await queue("verify", directory)).toMatchObject({ code: 0 });
  });
});

it.each([
  ["that is not there", "absent", "does not exist"],
  ["that is a file", "file", "is no directory"],
  ["without a queue", "empty", "has no queue"],
])("a directory %s is an error that says so", async (_name, path, message) => {
  using folder = createTempFolder("queue");
  folder.write("file", "");
  mkdirSync(folder.file("empty"));
  const directory = folder.file(path);
  for (const args of [["inspect"], ["verify"], ["replay", "--to", nowhere]]) {
    expect(await queue(...args, directory)).toEqual({ code: 1, output: `Error: ${directory} ${message}\n` });
  }
});
