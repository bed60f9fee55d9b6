/** Tells whether a page that needed the slow path is the template's page all the same: only values were odd. */

import type { PageScan } from "../../kernels/scan-page.ts";
import type { TargetTemplate } from "./page-template.ts";
import type { PageEdit } from "./rebuild-template.ts";

/** Every line of the template was there in its place and as it was; the tail is the caller's to compare. */
export function followsTemplate(template: TargetTemplate, scan: PageScan, edit: PageEdit): boolean {
  if (edit.moved || edit.newLines.length > 0 || edit.samples !== template.lines || template.lines === 0) return false;
  for (const entry of edit.order) {
    if (!("line" in entry)) continue;
    const from = entry.line === 0 ? 0 : (template.ends[entry.line - 1] as number);
    const size = (template.ends[entry.line] as number) - from;
    if (entry.valueStart - entry.start !== size) return false;
    for (let i = 0; i < size; i++) if (scan.page[entry.start + i] !== template.text[from + i]) return false;
  }
  return true;
}
