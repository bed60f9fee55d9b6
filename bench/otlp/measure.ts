import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "../../test/kit/free-port.ts";
import { LoadProcess } from "../scrape/load-process.ts";
import { countUse, maxLoadShare, maxStrangersShare, percent, runSubject, type Use } from "../scrape/run-subject.ts";
import type { Subject } from "../scrape/subjects.ts";
import type { Watch } from "../scrape/watch.ts";
import { otlpConfig } from "./configs.ts";
import { loadArgs, type OtlpRow, type ScrapeLoad } from "./rows.ts";

export interface OtlpSettings {
  readonly loadFile: string;
  readonly windowS: number;
  readonly warmupS: number;
  readonly scrape: ScrapeLoad;
}

/** Counts of the load program since its start; latencies since the window began. */
interface OtlpState {
  readonly seconds: number;
  readonly requests: number;
  readonly sent: number;
  readonly sentBytes: number;
  readonly sentWire: number;
  /** Calls that the subject asked to repeat. */
  readonly repeated: number;
  readonly refused: number;
  readonly fault: string;
  readonly arrived: number;
  readonly outRequests: number;
  readonly outBytes: number;
  readonly outWire: number;
  readonly rejected: number;
  readonly sinkFault: string;
  readonly wrong: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly callP50Ms: number;
  readonly callP99Ms: number;
}

export const otlpFigureNames = [
  "userPerMillion",
  "systemPerMillion",
  /** CPU seconds per gigabyte that came in, unpacked. */
  "perGigabyte",
  "coreShare",
  "loadShare",
  "maxMebibytes",
  "itemsPerSecond",
  /** Of request bodies, in and out, per item. */
  "wireInPerItem",
  "wireOutPerItem",
  /** Outgoing requests for each incoming one. */
  "joined",
  /** From an item's time to its arrival. */
  "p50Ms",
  "p99Ms",
  /** From a client's request to its answer. */
  "callP99Ms",
] as const;

export type OtlpFigures = Readonly<Record<(typeof otlpFigureNames)[number], number>>;

export interface OtlpResult {
  /** Undefined where the run came to none. */
  readonly figures?: OtlpFigures;
  /** Why the delivered count is wrong; undefined where it is right. */
  readonly problem?: string;
  readonly notes: readonly string[];
}

/** A collector runs for weeks: what is measured is code that V8 has compiled, for which it needs half a minute at 100 requests a second. */
export const defaultWarmupS = 30;

const startS = 30;
const drainS = 20;
const pollMs = 100;
/** Where less of what is asked for is sent, the subject holds the clients up. */
const minRateShare = 0.97;

export async function measureOtlp(
  subject: Subject,
  row: OtlpRow,
  settings: OtlpSettings,
  stop: AbortSignal,
): Promise<OtlpResult> {
  const { collect } = subject;
  if (collect === undefined) throw new Error(`${subject.name} reads no file of the Collector's format`);
  const port = await freePort();
  const receiver = `127.0.0.1:${port}`;
  const { process: load, ready } = await LoadProcess.start<{ ports: number[]; sink: string }>(
    settings.loadFile,
    loadArgs(row, receiver, settings.scrape),
  );
  const commandIn = (dir: string) => {
    const configFile = join(dir, "config.yaml");
    writeFileSync(configFile, otlpConfig(row, { ...ready, receiver }, settings.scrape));
    return collect(configFile);
  };
  return runSubject(load, commandIn, stop, async (watch) => {
    if (row.from !== "scrape") await untilListening(port, watch);
    await load.ask<OtlpState>("start");
    await warmUp(row, settings, load, watch);
    return measureWindow(row, settings, load, watch);
  });
}

