/** Makes kernel templates and scans from the text of pages, by the parsers. */

import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";
import { beginPageScan, EventLog, type PageScan } from "../../src/kernels/page-scan.ts";
import { collectColumns } from "../../src/prometheus/scrape/line-columns.ts";
import { createPageEdit, hashOfPage } from "../../src/prometheus/scrape/page-edit.ts";
import { createTemplate, emptyTemplate, type TargetTemplate } from "../../src/prometheus/scrape/page-template.ts";

/** The template that a page makes, up to its fault if it has one. */
export function templateOf(page: Buffer, isOpenMetrics = false): TargetTemplate {
  const parser = isOpenMetrics ? createOpenMetricsParser(page) : createTextParser(page);
  const edit = createPageEdit();
  const scan = scanOf(emptyTemplate, page, page.length, {});
  try {
    let hasType = false;
    for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
      if (kind === "type") hasType = true;
      if (kind !== "series") continue;
      const { seriesStart, seriesEnd } = parser;
      if (seriesStart > scan.offset) edit.order.push({ block: -1, start: scan.offset, hasType });
      hasType = false;
      const [low = 0, high = 0] = hashOfPage(scan, seriesStart, seriesEnd);
      edit.order.push({ newLine: edit.newLines.length });
      const rest = { value: 0, timestampMs: undefined, exposedName: "", isKnown: false, outcome: 0 };
      edit.newLines.push({ seriesStart, seriesEnd, low, high, labelSet: 1, ...rest });
      scan.offset = parser.offset;
    }
  } catch {
    // The fault ends the template.
  }
  const columns = collectColumns({ edit, template: emptyTemplate, scan });
  return createTemplate({ ...columns.parts(), rows: undefined, outcomes: undefined, repeatedSets: undefined });
}

/** A scan at the beginning of `page[0..length)`. */
export function scanOf(
  template: TargetTemplate,
  page: Buffer,
  length: number,
  options: { times?: boolean; scale?: number },
): PageScan {
  return beginPageScan(template, page, length, {
    rows: template.lines,
    events: new EventLog(),
    hasTimestamps: options.times ?? false,
    timestampScale: options.scale ?? 1,
  });
}
