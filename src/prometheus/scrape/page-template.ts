/** The remembered page of a target: hashes of its lines and comments, and the row of every line. */

import { buildEntryIndex, findEntry } from "../../kernels/entry-slots.ts";
import { blockFlag, firstBlockFrom, type PageTemplate } from "../../kernels/page-scan.ts";
import { none } from "../../model/intern-table.ts";
import type { SamplesLayout } from "../../model/layout.ts";

/** What became of a line of the page, in `outcomes`. */
export const lineOutcome = {
  /** The line is a row of the layout. */
  row: 0,
  /** A row too: the page had the series before, and this line has a time of its own. */
  repeat: 1,
  /** Metric relabeling dropped the series. */
  dropped: 2,
  /** The page had the series before. */
  duplicate: 3,
} as const;

/** Whether a line with this outcome is a row of the layout. */
export function isRow(outcome: number): boolean {
  return outcome <= lineOutcome.repeat;
}

/** Whether the outcome of a line depends on the lines before it. */
function isRepeat(outcome: number): boolean {
  return outcome === lineOutcome.duplicate || outcome === lineOutcome.repeat;
}

/** Label sets by the hash of a line, of which lines of a template are known everywhere. */
export interface RepeatedSets {
  /** Two words of `hashLine` per line. */
  readonly hashes: Uint32Array;
  /** Made by `buildEntryIndex`. */
  readonly slots: Uint32Array;
  readonly labelSets: Uint32Array;
}

/** A page template with what the slow path needs beside the kernel. Immutable but for its index. */
export interface TargetTemplate extends PageTemplate {
  /** 1 for each comment block with a TYPE line in it. */
  readonly blockTypes: Uint8Array;
  /** One of `lineOutcome` per line, or undefined when every line is a row. */
  readonly outcomes: Uint8Array | undefined;
  /** Whether a line repeats the series of another. */
  readonly hasRepeats: boolean;
  /** Of lines that are not rows because they repeat others; undefined where there are none. */
  readonly repeatedSets: RepeatedSets | undefined;
  /** What follows the last line. */
  readonly tail: Uint8Array;
}

export const emptyTemplate: TargetTemplate = createTemplate({
  sizes: new Uint16Array(0),
  hashes: new Uint32Array(0),
  blockLines: new Uint32Array(0),
  blockSizes: new Uint32Array(0),
  blockTypes: new Uint8Array(0),
  rows: undefined,
  outcomes: undefined,
  repeatedSets: undefined,
  tail: new Uint8Array(0),
});

export function createTemplate(parts: Omit<TargetTemplate, "lines" | "hasRepeats" | "index">): TargetTemplate {
  const hasRepeats = parts.outcomes?.some(isRepeat) ?? false;
  return { ...parts, lines: parts.sizes.length, hasRepeats, index: undefined };
}

/** The label set that a line of the template has; undefined where none is kept, and for the line -1. */
export function templateLabelSet(template: TargetTemplate, layout: SamplesLayout, line: number): number | undefined {
  if (line < 0) return undefined;
  const outcome = template.outcomes?.[line] ?? lineOutcome.row;
  if (isRow(outcome)) return layout.labels?.[template.rows?.[line] ?? line];
  return outcome === lineOutcome.dropped ? none : undefined;
}

/** Marks the lines that repeat others as seen, so that the kernel leaves them alone. */
export function blockRepeats(template: TargetTemplate, seen: Uint8Array): void {
  const { outcomes } = template;
  if (outcomes === undefined) return;
  for (const [line, outcome] of outcomes.entries()) if (isRepeat(outcome)) seen[line] = 1;
}

/** The entry of the template with this hash (the first of several), or -1; blocks come behind the lines. */
export function entryWithHash(template: TargetTemplate, hash: Uint32Array): number {
  if (template.hashes.length === 0) return -1;
  template.index ??= buildEntryIndex(template);
  return findEntry(template.hashes, template.index, hash[0] as number, hash[1] as number);
}

/** The label set of a line that repeated another on the page before; undefined for every other line. */
export function repeatedLabelSet({ repeatedSets }: TargetTemplate, hash: Uint32Array): number | undefined {
  if (repeatedSets === undefined) return undefined;
  const { hashes, slots, labelSets } = repeatedSets;
  return labelSets[findEntry(hashes, slots, hash[0] as number, hash[1] as number)];
}

/** The comment block that stands before a line, or -1. */
export function blockBefore(template: PageTemplate, line: number): number {
  if (((template.sizes[line] as number) & blockFlag) === 0) return -1;
  return firstBlockFrom(template.blockLines, line);
}

/** Whether `page[offset..length)` is what followed the last line of the template. */
export function isTail({ tail }: TargetTemplate, page: Uint8Array, offset: number, length: number): boolean {
  if (tail.length !== length - offset) return false;
  for (let i = 0; i < tail.length; i++) if (tail[i] !== page[offset + i]) return false;
  return true;
}

/** Bytes that a template holds. */
export function templateBytes(template: TargetTemplate): number {
  const {
    sizes,
    hashes,
    blockLines,
    blockSizes,
    blockTypes,
    rows,
    outcomes,
    index,
    tail,
    repeatedSets: sets,
  } = template;
  const repeated = [sets?.hashes, sets?.slots, sets?.labelSets];
  const columns = [sizes, hashes, blockLines, blockSizes, blockTypes, rows, outcomes, index, tail, ...repeated];
  return columns.reduce((sum, column) => sum + (column?.byteLength ?? 0), 0);
}
