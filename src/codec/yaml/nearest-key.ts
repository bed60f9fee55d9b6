/** Finds the valid word that a misspelt one most likely meant. */

/** Words longer than this are not compared, so that hostile input costs nothing. */
const maxLength = 100;

/**
 * The candidate nearest to `key`, or undefined when none is near: at most a third of the longer word may differ (one
 * letter always may). A swap of two neighbours is one difference; case, `-` and `_` count for nothing.
 */
export function nearestKey(key: string, candidates: Iterable<string>): string | undefined {
  if (key === "" || key.length > maxLength) return undefined;
  const wanted = folded(key);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate === key || candidate === "" || candidate.length > maxLength) continue;
    const other = folded(candidate);
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, other.length) / 3));
    if (Math.abs(wanted.length - other.length) > allowed) continue;
    const distance = editDistance(wanted, other);
    if (distance > allowed || distance >= bestDistance || distance >= other.length) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

function folded(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, "");
}

/** Restricted Damerau-Levenshtein distance: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (beforePrevious[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
