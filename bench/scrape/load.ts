/** Speaks with the exporter and sink of the scrape bench. */

import type { Endpoints } from "./configs.ts";
import { LoadProcess } from "./load-process.ts";
import type { Row } from "./rows.ts";

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
  /** Samples of all that came behind a newer one of their series; 0 where the order is not checked. */
  readonly misplaced: number;
  readonly examples: readonly string[];
}

/** The running exporter and sink of the scrape bench. */
export class Load {
  readonly endpoints: Endpoints;
  readonly #process: LoadProcess;

  private constructor(process: LoadProcess, endpoints: Endpoints) {
    this.#process = process;
    this.endpoints = endpoints;
  }

  /** `checksOrder` costs the sink memory and time for each series. */
  static async start(file: string, row: Row, checksOrder = false): Promise<Load> {
    const args = [...argsOf(row), ...(checksOrder ? ["-order"] : [])];
    const { process, ready } = await LoadProcess.start<Endpoints>(file, args);
    return new Load(process, ready);
  }

  get pid(): number {
    return this.#process.pid;
  }

  state(): Promise<LoadState> {
    return this.#process.ask("state");
  }

  /** Begins the window: counts of it and latencies start from zero. */
  beginWindow(): Promise<LoadState> {
    return this.#process.ask("begin");
  }

  /** Verdicts are about what is scraped from now on. */
  forgive(): Promise<LoadState> {
    return this.#process.ask("forgive");
  }

  /** Ends the window: later verdicts are about what was served until now. */
  endWindow(): Promise<LoadState> {
    return this.#process.ask("end");
  }

  verify(): Promise<Verdict> {
    return this.#process.ask("verify");
  }

  /** Renames a share of every target's series once, at its next scrape. */
  churn(share: number): Promise<LoadState> {
    return this.#process.ask(`churn ${share}`);
  }

  /** Begins or ends an outage: the sink refuses everything with 503. */
  setOutage(isDown: boolean): Promise<LoadState> {
    return this.#process.ask(isDown ? "down" : "up");
  }

  /** See `LoadProcess.guard`. */
  guard(group: number): Promise<void> {
    return this.#process.guard(group);
  }

  stop(): Promise<void> {
    return this.#process.stop();
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
