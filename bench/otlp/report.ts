/** Sums the runs of a row up, judges its bar and prints it as a Markdown table. */

import { median } from "../scrape/figures.ts";
import type { Subject } from "../scrape/subjects.ts";
import { type OtlpFigures, type OtlpResult, otlpFigureNames } from "./measure.ts";
import { describeRow, type OtlpRow, type ScrapeLoad } from "./rows.ts";

export interface OtlpSubjectSummary {
  readonly subject: Subject;
  /** Medians, each by itself, over the runs. */
  readonly figures: OtlpFigures;
  readonly problem?: string;
  readonly notes: readonly string[];
}

export interface OtlpSummary {
  readonly row: OtlpRow;
  readonly subjects: readonly OtlpSubjectSummary[];
  /** Millrace's CPU time as a share of otelcol's; undefined where one is missing or a count is wrong. */
  readonly share?: number;
}

export function summarizeOtlp(row: OtlpRow, results: ReadonlyMap<Subject, readonly OtlpResult[]>): OtlpSummary {
  const subjects = [...results].map(([subject, runs]) => summarizeRuns(subject, runs));
  const [millrace, otelcol] = ["millrace", "otelcol"].map((name) =>
    subjects.find((each) => each.subject.name === name && each.problem === undefined),
  );
  if (millrace === undefined || otelcol === undefined) return { row, subjects };
  return { row, subjects, share: cpuOfRow(row, millrace.figures) / cpuOfRow(row, otelcol.figures) };
}

function summarizeRuns(subject: Subject, runs: readonly OtlpResult[]): OtlpSubjectSummary {
  const figures = Object.fromEntries(
    otlpFigureNames.map((name) => [name, median(runs.map((run) => run.figures?.[name] ?? Number.NaN))]),
  ) as Record<keyof OtlpFigures, number>;
  const problem = runs.find((run) => run.problem !== undefined)?.problem;
  return { subject, figures, problem, notes: [...new Set(runs.flatMap(({ notes }) => notes))] };
}

/** CPU seconds: per gigabyte for spans and log records, per million points or samples for metrics. */
export function cpuOfRow(row: OtlpRow, figures: OtlpFigures): number {
  return row.signal === "metrics" ? figures.userPerMillion + figures.systemPerMillion : figures.perGigabyte;
}

type Cell = (summary: OtlpSubjectSummary, row: OtlpRow) => string;

const columns: readonly (readonly [title: string, cell: Cell])[] = [
  ["subject", ({ subject }) => subject.name],
  ["version", ({ subject }) => (subject.decides ? subject.version : `${subject.version} (older)`)],
  ["CPU-s/M", ({ figures }) => fixed(figures.userPerMillion + figures.systemPerMillion, 2)],
  ["user", ({ figures }) => fixed(figures.userPerMillion, 2)],
  ["system", ({ figures }) => fixed(figures.systemPerMillion, 2)],
  ["CPU-s/GB", ({ figures }, row) => (row.from === "scrape" ? "-" : fixed(figures.perGigabyte, 2))],
  ["MiB", ({ figures }) => fixed(figures.maxMebibytes, 0)],
  ["B in", ({ figures }) => fixed(figures.wireInPerItem, 1)],
  ["B out", ({ figures }) => fixed(figures.wireOutPerItem, 1)],
  ["out/in", ({ figures }) => fixed(figures.joined, 2)],
  ["p50 ms", ({ figures }) => fixed(figures.p50Ms, 1)],
  ["p99 ms", ({ figures }) => fixed(figures.p99Ms, 1)],
  ["call p99 ms", ({ figures }, row) => (row.from === "scrape" ? "-" : fixed(figures.callP99Ms, 1))],
  ["items/s", ({ figures }) => fixed(figures.itemsPerSecond, 0)],
  ["core 0", ({ figures }) => percent(figures.coreShare)],
  ["core 1", ({ figures }) => percent(figures.loadShare)],
  ["delivered", ({ problem }) => (problem === undefined ? "all" : "WRONG")],
];

export function formatOtlpRow(summary: OtlpSummary, scrape: ScrapeLoad, isQuick: boolean): string {
  const { row, subjects, share } = summary;
  const table = [
    columns.map(([title]) => title),
    ...subjects.map((each) => columns.map(([, cell]) => cell(each, row))),
  ];
  const widths = columns.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = table;
  return [
    `### ${row.name}: ${describeRow(row, scrape)}`,
    "",
    line(head),
    line(widths.map((width) => "-".repeat(width))),
    ...body.map(line),
    "",
    ...subjects.flatMap(({ subject, problem, notes }) => [
      ...(problem === undefined ? [] : [`${subject.name}: no ratio: ${problem}`]),
      ...notes.map((note) => `${subject.name}: ${note}`),
    ]),
    ...(share === undefined ? [] : [ratioLine(row, share, subjects, isQuick)]),
    ...(row.aim === undefined ? [] : [`aim: ${row.aim} CPU-s per million`]),
  ].join("\n");
}

/** A quick run and an older peer decide no bar. */
function ratioLine(row: OtlpRow, share: number, subjects: readonly OtlpSubjectSummary[], isQuick: boolean): string {
  const decides = !isQuick && subjects.every(({ subject }) => subject.decides);
  const text = `CPU as a share of otelcol's ${share.toFixed(3)}`;
  if (!decides) return text;
  return `${share <= row.maxShare ? "PASS" : "FAIL"}: ${text}, must be at most ${row.maxShare.toFixed(3)}`;
}

/** A run that failed has no figures. */
function fixed(value: number, digits: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(digits);
}

function percent(share: number): string {
  return Number.isNaN(share) ? "-" : `${fixed(share * 100, 0)} %`;
}
