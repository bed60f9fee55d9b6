/** Makes the next template and layout of a target from a page that did not follow the last ones. */

import type { Exemplar } from "../../codec/exposition/parser.ts";
import type { PageScan } from "../../kernels/scan-page.ts";
import type { SampleExemplar } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import type { PageContent } from "./page-content.ts";
import { createTemplate, isRow, lineOutcome, type TargetTemplate } from "./page-template.ts";
import { ScrapeError } from "./sample-labels.ts";
import type { TargetMetadata } from "./target-metadata.ts";

/** A line that the template does not have. Offsets are in the page. */
export interface NewLine {
  readonly start: number;
  readonly valueStart: number;
  readonly seriesStart: number;
  readonly labelSet: number;
  readonly value: number;
  readonly timestampMs: number | undefined;
  readonly exposedName: string;
  /** The template has a line with the same text. */
  readonly isKnown: boolean;
  outcome: number;
}

/** A stretch of the page in page order: lines of the template as they stood, one such line elsewhere, or a new line. */
export type PageStretch =
  | { readonly from: number; readonly to: number }
  | { readonly line: number; readonly start: number; readonly valueStart: number; readonly seriesStart: number }
  | { readonly newLine: number };

/** How a page differs from its template. */
export interface PageEdit {
  readonly order: PageStretch[];
  readonly newLines: NewLine[];
  readonly exemplars: { readonly line?: number; readonly newLine?: number; readonly exemplar: Exemplar }[];
  samples: number;
  moved: boolean;
}

interface RebuildInput {
  readonly identities: Identities;
  readonly template: TargetTemplate;
  readonly layout: SamplesLayout;
  readonly origin: Origin;
  readonly marks: LabelSetMarks;
  readonly metadata: TargetMetadata;
  readonly familiesChanged: boolean;
  /** Nobody knows what stood above the lines that the kernel read. */
  readonly usesKernel: boolean;
  readonly scan: PageScan;
  readonly edit: PageEdit;
  readonly sampleLimit: number;
  /** Times of the page do not make a repeated series another sample. */
  readonly ignoresTimestamps: boolean;
}

/** The lines of the new template, in page order, as growing columns. */
class LineColumns {
  readonly ends: Uint32Array;
  readonly seriesStarts: Uint32Array;
  readonly outcomes: Uint8Array;
  /** Row of the old layout, or minus one minus the index of the new line. */
  readonly sources: Int32Array;
  readonly text: Uint8Array<ArrayBuffer>;
  lines = 0;
  textLength = 0;
  duplicates = 0;
  repeats = 0;
  dropped = 0;

  constructor(lines: number, textLength: number) {
    this.ends = new Uint32Array(lines);
    this.seriesStarts = new Uint32Array(lines);
    this.outcomes = new Uint8Array(lines);
    this.sources = new Int32Array(lines);
    this.text = new Uint8Array(textLength);
  }

  push(
    source: Uint8Array,
    start: number,
    seriesStart: number,
    valueStart: number,
    outcome: number,
    from: number,
  ): void {
    const base = this.textLength;
    this.text.set(source.subarray(start, valueStart), base);
    this.textLength = base + valueStart - start;
    this.ends[this.lines] = this.textLength;
    this.seriesStarts[this.lines] = base + seriesStart - start;
    this.outcomes[this.lines] = outcome;
    this.sources[this.lines] = from;
    this.lines++;
    if (outcome === lineOutcome.dropped) this.dropped++;
    else if (outcome === lineOutcome.duplicate) this.duplicates++;
    else if (outcome === lineOutcome.repeat) this.repeats++;
  }
}

/** The text of a line's series, as its key. */
export function seriesText(page: Buffer, start: number, end: number): string {
  return page.toString("latin1", start, end).trimEnd();
}

/** What lines that repeat others were resolved to: like all texts of the page they keep it as long as they stand there. */
function repeatedSets({ edit, scan }: RebuildInput): ReadonlyMap<string, number> {
  const sets = new Map<string, number>();
  for (const { outcome, labelSet, seriesStart, valueStart } of edit.newLines) {
    if (outcome === lineOutcome.duplicate) sets.set(seriesText(scan.page, seriesStart, valueStart), labelSet);
  }
  return sets;
}

/**
 * Undefined when the page has to be read without the kernel: it declares a family that lines of the template have, and only
 * those below the declaration have it on this page. Throws ScrapeError when the page has more rows than `sample_limit`.
 */
