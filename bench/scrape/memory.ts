/** What becomes of the resident memory after series were renamed, and over an hour. */

import type { FigureName } from "./figures.ts";
import type { Running } from "./measure.ts";

const settlePollMs = 2000;

export interface Recovery {
  readonly figures: Partial<Record<FigureName, number>>;
  /** The highest of later readings as a share of the highest before. */
  recovery(residentKb: readonly number[]): number;
}

/** Looks at the memory, renames a share of the series once, and waits. */
export async function recover({ row, settings, load, watch }: Running, share: number): Promise<Recovery> {
  const series = row.targets * row.series;
  const first = Math.max(...(await watch.residentKbOver(settings.windowS * 1000, 1000)));
  await load.churn(share);
  settings.progress(`${mib(first)} resident; ${share * 100} % are renamed, then ${settings.settleS} s pass`);
  const meanwhile = await watch.residentKbOver(settings.settleS * 1000, settlePollMs);
  const peak = Math.max(...meanwhile);
  settings.progress(`at most ${mib(peak)}, now ${mib(meanwhile.at(-1) ?? 0)}`);
  return {
    figures: { firstKbPerSeries: first / series, peakKbPerSeries: peak / series },
    recovery: (residentKb) => Math.max(...residentKb) / first,
  };
}

const settledMinutes = 10;

/** Mean of the highest minute after the tenth as a share of the tenth's mean; NaN for a shorter run. */
export function growthOf(residentKb: readonly number[], everyMs: number): number {
  const perMinute = Math.round(60_000 / everyMs);
  const minutes: number[] = [];
  for (let i = 0; i + perMinute <= residentKb.length; i += perMinute) {
    minutes.push(residentKb.slice(i, i + perMinute).reduce((sum, kb) => sum + kb, 0) / perMinute);
  }
  const tenth = minutes[settledMinutes - 1];
  const later = minutes.slice(settledMinutes);
  return tenth === undefined || later.length === 0 ? Number.NaN : Math.max(...later) / tenth;
}

function mib(kb: number): string {
  return `${(kb / 1024).toFixed(0)} MiB`;
}
