/** Which pages of a target count as taken, judged by what arrived of its scrapes. */

/** What is known of the scrapes of one target. */
export interface Scrapes {
  /** Pages that were served are numbered from 1 to this. */
  readonly served: number;
  /** Pages that were under way at a kill. */
  readonly excused: ReadonlySet<number>;
  /** The time of the scrape of each page that arrived. */
  readonly arrivedMs: ReadonlyMap<number, number>;
  /** The times of the scrapes that came to nothing, as `up` says: a page that came too late was not taken. */
  readonly failedMs: ReadonlySet<number>;
}

/**
 * All pages but those that were under way at a kill, and those that came too late. Which of the pages came too late that
 * are missing between two that arrived is not known, only how many: so many scrapes failed between these two.
 */
export function takenPages({ served, excused, arrivedMs, failedMs }: Scrapes): Set<number> {
  const taken = new Set<number>();
  const failed = [...failedMs].sort((a, b) => a - b);
  let missing: number[] = [];
  let afterMs = Number.NEGATIVE_INFINITY;
  const close = (beforeMs: number) => {
    const late = failed.filter((timeMs) => timeMs > afterMs && timeMs < beforeMs).length;
    for (const page of missing.slice(late)) taken.add(page);
    missing = [];
  };
  for (let page = 1; page <= served; page++) {
    const timeMs = arrivedMs.get(page);
    if (timeMs !== undefined) {
      close(timeMs);
      afterMs = timeMs;
    }
    if (excused.has(page)) continue;
    if (timeMs === undefined) missing.push(page);
    else taken.add(page);
  }
  close(Number.POSITIVE_INFINITY);
  return taken;
}
