/** The stored ratios that `--check` compares with: Millrace to a peer of the same run, so that machines may differ. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseRowName, type Row, rowName } from "./rows.ts";
import { isPeer, type SubjectName } from "./subjects.ts";
import type { Ratio, RowSummary } from "./summary.ts";

const file = fileURLToPath(new URL("../baseline.json", import.meta.url));
const shownFile = relative(process.cwd(), file);

const measures = ["cpu", "memory", "bytes"] as const;
type Stored = Readonly<Record<(typeof measures)[number], number>>;

interface StoredRow {
  readonly intervalS: number;
  /** By the peer's name. */
  readonly ratios: Readonly<Partial<Record<SubjectName, Stored>>>;
}

export type Baseline = Readonly<Record<string, StoredRow>>;

/** A ratio may be so many times the stored one. */
const tolerance = 1.15;

export function readBaseline(): Baseline {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Baseline) : {};
}

/** The rows that a baseline has. */
export function baselineRows(baseline: Baseline): Row[] {
  return Object.entries(baseline).flatMap(([name, { intervalS }]) => parseRowName(name, intervalS) ?? []);
}

/** The peer to which a stored row comes nearest, which is the one that does best. */
export function bestPeer(baseline: Baseline, row: Row): SubjectName | undefined {
  const ratios = Object.entries(baseline[rowName(row)]?.ratios ?? {}) as [SubjectName, Stored][];
  return ratios.toSorted(([, a], [, b]) => b.cpu - a.cpu)[0]?.[0];
}

/** Puts the ratios of these rows into the file; other rows stay. */
export function saveBaseline(rows: readonly RowSummary[]): void {
  const all: Record<string, StoredRow> = { ...readBaseline() };
  for (const { row, ratios } of rows) {
    const stored = ratios.filter(({ to, decides }) => isPeer(to) && decides).map((ratio) => [ratio.to, rounded(ratio)]);
    if (stored.length > 0) all[rowName(row)] = { intervalS: row.intervalS, ratios: Object.fromEntries(stored) };
  }
  writeFileSync(file, `${JSON.stringify(all, undefined, 2)}\n`);
  console.log(`the ratios are in ${shownFile}`);
}

function rounded(ratio: Ratio): Stored {
  const round = (value: number) => Math.round(value * 1000) / 1000;
  return { cpu: round(ratio.cpu), memory: round(ratio.memory), bytes: round(ratio.bytes) };
}

/** Prints each comparison; false where a ratio rose by more than 15 %, or where nothing could be compared. */
export function check(baseline: Baseline, rows: readonly RowSummary[]): boolean {
  let compared = 0;
  let risen = 0;
  console.log(`\nbeside ${shownFile}:`);
  for (const { row, ratios } of rows) {
    for (const ratio of ratios) {
      const stored = baseline[rowName(row)]?.ratios[ratio.to];
      if (stored === undefined) continue;
      for (const measure of measures) {
        const share = ratio[measure] / stored[measure];
        const holds = share <= tolerance;
        compared++;
        if (!holds) risen++;
        const change = `${stored[measure].toFixed(3)} -> ${ratio[measure].toFixed(3)} (${percentChange(share)})`;
        console.log(`${holds ? "PASS" : "FAIL"}: ${rowName(row)}, ${measure} to ${ratio.to}: ${change}`);
      }
    }
  }
  if (compared === 0) console.log("FAIL: no row and peer of this run are in it");
  return compared > 0 && risen === 0;
}

function percentChange(share: number): string {
  const change = (share - 1) * 100;
  return `${change >= 0 ? "+" : ""}${change.toFixed(1)} %`;
}
