/** Waiting while the subject runs, and what it says meanwhile. */

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Pinned, residentKbOf } from "./processes.ts";

/** Ends every wait with an error when the subject has ended or when the bench is stopped. */
export class Watch {
  readonly #pinned: Pinned;
  readonly #logFile: string;
  readonly #stop: AbortSignal;

  constructor(pinned: Pinned, logFile: string, stop: AbortSignal) {
    this.#pinned = pinned;
    this.#logFile = logFile;
    this.#stop = stop;
  }

  get pid(): number {
    return this.#pinned.pid;
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

  /** Waits and reads the resident memory every `everyMs`. */
  async residentKbOver(
    durationMs: number,
    everyMs: number,
    progress?: (residentKb: number) => void,
  ): Promise<number[]> {
    const residentKb: number[] = [];
    const end = performance.now() + durationMs;
    for (let left = durationMs; left > 0; left = end - performance.now()) {
      await this.pause(Math.min(everyMs, left));
      const now = residentKbOf(this.#pinned.pid);
      residentKb.push(now);
      progress?.(now);
    }
    return residentKb;
  }

  log(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  /** Its last lines that warn or name an error, shortened. */
  complaints(): string[] {
    const lines = this.log().split("\n");
    return lines
      .filter((line) => /\b(warn|error)/i.test(line))
      .slice(-5)
      .map((line) => line.slice(0, 300));
  }

  logTail(): string {
    return this.log().split("\n").slice(-15).join("\n");
  }
}
