/** Writes what documents say of the bench from the files of results: tables, and the chart. */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cpuAims } from "./bars.ts";
import { drawChart, labelOf } from "./chart.ts";
import { cpuPerMillion, type Figures } from "./figures.ts";
import { formatBar } from "./report.ts";
import { type Results, readResults, type SavedRow, type SavedSubject } from "./results.ts";
import { rowName, tableRows } from "./rows.ts";
import type { SubjectName } from "./subjects.ts";

const repo = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const resultsFile = "bench/results/scrape.json";
const beforeFile = "bench/results/before.json";
const chartFile = "docs/bench.svg";

const begin = "<!-- bench: begin (npm run bench -- report writes this) -->";
const end = "<!-- bench: end -->";

const usage = `usage: npm run bench -- report

Writes the tables of docs/performance.md and README.md and the chart ${chartFile} from ${resultsFile}, whose rows
come from npm run bench -- scrape --save ${resultsFile}; figures of ${beforeFile} stand beside as those before.`;

/** The bench "report"; resolves to the exit code. */
export async function runReport(args: string[]): Promise<number> {
  if (args.length > 0) {
    console.log(usage);
    return args[0] === "--help" || args[0] === "-h" ? 0 : 2;
  }
  const results = readResults(repo(resultsFile));
  const order = tableRows.map(rowName);
  const place = ({ row }: SavedRow) => (order.includes(rowName(row)) ? order.indexOf(rowName(row)) : order.length);
  const rows = Object.values(results).sort((a, b) => place(a) - place(b));
  if (rows.length === 0) throw new Error(`there are no results in ${resultsFile}\n\n${usage}`);
  const before = readResults(repo(beforeFile));
  writeFileSync(repo(chartFile), drawChart(rows));
  replacePart(repo("docs/performance.md"), performancePart(rows, before));
  replacePart(repo("README.md"), readmePart(rows));
  console.log(`written: ${chartFile}, docs/performance.md, README.md`);
  return 0;
}

function replacePart(file: string, part: string): void {
  const text = readFileSync(file, "utf8");
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${file} has no lines "${begin}" and "${end}"`);
  writeFileSync(file, `${text.slice(0, from + begin.length)}\n${part}\n${text.slice(to)}`);
}

function performancePart(rows: readonly SavedRow[], before: Results): string {
  const compared = rows.filter(({ subjects }) => subjects.some(({ name }) => name === "vmagent" || name === "otelcol"));
  const versions = new Map(rows.flatMap(({ subjects }) => subjects.map((each) => [titleOf(each.name), each.version])));
  const machines = [...new Set(rows.map(({ machine }) => machine))];
  return [
    `Versions: ${[...versions].map(([name, version]) => `${name} ${version}`).join(", ")}. Machine: ${machines.join("; ")}.`,
    "",
    'CPU seconds per million samples; resident KB per series, all included. "Before" is 0.1.0 before this work.',
    "",
    ...table(
      ["row", "before", "Millrace", "aim", "vmagent", "Prometheus agent", "otelcol-contrib", "date; runs, window"],
      compared.map((each) => [
        labelOf(each.row),
        cell(before[rowName(each.row)], "millrace"),
        `**${cell(each, "millrace")}**`,
        String(cpuAims[rowName(each.row)] ?? ""),
        cell(each, "vmagent"),
        cell(each, "prometheus"),
        cell(each, "otelcol"),
        `${each.date}; ${each.runs}, ${each.windowS} s`,
      ]),
    ),
    "",
    "What each row must keep, as measured in the same run, and the command that repeats it:",
    "",
    ...rows.flatMap((each) => [
      `- **${labelOf(each.row)}**, \`${each.command}\``,
      ...each.bars.map((bar) => `  - ${formatBar(bar)}`),
      ...remarksOf(each).map((line) => `  - ${line}`),
    ]),
    "",
    "Latency and bytes, of the same runs:",
    "",
    ...table(
      ["row", "subject", "user, system", "bytes per sample", "p50, p99 ms", "core 0, core 1"],
      compared.flatMap((each) => each.subjects.map((subject) => detailOf(each, subject))),
    ),
  ].join("\n");
}

