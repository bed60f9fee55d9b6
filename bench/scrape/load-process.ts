/** Builds the Go program that makes the load and takes what the subject delivers, and runs it. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { loadCore } from "./processes.ts";

const sources = fileURLToPath(new URL("../load/", import.meta.url));

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

/** The running program; it leaves by itself when this process does. */
export class LoadProcess {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(process: ChildProcess, reader: Interface) {
    this.#process = process;
    this.#reader = reader;
    this.#lines = reader[Symbol.asyncIterator]();
  }

  /** Resolves with the first line that the program says. */
  static async start<Ready>(file: string, args: readonly string[]): Promise<{ process: LoadProcess; ready: Ready }> {
    const child = spawn("taskset", ["-c", String(loadCore), file, ...args], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    // A program that has ended is seen by its output's end; writing to it must not end the runner.
    child.stdin.on("error", () => {});
    const process = new LoadProcess(child, createInterface({ input: child.stdout }));
    try {
      return { process, ready: await process.#nextLine<Ready>() };
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Its process id is its session's too, since it was started detached. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The answer to a command. */
  ask<T>(command: string): Promise<T> {
    this.#process.stdin?.write(`${command}\n`);
    return this.#nextLine<T>();
  }

  /** Has a process group killed when this process ends without having taken the order back with 0. */
  async guard(group: number): Promise<void> {
    await this.ask(`guard ${group}`);
  }

  async stop(): Promise<void> {
    const ended = this.#process.exitCode === null ? once(this.#process, "exit") : undefined;
    this.#process.stdin?.end();
    this.#reader.close();
    await ended;
  }

  async #nextLine<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the bench's load program ended unexpectedly");
    return JSON.parse(value) as T;
  }
}
