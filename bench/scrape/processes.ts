/** Starts a program on one core and reads from /proc what it and its children use. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";

export const subjectCore = 0;
export const loadCore = 1;

/** CPU time since the start. */
export interface CpuTime {
  readonly userS: number;
  readonly systemS: number;
}

/** The kernel's USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** A program in a session of its own, by which its children are found and with which they are stopped. */
export interface Pinned {
  readonly pid: number;
  readonly process: ChildProcess;
}

export interface Command {
  readonly argv: readonly string[];
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export function startPinned(core: number, command: Command, cwd: string, logFile: string): Pinned {
  const log = openSync(logFile, "w");
  const child = spawn("taskset", ["-c", String(core), ...command.argv], {
    cwd,
    env: { ...process.env, ...command.env },
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  if (child.pid === undefined) throw new Error("taskset (util-linux) cannot be started");
  return { pid: child.pid, process: child };
}

/** Kills the program with its children and waits for its end. */
export async function stopPinned({ pid, process: child }: Pinned): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
  await ended;
}

/** CPU time of a process and all others of its session, children that have ended included. */
export function cpuOf(session: number): CpuTime {
  let user = 0;
  let system = 0;
  for (const { fields } of sessionMembers(session)) {
    user += Number(fields[11]) + Number(fields[13]);
    system += Number(fields[12]) + Number(fields[14]);
  }
  return { userS: user / ticksPerSecond, systemS: system / ticksPerSecond };
}

/** Seconds that a core has been busy since the machine started, whoever used it. */
export function busyOf(core: number): number {
  const line = readFileSync("/proc/stat", "latin1")
    .split("\n")
    .find((each) => each.startsWith(`cpu${core} `));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (line ?? "")
    .split(" ")
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}

/** Resident KB of a session; file pages, which processes of one program share, count once. */
export function residentKbOf(session: number): number {
  let own = 0;
  let shared = 0;
  for (const { pid } of sessionMembers(session)) {
    const status = readProc(pid, "status");
    own += statusKb(status, "RssAnon") + statusKb(status, "RssShmem");
    shared = Math.max(shared, statusKb(status, "RssFile"));
  }
  return own + shared;
}

/** Bytes that the processes of a session have had written to disks, pages that were changed again before counted once. */
export function writtenBytesOf(session: number): number {
  let bytes = 0;
  for (const { pid } of sessionMembers(session))
    bytes += Number(/^write_bytes: (\d+)/m.exec(readProc(pid, "io"))?.[1] ?? 0);
  return bytes;
}

interface Member {
  readonly pid: number;
  /** Of /proc/PID/stat from the third on: state, ppid, pgrp, session. */
  readonly fields: readonly string[];
}

function sessionMembers(session: number): Member[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), fields: statFields(Number(name)) }))
    .filter(({ fields }) => Number(fields[3]) === session);
}

function statFields(pid: number): string[] {
  const stat = readProc(pid, "stat");
  // The command name is in parentheses and may itself hold blanks and parentheses.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Empty where the process has ended meanwhile. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

function statusKb(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
}
