/** The figures of a run by name; one that a mode does not have is NaN. */

export const figureNames = [
  "cpuUserPerMillion",
  "cpuSystemPerMillion",
  /** Share of core 0 that the subject used. */
  "coreShare",
  "maxKbPerSeries",
  "meanKbPerSeries",
  "endKbPerSeries",
  "bytesPerSample",
  /** Written to disks. */
  "writtenPerSample",
  "p50Ms",
  "p99Ms",
  "deliveredPerSecond",
  /** Completed scrapes as a share of those that the interval asks for. */
  "scrapeShare",
  /** Scrapes that came an interval or more after they were due. */
  "missedScrapes",
  /** Share of core 1 that exporter, sink and this runner used; above 0.8 they may have held the subject back. */
  "loadShare",
  /** How long an event waits for Millrace's event loop (mode "delay"). */
  "eventLoopP99Ms",
  /** Resident memory before the renaming, at its highest, and after the wait as a share of the first (modes "churn", "rollout"). */
  "firstKbPerSeries",
  "peakKbPerSeries",
  "recovery",
  /** Resident memory of the highest minute after the tenth as a share of the tenth's (mode "soak"). */
  "growth",
] as const;

export type FigureName = (typeof figureNames)[number];
export type Figures = Readonly<Record<FigureName, number>>;

/** All figures, NaN where `known` has none. */
export function completeFigures(known: Partial<Record<FigureName, number | null>>): Figures {
  const entries = figureNames.map((name) => [name, known[name] ?? Number.NaN] as const);
  return Object.fromEntries(entries) as Record<FigureName, number>;
}

export function cpuPerMillion(figures: Figures): number {
  return figures.cpuUserPerMillion + figures.cpuSystemPerMillion;
}

/**
 * The median of each figure by itself, over the runs that have it. But user and system time add up to the median of their
 * sums, divided as in the run nearest to it: how the kernel divides a run's time between them is only sampled.
 */
export function medians(all: readonly Figures[]): Figures {
  const middle = median(all.map(cpuPerMillion));
  const off = (figures: Figures) => Math.abs(cpuPerMillion(figures) - middle);
  const [nearest] = all.filter((figures) => !Number.isNaN(off(figures))).toSorted((a, b) => off(a) - off(b));
  const userShare = nearest === undefined ? Number.NaN : nearest.cpuUserPerMillion / cpuPerMillion(nearest);
  return completeFigures({
    ...Object.fromEntries(figureNames.map((name) => [name, median(all.map((figures) => figures[name]))])),
    cpuUserPerMillion: middle * userShare,
    cpuSystemPerMillion: middle * (1 - userShare),
  });
}

/** The middle of those that are numbers; NaN where there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
