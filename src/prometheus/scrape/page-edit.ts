/** How a page differs from its template: what was read of it, in page order. */

import type { Exemplar } from "../../codec/exposition/parser.ts";
import { hashLine, processLineKey } from "../../kernels/hash-line.ts";
import { markSeen, type PageScan, viewOfPage } from "../../kernels/page-scan.ts";
import type { SampleExemplar } from "../../model/batch.ts";
import { none } from "../../model/intern-table.ts";
import { entryWithHash, lineOutcome, type TargetTemplate } from "./page-template.ts";

/** A line that the template does not have. Offsets are in the page. */
export interface NewLine {
  readonly seriesStart: number;
  readonly seriesEnd: number;
  /** The hash of the series. */
  readonly low: number;
  readonly high: number;
  labelSet: number;
  readonly value: number;
  readonly timestampMs: number | undefined;
  readonly exposedName: string;
  /** The template has a line with the same text. */
  readonly isKnown: boolean;
  outcome: number;
}

/** Comments of the page between two samples; `block` is where the template has them, or -1. */
export interface PageComments {
  readonly block: number;
  readonly start: number;
  readonly hasType: boolean;
}

/** Lines of the template as they followed one another; the first stands at `start`. */
export interface LineRun {
  readonly from: number;
  readonly to: number;
  readonly start: number;
}

/** A stretch of the page, in page order. */
export type PageStretch = LineRun | PageComments | { readonly newLine: number };

export interface PageEdit {
  readonly order: PageStretch[];
  readonly newLines: NewLine[];
  readonly exemplars: { readonly line?: number; readonly newLine?: number; readonly exemplar: Exemplar }[];
  samples: number;
  /** Comment blocks of the template that the page has. */
  blocks: number;
  /** Whether comments differ from those of the template. */
  hasNewComments: boolean;
}

/** An edit with what the kernel has read until now, where it has. */
export function createPageEdit(template?: TargetTemplate, scan?: PageScan): PageEdit {
  const edit = { order: [], newLines: [], exemplars: [], samples: 0, blocks: 0, hasNewComments: false };
  if (template !== undefined && scan !== undefined) addEvents(template, scan, edit);
  return edit;
}

/** Adds what the kernel has read. */
export function addEvents(template: TargetTemplate, scan: PageScan, edit: PageEdit): void {
  const { data, count } = scan.events;
  for (let i = 0; i < count * 3; i += 3) {
    const from = data[i] as number;
    const to = data[i + 1] as number;
    const start = data[i + 2] as number;
    if (from >= template.lines) {
      addBlock(template, edit, from - template.lines, start);
      continue;
    }
    edit.order.push({ from, to, start });
    edit.samples += to - from;
  }
}

function addBlock(template: TargetTemplate, edit: PageEdit, block: number, start: number): void {
  edit.order.push({ block, start, hasType: template.blockTypes[block] === 1 });
  edit.blocks++;
}

const words = new Uint32Array(2);

/** The hash of a stretch of the page, valid until the next call. */
export function hashOfPage(scan: PageScan, start: number, end: number): Uint32Array {
  hashLine(processLineKey, scan.page, viewOfPage(scan), start, end, words);
  return words;
}

/** Adds comments that the slow path has read, if there are any; returns the block of the template before the line, or -1. */
export function addComments(
  template: TargetTemplate,
  scan: PageScan,
  edit: PageEdit,
  comments: { start: number; end: number; hasType: boolean },
): number {
  const { start, hasType } = comments;
  if (comments.end === start) return scan.passed;
  const entry = entryWithHash(template, hashOfPage(scan, start, comments.end));
  // Comments that were cut in two, or that the page had before, are others than those of the template.
  const isKnown = entry >= template.lines && scan.seen[entry] === 0 && scan.passed < 0;
  if (!isKnown) {
    edit.order.push({ block: -1, start, hasType });
    edit.hasNewComments = true;
    return -1;
  }
  markSeen(scan, entry);
  const block = entry - template.lines;
  addBlock(template, edit, block, start);
  return block;
}

/**
 * Gives new lines with one text the label set of the first of them, as Prometheus' cache does: below a TYPE line of another
 * kind `le` and `quantile` would read otherwise. Texts are told apart by their hashes, as lines of the template are.
 */
export function settleTexts(lines: readonly NewLine[]): void {
  if (lines.length < 2) return;
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(lines.length * 2)));
  const mask = slots.length - 1;
  for (const [i, line] of lines.entries()) {
    let slot = line.low & mask;
    let first: NewLine | undefined;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      first = lines[(slots[slot] as number) - 1] as NewLine;
      if (first.low === line.low && first.high === line.high) break;
      first = undefined;
    }
    if (first === undefined) slots[slot] = i + 1;
    else if (first.labelSet !== line.labelSet) {
      line.labelSet = first.labelSet;
      line.outcome = first.labelSet === none ? lineOutcome.dropped : lineOutcome.row;
    }
  }
}

/** The exemplars of a page whose rows are those of the template. */
export function exemplarRows({ rows }: TargetTemplate, edit: PageEdit): SampleExemplar[] {
  return edit.exemplars.map(({ line = 0, exemplar }) => ({ row: rows?.[line] ?? line, ...exemplar }));
}
