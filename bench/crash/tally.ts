/** Counts of what arrived of numbered values behind a process that was killed. */

export interface Tally {
  /** Numbers that had been taken before a kill, or since the last one. */
  readonly taken: number;
  /** Of those, never arrived. */
  readonly lost: number;
  /** Arrivals beyond the first, and beyond what the sender itself repeated. */
  readonly repeated: number;
  /** Values that were under way at the kills, which may come twice. */
  readonly underWay: number;
  /** Of the repeated ones, those that were not under way at a kill. */
  readonly unexcused: number;
  /** First arrivals behind a larger number of the same series. */
  readonly misplaced: number;
  /** Some of the lost ones and of the unexcused ones, in words. */
  readonly examples: readonly string[];
}

export const emptyTally: Tally = {
  taken: 0,
  lost: 0,
  repeated: 0,
  underWay: 0,
  unexcused: 0,
  misplaced: 0,
  examples: [],
};
const maxExamples = 10;

export function addTallies(a: Tally, b: Tally): Tally {
  return {
    taken: a.taken + b.taken,
    lost: a.lost + b.lost,
    repeated: a.repeated + b.repeated,
    underWay: a.underWay + b.underWay,
    unexcused: a.unexcused + b.unexcused,
    misplaced: a.misplaced + b.misplaced,
    examples: [...a.examples, ...b.examples].slice(0, maxExamples),
  };
}

/** What is known of one series. */
export interface SeriesRecord {
  readonly taken: ReadonlySet<number>;
  /** In the order of arrival. */
  readonly arrived: readonly number[];
  /** How often the sender sent a number, where that was not once. */
  readonly sends?: ReadonlyMap<number, number>;
  /** How often a number was under way at a kill. */
  readonly underWay: ReadonlyMap<number, number>;
  readonly describe?: (value: number) => string;
}

export function tallySeries({ taken, arrived, sends, underWay, describe = String }: SeriesRecord): Tally {
  const arrivals = new Map<number, number>();
  let largest = Number.NEGATIVE_INFINITY;
  let misplaced = 0;
  for (const value of arrived) {
    const count = arrivals.get(value) ?? 0;
    arrivals.set(value, count + 1);
    if (count > 0) continue;
    if (value < largest) misplaced++;
    else largest = value;
  }
  const lost = [...taken].filter((value) => !arrivals.has(value));
  const examples = lost.map((value) => `lost: ${describe(value)}`);
  let repeated = 0;
  let unexcused = 0;
  for (const [value, count] of arrivals) {
    const again = Math.max(0, count - (sends?.get(value) ?? 1));
    const more = Math.max(0, again - (underWay.get(value) ?? 0));
    if (more > 0) examples.push(`repeated, and not under way at a kill: ${describe(value)}`);
    repeated += again;
    unexcused += more;
  }
  return {
    taken: taken.size,
    lost: lost.length,
    repeated,
    underWay: [...underWay.values()].reduce((sum, times) => sum + times, 0),
    unexcused,
    misplaced,
    examples: examples.slice(0, maxExamples),
  };
}
