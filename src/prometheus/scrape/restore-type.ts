/** Finds the TYPE line in force after lines that only the kernel has read: it tells how a new series writes `le`. */

import type { ExpositionParser, ParserState } from "../../codec/exposition/parser.ts";
import type { PageScan } from "../../kernels/scan-page.ts";
import type { TargetTemplate } from "./page-template.ts";

/** Lines of the template, in page order. */
export interface LineRun {
  readonly from: number;
  readonly to: number;
}

/** The state after the last TYPE line among the comments of these lines, or undefined when they have none. Moves the parser. */
export function typeWithin(
  template: TargetTemplate,
  scan: PageScan,
  parser: ExpositionParser,
  runs: readonly LineRun[],
): ParserState | undefined {
  const { ends, seriesStarts } = template;
  for (let run = runs.length - 1; run >= 0; run--) {
    const { from, to } = runs[run] as LineRun;
    for (let line = to - 1; line >= from; line--) {
      const start = line === 0 ? 0 : (ends[line - 1] as number);
      if ((seriesStarts[line] as number) === start) continue;
      parser.seek(scan.starts[line] as number);
      let found = false;
      for (let kind = parser.next(); kind !== "series" && kind !== "end"; kind = parser.next()) {
        if (kind === "type") found = true;
      }
      if (found) return parser.state;
    }
  }
  return undefined;
}
