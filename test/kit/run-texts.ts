/** Builds cases of the run oracle from the lines of their pages. */

import { openMetrics } from "./cases-pages.ts";
import type { OracleCase } from "./scrape-oracle.ts";

/** A case of the text format. */
export function text(name: string, lines: (slot: number) => readonly string[], job?: OracleCase["job"]): OracleCase {
  const page = (slot: number) => ({ body: `${lines(slot).join("\n")}\n` });
  return job === undefined ? { name, page } : { name, page, job };
}

/** A case of OpenMetrics; the end of the page is added. */
export function open(name: string, lines: (slot: number, startMs: number) => readonly string[]): OracleCase {
  return {
    name,
    page: (slot, startMs) => ({ contentType: openMetrics, body: `${lines(slot, startMs).join("\n")}\n# EOF\n` }),
  };
}
