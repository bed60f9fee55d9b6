/** Finds rows of a scraped layout that repeat a part which a row before them gave the same point. */

import { none } from "../../model/intern-table.ts";
import { type OtlpReading, rowPart } from "../../model/layout.ts";

/**
 * Marks rows that repeat another: the first stays. `numbers` has the bounds by the number of their text: two spellings of a
 * number are one bound. Unless `everywhere` only buckets and quantiles are looked at: other rows may have times of their own.
 */
export function markRepeated(
  { series, part, bound }: OtlpReading,
  numbers: ReadonlyMap<number, number>,
  everywhere: boolean,
): void {
  const seen = new Set<string>();
  for (let row = 0; row < series.length; row++) {
    const kind = part[row] as number;
    const hasBound = kind === rowPart.bucket || kind === rowPart.quantile;
    if (series[row] === none || kind === rowPart.none || kind === rowPart.replaced) continue;
    if (!hasBound && !everywhere) continue;
    const key = `${series[row]} ${kind} ${hasBound ? numbers.get(bound[row] as number) : ""}`;
    if (seen.has(key)) part[row] = rowPart.repeated;
    else seen.add(key);
  }
}
