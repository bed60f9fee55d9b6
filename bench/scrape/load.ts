/** Builds the Go program that is exporter and sink, and speaks with it. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Endpoints } from "./configs.ts";
import { loadCore } from "./processes.ts";
import type { Row } from "./rows.ts";

const sources = fileURLToPath(new URL("../load/", import.meta.url));

export interface Totals {
  readonly scrapes: number;
  /** Scrapes that should have come between those that did. */
  readonly missed: number;
  readonly aborted: number;
  /** Samples that the subject must deliver of the completed scrapes. */
  readonly served: number;
  readonly servedBytes: number;
  /** Series that ended by being renamed, each of which wants one staleness marker. */
  readonly servedGone: number;
  readonly requests: number;
  readonly rejected: number;
  readonly wireBytes: number;
  readonly rawBytes: number;
  readonly delivered: number;
  readonly stale: number;
  readonly report: number;
  readonly metadata: number;
  readonly malformed: number;
}

export interface LoadState {
  readonly minScrapes: number;
  readonly seconds: number;
  readonly window: Totals;
  readonly total: Totals;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** How the scrapes served before the end of the window arrived, in samples; `wrongValues` in scrapes. */
export interface Verdict {
  readonly scrapes: number;
  readonly missing: number;
  readonly extra: number;
  readonly wrongValues: number;
  readonly examples: readonly string[];
}

/** Builds the program where its sources changed, and returns its path. */
export async function buildLoad(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of readdirSync(sources).sort()) hash.update(name).update(readFileSync(join(sources, name)));
  const cache = process.env["MILLRACE_BENCH_CACHE"] ?? join(homedir(), ".cache/millrace-bench");
  const file = join(cache, `load-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  try {
    await promisify(execFile)("go", ["build", "-trimpath", "-o", unfinished, "."], {
      cwd: sources,
      env: { ...process.env, GOWORK: "off", GOFLAGS: "", CGO_ENABLED: "0" },
    });
  } catch (error) {
    throw new Error(`the bench needs Go to build its exporter and sink in bench/load: ${String(error)}`);
  }
  renameSync(unfinished, file);
  return file;
}

/** The running exporter and sink; it leaves by itself when this process does. */
export class Load {
  readonly endpoints: Endpoints;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(process: ChildProcess, reader: Interface, lines: AsyncIterator<string>, endpoints: Endpoints) {
    this.#process = process;
    this.#reader = reader;
    this.#lines = lines;
    this.endpoints = endpoints;
  }

  static async start(file: string, row: Row): Promise<Load> {
    const child = spawn("taskset", ["-c", String(loadCore), file, ...argsOf(row)], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    // A program that has ended is seen by its output's end; writing to it must not end the runner.
    child.stdin.on("error", () => {});
    const reader = createInterface({ input: child.stdout });
    const lines = reader[Symbol.asyncIterator]();
    try {
      return new Load(child, reader, lines, await nextLine<Endpoints>(lines));
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Its process id is its session's too, since it was started detached. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  state(): Promise<LoadState> {
    return this.#ask("state");
  }

  /** Begins the window: counts of it and latencies start from zero. */
  beginWindow(): Promise<LoadState> {
    return this.#ask("begin");
  }

  /** Verdicts are about what is scraped from now on. */
  forgive(): Promise<LoadState> {
    return this.#ask("forgive");
  }

  /** Ends the window: later verdicts are about what was served until now. */
  endWindow(): Promise<LoadState> {
    return this.#ask("end");
  }

  verify(): Promise<Verdict> {
    return this.#ask("verify");
  }

  /** Renames a share of every target's series once, at its next scrape. */
  churn(share: number): Promise<LoadState> {
    return this.#ask(`churn ${share}`);
  }

  /** Has a process group killed when this process ends without having taken the order back with 0. */
  guard(group: number): Promise<LoadState> {
    return this.#ask(`guard ${group}`);
  }

  async stop(): Promise<void> {
    const ended = this.#process.exitCode === null ? once(this.#process, "exit") : undefined;
    this.#process.stdin?.end();
    this.#reader.close();
    await ended;
  }

  #ask<T>(command: string): Promise<T> {
    this.#process.stdin?.write(`${command}\n`);
    return nextLine<T>(this.#lines);
  }
}

function argsOf(row: Row): string[] {
  const args = [
    `-targets=${row.targets}`,
    `-series=${row.series}`,
    `-interval=${row.intervalS}s`,
    `-gzip=${row.encoding === "gzip"}`,
  ];
  if (row.mode === "relabel" || row.mode === "reorder") args.push(`-${row.mode}`);
  if (row.mode === "rename") args.push("-rename=0.01");
  if (row.mode === "soak") args.push(`-rename=${(0.01 * row.intervalS) / 60}`);
  return args;
}

async function nextLine<T>(lines: AsyncIterator<string>): Promise<T> {
  const { value, done } = await lines.next();
  if (done) throw new Error("the bench's exporter and sink ended unexpectedly");
  return JSON.parse(value) as T;
}
