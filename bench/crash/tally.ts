/** Counts of what arrived of numbered values behind a process that was killed. */

export interface Tally {
  /** Numbers that had been taken before a kill, or since the last one. */
  readonly taken: number;
  /** Of those, never arrived. */
  readonly lost: number;
  /** Arrivals beyond the first, and beyond what the sender itself repeated. */
  readonly repeated: number;
  /** First arrivals behind a larger number of the same series. */
  readonly misplaced: number;
  /** Some of the lost ones, in words. */
  readonly examples: readonly string[];
}

export const emptyTally: Tally = { taken: 0, lost: 0, repeated: 0, misplaced: 0, examples: [] };
const maxExamples = 10;

export function addTallies(a: Tally, b: Tally): Tally {
  return {
    taken: a.taken + b.taken,
    lost: a.lost + b.lost,
    repeated: a.repeated + b.repeated,
    misplaced: a.misplaced + b.misplaced,
    examples: [...a.examples, ...b.examples].slice(0, maxExamples),
  };
}

/** The tally of one series; `arrived` in the order of arrival, `sends` how often the sender sent a number (once, where it has none). */
export function tallySeries(
  taken: ReadonlySet<number>,
  arrived: readonly number[],
  sends: ReadonlyMap<number, number> = new Map(),
  describe: (value: number) => string = String,
): Tally {
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
  let repeated = 0;
  for (const [value, count] of arrivals) repeated += Math.max(0, count - (sends.get(value) ?? 1));
  const examples = lost.slice(0, maxExamples).map(describe);
  return { taken: taken.size, lost: lost.length, repeated, misplaced, examples };
}
