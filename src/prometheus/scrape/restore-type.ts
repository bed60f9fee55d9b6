/** Finds the TYPE line in force after lines that only the kernel has read: it tells how a new series writes `le`. */

import type { ExpositionParser } from "../../codec/exposition/parser.ts";
import type { PageStretch } from "./page-edit.ts";

/**
 * Brings the parser into the state after the last TYPE line in `order[from..]`; whether there is one. The parser then
 * stands elsewhere.
 */
export function restoreType(parser: ExpositionParser, order: readonly PageStretch[], from: number): boolean {
  for (let i = order.length - 1; i >= from; i--) {
    const stretch = order[i] as PageStretch;
    if (!("block" in stretch && stretch.hasType)) continue;
    parser.seek(stretch.start);
    let kind = parser.next();
    while (kind !== "series" && kind !== "end") kind = parser.next();
    return true;
  }
  return false;
}
