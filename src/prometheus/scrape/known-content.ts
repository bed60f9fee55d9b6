/** The content of a page that has the lines of its template. */

import type { PageScan } from "../../kernels/page-scan.ts";
import type { SamplesLayout } from "../../model/layout.ts";
import type { PageContent } from "./page-content.ts";
import { lineOutcome, type TargetTemplate } from "./page-template.ts";

/** What a whole scan found, without exemplars. */
export function contentOf(
  template: TargetTemplate,
  layout: SamplesLayout,
  scan: PageScan,
  ignoresTimestamps: boolean,
): PageContent {
  const { lines, outcomes } = template;
  const rows = layout.length;
  let duplicates = 0;
  if (outcomes !== undefined) for (const outcome of outcomes) if (outcome === lineOutcome.duplicate) duplicates++;
  const times = ignoresTimestamps ? undefined : scan.timestamps;
  return {
    layout,
    values: firstRows(scan.values, rows),
    timestamps: times === undefined ? undefined : firstRows(times, rows),
    exemplars: noExemplars,
    samples: lines,
    samplesAfterRelabel: rows + duplicates,
    seriesAdded: 0,
    duplicates,
  };
}

const noExemplars: PageContent["exemplars"] = [];

function firstRows(column: Float64Array, rows: number): Float64Array {
  return column.length === rows ? column : column.subarray(0, rows);
}
