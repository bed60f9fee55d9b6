/** Files of results: the rows of one or several runs with versions, machine and date, from which documents are written. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import type { BarVerdict } from "./bars.ts";
import { completeFigures, type FigureName, type Figures } from "./figures.ts";
import { commandOf, type Row, rowName } from "./rows.ts";
import type { SubjectName } from "./subjects.ts";
import type { RowSummary } from "./summary.ts";

export interface SavedSubject {
  readonly name: SubjectName;
  readonly version: string;
  readonly decides: boolean;
  readonly figures: Figures;
  readonly problem?: string;
  readonly notes: readonly string[];
}

export interface SavedRow {
  readonly row: Row;
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly machine: string;
  readonly command: string;
  readonly runs: number;
  readonly windowS: number;
  readonly subjects: readonly SavedSubject[];
  readonly bars: readonly BarVerdict[];
}

/** Rows by their names. */
export type Results = Readonly<Record<string, SavedRow>>;

/** No rows where there is no such file. */
export function readResults(file: string): Results {
  if (!existsSync(file)) return {};
  const stored = JSON.parse(readFileSync(file, "utf8")) as Record<string, SavedRow>;
  return Object.fromEntries(
    Object.entries(stored).map(([name, row]) => [
      name,
      {
        ...row,
        subjects: row.subjects.map((each) => ({
          ...each,
          figures: completeFigures(each.figures as Partial<Record<FigureName, number | null>>),
        })),
      },
    ]),
  );
}

/** Puts rows into a file of results; those of other names stay. */
export function saveResults(file: string, rows: readonly SavedRow[]): void {
  const all = { ...readResults(file), ...Object.fromEntries(rows.map((row) => [rowName(row.row), row])) };
  writeFileSync(file, `${JSON.stringify(all, (_, value) => shortened(value), 2)}\n`);
}

/** What JSON has no word for is null; other numbers have five significant digits. */
function shortened(value: unknown): unknown {
  if (typeof value !== "number") return value;
  if (!Number.isFinite(value)) return null;
  return Number.isInteger(value) ? value : Number(value.toPrecision(5));
}

export function savedRow(summary: RowSummary, runs: number, windowS: number): SavedRow {
  const { row, subjects, bars } = summary;
  return {
    row,
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    command: commandOf(row),
    runs,
    windowS,
    subjects: subjects.map(({ subject, figures, problem, notes }) => ({
      name: subject.name,
      version: subject.version,
      decides: subject.decides,
      figures,
      problem,
      notes,
    })),
    bars,
  };
}

/** "AMD EPYC, 2 cores, 24 GB, Linux 6.1". */
function machine(): string {
  const [first] = cpus();
  const gb = Math.round(totalmem() / 1e9);
  return `${first?.model.trim() ?? "unknown"}, ${cpus().length} cores, ${gb} GB, Linux ${release().split(".").slice(0, 2).join(".")}`;
}