async function untilListening(port: number, watch: Watch): Promise<void> {
  const deadline = Date.now() + startS * 1000;
  while (!(await isListening(port))) {
    if (Date.now() > deadline) throw new Error(`no receiver after ${startS} s:\n${watch.logTail()}`);
    await watch.pause(pollMs);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function warmUp(row: OtlpRow, settings: OtlpSettings, load: LoadProcess, watch: Watch): Promise<void> {
  if (row.from !== "scrape") return await watch.pause(settings.warmupS * 1000);
  const { targets, intervalS } = settings.scrape;
  const deadline = Date.now() + (2 * intervalS + startS) * 1000;
  // The first scrape makes every series known; the window looks at those after it.
  while ((await load.ask<OtlpState>("state")).requests < 2 * targets) {
    if (Date.now() > deadline) throw new Error(`too few scrapes during warm-up:\n${watch.logTail()}`);
    await watch.pause(pollMs);
  }
}

async function measureWindow(
  row: OtlpRow,
  { windowS }: OtlpSettings,
  load: LoadProcess,
  watch: Watch,
): Promise<OtlpResult> {
  const first = await load.ask<OtlpState>("begin");
  const use = countUse(watch.pid, load.pid);
  const residentKb = await watch.residentKbOver(windowS * 1000, 1000);
  const used = use();
  const last = await load.ask<OtlpState>("state");
  const figures = figuresOf(first, last, used, residentKb);
  const final = await drain(load, watch);
  const problem = problemOf(final);
  return {
    figures,
    problem: problem === undefined ? undefined : [problem, ...watch.complaints()].join("\n  "),
    notes: notesOf(row, figures, first, last, used.strangersS),
  };
}

function figuresOf(
  first: OtlpState,
  last: OtlpState,
  { subject: { userS, systemS }, loadS }: Use,
  residentKb: readonly number[],
): OtlpFigures {
  const items = last.arrived - first.arrived;
  const millions = items / 1e6;
  const sent = last.sent - first.sent;
  return {
    userPerMillion: userS / millions,
    systemPerMillion: systemS / millions,
    perGigabyte: (userS + systemS) / ((last.sentBytes - first.sentBytes) / 1e9),
    coreShare: (userS + systemS) / last.seconds,
    loadShare: loadS / last.seconds,
    maxMebibytes: Math.max(...residentKb) / 1024,
    itemsPerSecond: items / last.seconds,
    wireInPerItem: (last.sentWire - first.sentWire) / sent,
    wireOutPerItem: (last.outWire - first.outWire) / items,
    joined: (last.outRequests - first.outRequests) / (last.requests - first.requests),
    p50Ms: last.p50Ms,
    p99Ms: last.p99Ms,
    callP99Ms: last.callP99Ms,
  };
}

/** Ends the sending, lets everything arrive, and then whatever may come twice. */
async function drain(load: LoadProcess, watch: Watch): Promise<OtlpState> {
  let state = await load.ask<OtlpState>("stop");
  const deadline = Date.now() + drainS * 1000;
  while (state.wrong !== "" && Date.now() < deadline) {
    await watch.pause(pollMs);
    state = await load.ask<OtlpState>("state");
  }
  await watch.pause(500);
  return await load.ask<OtlpState>("state");
}

function problemOf({ arrived, refused, fault, rejected, sinkFault, wrong }: OtlpState): string | undefined {
  const faults: string[] = [];
  if (arrived === 0) faults.push("nothing was delivered");
  if (wrong !== "") faults.push(wrong);
  if (refused > 0) faults.push(`${refused} requests were refused (${fault})`);
  if (rejected > 0) faults.push(`${rejected} requests could not be decoded (${sinkFault})`);
  return faults.length === 0 ? undefined : faults.join(", ");
}

function notesOf(row: OtlpRow, figures: OtlpFigures, first: OtlpState, last: OtlpState, strangersS: number): string[] {
  const notes: string[] = [];
  const rate = (last.requests - first.requests) / last.seconds;
  const strangers = strangersS / last.seconds;
  if (last.repeated > first.repeated) notes.push(`${last.repeated - first.repeated} calls were to be repeated`);
  if (strangers > maxStrangersShare) notes.push(`other programs used ${percent(strangers)} of its core`);
  if (figures.loadShare > maxLoadShare) {
    notes.push(`generator and sink used ${percent(figures.loadShare)} of their core: figures are doubtful`);
  }
  if (row.from !== "scrape" && rate < row.load.rate * minRateShare) {
    notes.push(`it took ${rate.toFixed(0)} requests a second of ${row.load.rate}`);
  }
  return notes;
}
