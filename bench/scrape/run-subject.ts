/** Runs a subject on its core beside its load, and counts what both use. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import {
  busyOf,
  type Command,
  type CpuTime,
  cpuOf,
  loadCore,
  type Pinned,
  startPinned,
  stopPinned,
  subjectCore,
} from "./processes.ts";
import { Watch } from "./watch.ts";

/** Throws where subject and load would share a core. */
export function expectTwoCores(): void {
  if (availableParallelism() < 2) throw new Error("the bench needs two cores: one for the subject, one for the load");
}

/** Keeps this process on the core of the load: it must not disturb the subject. */
export function leaveSubjectCore(): void {
  execFileSync("taskset", ["-acp", String(loadCore), String(process.pid)], { stdio: "ignore" });
}

/** The program that makes the load. */
export interface RunningLoad {
  /** Of its session. */
  readonly pid: number;
  /** Has a process group killed when this process ends without having taken the order back with 0. */
  guard(group: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a subject by the command of a folder of its own, and measures; then the subject, the load and the folder are gone. */
export async function runSubject<T>(
  load: RunningLoad,
  commandIn: (dir: string) => Command,
  stop: AbortSignal,
  measure: (watch: Watch, dir: string) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  let pinned: Pinned | undefined;
  try {
    const logFile = join(dir, "subject.log");
    pinned = startPinned(subjectCore, commandIn(dir), dir, logFile);
    await load.guard(pinned.pid);
    return await measure(new Watch(pinned, logFile, stop), dir);
  } finally {
    if (pinned !== undefined) await stopPinned(pinned);
    await load.guard(0).catch(() => {});
    await load.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** CPU time of a window. */
export interface Use {
  readonly subject: CpuTime;
  /** Of the load and of this process, which share a core. */
  readonly loadS: number;
  /** Of the subject's core, by whatever else runs on the machine. */
  readonly strangersS: number;
}

/** Begins a window; what is returned tells what was used since. */
export function countUse(subjectPid: number, loadPid: number): () => Use {
  const before = {
    subject: cpuOf(subjectPid),
    load: cpuOf(loadPid),
    runner: process.cpuUsage(),
    core: busyOf(subjectCore),
  };
  return () => {
    const subject = cpuSince(before.subject, cpuOf(subjectPid));
    const load = cpuSince(before.load, cpuOf(loadPid));
    const runner = process.cpuUsage(before.runner);
    return {
      subject,
      loadS: load.userS + load.systemS + (runner.user + runner.system) / 1e6,
      strangersS: busyOf(subjectCore) - before.core - subject.userS - subject.systemS,
    };
  };
}

function cpuSince(before: CpuTime, after: CpuTime): CpuTime {
  return { userS: after.userS - before.userS, systemS: after.systemS - before.systemS };
}

/** Of their cores: with more, figures are doubtful. */
export const maxLoadShare = 0.8;
export const maxStrangersShare = 0.05;

/** As `12.3 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
