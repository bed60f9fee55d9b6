/** Medians over the runs of a row, ratios to the other subjects, and whether the bars hold. */

import { type BarVerdict, judge, type Measured, missingPeers } from "./bars.ts";
import { cpuPerMillion, type Figures, medians } from "./figures.ts";
import type { RunResult } from "./measure.ts";
import type { Row } from "./rows.ts";
import type { Subject, SubjectName } from "./subjects.ts";

export interface SubjectSummary {
  readonly subject: Subject;
  readonly runs: readonly RunResult[];
  /** Median of each figure by itself. */
  readonly figures: Figures;
  /** The first problem of any run; with one there are no ratios. */
  readonly problem?: string;
  readonly notes: readonly string[];
}

/** Millrace's figure divided by another subject's of the same run. */
export interface Ratio {
  readonly to: SubjectName;
  readonly decides: boolean;
  /** CPU seconds per million samples. */
  readonly cpu: number;
  /** Largest resident memory. */
  readonly memory: number;
  /** Bytes on the wire per sample. */
  readonly bytes: number;
}

export interface RowSummary {
  readonly row: Row;
  readonly subjects: readonly SubjectSummary[];
  readonly ratios: readonly Ratio[];
  readonly bars: readonly BarVerdict[];
  /** Whom the bars need beside and who did not take part. */
  readonly missing: readonly SubjectName[];
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
  const whole = subjects.filter((each) => each.problem === undefined).map(measuredOf);
  const millrace = whole.find(({ name }) => name === "millrace");
  const others = whole.filter((each) => each !== millrace);
  if (millrace === undefined) return { row, subjects, ratios: [], bars: [], missing: [] };
  return {
    row,
    subjects,
    ratios: others.map((other) => ratioTo(millrace, other)),
    bars: quick ? [] : judge(row, millrace.figures, others),
    missing: quick ? [] : missingPeers(row, others),
  };
}

function measuredOf({ subject, figures }: SubjectSummary): Measured {
  return { name: subject.name, decides: subject.decides, figures };
}

function ratioTo({ figures: mine }: Measured, { name, decides, figures }: Measured): Ratio {
  return {
    to: name,
    decides,
    cpu: cpuPerMillion(mine) / cpuPerMillion(figures),
    memory: mine.maxKbPerSeries / figures.maxKbPerSeries,
    bytes: mine.bytesPerSample / figures.bytesPerSample,
  };
}
