/** The scrape bench: Millrace and its peers, each alone on a core, scraping the same pages into the same sink. */

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { buildLoad } from "./load.ts";
import { failedRun, measure, type RunResult, type RunSettings } from "./measure.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { loadCore } from "./processes.ts";
import { formatRow } from "./report.ts";
import { type Row, rowName } from "./rows.ts";
import { findSubject, type Subject, type SubjectName, subjectNames } from "./subjects.ts";
import { cpuPerMillion, type RowSummary, type SubjectSummary, summarize, summarizeRow } from "./summary.ts";

/** Resolves to the exit code: 1 where a delivered count was wrong or Millrace is missing, 2 on wrong usage. */
export async function runScrapeBench(args: string[], stop: AbortSignal): Promise<number> {
  let options: Options | undefined;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    console.log(usage);
    return 0;
  }
  if (availableParallelism() < 2) throw new Error("the bench needs two cores: one for the subject, one for the load");
  const subjects = chooseSubjects(options.subjects);
  const loadFile = await buildLoad();
  // The runner must not disturb the subject.
  execFileSync("taskset", ["-acp", String(loadCore), String(process.pid)], { stdio: "ignore" });
  announce(options, subjects);
  const summaries: RowSummary[] = [];
  for (const row of options.rows) {
    const summary = await runRow(row, subjects, options, { ...options, loadFile }, stop);
    if (summary === undefined) continue;
    summaries.push(summary);
    console.log(`\n${formatRow(summary)}\n`);
    if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, toJson(options, summaries));
  }
  return summaries.some(isWrong) ? 1 : 0;
}

function chooseSubjects(wanted: readonly SubjectName[] | undefined): Subject[] {
  const found: Subject[] = [];
  for (const name of wanted ?? subjectNames) {
    const subject = findSubject(name);
    if (subject !== undefined) found.push(subject);
    else if (name === "millrace")
      throw new Error("Millrace is not built: run npm run build, or name others by --subject");
    else if (wanted !== undefined) throw new Error(`${name} is not found in PEERS, ~/.cache/millrace-peers or on PATH`);
    else console.log(`${name} is not found and left out`);
  }
  return found;
}

function announce(options: Options, subjects: readonly Subject[]): void {
  for (const { name, version, decides } of subjects) {
    console.log(`${name} ${version}${decides ? "" : ": older than what decides a bar, shown beside"}`);
  }
  const seconds = options.rows
    .map((row) => options.runs * ((options.warmup + 0.5) * row.intervalS + options.windowS + 5) * runsOf(row, subjects))
    .reduce((sum, each) => sum + each, 0);
  console.log(`${options.rows.length} rows, about ${Math.ceil(seconds / 60)} minutes`);
}

function runsOf(row: Row, subjects: readonly Subject[]): number {
  return subjects.filter((subject) => takesPart(row, subject)).length;
}

/** Mode "run" compares the Collector's reading of one file; other programs have no such file. */
function takesPart(row: Row, { name }: Subject): boolean {
  return row.mode !== "run" || name === "millrace" || name === "otelcol";
}

/** Undefined where no subject takes part. The runs of the subjects alternate, so that a busy minute hits all alike. */
async function runRow(
  row: Row,
  subjects: readonly Subject[],
  options: Options,
  settings: RunSettings,
  stop: AbortSignal,
): Promise<RowSummary | undefined> {
  const results = new Map<Subject, RunResult[]>();
  for (let run = 1; run <= options.runs; run++) {
    for (const subject of subjects.filter((each) => takesPart(row, each))) {
      const result = await measure(subject, row, settings, stop).catch(failedRun);
      stop.throwIfAborted();
      results.set(subject, [...(results.get(subject) ?? []), result]);
      console.log(`${rowName(row)}, run ${run} of ${options.runs}, ${subject.name}: ${runLine(result)}`);
    }
  }
  if (results.size === 0) return undefined;
  const summaries = [...results].map(([subject, runs]) => summarize(subject, runs));
  return summarizeRow(row, summaries, options.quick);
}

function runLine({ figures, problem }: RunResult): string {
  const cpu = Number.isNaN(figures.coreShare) ? "no figures" : `${cpuPerMillion(figures).toFixed(2)} CPU-s/M`;
  return problem === undefined ? cpu : `${cpu}, WRONG: ${problem}`;
}

/** In mode "second" a peer may be overloaded, which is what that row shows. */
function isWrong({ row, subjects }: RowSummary): boolean {
  const counted = (each: SubjectSummary) => row.mode !== "second" || each.subject.name === "millrace";
  return subjects.some((each) => each.problem !== undefined && counted(each));
}

function toJson(options: Options, rows: readonly RowSummary[]): string {
  const data = rows.map(({ row, subjects, ratios, bars }) => ({
    row: rowName(row),
    ...row,
    subjects: subjects.map(({ subject, ...rest }) => ({
      name: subject.name,
      version: subject.version,
      decides: subject.decides,
      ...rest,
    })),
    ratios,
    bars,
  }));
  const { runs, windowS, warmup, quick } = options;
  return `${JSON.stringify({ runs, windowS, warmup, quick, node: process.version, rows: data }, undefined, 2)}\n`;
}
