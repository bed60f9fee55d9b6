/** Prints a row's summary as a Markdown table with ratios and bars. */

import { rowName } from "./rows.ts";
import { cpuPerMillion, type RowSummary, type SubjectSummary } from "./summary.ts";

interface Column {
  readonly title: string;
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
  { title: "B/sample", text: ({ figures }) => fixed(figures.bytesPerSample, 1) },
  { title: "p50 ms", text: ({ figures }) => fixed(figures.p50Ms, 0) },
  { title: "p99 ms", text: ({ figures }) => fixed(figures.p99Ms, 0) },
  { title: "samples/s", text: ({ figures }) => fixed(figures.deliveredPerSecond, 0) },
  { title: "core 0", text: ({ figures }) => percent(figures.coreShare) },
  { title: "core 1", text: ({ figures }) => percent(figures.loadShare) },
  { title: "delivered", text: ({ problem }) => (problem === undefined ? "all" : "WRONG") },
];

export function formatRow(summary: RowSummary): string {
  const { row } = summary;
  const table = [columns.map(({ title }) => title), ...summary.subjects.map((s) => columns.map((c) => c.text(s)))];
  const widths = columns.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = table;
  return [
    `### ${rowName(row)}, every ${row.intervalS} s`,
    "",
    line(head),
    line(widths.map((width) => "-".repeat(width))),
    ...body.map(line),
    "",
    ...summary.subjects.flatMap(remarks),
    ...summary.ratios.map(
      ({ peer, decides, cpu, memory }) =>
        `millrace / ${peer}: CPU ${cpu.toFixed(2)}, memory ${memory.toFixed(2)}${decides ? "" : " (older, decides nothing)"}`,
    ),
    ...summary.bars.map(
      ({ title, measured, limit, holds }) =>
        `${holds ? "PASS" : "FAIL"}: ${title} ${measured.toFixed(2)}, must be at most ${limit}`,
    ),
  ].join("\n");
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
