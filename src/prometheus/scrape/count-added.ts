/** Counts the series that a page adds, as `scrape_series_added` reports them: by their text, as Prometheus' cache knows them. */

import type { PageEdit } from "./page-edit.ts";
import { lineOutcome } from "./page-template.ts";
import { seriesText } from "./rebuild-template.ts";

/** `addedBefore` holds label sets that a failed page before this one had added. */
export function countAdded(page: Buffer, edit: PageEdit, addedBefore: ReadonlySet<number>): number {
  let count = 0;
  let repeats = false;
  for (const { outcome, labelSet, isKnown } of edit.newLines) {
    if (isKnown || addedBefore.has(labelSet) || outcome === lineOutcome.dropped) continue;
    if (outcome === lineOutcome.row) count++;
    else repeats = true;
  }
  return repeats ? count + countOtherTexts(page, edit, addedBefore) : count;
}

/** New lines that lead to a series which the page has already, under a text that it does not have yet. */
function countOtherTexts(page: Buffer, edit: PageEdit, addedBefore: ReadonlySet<number>): number {
  const texts = new Set<string>();
  let count = 0;
  for (const line of edit.newLines) {
    const text = seriesText(page, line.seriesStart, line.seriesEnd);
    const isOther = !texts.has(text);
    texts.add(text);
    if (line.isKnown || addedBefore.has(line.labelSet)) continue;
    if (isOther && line.outcome !== lineOutcome.row && line.outcome !== lineOutcome.dropped) count++;
  }
  return count;
}
