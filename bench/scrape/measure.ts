/** One run: one subject, one row, from the start to the verdict on what arrived. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Load, type LoadState, type Verdict } from "./load.ts";
import { type CpuTime, cpuOf, type Pinned, residentKbOf, startPinned, stopPinned, subjectCore } from "./processes.ts";
import type { Row } from "./rows.ts";
import type { Subject } from "./subjects.ts";

export interface RunSettings {
  readonly loadFile: string;
  readonly windowS: number;
  readonly warmup: number;
}

export const figureNames = [
  "cpuUserPerMillion",
  "cpuSystemPerMillion",
  /** Share of core 0 that the subject used. */
  "coreShare",
  "maxKbPerSeries",
  "meanKbPerSeries",
  "endKbPerSeries",
  "bytesPerSample",
  "p50Ms",
  "p99Ms",
  "deliveredPerSecond",
  /** Completed scrapes as a share of those that the interval asks for. */
  "scrapeShare",
  /** Share of core 1 that exporter, sink and this runner used; above 0.8 they may have held the subject back. */
  "loadShare",
] as const;

export type Figures = Readonly<Record<(typeof figureNames)[number], number>>;

export interface RunResult {
  readonly figures: Figures;
  /** Why the delivered count is wrong; undefined where it is right. */
  readonly problem?: string;
  readonly notes: readonly string[];
  readonly window?: LoadState["window"];
  readonly verdict?: Verdict;
}

const drainS = 30;
const pollMs = 250;
const maxLoadShare = 0.8;
const minScrapeShare = 0.98;

