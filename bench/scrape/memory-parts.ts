/** What Millrace's memory is in use for at 100 x 5,000, beside what docs/memory.md counts. */

import { type Row, rowName } from "./rows.ts";

/** Bytes a series by part at 100 x 5,000, as the table of docs/memory.md has them (a test compares the two). */
export const expectedParts: Readonly<Record<string, number>> = {
  label_pairs: 1.6,
  label_sets: 92.3,
  layouts: 8,
  page_templates: 11.4,
  request_templates: 30,
  page_buffers: 34.4,
  kernels: 1.1,
};

/** The row that the table counts. */
const countedRow = "100x5000 identity plain";
/** A part this much above its figure is a regression, or the table is out of date. */
const tolerance = 1.15;
/** Bytes by part, from a page of metrics. */
export function partsOf(page: string): ReadonlyMap<string, number> {
  const lines = page.matchAll(/^millrace_memory_bytes\{part="(\w+)"\} (\S+)$/gm);
  return new Map([...lines].map(([, part = "", value]) => [part, Number(value)]));
}

/** "label_pairs 12.1, ...": bytes a series. */
export function describeParts(parts: ReadonlyMap<string, number>, row: Row): string {
  const series = row.targets * row.series;
  return [...parts].map(([part, bytes]) => `${part} ${(bytes / series).toFixed(1)}`).join(", ");
}

/** A sentence for each part that is more than 15 % above its figure. Only the row of the table is compared. */
export function excesses(parts: ReadonlyMap<string, number>, row: Row): string[] {
  if (rowName(row) !== countedRow) return [];
  const series = row.targets * row.series;
  return Object.entries(expectedParts).flatMap(([part, expected]) => {
    const bytes = (parts.get(part) ?? Number.NaN) / series;
    if (bytes <= expected * tolerance) return [];
    const shown = Number.isNaN(bytes) ? "is not on the page of metrics" : `takes ${bytes.toFixed(1)} bytes a series`;
    return [`memory: ${part} ${shown}, docs/memory.md has ${expected}`];
  });
}
