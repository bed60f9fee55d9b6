/** One run: one subject, one row, from the start to the verdict on what arrived. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { delayP99Ms, readDelayCounts } from "./event-loop.ts";
import { completeFigures, type FigureName, type Figures } from "./figures.ts";
import { Load, type LoadState, type Verdict } from "./load.ts";
import { growthOf, recover } from "./memory.ts";
import { describeParts, excesses, partsOf } from "./memory-parts.ts";
import { readOwnPage } from "./own-page.ts";
import { writtenBytesOf } from "./processes.ts";
import { modeRules, type Row } from "./rows.ts";
import { countUse, maxLoadShare, maxStrangersShare, percent, runSubject, type Use } from "./run-subject.ts";
import type { Subject } from "./subjects.ts";
import type { Watch } from "./watch.ts";

export interface RunSettings {
  readonly loadFile: string;
  readonly windowS: number;
  /** Scrapes of every target before the window; undefined means what the mode has. */
  readonly warmup?: number;
  /** Between the renaming and the second look at the memory, in modes "churn" and "rollout". */
  readonly settleS: number;
  readonly soakS: number;
  /** Told about long runs on their way. */
  readonly progress: (line: string) => void;
}

export interface RunResult {
  readonly figures: Figures;
  /** Why the delivered count is wrong; undefined where it is right. */
  readonly problem?: string;
  readonly notes: readonly string[];
  readonly window?: LoadState["window"];
  readonly verdict?: Verdict;
}

/** What a run has at hand. */
export interface Running {
  readonly subject: Subject;
  readonly row: Row;
  readonly settings: RunSettings;
  readonly load: Load;
  readonly watch: Watch;
}

const drainS = 30;
const catchUpS = 90;
const pollMs = 250;
const minScrapeShare = 0.98;

export async function measure(
  subject: Subject,
  row: Row,
  settings: RunSettings,
  stop: AbortSignal,
): Promise<RunResult> {
  const load = await Load.start(settings.loadFile, row);
  const commandIn = (dir: string) => {
    const configFile = join(dir, "config.yaml");
    writeFileSync(configFile, subject.config(row, load.endpoints));
    return subject.command(row, dir, configFile, load.endpoints);
  };
  return runSubject(load, commandIn, stop, async (watch) => {
    const running = { subject, row, settings, load, watch };
    await warmUp(running);
    return measureMode(running);
  });
}

/** The result of a run that came to no figures. */
export function failedRun(error: unknown): RunResult {
  return { figures: completeFigures({}), problem: error instanceof Error ? error.message : String(error), notes: [] };
}

async function warmUp({ row, settings, load, watch }: Running): Promise<void> {
  const warmup = settings.warmup ?? modeRules[row.mode].warmup;
  const deadline = Date.now() + (warmup + 4) * row.intervalS * 1000 + 30_000;
  for (;;) {
    const state = await load.state();
    if (state.minScrapes >= warmup) return;
    if (Date.now() > deadline) {
      if (row.mode === "second" && state.total.scrapes > 0) return; // overloaded, which is what this mode shows
      throw new Error(
        `only ${state.total.scrapes} scrapes of ${row.targets} targets came during warm-up:\n${watch.logTail()}`,
      );
    }
    await watch.pause(pollMs);
  }
}

/**
 * New series by the hundred thousand in one second overload every subject: the window of modes "second" and "soak" begins
 * when what was left over has arrived, and scrapes that timed out before do not count.
 */
async function catchUp({ row, load, watch }: Running): Promise<void> {
  const deadline = Date.now() + catchUpS * 1000;
  do {
    await load.beginWindow();
    await watch.pause(3 * row.intervalS * 1000);
  } while ((await load.state()).p99Ms > row.intervalS * 1000 && Date.now() < deadline);
  await load.forgive();
}

async function measureMode(running: Running): Promise<RunResult> {
  const { mode } = running.row;
  if (mode === "second" || mode === "soak") await catchUp(running);
  if (mode === "churn" || mode === "rollout") {
    const memory = await recover(running, mode === "churn" ? 0.1 : 1);
    return window(running, (residentKb) => ({ ...memory.figures, recovery: memory.recovery(residentKb) }));
  }
  if (mode === "soak") return window(running, (residentKb) => ({ growth: growthOf(residentKb, soakPollMs) }));
  return window(running, () => ({}));
}

