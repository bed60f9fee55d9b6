/** Medians over the runs of a row, ratios to the peers, and whether the bars hold. */

import { type Figures, figureNames, type RunResult } from "./measure.ts";
import { bars, type Row, rowName } from "./rows.ts";
import type { Subject } from "./subjects.ts";

export interface SubjectSummary {
  readonly subject: Subject;
  readonly runs: readonly RunResult[];
  /** Median of each figure by itself. */
  readonly figures: Figures;
  /** The first problem of any run; with one there are no ratios. */
  readonly problem?: string;
  readonly notes: readonly string[];
}

export interface Ratio {
  readonly peer: string;
  readonly decides: boolean;
  /** Millrace's CPU seconds per million samples divided by the peer's. */
  readonly cpu: number;
  readonly memory: number;
}

export interface BarVerdict {
  readonly title: string;
  readonly measured: number;
  readonly limit: number;
  readonly holds: boolean;
}

export interface RowSummary {
  readonly row: Row;
  readonly subjects: readonly SubjectSummary[];
  readonly ratios: readonly Ratio[];
  readonly bars: readonly BarVerdict[];
}

export function summarize(subject: Subject, runs: readonly RunResult[]): SubjectSummary {
  return {
    subject,
    runs,
    figures: medians(runs.map((run) => run.figures)),
    problem: runs.find((run) => run.problem !== undefined)?.problem,
    notes: [...new Set(runs.flatMap((run) => run.notes))],
  };
}

export function summarizeRow(row: Row, subjects: readonly SubjectSummary[], quick: boolean): RowSummary {
  const millrace = subjects.find((each) => each.subject.name === "millrace" && each.problem === undefined);
  return {
    row,
    subjects,
    ratios: millrace === undefined ? [] : subjects.flatMap((peer) => ratioTo(millrace, peer)),
    bars: millrace === undefined || quick ? [] : barsOf(row, millrace),
  };
}

export function cpuPerMillion(figures: Figures): number {
  return figures.cpuUserPerMillion + figures.cpuSystemPerMillion;
}

function ratioTo(millrace: SubjectSummary, peer: SubjectSummary): Ratio[] {
  if (peer === millrace || peer.problem !== undefined) return [];
  return [
    {
      peer: peer.subject.name,
      decides: peer.subject.decides,
      cpu: cpuPerMillion(millrace.figures) / cpuPerMillion(peer.figures),
      memory: millrace.figures.maxKbPerSeries / peer.figures.maxKbPerSeries,
    },
  ];
}

function barsOf(row: Row, { figures }: SubjectSummary): BarVerdict[] {
  return bars
    .filter((bar) => bar.row === rowName(row))
    .flatMap((bar) => [
      ...verdictOn("CPU seconds per million samples", cpuPerMillion(figures), bar.cpuPerMillion),
      ...verdictOn("resident KB per series", figures.maxKbPerSeries, bar.kbPerSeries),
    ]);
}

function verdictOn(title: string, measured: number, limit: number | undefined): BarVerdict[] {
  return limit === undefined ? [] : [{ title, measured, limit, holds: measured <= limit }];
}

function medians(all: readonly Figures[]): Figures {
  const entries = figureNames.map((name) => [name, median(all.map((figures) => figures[name]))] as const);
  return Object.fromEntries(entries) as Record<keyof Figures, number>;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
