/** Outages of the sink: what waits on disk, how fast it is delivered afterwards, and what memory it takes meanwhile. */

import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../scrape/figures.ts";
import { Load, type Verdict } from "../scrape/load.ts";
import { buildLoad } from "../scrape/load-process.ts";
import { residentKbOf } from "../scrape/processes.ts";
import { parseShape, type Row, rowOf } from "../scrape/rows.ts";
import { runSubject } from "../scrape/run-subject.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";
import type { Watch } from "../scrape/watch.ts";

const usage = `usage: npm run bench -- outage [OPTIONS]

  --minutes M         of outage at 50,000 samples a second; repeatable (default: 1, 10 and 60)
  --interval SECONDS  between the scrapes of 500,000 series during the outage: 10 is 50,000 samples a second, 2 goes by five times
                      as fast (default 2); afterwards it is 10`;

const samplesPerMinute = 60 * 50_000;
const shape = parseShape("100x5000");
const samplesPerRound = shape.targets * shape.series;
const pollMs = 250;
const quietMs = 60_000;
const warmupRounds = 10;
const settleMs = 5000;
const mebibyte = 1024 * 1024;

/** Resolves to the exit code: 1 where a sample was lost or came behind a newer one of its series. */
export async function runOutageBench(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", multiple: true, default: ["1", "10", "60"] },
      interval: { type: "string", default: "2" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const subject = findSubject("millrace", undefined);
  if (subject === undefined) throw new Error("Millrace is not built: run npm run build");
  console.log(`${subject.name} ${subject.version}, ${shape.targets} x ${shape.series} every ${values.interval} s`);
  const head = [
    "minutes",
    "samples",
    "on disk MiB",
    "lost",
    "repeated",
    "out of order",
    "recovery s",
    "samples/s",
    "MiB before, waiting, recovering",
  ];
  console.log(`| ${head.join(" | ")} |\n|${" --- |".repeat(head.length)}`);
  let isGood = true;
  for (const minutes of values.minutes.map(positive)) {
    const { cells, verdict } = await measureOutage(subject, minutes, positive(values.interval), stop);
    console.log(`| ${[minutes, ...cells].join(" | ")} |`);
    for (const example of verdict.examples) console.log(example);
    if (verdict.missing + verdict.wrongValues + verdict.misplaced > 0) isGood = false;
  }
  return isGood ? 0 : 1;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`expected a positive number, got "${text}"`);
  return value;
}

async function measureOutage(subject: Subject, minutes: number, intervalS: number, stop: AbortSignal) {
  const row = rowOf(shape, "identity", "plain", intervalS);
  const load = await Load.start(await buildLoad(), row, true);
  const { endpoints } = load;
  const configFileIn = (dir: string) => join(dir, "config.yaml");
  const storageIn = (dir: string) => join(dir, "storage");
  const configure = (dir: string, rowNow: Row) => {
    writeFileSync(configFileIn(dir), subject.config(rowNow, endpoints));
  };
  const commandIn = (dir: string) => {
    configure(dir, row);
    const { argv, env } = subject.command(row, dir, configFileIn(dir), endpoints);
    return { argv: [...argv, `--storage.agent.path=${storageIn(dir)}`], env };
  };
  return runSubject(load, commandIn, stop, (watch, dir) => {
    const slowDown = () => {
      configure(dir, rowOf(shape, "identity", "plain", 10));
      process.kill(watch.pid, "SIGHUP");
    };
    return outage(load, watch, { storage: storageIn(dir), samples: minutes * samplesPerMinute, slowDown });
  });
}

interface Outage {
  /** Where the queue is. */
  readonly storage: string;
  /** That have to wait before it ends. */
  readonly samples: number;
  /** Makes the scrapes as slow as they are outside of a test. */
  readonly slowDown: () => void;
}

async function outage(load: Load, watch: Watch, { storage, samples, slowDown }: Outage) {
  const poll = async () => {
    await watch.pause(pollMs);
    residentMb.push(residentKbOf(watch.pid) / 1024);
    const { total } = await load.state();
    if (performance.now() > tellMs) {
      tellMs = performance.now() + 30_000;
      const millions = ((total.served - total.delivered) / 1e6).toFixed(1);
      console.log(`${millions} million samples wait, ${total.missed} scrapes missed, ${total.aborted} broken off`);
    }
    return { waiting: total.served - total.delivered - never, delivered: total.delivered };
  };
  /** Pages that came too late during the rush of the start. */
  let never = 0;
  let tellMs = 0;
  let residentMb: number[] = [];
  while ((await load.state()).minScrapes < warmupRounds) await watch.pause(pollMs);
  await watch.pause(settleMs);
  await load.forgive();
  never = (await poll()).waiting;
  residentMb = [];
  for (let round = 0; round < 8; round++) await poll();
  const before = median(residentMb);
  residentMb = [];
  await load.setOutage(true);
  while ((await poll()).waiting < samples);
  const whileWaiting = Math.max(...residentMb);
  const diskMb = bytesUnder(storage) / mebibyte;
  residentMb = [];
  slowDown();
  await load.setOutage(false);
  const begun = { ms: performance.now(), ...(await poll()) };
  let last = begun.delivered;
  let deadline = performance.now() + quietMs;
  for (let now = await poll(); now.waiting > 2 * samplesPerRound; now = await poll()) {
    if (now.delivered > last) deadline = performance.now() + quietMs;
    if (performance.now() > deadline) throw new Error(`it delivers nothing:\n${watch.logTail()}`);
    last = now.delivered;
  }
  const seconds = (performance.now() - begun.ms) / 1000;
  const rate = (last - begun.delivered) / seconds;
  await load.endWindow();
  const verdict = await settle(load, watch);
  const memory = [before, whileWaiting, Math.max(...residentMb)].map((mb) => mb.toFixed(0)).join(", ");
  const { missing, extra, misplaced } = verdict;
  const numbers = [samples, diskMb, missing, extra, misplaced, seconds, rate].map((value) => value.toFixed(0));
  return { cells: [...numbers, memory], verdict };
}

/** What was served before arrives, and then whatever may come twice. */
async function settle(load: Load, watch: Watch): Promise<Verdict> {
  const deadline = performance.now() + quietMs;
  while ((await load.verify()).missing > 0 && performance.now() < deadline) await watch.pause(pollMs);
  await watch.pause(1000);
  return load.verify();
}

function bytesUnder(dir: string): number {
  let bytes = 0;
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}