export function rebuildTemplate(
  input: RebuildInput,
): { template: TargetTemplate; content: Omit<PageContent, "seriesAdded"> } | undefined {
  const { edit, scan } = input;
  const columns = collectLines(input, markRepeats(input));
  const after = columns.lines - columns.dropped;
  const rowCount = after - columns.duplicates;
  if (input.sampleLimit > 0 && rowCount > input.sampleLimit) {
    throw new ScrapeError("sample_limit", `sample_limit exceeded (samples: ${after}, limit: ${input.sampleLimit})`);
  }
  const sameRows =
    !input.familiesChanged && rowCount === input.layout.length && edit.newLines.every((line) => !isRow(line.outcome));
  const rows = assignRows(columns, rowCount, sameRows);
  const content = sameRows
    ? { layout: input.layout, values: scan.values, timestamps: scan.timestamps }
    : rebuildLayout(input, columns, rowCount);
  if (content === undefined) return undefined;
  // A copy: the page lives in a buffer that is used again.
  const tail = Uint8Array.from(scan.page.subarray(scan.offset, scan.length));
  const allRows = columns.dropped + columns.duplicates === 0;
  const isIdentity = allRows && (rows === undefined || rows.every((row, line) => row === line));
  const text = columns.text.length === columns.textLength ? columns.text : columns.text.slice(0, columns.textLength);
  return {
    template: createTemplate({
      text,
      ends: columns.ends,
      seriesStarts: columns.seriesStarts,
      rows: isIdentity ? undefined : rows,
      outcomes: allRows && columns.repeats === 0 ? undefined : columns.outcomes,
      repeatedSets: repeatedSets(input),
      tail,
    }),
    content: {
      layout: content.layout,
      values: content.values.subarray(0, rowCount),
      timestamps: content.timestamps?.subarray(0, rowCount),
      exemplars: placeExemplars(input, columns, rows),
      samples: columns.lines,
      samplesAfterRelabel: after,
      duplicates: columns.duplicates,
    },
  };
}

/**
 * Finds lines whose series the page had before: of new lines notes it as their outcome, of lines of the template returns it.
 * With a timestamp of its own a repeated series is another sample.
 */
function markRepeats(input: RebuildInput): ReadonlyMap<number, number> | undefined {
  const { edit, marks, template, layout, scan } = input;
  // Lines of the template that repeat others are read as new ones, so that the rest names every series once.
  if (edit.newLines.length === 0) return undefined;
  marks.clear();
  const labels = layout.labels ?? new Uint32Array(0);
  const changed = new Map<number, number>();
  const repeated = (isTimed: boolean) =>
    isTimed && !input.ignoresTimestamps ? lineOutcome.repeat : lineOutcome.duplicate;
  const markLine = (line: number) => {
    if (template.outcomes !== undefined && !isRow(template.outcomes[line] as number)) return;
    const row = template.rows === undefined ? line : (template.rows[line] as number);
    if (marks.add(labels[row] as number)) return;
    changed.set(line, repeated(!Number.isNaN(scan.timestamps?.[row] ?? Number.NaN)));
  };
  for (const entry of edit.order) {
    if ("from" in entry) for (let line = entry.from; line < entry.to; line++) markLine(line);
    else if ("line" in entry) markLine(entry.line);
    else {
      const line = edit.newLines[entry.newLine] as NewLine;
      if (line.labelSet !== none && !marks.add(line.labelSet)) line.outcome = repeated(line.timestampMs !== undefined);
    }
  }
  return changed.size === 0 ? undefined : changed;
}

/** `changed` holds the outcomes of lines of the template that are not as they were. */
function collectLines(input: RebuildInput, changed: ReadonlyMap<number, number> | undefined): LineColumns {
  const { edit, template, scan } = input;
  let lines = 0;
  let textLength = 0;
  const runLength = (from: number, to: number) =>
    (template.ends[to - 1] as number) - (from === 0 ? 0 : (template.ends[from - 1] as number));
  for (const entry of edit.order) {
    if ("from" in entry) {
      lines += entry.to - entry.from;
      textLength += runLength(entry.from, entry.to);
    } else {
      const line = "line" in entry ? entry : (edit.newLines[entry.newLine] as NewLine);
      lines++;
      textLength += line.valueStart - line.start;
    }
  }
  const columns = new LineColumns(lines, textLength);
  const rowOf = (line: number) => (template.rows === undefined ? line : (template.rows[line] as number));
  const outcomeOf = (line: number) => changed?.get(line) ?? template.outcomes?.[line] ?? lineOutcome.row;
  for (const entry of edit.order) {
    if ("from" in entry) {
      let start = entry.from === 0 ? 0 : (template.ends[entry.from - 1] as number);
      for (let line = entry.from; line < entry.to; line++) {
        const end = template.ends[line] as number;
        columns.push(template.text, start, template.seriesStarts[line] as number, end, outcomeOf(line), rowOf(line));
        start = end;
      }
    } else if ("line" in entry) {
      const { line, start, seriesStart, valueStart } = entry;
      columns.push(scan.page, start, seriesStart, valueStart, outcomeOf(line), rowOf(line));
    } else {
      const { start, seriesStart, valueStart, outcome } = edit.newLines[entry.newLine] as NewLine;
      columns.push(scan.page, start, seriesStart, valueStart, outcome, -1 - entry.newLine);
    }
  }
  return columns;
}