export async function measure(
  subject: Subject,
  row: Row,
  settings: RunSettings,
  stop: AbortSignal,
): Promise<RunResult> {
  const dir = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  let load: Load | undefined;
  let pinned: Pinned | undefined;
  try {
    load = await Load.start(settings.loadFile, row);
    const configFile = join(dir, "config.yaml");
    writeFileSync(configFile, subject.config(row, load.endpoints));
    const command = subject.command(row, dir, configFile, load.endpoints);
    const logFile = join(dir, "subject.log");
    pinned = startPinned(subjectCore, command, dir, logFile);
    const running = new Watch(pinned, logFile, stop);
    await warmUp(load, row, settings, running);
    return await window(load, pinned, row, settings, running);
  } finally {
    if (pinned !== undefined) await stopPinned(pinned);
    await load?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The result of a run that came to no figures. */
export function failedRun(error: unknown): RunResult {
  const nothing = Object.fromEntries(figureNames.map((name) => [name, Number.NaN])) as Record<keyof Figures, number>;
  return { figures: nothing, problem: error instanceof Error ? error.message : String(error), notes: [] };
}

/** Waits while the subject runs; ends the wait with an error when it does not or when the bench is stopped. */
class Watch {
  readonly #pinned: Pinned;
  readonly #logFile: string;
  readonly #stop: AbortSignal;

  constructor(pinned: Pinned, logFile: string, stop: AbortSignal) {
    this.#pinned = pinned;
    this.#logFile = logFile;
    this.#stop = stop;
  }

  async pause(ms: number): Promise<void> {
    try {
      await pause(ms, undefined, { signal: this.#stop });
    } catch {
      throw this.#stop.reason;
    }
    const { exitCode, signalCode } = this.#pinned.process;
    if (exitCode !== null || signalCode !== null) {
      throw new Error(`the subject ended (${exitCode ?? signalCode}):\n${this.logTail()}`);
    }
  }

  logTail(): string {
    return readFileSync(this.#logFile, "utf8").split("\n").slice(-15).join("\n");
  }
}

async function warmUp(load: Load, row: Row, settings: RunSettings, running: Watch): Promise<void> {
  const deadline = Date.now() + (settings.warmup + 4) * row.intervalS * 1000 + 30_000;
  for (;;) {
    const state = await load.state();
    if (state.minScrapes >= settings.warmup) return;
    if (Date.now() > deadline) {
      if (row.mode === "second" && state.total.scrapes > 0) return; // overloaded, which is what this mode shows
      throw new Error(
        `only ${state.total.scrapes} scrapes of ${row.targets} targets came during warm-up:\n${running.logTail()}`,
      );
    }
    await running.pause(pollMs);
  }
}

async function window(load: Load, pinned: Pinned, row: Row, settings: RunSettings, running: Watch): Promise<RunResult> {
  const residentKb: number[] = [];
  await load.beginWindow();
  const before = { subject: cpuOf(pinned.pid), load: cpuOf(load.pid), runner: process.cpuUsage() };
  const end = performance.now() + settings.windowS * 1000;
  while (performance.now() < end) {
    await running.pause(Math.min(1000, Math.max(0, end - performance.now())));
    residentKb.push(residentKbOf(pinned.pid));
  }
  const cpu = cpuSince(before.subject, cpuOf(pinned.pid));
  const loadCpu = cpuSince(before.load, cpuOf(load.pid));
  const runnerCpu = process.cpuUsage(before.runner);
  const state = await load.endWindow();
  const loadS = loadCpu.userS + loadCpu.systemS + (runnerCpu.user + runnerCpu.system) / 1e6;
  const figures = figuresOf(row, state, cpu, residentKb, loadS);
  const verdict = await drain(load, running);
  return {
    figures,
    problem: problemOf(verdict, state),
    notes: notesOf(row, state, figures),
    window: state.window,
    verdict,
  };
}

function cpuSince(before: CpuTime, after: CpuTime): CpuTime {
  return { userS: after.userS - before.userS, systemS: after.systemS - before.systemS };
}

/** Lets what was served in the window arrive, and then whatever may come twice. */
async function drain(load: Load, running: Watch): Promise<Verdict> {
  const deadline = Date.now() + drainS * 1000;
  let verdict = await load.verify();
  while (verdict.missing > 0 && Date.now() < deadline) {
    await running.pause(pollMs);
    verdict = await load.verify();
  }
  await running.pause(1000);
  return load.verify();
}

function figuresOf(row: Row, state: LoadState, cpu: CpuTime, residentKb: readonly number[], loadS: number): Figures {
  const { window, seconds } = state;
  const series = row.targets * row.series;
  const millions = window.delivered / 1e6;
  return {
    cpuUserPerMillion: cpu.userS / millions,
    cpuSystemPerMillion: cpu.systemS / millions,
    coreShare: (cpu.userS + cpu.systemS) / seconds,
    maxKbPerSeries: Math.max(...residentKb) / series,
    meanKbPerSeries: residentKb.reduce((sum, kb) => sum + kb, 0) / residentKb.length / series,
    endKbPerSeries: (residentKb.at(-1) ?? 0) / series,
    bytesPerSample: window.wireBytes / window.delivered,
    p50Ms: state.p50Ms,
    p99Ms: state.p99Ms,
    deliveredPerSecond: window.delivered / seconds,
    scrapeShare: window.scrapes / ((row.targets * seconds) / row.intervalS),
    loadShare: loadS / seconds,
  };
}

function problemOf(verdict: Verdict, state: LoadState): string | undefined {
  const faults: string[] = [];
  if (state.window.delivered === 0) faults.push("nothing was delivered");
  if (verdict.missing > 0) faults.push(`${verdict.missing} samples had not arrived ${drainS} s after the window`);
  if (verdict.extra > 0) faults.push(`${verdict.extra} samples too many`);
  if (verdict.wrongValues > 0) faults.push(`${verdict.wrongValues} scrapes with other values than served`);
  if (state.total.malformed > 0) faults.push(`${state.total.malformed} samples without name, instance or labels`);
  if (state.total.rejected > 0) faults.push(`${state.total.rejected} requests that could not be decoded`);
  if (faults.length === 0) return undefined;
  return [faults.join(", "), ...verdict.examples.slice(0, 2)].join("; ");
}

function notesOf(row: Row, state: LoadState, figures: Figures): string[] {
  const { window } = state;
  const notes: string[] = [];
  if (figures.loadShare > maxLoadShare) {
    notes.push(`exporter and sink used ${percent(figures.loadShare)} of their core: figures are doubtful`);
  }
  if (figures.scrapeShare < minScrapeShare) notes.push(`only ${percent(figures.scrapeShare)} of the scrapes were made`);
  if (window.aborted > 0) notes.push(`${window.aborted} scrapes were broken off`);
  if (row.mode === "rename") notes.push(`${window.stale} staleness markers for ${window.servedGone} renamed series`);
  else if (window.stale > 0) notes.push(`${window.stale} staleness markers for series that did not end`);
  return notes;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
