/** Prints a row's summary as a Markdown table with ratios and bars. */

import { type BarVerdict, cpuAims } from "./bars.ts";
import { cpuPerMillion, type Figures } from "./figures.ts";
import { rowName } from "./rows.ts";
import type { RowSummary, SubjectSummary } from "./summary.ts";

interface Column {
  readonly title: string;
  /** Left out of the table where no subject has it. */
  readonly figure?: keyof Figures;
  text(subject: SubjectSummary): string;
}

const columns: readonly Column[] = [
  { title: "subject", text: ({ subject }) => subject.name },
  { title: "version", text: ({ subject }) => (subject.decides ? subject.version : `${subject.version} (older)`) },
  { title: "CPU-s/M", text: ({ figures }) => fixed(cpuPerMillion(figures), 2) },
  { title: "user", text: ({ figures }) => fixed(figures.cpuUserPerMillion, 2) },
  { title: "system", text: ({ figures }) => fixed(figures.cpuSystemPerMillion, 2) },
  { title: "KB/series", text: ({ figures }) => fixed(figures.maxKbPerSeries, 2) },
  { title: "mean", text: ({ figures }) => fixed(figures.meanKbPerSeries, 2) },
  figureColumn("before", "firstKbPerSeries", 2),
  figureColumn("peak", "peakKbPerSeries", 2),
  figureColumn("after/before", "recovery", 3),
  figureColumn("growth", "growth", 3),
  { title: "B/sample", text: ({ figures }) => fixed(figures.bytesPerSample, 1) },
  { title: "p50 ms", text: ({ figures }) => fixed(figures.p50Ms, 0) },
  { title: "p99 ms", text: ({ figures }) => fixed(figures.p99Ms, 0) },
  figureColumn("loop p99 ms", "eventLoopP99Ms", 1),
  { title: "samples/s", text: ({ figures }) => fixed(figures.deliveredPerSecond, 0) },
  { title: "core 0", text: ({ figures }) => percent(figures.coreShare) },
  { title: "core 1", text: ({ figures }) => percent(figures.loadShare) },
  { title: "delivered", text: ({ problem }) => (problem === undefined ? "all" : "WRONG") },
];

function figureColumn(title: string, figure: keyof Figures, digits: number): Column {
  return { title, figure, text: ({ figures }) => fixed(figures[figure], digits) };
}

export function formatRow(summary: RowSummary): string {
  const { row, subjects } = summary;
  const shown = columns.filter(
    ({ figure }) => figure === undefined || subjects.some(({ figures }) => !Number.isNaN(figures[figure])),
  );
  const table = [shown.map(({ title }) => title), ...subjects.map((s) => shown.map((c) => c.text(s)))];
  const widths = shown.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = table;
  const aim = cpuAims[rowName(row)];
  return [
    `### ${rowName(row)}, every ${row.intervalS} s`,
    "",
    line(head),
    line(widths.map((width) => "-".repeat(width))),
    ...body.map(line),
    "",
    ...subjects.flatMap(remarks),
    ...summary.ratios.map(
      ({ to, decides, cpu, memory, bytes }) =>
        `millrace / ${to}: CPU ${cpu.toFixed(2)}, memory ${memory.toFixed(2)}, bytes ${bytes.toFixed(2)}${decides ? "" : " (older, decides nothing)"}`,
    ),
    ...summary.bars.map(formatBar),
    ...(aim === undefined || summary.bars.length === 0 ? [] : [`aim: ${aim} CPU-s per million`]),
    ...(summary.missing.length === 0
      ? []
      : [`not compared with ${summary.missing.join(", ")}, which the row asks for`]),
  ].join("\n");
}

/** "PASS: title 0.31, must be at most 0.33". */
export function formatBar({ title, measured, limit, least, holds }: BarVerdict): string {
  const bound = least ? "at least" : "at most";
  return `${holds ? "PASS" : "FAIL"}: ${title} ${number(measured)}, must be ${bound} ${number(limit)}`;
}

function number(value: number): string {
  if (Number.isNaN(value)) return "-";
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value.toFixed(3);
}

function remarks({ subject, problem, notes }: SubjectSummary): string[] {
  const wrong = problem === undefined ? [] : [`${subject.name}: no ratio: ${problem}`];
  return [...wrong, ...notes.map((note) => `${subject.name}: ${note}`)];
}

/** A run that failed has no figures. */
function fixed(value: number, digits: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(digits);
}

function percent(share: number): string {
  return Number.isNaN(share) ? "-" : `${fixed(share * 100, 0)} %`;
}