function readmePart(rows: readonly SavedRow[]): string {
  const main = rows.find(({ row }) => rowName(row) === "100x5000 identity plain");
  const lines = [`![CPU time per sample and memory per series of Millrace and its peers](${chartFile})`];
  if (main === undefined) return lines.join("\n");
  return [
    ...lines,
    "",
    `100 targets of 5,000 series, scraped every 10 s; the subject alone on one core; ${main.runs === 1 ? "one run" : `median of ${main.runs} runs`} of ${main.windowS} s; every sample`,
    "delivered in every run:",
    "",
    ...table(
      [
        "subject",
        "version",
        "CPU-s per million (user, system)",
        "KB per series",
        "bytes per sample on the wire",
        "p50, p99 ms",
      ],
      main.subjects.map(({ name, version, figures }) => [
        name === "millrace" ? `**${titleOf(name)}**` : titleOf(name),
        version,
        `${fixed(cpuPerMillion(figures))} (${fixed(figures.cpuUserPerMillion)}, ${fixed(figures.cpuSystemPerMillion)})`,
        fixed(figures.maxKbPerSeries),
        fixed(figures.bytesPerSample, 1),
        `${fixed(figures.p50Ms, 0)}, ${fixed(figures.p99Ms, 0)}`,
      ]),
    ),
    "",
    `Repeat it with \`${main.command}\`. Every row, and which bars hold: [docs/performance.md](docs/performance.md).`,
  ].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

/** "0.31; 0.42", or what kept it from being measured. */
function cell(row: SavedRow | undefined, name: SubjectName): string {
  const subject = row?.subjects.find((each) => each.name === name);
  if (subject === undefined) return "";
  if (subject.problem !== undefined) return "not all delivered";
  return `${fixed(cpuPerMillion(subject.figures))}; ${fixed(subject.figures.maxKbPerSeries)}`;
}

function detailOf({ row }: SavedRow, { name, figures, problem }: SavedSubject): string[] {
  if (problem !== undefined) return [labelOf(row), titleOf(name), "not all delivered", "", "", share(figures)];
  return [
    labelOf(row),
    titleOf(name),
    `${fixed(figures.cpuUserPerMillion)}, ${fixed(figures.cpuSystemPerMillion)}`,
    fixed(figures.bytesPerSample, 1),
    `${fixed(figures.p50Ms, 0)}, ${fixed(figures.p99Ms, 0)}`,
    share(figures),
  ];
}

function share({ coreShare, loadShare }: Figures): string {
  return `${fixed(coreShare * 100, 0)} %, ${fixed(loadShare * 100, 0)} %`;
}

/** Figures of Millrace that only some modes have. */
function remarksOf({ subjects }: SavedRow): string[] {
  const millrace = subjects.find(({ name }) => name === "millrace");
  if (millrace === undefined) return [];
  const { firstKbPerSeries, peakKbPerSeries, endKbPerSeries } = millrace.figures;
  const wrong = millrace.problem === undefined ? [] : [millrace.problem.split("\n")[0] ?? ""];
  if (Number.isNaN(firstKbPerSeries)) return wrong;
  const [first, peak, last] = [firstKbPerSeries, peakKbPerSeries, endKbPerSeries].map((kb) => fixed(kb));
  return [...wrong, `${first} KB per series before, at most ${peak} meanwhile, ${last} at the end`];
}

function titleOf(name: SubjectName): string {
  const titles: Record<SubjectName, string> = {
    millrace: "Millrace",
    agent: "`millrace agent`",
    before: "Millrace before",
    vmagent: "vmagent",
    prometheus: "Prometheus agent",
    otelcol: "otelcol-contrib",
  };
  return titles[name];
}

function fixed(value: number, digits = 2): string {
  return Number.isNaN(value) ? "-" : value.toFixed(digits);
}
