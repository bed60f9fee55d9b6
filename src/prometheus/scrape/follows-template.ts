/** Tells whether a page that was not simply the template's is so all the same: values were odd, or lines stood elsewhere. */

import type { PageEdit } from "./page-edit.ts";
import type { TargetTemplate } from "./page-template.ts";

/** Every line and every comment of the template was there, whatever their order; the tail is the caller's to compare. */
export function followsTemplate(template: TargetTemplate, edit: PageEdit): boolean {
  const last = edit.order.at(-1);
  return (
    template.lines > 0 &&
    edit.newLines.length === 0 &&
    edit.samples === template.lines &&
    !edit.hasNewComments &&
    edit.blocks === template.blockLines.length &&
    last !== undefined &&
    "from" in last
  );
}
