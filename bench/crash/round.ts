/** Kills a program again and again while it works, lets the rest arrive, and counts. */

import { setTimeout as pause } from "node:timers/promises";
import { TestProcess } from "../../test/kit/processes.ts";
import type { Command } from "../scrape/processes.ts";
import type { Tally } from "./tally.ts";

/** A source and a sink around the program that is killed. */
export interface Work extends AsyncDisposable {
  /** How the program is started, each time the same. */
  readonly command: Command;
  /** Whether the program has taken something of every series since the last `mark`. */
  hasWorked(): boolean;
  /** The program starts. */
  mark(): void;
  /** The program is dead. */
  killed(): void;
  /** From now on the sink takes everything, and what the source makes does not count. */
  drain(): void;
  tally(): Tally;
}

const startMs = 60_000;
/** Nothing more is expected when so long nothing that was missing has come. */
const quietMs = 10_000;
const settleMs = 100;
const drainMs = 60_000;

export interface Round {
  readonly kills: number;
  /** How long the program works at most before it is killed. */
  readonly lifeMs: number;
}

/** `folder` is where the program runs. Throws where it does not start or does not work. */
export async function runRound(work: Work, folder: string, round: Round, stop: AbortSignal): Promise<Tally> {
  const { kills, lifeMs } = round;
  for (let kill = 0; kill < kills; kill++) {
    stop.throwIfAborted();
    const subject = await startAndWork(work, folder);
    await pause(Math.random() * lifeMs);
    await subject.stop("SIGKILL");
    // What it had asked for is still answered.
    await pause(settleMs);
    work.killed();
  }
  work.drain();
  const subject = await startAndWork(work, folder);
  try {
    const end = Date.now() + drainMs;
    let { lost } = work.tally();
    for (let quietSince = Date.now(); lost > 0 && Date.now() < end && Date.now() - quietSince < quietMs; ) {
      await pause(100, undefined, { signal: stop });
      const now = work.tally();
      if (now.lost < lost) quietSince = Date.now();
      lost = now.lost;
    }
    // What comes twice comes soon.
    await pause(500);
  } finally {
    await subject.stop("SIGKILL");
  }
  return work.tally();
}

async function startAndWork(work: Work, cwd: string): Promise<TestProcess> {
  work.mark();
  const [file = "", ...args] = work.command.argv;
  const subject = new TestProcess({ title: file, file, args, cwd, env: work.command.env });
  const end = Date.now() + startMs;
  while (!work.hasWorked()) {
    if (!subject.isRunning || Date.now() > end) {
      await subject.stop("SIGKILL");
      throw new Error(`it does not work:\n${subject.tail()}`);
    }
    await pause(10);
  }
  return subject;
}
