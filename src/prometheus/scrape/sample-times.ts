/** Refuses samples whose own timestamp does not move forward or lies too far ahead, as Prometheus' storage does. */

import type { SamplesSegment } from "../../model/batch.ts";

/** Samples later than the scrape plus this are out of bounds (Prometheus: ten minutes). */
const futureLimitMs = 600_000;

/** What became of the rows of a page that carries timestamps. */
export interface CheckedTimes {
  /** Rows that are taken, or undefined when all are. */
  readonly rows: Uint32Array | undefined;
  readonly outOfBounds: number;
  readonly outOfOrder: number;
}

/** Last timestamps by label set, for one target; empty as long as its pages carry no timestamps. */
const allTaken: CheckedTimes = { rows: undefined, outOfBounds: 0, outOfOrder: 0 };

export class SampleTimes {
  readonly #refusesOutOfOrder: boolean;
  #last = new Map<number, number>();
  #next: [labelSet: number, timeMs: number][] = [];

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
    if (times === undefined) return allTaken;
    const rows: number[] = [];
    let outOfBounds = 0;
    for (const [row, timeMs] of times.entries()) {
      const labelSet = segment.layout.labels?.[segment.from + row] ?? 0;
      if (timeMs > nowMs + futureLimitMs) outOfBounds++;
      else if (!this.#refusesOutOfOrder || timeMs > (this.#last.get(labelSet) ?? Number.NEGATIVE_INFINITY)) {
        rows.push(row);
        if (this.#refusesOutOfOrder) this.#next.push([labelSet, timeMs]);
      }
    }
    const refused = times.length - rows.length;
    return { rows: refused === 0 ? undefined : Uint32Array.from(rows), outOfBounds, outOfOrder: refused - outOfBounds };
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
