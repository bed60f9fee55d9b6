/** Accounts for a page that failed: which series had been read before the fault, and which of them were new. */

import type { PageScan } from "../../kernels/page-scan.ts";
import { DecodeError } from "../../model/errors.ts";
import { none } from "../../model/intern-table.ts";
import type { SamplesLayout } from "../../model/layout.ts";
import { PageError } from "./page-content.ts";
import { type NewLine, type PageEdit, settleTexts } from "./page-edit.ts";
import { type TargetTemplate, templateLabelSet } from "./page-template.ts";
import type { ScrapeError } from "./sample-labels.ts";

interface FailedPage {
  readonly template: TargetTemplate;
  readonly layout: SamplesLayout;
  readonly scan: PageScan;
  readonly edit: PageEdit;
  /** Label sets that the page before had added, when it failed too: they do not count as added again. */
  readonly addedBefore: ReadonlySet<number>;
  /** `sample_limit`; 0 means none. */
  readonly sampleLimit: number;
}

/** The error that tells how far the page was read, and the label sets that it would have added. */
export function failPage(
  cause: DecodeError | ScrapeError,
  page: FailedPage,
): { error: PageError; added: ReadonlySet<number> } {
  const { scan, edit, addedBefore } = page;
  settleTexts(edit.newLines);
  const reason = cause instanceof DecodeError ? "parse" : cause.reason;
  // Of a page over `sample_limit` only the series within the limit were taken, of one over our own limits none.
  const limit = reason === "sample_limit" ? page.sampleLimit : reason === "own_limit" ? 0 : Number.POSITIVE_INFINITY;
  const added = new Set<number>();
  const seen = new Set<number>();
  const timed = new Set<number>();
  let samplesAfterRelabel = 0;
  let seriesAdded = 0;
  for (const { labelSet, isNew, isTimed } of linesOf(page)) {
    samplesAfterRelabel++;
    if (samplesAfterRelabel > limit) continue;
    if (isNew && !seen.has(labelSet) && !addedBefore.has(labelSet)) seriesAdded++;
    if (isNew) added.add(labelSet);
    seen.add(labelSet);
    if (isTimed) timed.add(labelSet);
  }
  const error = new PageError(cause, reason, {
    samples: edit.samples,
    samplesAfterRelabel,
    seriesAdded,
    seen: Uint32Array.from(seen),
    seenWithoutTime: Uint32Array.from([...seen].filter((set) => !timed.has(set))),
    offset: cause instanceof DecodeError ? cause.offset : scan.offset,
  });
  return { error, added };
}

/** The lines that were read and not dropped, in page order. */
function* linesOf({ template, layout, scan, edit }: FailedPage) {
  for (const entry of edit.order) {
    if ("newLine" in entry) {
      const { labelSet, isKnown, timestampMs } = edit.newLines[entry.newLine] as NewLine;
      if (labelSet !== none) yield { labelSet, isNew: !isKnown, isTimed: timestampMs !== undefined };
      continue;
    }
    if (!("from" in entry)) continue;
    for (let line = entry.from; line < entry.to; line++) {
      const labelSet = templateLabelSet(template, layout, line) ?? none;
      const time = scan.timestamps?.[template.rows?.[line] ?? line] ?? Number.NaN;
      if (labelSet !== none) yield { labelSet, isNew: false, isTimed: !Number.isNaN(time) };
    }
  }
}