const soakPollMs = 5000;

async function window(
  running: Running,
  memoryFigures: (residentKb: readonly number[]) => Partial<Record<FigureName, number>>,
): Promise<RunResult> {
  const { row, settings, load, watch } = running;
  const isSoak = row.mode === "soak";
  await load.beginWindow();
  const delays = row.mode === "delay" ? await readDelayCounts(watch) : undefined;
  const use = countUse(watch.pid, load.pid);
  const writtenBefore = writtenBytesOf(watch.pid);
  const residentKb = isSoak
    ? await watch.residentKbOver(settings.soakS * 1000, soakPollMs, tenMinutes(settings, soakPollMs))
    : await watch.residentKbOver(settings.windowS * 1000, 1000);
  const written = writtenBytesOf(watch.pid) - writtenBefore;
  const used = use();
  const state = await load.endWindow();
  const eventLoopP99Ms = delayP99Ms(delays, row.mode === "delay" ? await readDelayCounts(watch) : undefined);
  const figures = completeFigures({
    ...figuresOf(row, state, used, residentKb),
    ...memoryFigures(residentKb),
    writtenPerSample: written / state.window.delivered,
    eventLoopP99Ms,
  });
  const verdict = await drain(load, watch);
  const problem = problemOf(verdict, state);
  const { total } = await load.state();
  return {
    figures,
    problem: problem === undefined ? undefined : [problem, ...watch.complaints()].join("\n  "),
    notes: [
      ...disturbance(used.strangersS / state.seconds),
      ...notesOf(row, { ...state, total }, figures),
      ...(await memoryNotes(running)),
    ],
    window: state.window,
    verdict,
  };
}

/** Tells Millrace's memory by part, and returns what there is too much of. Asked after the window: answering takes time. */
async function memoryNotes({ subject, row, settings, watch }: Running): Promise<string[]> {
  if (subject.name !== "millrace" || row.mode !== "plain") return [];
  const page = await readOwnPage(watch);
  if (page === undefined) return [];
  const parts = partsOf(page);
  settings.progress(`bytes a series: ${describeParts(parts, row)}`);
  return excesses(parts, row);
}

/** Tells the resident memory every ten minutes. */
function tenMinutes({ progress }: RunSettings, everyMs: number): (residentKb: number) => void {
  let readings = 0;
  return (residentKb) => {
    readings++;
    const minutes = (readings * everyMs) / 60_000;
    if (minutes % 10 === 0) progress(`after ${minutes} minutes: ${(residentKb / 1024).toFixed(0)} MiB resident`);
  };
}

/** Lets what was served in the window arrive, and then whatever may come twice. */
async function drain(load: Load, watch: Watch): Promise<Verdict> {
  const deadline = Date.now() + drainS * 1000;
  let verdict = await load.verify();
  while (verdict.missing > 0 && Date.now() < deadline) {
    await watch.pause(pollMs);
    verdict = await load.verify();
  }
  await watch.pause(1000);
  return load.verify();
}

function figuresOf(row: Row, state: LoadState, { subject: cpu, loadS }: Use, residentKb: readonly number[]) {
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
    missedScrapes: window.missed,
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

function disturbance(share: number): string[] {
  return share > maxStrangersShare
    ? [`other programs used ${percent(share)} of its core: figures are doubtful, and scrapes may have timed out`]
    : [];
}

function notesOf(row: Row, state: LoadState, figures: Figures): string[] {
  const { window, total } = state;
  const notes: string[] = [];
  if (figures.loadShare > maxLoadShare) {
    notes.push(`exporter and sink used ${percent(figures.loadShare)} of their core: figures are doubtful`);
  }
  if (figures.scrapeShare < minScrapeShare) notes.push(`only ${percent(figures.scrapeShare)} of the scrapes were made`);
  if (window.missed > 0) notes.push(`${window.missed} scrapes were missed`);
  if (window.aborted > 0) notes.push(`${window.aborted} scrapes were broken off`);
  if (row.mode === "delay" && Number.isNaN(figures.eventLoopP99Ms)) notes.push("its event loop could not be asked");
  if (total.servedGone > 0) notes.push(`${total.stale} staleness markers for ${total.servedGone} renamed series`);
  else if (window.stale > 0) notes.push(`${window.stale} staleness markers for series that did not end`);
  return notes;
}
