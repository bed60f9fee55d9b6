/** The command `npm run bench -- NAME [OPTIONS]`: runs a bench, or lists them when no name is given. */

import { runCrashBench } from "./crash/crash.ts";
import { runDurableBench } from "./durable/durable.ts";
import { runOutageBench } from "./durable/outage.ts";
import { runStartBench } from "./durable/start.ts";
import { runKernelBench } from "./kernels/kernels.ts";
import { runOtlpBench } from "./otlp/otlp.ts";
import { runReport } from "./scrape/documents.ts";
import { runScrapeBench } from "./scrape/scrape.ts";

interface Bench {
  readonly summary: string;
  run(args: string[], stop: AbortSignal): Promise<number>;
}

const benches = new Map<string, Bench>([
  [
    "scrape",
    { summary: "scrape to remote write: CPU, memory, bytes and latency beside the peers", run: runScrapeBench },
  ],
  ["otlp", { summary: "OTLP in and out: CPU, memory, bytes and latency beside otelcol", run: runOtlpBench }],
  ["durable", { summary: "what a queue on disk costs, beside queues in memory and peers", run: runDurableBench }],
  ["outage", { summary: "outages of the sink: what waits, how fast it is delivered, memory", run: runOutageBench }],
  ["start", { summary: "how long a start takes with gigabytes on disk, and what memory", run: runStartBench }],
  [
    "crash",
    { summary: "what is lost, repeated and misplaced when a program is killed again and again", run: runCrashBench },
  ],
  [
    "kernels",
    {
      summary: "nanoseconds a sample of the page scanners, plain and SIMD; what hash flooding costs",
      run: runKernelBench,
    },
  ],
  ["report", { summary: "tables and chart of the documents, from the results of scrape", run: runReport }],
]);

function list(): string {
  const lines = [...benches].map(([name, bench]) => `  ${name.padEnd(10)}${bench.summary}`);
  return ["usage: npm run bench -- NAME [OPTIONS]    (NAME --help lists the options)", "", ...lines].join("\n");
}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined) {
    console.log(list());
    return 0;
  }
  const bench = benches.get(name);
  if (bench === undefined) {
    console.error(`no bench is called "${name}"\n${list()}`);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  try {
    return await bench.run(args, stop.signal);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return stop.signal.aborted ? 130 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
