/** The remembered page of a target: its text between the values, the row of every line, and where to find a line by its series. */

import { type HashKey, hashBytes } from "../../kernels/hash-bytes.ts";
import type { PageTemplate } from "../../kernels/scan-page.ts";
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

/** A page template with what the slow path needs beside the kernel. Immutable. */
export interface TargetTemplate extends PageTemplate {
  /** Where the series of a line begins in `text`; it ends before the blanks at the line's end. */
  readonly seriesStarts: Uint32Array;
  /** One of `lineOutcome` per line, or undefined when every line is a row. */
  readonly outcomes: Uint8Array | undefined;
  /** Whether a line repeats the series of another. */
  readonly hasRepeats: boolean;
  /** Label sets of lines that are not rows because they repeat others, by the text of their series (latin1). */
  readonly repeatedSets: ReadonlyMap<string, number>;
  /** What follows the last line. */
  readonly tail: Uint8Array;
}

export const emptyTemplate: TargetTemplate = createTemplate({
  text: new Uint8Array(0),
  ends: new Uint32Array(0),
  seriesStarts: new Uint32Array(0),
  rows: undefined,
  outcomes: undefined,
  repeatedSets: new Map(),
  tail: new Uint8Array(0),
});

export function createTemplate(parts: {
  text: Uint8Array<ArrayBuffer>;
  ends: Uint32Array;
  seriesStarts: Uint32Array;
  rows: Uint32Array | undefined;
  outcomes: Uint8Array | undefined;
  repeatedSets: ReadonlyMap<string, number>;
  tail: Uint8Array;
}): TargetTemplate {
  const view = new DataView(parts.text.buffer, parts.text.byteOffset, parts.text.byteLength);
  return { ...parts, view, lines: parts.ends.length, hasRepeats: parts.outcomes?.some(isRepeat) ?? false };
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

const space = 0x20;
const tab = 0x09;

/** The byte after the last one of a line's series. */
function seriesEnd(template: TargetTemplate, line: number): number {
  let end = template.ends[line] as number;
  while (end > 0 && (template.text[end - 1] === space || template.text[end - 1] === tab)) end--;
  return end;
}

/** Finds the line of a template by the bytes of its series; made when a page does not follow its template. */
export class LineIndex {
  readonly #template: TargetTemplate;
  readonly #key: HashKey;
  readonly #slots: Uint32Array;

  constructor(template: TargetTemplate, key: HashKey) {
    this.#template = template;
    this.#key = key;
    let size = 16;
    while (size < template.lines * 2) size *= 2;
    this.#slots = new Uint32Array(size);
    for (let line = 0; line < template.lines; line++) this.#add(line);
  }

  #add(line: number): void {
    const template = this.#template;
    const start = template.seriesStarts[line] as number;
    const end = seriesEnd(template, line);
    // Of lines with one text the first is found: that is how the others are known to repeat it.
    if (template.hasRepeats && this.find(template.text, start, end) >= 0) return;
    const hash = hashBytes(this.#key, template.text, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = line + 1;
  }

  /** The line whose series is `page[start..end)`, or -1. */
  find(page: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashBytes(this.#key, page, start, end) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const line = (this.#slots[slot] as number) - 1;
      if (line < 0) return -1;
      if (this.#equals(line, page, start, end)) return line;
    }
  }

  #equals(line: number, page: Uint8Array, start: number, end: number): boolean {
    const template = this.#template;
    const from = template.seriesStarts[line] as number;
    const size = end - start;
    if (from + size > (template.ends[line] as number)) return false;
    for (let i = 0; i < size; i++) if (template.text[from + i] !== page[start + i]) return false;
    return seriesEnd(template, line) === from + size;
  }
}
