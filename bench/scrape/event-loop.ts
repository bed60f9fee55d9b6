/** Reads the event loop's delay off Millrace's own page of metrics. */

import { readOwnPage } from "./own-page.ts";
import type { Watch } from "./watch.ts";

/** Waits counted so far, cumulated by upper bound in seconds. */
export type DelayCounts = ReadonlyMap<number, number>;

const metric = "millrace_event_loop_delay_seconds";

/** Undefined where the subject has no such page or does not count. */
export async function readDelayCounts(running: Watch): Promise<DelayCounts | undefined> {
  const page = await readOwnPage(running);
  if (page === undefined) return undefined;
  const counts = new Map<number, number>();
  for (const [, bound = "", count] of page.matchAll(new RegExp(`^${metric}_bucket\\{le="([^"]+)"\\} (\\d+)`, "gm"))) {
    counts.set(bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound), Number(count));
  }
  return counts.size === 0 ? undefined : counts;
}

/** The 99th percentile in milliseconds of what was counted between two readings, interpolated within its bucket. */
export function delayP99Ms(before: DelayCounts | undefined, after: DelayCounts | undefined): number {
  if (before === undefined || after === undefined) return Number.NaN;
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const upTo = (bound: number) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0);
  const rank = upTo(Number.POSITIVE_INFINITY) * 0.99;
  let lower = 0;
  let below = 0;
  for (const bound of bounds) {
    const count = upTo(bound);
    if (count >= rank) {
      const share = count === below ? 1 : (rank - below) / (count - below);
      return (Number.isFinite(bound) ? lower + share * (bound - lower) : lower) * 1000;
    }
    lower = bound;
    below = count;
  }
  return Number.NaN;
}
