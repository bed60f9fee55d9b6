/** Makes the next template and layout of a target from a page that did not follow the last ones. */

import { buildEntryIndex } from "../../kernels/entry-slots.ts";
import type { PageScan } from "../../kernels/page-scan.ts";
import type { SampleExemplar } from "../../model/batch.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { type Origin, SamplesLayout } from "../../model/layout.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import { collectColumns, type LineColumns } from "./line-columns.ts";
import type { PageContent } from "./page-content.ts";
import { type LineRun, type NewLine, type PageEdit, settleTexts } from "./page-edit.ts";
import {
  createTemplate,
  isRow,
  lineOutcome,
  type RepeatedSets,
  type TargetTemplate,
  templateLabelSet,
} from "./page-template.ts";
import { ScrapeError } from "./sample-labels.ts";
import type { TargetMetadata } from "./target-metadata.ts";

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

/** The lines of the new template, in page order. */
interface NewLines {
  readonly columns: LineColumns;
  /** Row of the old layout, or minus one minus the index of the new line. */
  readonly sources: Int32Array;
  readonly outcomes: Uint8Array;
  /** Where the series of a line stands in the page. */
  readonly places: Uint32Array | undefined;
  duplicates: number;
  repeats: number;
  dropped: number;
}

/** The text of a line's series, as its key. */
export function seriesText(page: Buffer, start: number, end: number): string {
  return page.toString("latin1", start, end);
}

/**
 * What lines that repeat others were resolved to: like all lines of the page they keep it as long as they stand there.
 * `changed` are lines of the template, which may not have repeated any before.
 */
function repeatedSets(
  { edit, template, layout }: RebuildInput,
  changed: ReadonlyMap<number, number> | undefined,
): RepeatedSets | undefined {
  const hashes: number[] = [];
  const labelSets: number[] = [];
  for (const [line, outcome] of changed ?? []) {
    const labelSet = templateLabelSet(template, layout, line);
    if (outcome !== lineOutcome.duplicate || labelSet === undefined) continue;
    hashes.push(template.hashes[line * 2] as number, template.hashes[line * 2 + 1] as number);
    labelSets.push(labelSet);
  }
  // Of equal lines the first is found, which is the last of the page.
  for (let i = edit.newLines.length - 1; i >= 0; i--) {
    const { outcome, labelSet, low, high } = edit.newLines[i] as NewLine;
    if (outcome !== lineOutcome.duplicate) continue;
    hashes.push(low, high);
    labelSets.push(labelSet);
  }
  if (labelSets.length === 0) return undefined;
  const words = Uint32Array.from(hashes);
  return { hashes: words, slots: buildEntryIndex({ hashes: words }), labelSets: Uint32Array.from(labelSets) };
}

/**
 * Undefined when the page has to be read without the kernel: it declares a family that lines of the template have, and only
 * those below the declaration have it on this page. Throws ScrapeError when the page has more rows than `sample_limit`.
 */
