/** Tells the metadata of a target which families a page declares, also in comments that the kernel passed over. */

import type { ExpositionParser } from "../../codec/exposition/parser.ts";
import type { PageScan } from "../../kernels/page-scan.ts";
import type { PageEdit } from "./page-edit.ts";
import { isTail, type TargetTemplate } from "./page-template.ts";
import type { TargetMetadata } from "./target-metadata.ts";

/** For a page that was read to its end. One with the comments of its template declares what the page before did. */
export function declareFamilies(
  { template, scan, edit }: { template: TargetTemplate; scan: PageScan; edit: PageEdit },
  parser: ExpositionParser,
  metadata: TargetMetadata,
): void {
  const { blockLines, blockSizes } = template;
  const areSame = !edit.hasNewComments && edit.blocks === blockLines.length;
  if (areSame && isTail(template, scan.page, scan.offset, scan.length)) return;
  for (const stretch of edit.order) {
    if (!("block" in stretch) || stretch.block < 0) continue;
    parser.seek(stretch.start);
    for (const end = stretch.start + (blockSizes[stretch.block] as number); parser.offset < end; ) {
      if (parser.next() !== "comment") metadata.declare(parser.metricName);
    }
  }
  metadata.endDeclarations();
}
