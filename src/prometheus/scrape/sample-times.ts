/** Refuses samples whose own timestamp does not move forward, lies too far ahead or stands for its series already. */

import type { SamplesSegment } from "../../model/batch.ts";
import type { SamplesLayout } from "../../model/layout.ts";

/** Samples later than the scrape plus this are out of bounds (Prometheus: ten minutes). */
const futureLimitMs = 600_000;

/** What became of the rows of a page that carries timestamps. */
export interface CheckedTimes {
  /** Rows that are taken, or undefined when all are. */
  readonly rows: Uint32Array | undefined;
  readonly outOfBounds: number;
  readonly outOfOrder: number;
  /** Rows that have series and time of one before them. */
  readonly duplicates: number;
}

const allTaken: CheckedTimes = { rows: undefined, outOfBounds: 0, outOfOrder: 0, duplicates: 0 };

interface Repeats {
  readonly layout: SamplesLayout | undefined;
  readonly rows: ReadonlyMap<number, number>;
}

const noRepeats: Repeats = { layout: undefined, rows: new Map() };

/** Last timestamps by label set, for one target; empty as long as its pages carry no timestamps. */
export class SampleTimes {
  readonly #refusesOutOfOrder: boolean;
  #last = new Map<number, number>();
  #next: [labelSet: number, timeMs: number][] = [];
  /** Rows of the layout that was seen last whose series has a row before them, and that row. */
  #repeats: Repeats = noRepeats;

  /**
   * `refusesOutOfOrder`: as Prometheus' agent, which looks at the pages before and takes all rows of a page; otherwise
   * as a collector, which looks at the page alone and takes one row of each series and time.
   */
  constructor(refusesOutOfOrder: boolean) {
    this.#refusesOutOfOrder = refusesOutOfOrder;
  }

  /** Label sets that are remembered. */
  get labelSets(): Uint32Array {
    return Uint32Array.from(this.#last.keys());
  }

  /** Looks at every row; the last timestamps move only when `commit` says that the page was taken. */
  check(segment: SamplesSegment, nowMs: number): CheckedTimes {
    const times = segment.timestampsMs;
    if (this.#next.length > 0) this.#next = [];
    if (times === undefined) {
      this.#repeats = noRepeats;
      return allTaken;
    }
    const rows: number[] = [];
    let outOfBounds = 0;
    const duplicates = this.#refusesOutOfOrder ? undefined : this.#duplicates(segment, times);
    for (const [row, timeMs] of times.entries()) {
      const labelSet = segment.layout.labels?.[segment.from + row] ?? 0;
      if (timeMs > nowMs + futureLimitMs) outOfBounds++;
      else if (duplicates?.has(row)) continue;
      else if (!this.#refusesOutOfOrder || timeMs > (this.#last.get(labelSet) ?? Number.NEGATIVE_INFINITY)) {
        rows.push(row);
        if (this.#refusesOutOfOrder) this.#next.push([labelSet, timeMs]);
      }
    }
    const refused = times.length - rows.length;
    if (refused === 0) return allTaken;
    const outOfOrder = this.#refusesOutOfOrder ? refused - outOfBounds : 0;
    return { rows: Uint32Array.from(rows), outOfBounds, outOfOrder, duplicates: refused - outOfBounds - outOfOrder };
  }

  /** Rows whose series has a row with the same time before them. */
  #duplicates({ layout, from }: SamplesSegment, times: Float64Array): ReadonlySet<number> | undefined {
    if (this.#repeats.layout !== layout) this.#repeats = { layout, rows: repeatsOf(layout, from) };
    if (this.#repeats.rows.size === 0) return undefined;
    const seen = new Map<number, Set<number>>();
    const duplicates = new Set<number>();
    for (const [row, first] of this.#repeats.rows) {
      const taken = seen.get(first) ?? new Set([times[first] as number]);
      const timeMs = times[row] as number;
      if (taken.has(timeMs)) duplicates.add(row);
      else seen.set(first, taken.add(timeMs));
    }
    return duplicates;
  }

  /** The page was taken. Series that are gone are forgotten when they outnumber the page. */
  commit(): void {
    if (this.#next.length === 0) return;
    const bound = 2 * this.#next.length + 1000;
    if (this.#last.size > bound) this.#last = new Map();
    for (const [labelSet, timeMs] of this.#next) {
      this.#last.set(labelSet, Math.max(timeMs, this.#last.get(labelSet) ?? timeMs));
    }
    this.#next = [];
  }
}

function repeatsOf({ labels = new Uint32Array(0) }: SamplesLayout, from: number): ReadonlyMap<number, number> {
  const firsts = new Map<number, number>();
  const repeats = new Map<number, number>();
  for (let row = 0; from + row < labels.length; row++) {
    const labelSet = labels[from + row] as number;
    const first = firsts.get(labelSet);
    if (first === undefined) firsts.set(labelSet, row);
    else repeats.set(row, first);
  }
  return repeats.size === 0 ? noRepeats.rows : repeats;
}