export function rebuildTemplate(
  input: RebuildInput,
): { template: TargetTemplate; content: Omit<PageContent, "seriesAdded"> } | undefined {
  const { edit } = input;
  settleTexts(edit.newLines);
  const changed = markRepeats(input);
  const lines = collectLines(input, changed);
  const { columns, dropped, duplicates } = lines;
  const after = columns.lines - dropped;
  const rowCount = after - duplicates;
  if (input.sampleLimit > 0 && rowCount > input.sampleLimit) {
    throw new ScrapeError("sample_limit", `sample_limit exceeded (samples: ${after}, limit: ${input.sampleLimit})`);
  }
  const sameRows =
    !input.familiesChanged && rowCount === input.layout.length && edit.newLines.every((line) => !isRow(line.outcome));
  const rows = assignRows(lines, rowCount, sameRows);
  const content = sameRows
    ? { layout: input.layout, values: input.scan.values, timestamps: input.scan.timestamps }
    : rebuildLayout(input, lines, rowCount);
  if (content === undefined) return undefined;
  const allRows = dropped + duplicates === 0;
  const isIdentity = allRows && rows.every((row, line) => row === line);
  return {
    template: createTemplate({
      ...columns.parts(),
      rows: isIdentity ? undefined : rows,
      outcomes: allRows && lines.repeats === 0 ? undefined : lines.outcomes,
      repeatedSets: repeatedSets(input, changed),
    }),
    content: {
      layout: content.layout,
      values: content.values.subarray(0, rowCount),
      timestamps: content.timestamps?.subarray(0, rowCount),
      exemplars: placeExemplars(input, lines, rows),
      samples: columns.lines,
      samplesAfterRelabel: after,
      duplicates,
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
    else if ("newLine" in entry) {
      const line = edit.newLines[entry.newLine] as NewLine;
      if (line.labelSet !== none && !marks.add(line.labelSet)) line.outcome = repeated(line.timestampMs !== undefined);
    }
  }
  return changed.size === 0 ? undefined : changed;
}

/** `changed` holds the outcomes of lines of the template that are not as they were. */
function collectLines(input: RebuildInput, changed: ReadonlyMap<number, number> | undefined): NewLines {
  const { edit, template } = input;
  const columns = collectColumns(input);
  const { lines } = columns;
  const found: NewLines = {
    columns,
    sources: new Int32Array(lines),
    outcomes: new Uint8Array(lines),
    places: input.familiesChanged ? new Uint32Array(lines) : undefined,
    duplicates: 0,
    repeats: 0,
    dropped: 0,
  };
  let next = 0;
  const push = (source: number, outcome: number) => {
    found.sources[next] = source;
    found.outcomes[next] = outcome;
    next++;
    if (outcome === lineOutcome.dropped) found.dropped++;
    else if (outcome === lineOutcome.duplicate) found.duplicates++;
    else if (outcome === lineOutcome.repeat) found.repeats++;
  };
  for (const stretch of edit.order) {
    if ("newLine" in stretch) {
      const line = edit.newLines[stretch.newLine] as NewLine;
      if (found.places !== undefined) found.places[next] = line.seriesStart;
      push(-1 - stretch.newLine, line.outcome);
    } else if ("from" in stretch) {
      if (found.places !== undefined) placeRun(input.scan, stretch, found.places, next);
      for (let line = stretch.from; line < stretch.to; line++) {
        const row = template.rows === undefined ? line : (template.rows[line] as number);
        push(row, changed?.get(line) ?? template.outcomes?.[line] ?? lineOutcome.row);
      }
    }
  }
  return found;
}

/** Where the lines of a run begin: each behind the newline of the one before. */
function placeRun({ page }: PageScan, run: LineRun, places: Uint32Array, at: number): void {
  let start = run.start;
  for (let i = 0; i < run.to - run.from; i++) {
    places[at + i] = start;
    start = page.indexOf(0x0a, start) + 1;
  }
}

/** The row of every line of the new template; lines without a row get the one behind the last. */
function assignRows(lines: NewLines, rowCount: number, sameRows: boolean): Uint32Array {
  const rows = new Uint32Array(lines.outcomes.length);
  let next = 0;
  for (const [line, outcome] of lines.outcomes.entries()) {
    if (!isRow(outcome)) rows[line] = rowCount;
    else rows[line] = sameRows ? (lines.sources[line] as number) : next++;
  }
  return rows;
}

function rebuildLayout(
  input: RebuildInput,
  lines: NewLines,
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
  for (const [i, outcome] of lines.outcomes.entries()) {
    if (!isRow(outcome)) continue;
    const source = lines.sources[i] as number;
    if (source >= 0) {
      labels[row] = oldLabels[source] as number;
      values[row] = scan.values[source] as number;
      if (timestamps !== undefined) timestamps[row] = scan.timestamps?.[source] ?? Number.NaN;
      const before = layout.families[source] as number;
      families[row] = input.familiesChanged ? familyOf(exposedName(scan, lines.places?.[i] as number)) : before;
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

/** The metric name of the line at `start` as the page writes it: before the brace, or the first quoted text inside it. */
function exposedName({ page }: PageScan, start: number): string {
  const lineEnd = page.indexOf(0x0a, start);
  const end = lineEnd < 0 ? page.length : lineEnd;
  let at = start;
  while (page[at] === 0x20 || page[at] === 0x09) at++;
  const nameStart = at;
  while (at < end && page[at] !== openBrace && page[at] !== 0x20 && page[at] !== 0x09) at++;
  if (at > nameStart) return page.toString("utf8", nameStart, at);
  while (at < end && page[at] !== quote) at++;
  const quotedStart = ++at;
  while (at < end && page[at] !== quote) at += page[at] === backslash ? 2 : 1;
  return page
    .toString("utf8", quotedStart, at)
    .replace(/\\(["\\n])/g, (_, char: string) => (char === "n" ? "\n" : char));
}

function placeExemplars(input: RebuildInput, lines: NewLines, rows: Uint32Array): SampleExemplar[] {
  const { edit, template } = input;
  if (edit.exemplars.length === 0) return [];
  const rowOfSource = new Map<number, number>();
  for (const [line, outcome] of lines.outcomes.entries()) {
    if (isRow(outcome)) rowOfSource.set(lines.sources[line] as number, rows[line] as number);
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
