/** Programs as child processes: started, watched, stopped by process id. */

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { waitFor } from "./wait.ts";

const stopDeadlineMs = 20_000;
const outputLimitBytes = 4 * 1024 * 1024;
const shownOnFailureBytes = 4000;

/** What to start. */
export interface ProcessOptions {
  /** Name in messages. */
  readonly title: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process; disposal stops it. */
export class TestProcess implements AsyncDisposable {
  readonly title: string;
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  #output = "";
  #end: ProcessEnd | undefined;

  constructor(options: ProcessOptions) {
    this.title = options.title;
    this.#child = spawn(options.file, options.args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const take = (chunk: Buffer) => {
      if (this.#output.length < outputLimitBytes) this.#output += chunk.toString("utf8");
    };
    this.#child.stdout?.on("data", take);
    this.#child.stderr?.on("data", take);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => {
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
    this.ended.catch(() => undefined);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.title} did not start`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** What the process wrote to both streams so far. */
  get output(): string {
    return this.#output;
  }

  /** Lines of the output that contain every one of the texts. */
  lines(...texts: string[]): string[] {
    return this.#output.split("\n").filter((line) => texts.every((text) => line.includes(text)));
  }

  /** Waits until the output matches; fails at once when the process ends before. */
  async waitForOutput(pattern: RegExp, deadlineMs = 30_000): Promise<RegExpExecArray> {
    const found = await waitFor(
      `${this.title} to print ${pattern}`,
      () => pattern.exec(this.#output) ?? (this.#end === undefined ? undefined : this.#end),
      deadlineMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.tail()}`);
    });
    if (!Array.isArray(found)) throw new Error(`${this.title} ended with ${JSON.stringify(found)}\n${this.tail()}`);
    return found;
  }

  /** The last of the output, for messages. */
  tail(): string {
    return this.#output.slice(-shownOnFailureBytes);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** Resident memory in bytes; 0 when the process has ended. */
  residentBytes(): number {
    try {
      const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
      return Number(match?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  /** Asks the process to end and waits; kills it when it does not within the deadline. */
  async stop(signal: NodeJS.Signals = "SIGTERM", deadlineMs = stopDeadlineMs): Promise<ProcessEnd> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), deadlineMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Starts a program that prints the pattern when it is ready; on failure it is stopped and its output shown. */
export async function startProcess(
  options: ProcessOptions,
  ready: RegExp,
  deadlineMs?: number,
): Promise<{ process: TestProcess; match: RegExpExecArray }> {
  const started = new TestProcess(options);
  try {
    return { process: started, match: await started.waitForOutput(ready, deadlineMs) };
  } catch (error) {
    await started.stop("SIGKILL");
    throw error;
  }
}