/** The row of every line of the new template; lines without a row get the one behind the last. */
function assignRows(columns: LineColumns, rowCount: number, sameRows: boolean): Uint32Array {
  const rows = new Uint32Array(columns.lines);
  let next = 0;
  for (let line = 0; line < columns.lines; line++) {
    if (!isRow(columns.outcomes[line] as number)) rows[line] = rowCount;
    else rows[line] = sameRows ? (columns.sources[line] as number) : next++;
  }
  return rows;
}

function rebuildLayout(
  input: RebuildInput,
  columns: LineColumns,
  rowCount: number,
): { layout: SamplesLayout; values: Float64Array; timestamps: Float64Array | undefined } | undefined {
  const { edit, scan, layout, metadata, identities } = input;
  const labels = new Uint32Array(rowCount);
  const families = new Uint32Array(rowCount);
  const values = new Float64Array(rowCount);
  const oldLabels = layout.labels ?? new Uint32Array(0);
  let timestamps: Float64Array | undefined;
  if (scan.timestamps !== undefined || edit.newLines.some((line) => line.timestampMs !== undefined)) {
    timestamps = new Float64Array(rowCount).fill(Number.NaN);
  }
  const familyByName = new Map<string, number>();
  const familyOf = (name: string) => {
    let family = familyByName.get(name);
    if (family === undefined) {
      family = metadata.familyOf(name);
      familyByName.set(name, family);
    }
    return family;
  };
  let row = 0;
  for (let i = 0; i < columns.lines; i++) {
    if (!isRow(columns.outcomes[i] as number)) continue;
    const source = columns.sources[i] as number;
    if (source >= 0) {
      labels[row] = oldLabels[source] as number;
      values[row] = scan.values[source] as number;
      if (timestamps !== undefined) timestamps[row] = scan.timestamps?.[source] ?? Number.NaN;
      const before = layout.families[source] as number;
      families[row] = input.familiesChanged ? familyOf(exposedName(columns, i)) : before;
      if (input.usesKernel && families[row] !== before) return undefined;
    } else {
      const line = edit.newLines[-1 - source] as NewLine;
      labels[row] = line.labelSet;
      values[row] = line.value;
      if (timestamps !== undefined) timestamps[row] = line.timestampMs ?? Number.NaN;
      families[row] = familyOf(line.exposedName);
    }
    row++;
  }
  const isSame = areEqual(labels, oldLabels) && areEqual(families, layout.families);
  return {
    layout: isSame ? layout : new SamplesLayout(identities, { labels, families }, input.origin),
    values,
    timestamps,
  };
}

function areEqual(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const openBrace = 0x7b;
const quote = 0x22;
const backslash = 0x5c;

/** The metric name of a line as the page writes it: before the brace, or the first quoted text inside it. */
function exposedName(columns: LineColumns, line: number): string {
  const { text } = columns;
  const end = columns.ends[line] as number;
  let at = columns.seriesStarts[line] as number;
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const start = at;
  while (at < end && text[at] !== openBrace && text[at] !== 0x20 && text[at] !== 0x09) at++;
  if (at > start) return bytes.toString("utf8", start, at);
  while (at < end && text[at] !== quote) at++;
  const nameStart = ++at;
  while (at < end && text[at] !== quote) at += text[at] === backslash ? 2 : 1;
  return bytes
    .toString("utf8", nameStart, at)
    .replace(/\\(["\\n])/g, (_, char: string) => (char === "n" ? "\n" : char));
}

function placeExemplars(input: RebuildInput, columns: LineColumns, rows: Uint32Array): SampleExemplar[] {
  const { edit, template } = input;
  if (edit.exemplars.length === 0) return [];
  const rowOfSource = new Map<number, number>();
  for (let line = 0; line < columns.lines; line++) {
    if (isRow(columns.outcomes[line] as number)) {
      rowOfSource.set(columns.sources[line] as number, rows[line] as number);
    }
  }
  const placed: SampleExemplar[] = [];
  for (const { line, newLine, exemplar } of edit.exemplars) {
    const source =
      line !== undefined ? (template.rows === undefined ? line : (template.rows[line] as number)) : -1 - (newLine ?? 0);
    const row = rowOfSource.get(source);
    if (row !== undefined) placed.push({ row, ...exemplar });
  }
  return placed.sort((a, b) => a.row - b.row);
}
