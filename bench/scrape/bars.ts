/** The limits that Millrace must keep, row by row: as ratios to the best peer of the same run, or as figures. */

import { cpuPerMillion, type Figures } from "./figures.ts";
import { type Mode, type Row, rowName } from "./rows.ts";
import { isPeer, type SubjectName } from "./subjects.ts";

/** What a bar looks at of a subject. */
export interface Measured {
  readonly name: SubjectName;
  /** Whether its version may decide a bar. */
  readonly decides: boolean;
  readonly figures: Figures;
}

export interface BarVerdict {
  /** What is measured and against whom. */
  readonly title: string;
  readonly measured: number;
  readonly limit: number;
  /** The measured figure must be at most the limit, or at least. */
  readonly least: boolean;
  readonly holds: boolean;
}

const allPeers: readonly SubjectName[] = ["vmagent", "prometheus", "otelcol"];

/** CPU seconds per million samples, as a share of the best peer's. */
const cpuShares: Readonly<Record<string, number>> = {
  "100x5000 identity plain": 1 / 3,
  "500x1000 identity plain": 1 / 3,
  "5x100000 identity plain": 0.4,
  "1000x100 identity plain": 1 / 3,
  "100x5000 gzip plain": 1 / 2,
  "500x1000 gzip plain": 1 / 2,
  "100x5000 identity relabel": 1 / 3,
  "100x5000 identity rename": 1 / 2,
  "100x5000 identity reorder": 1,
};

/** CPU seconds per million samples to aim at, by row. */
export const cpuAims: Readonly<Record<string, number>> = {
  "100x5000 identity plain": 0.3,
  "500x1000 identity plain": 0.35,
  "5x100000 identity plain": 0.28,
  "1000x100 identity plain": 0.6,
  "100x5000 gzip plain": 0.6,
  "500x1000 gzip plain": 0.6,
  "100x5000 identity rename": 0.6,
};

/** Verdicts of a row. A bar against peers of whom none took part is left out. */
export function judge(row: Row, millrace: Figures, others: readonly Measured[]): BarVerdict[] {
  const deciding = others.filter((each) => each.decides);
  return [...cpuBar(row, millrace, deciding), ...(modeBars[row.mode]?.(row, millrace, deciding) ?? [])];
}

/** Names the peers that a row's bars need and that did not decide; empty where nothing is missing. */
export function missingPeers(row: Row, others: readonly Measured[]): SubjectName[] {
  const wanted = cpuShares[rowName(row)] !== undefined ? allPeers : row.mode === "run" ? runPartners : [];
  return wanted.filter((name) => !others.some((each) => each.name === name && each.decides));
}

const runPartners: readonly SubjectName[] = ["agent", "otelcol"];

function cpuBar(row: Row, millrace: Figures, deciding: readonly Measured[]): BarVerdict[] {
  const share = cpuShares[rowName(row)];
  const peers = deciding.filter(({ name }) => isPeer(name));
  const best = peers.toSorted((a, b) => cpuPerMillion(a.figures) - cpuPerMillion(b.figures))[0];
  if (share === undefined || best === undefined) return [];
  return [
    atMost(
      `CPU per sample as a share of ${best.name}'s, the best of ${peers.map(({ name }) => name).join(", ")}`,
      cpuPerMillion(millrace) / cpuPerMillion(best.figures),
      share,
    ),
  ];
}

type ModeBars = (row: Row, millrace: Figures, deciding: readonly Measured[]) => BarVerdict[];

const modeBars: Partial<Record<Mode, ModeBars>> = {
  plain: (row, millrace, deciding) =>
    rowName(row) === "100x5000 identity plain"
      ? [...memoryBars(millrace, deciding), ...wireBar(millrace, deciding)]
      : [],
  run: (_row, millrace, deciding) => [
    ...cpuAgainst("otelcol", 1 / 8, millrace, deciding),
    ...cpuAgainst("agent", 1.3, millrace, deciding),
  ],
  delay: (_row, millrace) => [
    atMost("milliseconds of event-loop delay, p99", millrace.eventLoopP99Ms, 20),
    atLeast("samples a second meanwhile", millrace.deliveredPerSecond, 49_500),
  ],
  second: (row, millrace) => [
    atLeast("samples a second", millrace.deliveredPerSecond, ((row.targets * row.series) / row.intervalS) * 0.995),
    atMost("scrapes missed", millrace.missedScrapes, 0),
    atMost("milliseconds to arrival, p99", millrace.p99Ms, row.intervalS * 1000),
    atMost("share of core 1 that the load used", millrace.loadShare, 0.8),
  ],
  churn: (_row, millrace) => recoveryBar(millrace),
  rollout: (_row, millrace) => recoveryBar(millrace),
  soak: (_row, millrace) => [
    atMost("highest resident memory of a later minute as a share of that after 10 minutes", millrace.growth, 1.05),
  ],
};

function memoryBars(millrace: Figures, deciding: readonly Measured[]): BarVerdict[] {
  const heavier = deciding.filter(({ name }) => isPeer(name) && name !== "vmagent");
  return [
    atMost("resident KB per series", millrace.maxKbPerSeries, 0.8),
    ...heavier.map(({ name, figures }) =>
      atMost(`resident memory as a share of ${name}'s`, millrace.maxKbPerSeries / figures.maxKbPerSeries, 1),
    ),
  ];
}

function wireBar(millrace: Figures, deciding: readonly Measured[]): BarVerdict[] {
  const prometheus = deciding.find(({ name }) => name === "prometheus");
  if (prometheus === undefined) return [];
  const measured = millrace.bytesPerSample / prometheus.figures.bytesPerSample;
  return [atMost("bytes on the wire per sample as a share of prometheus's", measured, 1)];
}

function cpuAgainst(name: SubjectName, limit: number, millrace: Figures, deciding: readonly Measured[]): BarVerdict[] {
  const other = deciding.find((each) => each.name === name);
  if (other === undefined) return [];
  const measured = cpuPerMillion(millrace) / cpuPerMillion(other.figures);
  return [atMost(`CPU per sample as a share of ${name}'s`, measured, limit)];
}

function recoveryBar(millrace: Figures): BarVerdict[] {
  return [atMost("resident memory after the wait as a share of that before", millrace.recovery, 1.1)];
}

function atMost(title: string, measured: number, limit: number): BarVerdict {
  return { title, measured, limit, least: false, holds: measured <= limit };
}

function atLeast(title: string, measured: number, limit: number): BarVerdict {
  return { title, measured, limit, least: true, holds: measured >= limit };
}
