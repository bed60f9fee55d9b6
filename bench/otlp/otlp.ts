/** The OTLP bench: Millrace and otelcol, each alone on a core, between the same generator and the same sink. */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildLoad } from "../scrape/load-process.ts";
import { expectTwoCores, leaveSubjectCore } from "../scrape/run-subject.ts";
import { findSubject, type Subject } from "../scrape/subjects.ts";
import { defaultWarmupS, measureOtlp, type OtlpResult, type OtlpSettings } from "./measure.ts";
import { cpuOfRow, formatOtlpRow, type OtlpSummary, summarizeOtlp } from "./report.ts";
import { type OtlpRow, otlpRows } from "./rows.ts";

const subjectNames = ["millrace", "before", "otelcol"] as const;

const usage = `usage: npm run bench -- otlp [OPTIONS]

  --row NAME           ${otlpRows.map(({ name }) => name).join(", ")}; repeatable (default: all)
  --subject S          ${subjectNames.join(", ")}; repeatable (default: all that are found)
  --before DIR         also measure another build of Millrace, whose package is in DIR, as the subject "before"
  --runs N             runs of each, of which the median is shown (default 3; 1 with --quick)
  --window SECONDS     length of the measurement (default 20; 3 with --quick); in row scrape a multiple of 10
  --warmup SECONDS     of sending before the window (default 30; 2 with --quick)
  --quick              short: shows that everything arrives, its figures decide no bar
  --json FILE          write every figure of every row`;

interface OtlpOptions {
  readonly rows: readonly OtlpRow[];
  readonly subjects?: readonly string[];
  readonly before?: string;
  readonly runs: number;
  readonly windowS: number;
  readonly warmupS: number;
  readonly quick: boolean;
  readonly jsonFile?: string;
}

/** Resolves to the exit code: 1 where a delivered count was wrong or Millrace is missing, 2 on wrong usage. */
export async function runOtlpBench(args: string[], stop: AbortSignal): Promise<number> {
  let options: OtlpOptions | undefined;
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
  const subjects = chooseSubjects(options);
  const { windowS, warmupS, quick } = options;
  const scrape = quick ? { targets: 20, series: 1000, intervalS: 3 } : { targets: 100, series: 5000, intervalS: 10 };
  const settings = { loadFile: await buildLoad(), windowS, warmupS, scrape };
  leaveSubjectCore();
  for (const { name, version } of subjects) console.log(`${name} ${version}`);
  const summaries: OtlpSummary[] = [];
  for (const row of options.rows) {
    const summary = await measureOtlpRow(row, subjects, options.runs, settings, stop);
    summaries.push(summary);
    console.log(`\n${formatOtlpRow(summary, scrape, quick)}\n`);
    if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, toJson(options, summaries));
  }
  return summaries.some((each) => each.subjects.some(({ problem }) => problem !== undefined)) ? 1 : 0;
}

/** The runs of the subjects alternate, so that a busy minute hits all alike. */
export async function measureOtlpRow(
  row: OtlpRow,
  subjects: readonly Subject[],
  runs: number,
  settings: OtlpSettings,
  stop: AbortSignal,
): Promise<OtlpSummary> {
  const results = new Map<Subject, OtlpResult[]>(subjects.map((subject) => [subject, []]));
  for (let run = 1; run <= runs; run++) {
    for (const [subject, ofSubject] of results) {
      const result = await measureOtlp(subject, row, settings, stop).catch(failed);
      stop.throwIfAborted();
      ofSubject.push(result);
      console.log(`${row.name}, run ${run} of ${runs}, ${subject.name}: ${runLine(row, result)}`);
    }
  }
  return summarizeOtlp(row, results);
}

function failed(error: unknown): OtlpResult {
  return { problem: error instanceof Error ? error.message : String(error), notes: [] };
}

function runLine(row: OtlpRow, { figures, problem }: OtlpResult): string {
  const unit = row.signal === "metrics" ? "M" : "GB";
  const cpu = figures === undefined ? "no figures" : `${cpuOfRow(row, figures).toFixed(2)} CPU-s/${unit}`;
  return problem === undefined ? cpu : `${cpu}, WRONG: ${problem}`;
}

function chooseSubjects({ subjects: wanted, before }: OtlpOptions): Subject[] {
  const found: Subject[] = [];
  for (const name of subjectNames) {
    if (wanted === undefined ? name === "before" && before === undefined : !wanted.includes(name)) continue;
    const subject = findSubject(name, before);
    if (subject !== undefined) found.push(subject);
    else if (name === "millrace") throw new Error("Millrace is not built: run npm run build");
    else if (name === "before") throw new Error("--before: expected a folder with a built package of Millrace");
    else if (wanted !== undefined) throw new Error(`${name} is not found in PEERS, ~/.cache/millrace-peers or on PATH`);
    else console.log(`${name} is not found and left out`);
  }
  return found;
}

/** Undefined when help was asked for; throws an error that names the option where one is wrong. */
function parseOptions(args: string[]): OtlpOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      row: { type: "string", multiple: true },
      subject: { type: "string", multiple: true },
      before: { type: "string" },
      runs: { type: "string" },
      window: { type: "string" },
      warmup: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick } = values;
  checkNames(
    "row",
    otlpRows.map(({ name }) => name),
    values.row,
  );
  checkNames("subject", subjectNames, values.subject);
  return {
    rows: values.row === undefined ? otlpRows : otlpRows.filter(({ name }) => values.row?.includes(name)),
    subjects: values.subject,
    before: values.before,
    runs: number("runs", values.runs, quick ? 1 : 3),
    windowS: number("window", values.window, quick ? 3 : 20),
    warmupS: number("warmup", values.warmup, quick ? 2 : defaultWarmupS),
    quick,
    jsonFile: values.json,
  };
}

function checkNames(option: string, known: readonly string[], given: readonly string[] = []): void {
  for (const name of given) {
    if (!known.includes(name)) throw new Error(`--${option}: expected one of ${known.join(", ")}, got "${name}"`);
  }
}

function number(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1) throw new Error(`--${option}: expected a positive whole number, got "${text}"`);
  return value;
}

function toJson({ runs, windowS, quick }: OtlpOptions, summaries: readonly OtlpSummary[]): string {
  const rows = summaries.map(({ row, subjects, share }) => ({
    ...row,
    share,
    subjects: subjects.map(({ subject: { name, version, decides }, ...rest }) => ({ name, version, decides, ...rest })),
  }));
  return `${JSON.stringify({ runs, windowS, quick, node: process.version, rows }, undefined, 2)}\n`;
}
