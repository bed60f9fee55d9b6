/** Scraping with the queue on disk beside without, and beside the peers' own files: CPU time and bytes written. */

import { join } from "node:path";
import { cpuPerMillion, type Figures, medians } from "../scrape/figures.ts";
import { failedRun, measure, type RunResult, type RunSettings } from "../scrape/measure.ts";
import type { Row } from "../scrape/rows.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";

interface Variant {
  readonly title: string;
  readonly subject: Subject;
}

interface Measured {
  readonly variant: Variant;
  readonly figures: Figures;
  readonly problem?: string;
  readonly notes: readonly string[];
}

/** Who takes part beside this build of Millrace. */
interface Choice {
  /** The folder of another build. */
  readonly before: string | undefined;
  /** Without peers. */
  readonly alone: boolean;
}

/** CPU time with the queue on disk as a share of that without. */
const maxShare = 1.25;

/** Resolves to whether every count was right. The runs of the variants alternate, so that a busy minute hits all alike. */
export async function measureScraping(
  row: Row,
  runs: number,
  settings: RunSettings,
  choice: Choice,
  stop: AbortSignal,
): Promise<boolean> {
  const variants = variantsOf(choice);
  for (const { title, subject } of variants) console.log(`${title}: ${subject.name} ${subject.version}`);
  const results = new Map<Variant, RunResult[]>(variants.map((variant) => [variant, []]));
  for (let run = 1; run <= runs; run++) {
    for (const [variant, ofVariant] of results) {
      const result = await measure(variant.subject, row, settings, stop).catch(failedRun);
      stop.throwIfAborted();
      ofVariant.push(result);
      const cpu = `${cpuPerMillion(result.figures).toFixed(3)} CPU-s/M`;
      console.log(
        `scrape, run ${run} of ${runs}, ${variant.title}: ${cpu}${result.problem === undefined ? "" : ", WRONG"}`,
      );
    }
  }
  const measured = [...results].map(([variant, ofVariant]) => sum(variant, ofVariant));
  console.log(`\n${format(row, measured)}\n`);
  return measured.every(({ problem }) => problem === undefined);
}

function variantsOf({ before, alone }: Choice): Variant[] {
  const millrace = findSubject("millrace", undefined);
  if (millrace === undefined) throw new Error("Millrace is not built: run npm run build");
  const older = before === undefined ? undefined : findSubject("before", before);
  const peers = alone ? [] : [findSubject("prometheus", undefined), findSubject("vmagent", undefined)];
  return [
    { title: "in memory", subject: millrace },
    { title: "on disk", subject: onDisk(millrace) },
    { title: "on disk, synced", subject: onDisk(millrace, "--storage.agent.fsync") },
    ...(older === undefined ? [] : [{ title: "before, on disk", subject: onDisk(older) }]),
    ...peers.flatMap((subject) => (subject === undefined ? [] : [{ title: subject.name, subject }])),
  ];
}

function onDisk(subject: Subject, ...flags: string[]): Subject {
  return {
    ...subject,
    command(row, dir, configFile, endpoints) {
      const { argv, env } = subject.command(row, dir, configFile, endpoints);
      return { argv: [...argv, `--storage.agent.path=${join(dir, "storage")}`, ...flags], env };
    },
  };
}

function sum(variant: Variant, runs: readonly RunResult[]): Measured {
  return {
    variant,
    figures: medians(runs.map(({ figures }) => figures)),
    problem: runs.find(({ problem }) => problem !== undefined)?.problem,
    notes: [...new Set(runs.flatMap(({ notes }) => notes))],
  };
}

function format(row: Row, measured: readonly Measured[]): string {
  const share = shareOf(measured);
  return [
    `### scrape: ${row.targets} x ${row.series}, every ${row.intervalS} s`,
    "",
    "| queue | CPU-s/M | user | system | written B/sample | KB/series | p99 ms | delivered |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...measured.map(({ variant, figures, problem }) =>
      [
        `| ${variant.title}`,
        cpuPerMillion(figures).toFixed(3),
        figures.cpuUserPerMillion.toFixed(3),
        figures.cpuSystemPerMillion.toFixed(3),
        figures.writtenPerSample.toFixed(1),
        figures.maxKbPerSeries.toFixed(2),
        figures.p99Ms.toFixed(0),
        `${problem === undefined ? "all" : "WRONG"} |`,
      ].join(" | "),
    ),
    "",
    ...measured.flatMap(({ variant, problem, notes }) => [
      ...(problem === undefined ? [] : [`${variant.title}: ${problem}`]),
      ...notes.map((note) => `${variant.title}: ${note}`),
    ]),
    ...(share === undefined
      ? []
      : [
          `${share <= maxShare ? "PASS" : "FAIL"}: CPU on disk as a share of that in memory ${share.toFixed(3)}, must be at most ${maxShare}`,
        ]),
  ].join("\n");
}

function shareOf(measured: readonly Measured[]): number | undefined {
  const [memory, disk] = measured;
  if (memory === undefined || disk === undefined || (memory.problem ?? disk.problem) !== undefined) return undefined;
  return cpuPerMillion(disk.figures) / cpuPerMillion(memory.figures);
}
