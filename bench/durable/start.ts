/** How long a start takes with much on disk, and what memory: the queue alone, and `millrace agent` with it. */

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { TestProcess } from "../../test/kit/processes.ts";
import { agentReady } from "../../test/kit/subjects.ts";
import { parseShape, rowOf } from "../scrape/rows.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";
import { fillQueue } from "./samples-queue.ts";

const usage = `usage: npm run bench -- start [OPTIONS]

  --gib N    on disk (default 10)`;

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
const readAheadMs = 5000;

export async function runStartBench(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { gib: { type: "string", default: "10" }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const gib = Number(values.gib);
  if (!(gib > 0)) throw new Error(`--gib: expected a positive number, got "${values.gib}"`);
  const subject = findSubject("millrace", undefined);
  if (subject === undefined) throw new Error("Millrace is not built: run npm run build");
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  // Nothing is to be delivered meanwhile.
  const sink = createServer((request, response) => {
    request.resume();
    response.writeHead(503).end();
  });
  try {
    const { bavail, bsize } = statfsSync(dir);
    if (bavail * bsize < gib * 1.1 * gibibyte) throw new Error(`${dir} has too little room for ${gib} GiB`);
    await new Promise<void>((resolve) => void sink.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`;
    console.log(`${subject.name} ${subject.version}`);
    const empty = await startAgent(subject, dir, url, gib);
    console.log(`agent, empty: ready after ${empty.ms.toFixed(0)} ms, ${empty.mib.toFixed(0)} MiB`);
    const queueDir = join(dir, "storage/remote-write");
    const directory = join(queueDir, readdirSync(queueDir)[0] ?? "");
    await fillQueue(directory, gib * gibibyte, stop);
    const opener = fileURLToPath(new URL("open-queue.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", opener, directory], {
      signal: stop,
    });
    console.log(`queue alone, ${gib} GiB: ${stdout.trim()}`);
    const full = await startAgent(subject, dir, url, gib);
    console.log(`agent, ${gib} GiB: ready after ${full.ms.toFixed(0)} ms, ${full.mib.toFixed(0)} MiB`);
    console.log(`more: ${(full.ms - empty.ms).toFixed(0)} ms, ${(full.mib - empty.mib).toFixed(0)} MiB`);
    return 0;
  } finally {
    sink.closeAllConnections();
    sink.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function startAgent(subject: Subject, dir: string, url: string, gib: number) {
  const configFile = join(dir, "config.yaml");
  const row = rowOf(parseShape("1x1"), "identity", "plain");
  writeFileSync(configFile, subject.config(row, { ports: [], sink: url }));
  const { argv, env } = subject.command(row, dir, configFile, { ports: [], sink: url });
  const [file = "", ...args] = argv;
  const begun = performance.now();
  const storage = [`--storage.agent.path=${join(dir, "storage")}`, `--storage.agent.max-size=${Math.ceil(gib * 2)}GB`];
  const agent = new TestProcess({ title: "millrace agent", file, args: [...args, ...storage], env });
  try {
    await agent.waitForOutput(agentReady);
    const ms = performance.now() - begun;
    await pause(readAheadMs);
    return { ms, mib: agent.residentBytes() / mebibyte };
  } finally {
    await agent.stop("SIGKILL");
  }
}
