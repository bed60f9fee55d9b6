/** The scrape bench: Millrace and its peers, each alone on a core, scraping the same pages into the same sink. */

import { writeFileSync } from "node:fs";
import { type Baseline, baselineRows, bestPeer, check, readBaseline, saveBaseline } from "./baseline.ts";
import { drawChart } from "./chart.ts";
import { cpuPerMillion } from "./figures.ts";
import { buildLoad } from "./load-process.ts";
import { failedRun, measure, type RunResult, type RunSettings } from "./measure.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { formatRow } from "./report.ts";
import { savedRow, saveResults } from "./results.ts";
import { modeRules, type Row, rowName, tableRows } from "./rows.ts";
import { expectTwoCores, leaveSubjectCore } from "./run-subject.ts";
import { findSubject, isPeer, type Subject, subjectNames } from "./subjects.ts";
import { type RowSummary, type SubjectSummary, summarize, summarizeRow } from "./summary.ts";

/** What one invocation does. */
interface Plan {
  readonly options: Options;
  readonly rows: readonly Row[];
  readonly subjects: readonly Subject[];
  readonly baseline: Baseline;
}

/**
 * Resolves to the exit code: 1 where a delivered count was wrong, Millrace is missing or a ratio rose too far, 2 on wrong
 * usage.
 */
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
  expectTwoCores();
  const plan = planOf(options);
  const loadFile = await buildLoad();
  leaveSubjectCore();
  announce(plan);
  const settings = { ...options, loadFile, progress: (line: string) => console.log(line) };
  const summaries: RowSummary[] = [];
  for (const row of plan.rows) {
    const summary = await runRow(row, plan, settings, stop);
    if (summary === undefined) continue;
    summaries.push(summary);
    console.log(`\n${formatRow(summary)}\n`);
    keep(options, summaries);
  }
  if (options.saveBaseline) saveBaseline(summaries);
  const hasRisen = options.check && !check(plan.baseline, summaries);
  return hasRisen || summaries.some(isWrong) ? 1 : 0;
}

function planOf(options: Options): Plan {
  const baseline = options.check ? readBaseline() : {};
  const rows = options.rows ?? (options.check ? baselineRows(baseline) : tableRows);
  if (rows.length === 0) throw new Error("there is no baseline: --save-baseline writes one");
  return { options, rows, subjects: chooseSubjects(options), baseline };
}

function chooseSubjects({ subjects: wanted, before }: Options): Subject[] {
  const found: Subject[] = [];
  for (const name of wanted ?? subjectNames) {
    if (name === "before" && before === undefined && wanted === undefined) continue;
    const subject = findSubject(name, before);
    if (subject !== undefined) found.push(subject);
    else if (name === "before") throw new Error("--before: expected a folder with a built package of Millrace");
    else if (!isPeer(name)) throw new Error("Millrace is not built: run npm run build, or name others by --subject");
    else if (wanted !== undefined) throw new Error(`${name} is not found in PEERS, ~/.cache/millrace-peers or on PATH`);
    else console.log(`${name} is not found and left out`);
  }
  return found;
}

function announce(plan: Plan): void {
  for (const { name, version, decides } of plan.subjects) {
    console.log(`${name} ${version}${decides ? "" : ": older than what decides a bar, shown beside"}`);
  }
  const seconds = plan.rows
    .map((row) => runsOf(row, plan.options) * secondsOf(row, plan.options) * takingPart(row, plan).length)
    .reduce((sum, each) => sum + each, 0);
  console.log(`${plan.rows.length} rows, about ${Math.ceil(seconds / 60)} minutes`);
}

/** What a run takes, roughly. */
function secondsOf(row: Row, { warmup, windowS, settleS, soakS }: Options): number {
  const rule = modeRules[row.mode];
  const before = ((warmup ?? rule.warmup) + 0.5) * row.intervalS + 5;
  if (row.mode === "soak") return before + soakS;
  return before + (row.mode === "churn" || row.mode === "rollout" ? 2 * windowS + settleS : windowS);
}

/** Runs of a row; those that take long are made once. */
function runsOf({ mode }: Row, { runs }: Options): number {
  return mode === "churn" || mode === "rollout" || mode === "soak" ? 1 : runs;
}

function takingPart(row: Row, { options, subjects, baseline }: Plan): readonly Subject[] {
  const isNamed = options.subjects !== undefined;
  const reference = options.check ? bestPeer(baseline, row) : undefined;
  return subjects.filter(({ name }) => {
    if (name === "millrace" || name === "before") return true;
    // Mode "run" compares the Collector's reading of one file; other programs have no such file.
    if (row.mode === "run") return name === "agent" || name === "otelcol";
    if (name === "agent" || isNamed) return name !== "agent";
    return !modeRules[row.mode].alone && (reference === undefined || name === reference);
  });
}

/** Undefined where no subject takes part. The runs of the subjects alternate, so that a busy minute hits all alike. */
async function runRow(row: Row, plan: Plan, settings: RunSettings, stop: AbortSignal): Promise<RowSummary | undefined> {
  const results = new Map<Subject, RunResult[]>();
  const runs = runsOf(row, plan.options);
  for (let run = 1; run <= runs; run++) {
    for (const subject of takingPart(row, plan)) {
      const result = await measure(subject, row, settings, stop).catch(failedRun);
      stop.throwIfAborted();
      results.set(subject, [...(results.get(subject) ?? []), result]);
      console.log(`${rowName(row)}, run ${run} of ${runs}, ${subject.name}: ${runLine(result)}`);
    }
  }
  if (results.size === 0) return undefined;
  const summaries = [...results].map(([subject, each]) => summarize(subject, each));
  return summarizeRow(row, summaries, plan.options.quick);
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

/** Writes what was asked for after every row, so that a run that is broken off leaves what it has. */
function keep(options: Options, all: readonly RowSummary[]): void {
  const saved = all.map((each) => savedRow(each, runsOf(each.row, options), options.windowS));
  if (options.saveFile !== undefined) saveResults(options.saveFile, saved.slice(-1));
  if (options.chartFile !== undefined) writeFileSync(options.chartFile, drawChart(saved));
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, toJson(options, all));
}

function toJson(options: Options, rows: readonly RowSummary[]): string {
  const data = rows.map(({ row, subjects, ...rest }) => ({
    name: rowName(row),
    ...row,
    subjects: subjects.map(({ subject, ...figures }) => ({
      name: subject.name,
      version: subject.version,
      decides: subject.decides,
      ...figures,
    })),
    ...rest,
  }));
  const { runs, windowS, quick } = options;
  return `${JSON.stringify({ runs, windowS, quick, node: process.version, rows: data }, undefined, 2)}\n`;
}
