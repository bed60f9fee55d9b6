/** Reads the pages of one target: the kernel while a page follows its template, line by line where it does not. */

import type { ExpositionParser } from "../../codec/exposition/parser.ts";
import { type PageScan, scanPage } from "../../kernels/scan-page.ts";
import type { SampleExemplar } from "../../model/batch.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Identities, Label } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import type { ScrapeOrigin } from "../translation/scrape-origin.ts";
import { countAdded } from "./count-added.ts";
import { failPage } from "./fail-page.ts";
import { followsTemplate } from "./follows-template.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import type { PageContent, PageLimits } from "./page-content.ts";
import { hasMoreLines, linesPerStep, tooManySeries } from "./page-size.ts";
import {
  blockRepeats,
  emptyTemplate,
  isRow,
  LineIndex,
  lineOutcome,
  type TargetTemplate,
  templateLabelSet,
} from "./page-template.ts";
import { type NewLine, type PageEdit, rebuildTemplate, seriesText } from "./rebuild-template.ts";
import { type LineRun, typeWithin } from "./restore-type.ts";
import { type SampleLabels, ScrapeError } from "./sample-labels.ts";
import { TargetMetadata } from "./target-metadata.ts";

const newline = 0x0a;

const noLabelSets: ReadonlySet<number> = new Set();

/** The page cache of one target. */
export class TargetPage {
  readonly metadata: TargetMetadata;
  readonly #identities: Identities;
  readonly #labels: SampleLabels;
  readonly #marks: LabelSetMarks;
  #limits: PageLimits;
  readonly origin: ScrapeOrigin;
  #template: TargetTemplate = emptyTemplate;
  #layout: SamplesLayout;
  #isOpenMetrics = false;
  #hasTimestamps = false;
  readonly #ignoresTimestamps: boolean;
  #metadataVersion = 0;
  #starts = new Uint32Array(0);
  #seen = new Uint8Array(0);
  /** The page under way, where it differs from the template. */
  #edit: PageEdit | undefined;
  /** Series that the last page had added when it failed: they do not count as added again. */
  #addedByFailed: ReadonlySet<number> = noLabelSets;

  constructor(parts: {
    identities: Identities;
    labels: SampleLabels;
    marks: LabelSetMarks;
    limits: PageLimits;
    origin: ScrapeOrigin;
    /** `honor_timestamps: false`. */
    ignoresTimestamps?: boolean;
  }) {
    this.#identities = parts.identities;
    this.#labels = parts.labels;
    this.#marks = parts.marks;
    this.#limits = parts.limits;
    this.origin = parts.origin;
    this.#ignoresTimestamps = parts.ignoresTimestamps ?? false;
    this.metadata = new TargetMetadata(parts.identities);
    this.#layout = new SamplesLayout(parts.identities, { labels: new Uint32Array(0) }, parts.origin);
  }

  /** The layout of the last page that was read whole. */
  get layout(): SamplesLayout {
    return this.#layout;
  }

  /** Changes `sample_limit` for the pages to come. */
  setSampleLimit(samples: number): void {
    this.#limits = { ...this.#limits, samples };
  }

  /**
   * Reads `page[0..length)` with a parser of its format. Throws PageError when the page as a whole is refused; the
   * cache then stays as it was.
   */
  read(page: Buffer, length: number, parser: ExpositionParser, isOpenMetrics: boolean): PageContent {
    const steps = this.readInSteps(page, length, parser, isOpenMetrics);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  }

  /** Label sets of the page under way, which nothing else names yet. */
  get pendingLabelSets(): Uint32Array {
    return Uint32Array.from(this.#edit?.newLines ?? [], (line) => line.labelSet);
  }

  /** The same in steps of some milliseconds, so that others can go on between them; pages that are known take one. */
  *readInSteps(
    page: Buffer,
    length: number,
    parser: ExpositionParser,
    isOpenMetrics: boolean,
  ): Generator<void, PageContent> {
    const { metadata } = this;
    const template = this.#template;
    const followsFormat = isOpenMetrics === this.#isOpenMetrics && !metadata.wantsWholePage;
    const scan = this.#beginScan(page, length, isOpenMetrics);
    const isWhole = followsFormat && scanPage(template, scan) && template.lines > 0;
    if (isWhole && this.#mayFollow(scan) && this.#isTail(page, scan.offset, length)) {
      this.#addedByFailed = noLabelSets;
      return this.#unchanged(scan);
    }
    const usesKernel = followsFormat && !metadata.isContradictory;
    const begin = () => this.#beginScan(page, length, isOpenMetrics);
    // Whether a line repeats another is seen anew: the kernel and the index leave such lines alone.
    const isClean = usesKernel && !template.hasRepeats;
    const content = yield* this.#readChanged(isClean ? scan : begin(), parser, usesKernel, isClean);
    return content ?? ((yield* this.#readChanged(begin(), parser, false, false)) as PageContent);
  }

  /** Reads a page that differs; undefined when the comments that the kernel passed over matter. Throws PageError. */
  *#readChanged(
    scan: PageScan,
    parser: ExpositionParser,
    usesKernel: boolean,
    isBegun: boolean,
  ): Generator<void, PageContent | undefined> {
    const { metadata } = this;
    if (!isBegun) blockRepeats(this.#template, scan.seen);
    if (usesKernel && !isBegun) scanPage(this.#template, scan);
    const edit: PageEdit = { order: [], newLines: [], exemplars: [], samples: scan.line, moved: false };
    if (scan.line > 0) edit.order.push({ from: 0, to: scan.line });
    metadata.beginPage();
    this.#edit = edit;
    try {
      if (hasMoreLines(scan.page, scan.length, this.#limits.series)) throw tooManySeries(this.#limits.series);
      yield* this.#readLines(scan, parser, edit, usesKernel);
      const content = usesKernel && metadata.isContradictory ? undefined : this.#changed(scan, edit, usesKernel);
      if (content === undefined) {
        metadata.rollback();
        return undefined;
      }
      this.#isOpenMetrics = scan.timestampScale !== 1;
      metadata.endPage();
      return content;
    } catch (error) {
      metadata.rollback();
      throw this.#failure(error, scan, edit);
    } finally {
      this.#edit = undefined;
    }
  }

  /** Whether a page that follows the template has the content of the template. */
  #mayFollow(scan: PageScan): boolean {
    if (this.#template.hasRepeats && scan.timestamps !== undefined && !this.#ignoresTimestamps) return false;
    return this.#isWithinLimit();
  }

  /** The limit may have been lowered since the layout was made. */
  #isWithinLimit(): boolean {
    return this.#limits.samples === 0 || this.#layout.length <= this.#limits.samples;
  }

  #beginScan(page: Buffer, length: number, isOpenMetrics: boolean): PageScan {
    const { lines } = this.#template;
    if (this.#starts.length < lines) {
      this.#starts = new Uint32Array(lines);
      this.#seen = new Uint8Array(lines);
    }
    this.#seen.fill(0, 0, lines);
    const rows = this.#layout.length + 1;
    return {
      page,
      view: new DataView(page.buffer, page.byteOffset, page.byteLength),
      length,
      line: 0,
      offset: 0,
      values: new Float64Array(rows),
      timestamps: this.#hasTimestamps ? new Float64Array(rows).fill(Number.NaN) : undefined,
      timestampScale: isOpenMetrics ? 1000 : 1,
      starts: this.#starts,
      seen: this.#seen,
    };
  }

  #isTail(page: Uint8Array, offset: number, length: number): boolean {
    const { tail } = this.#template;
    if (tail.length !== length - offset) return false;
    for (let i = 0; i < tail.length; i++) if (tail[i] !== page[offset + i]) return false;
    return true;
  }

  #unchanged(scan: PageScan): PageContent {
    const { lines, outcomes } = this.#template;
    const rows = this.#layout.length;
    let duplicates = 0;
    if (outcomes !== undefined) for (const outcome of outcomes) if (outcome === lineOutcome.duplicate) duplicates++;
    return {
      layout: this.#layout,
      values: scan.values.subarray(0, rows),
      timestamps: this.#ignoresTimestamps ? undefined : scan.timestamps?.subarray(0, rows),
      exemplars: [],
      samples: lines,
      samplesAfterRelabel: rows + duplicates,
      seriesAdded: 0,
      duplicates,
    };
  }

  /** Line by line from where the kernel stopped, with the kernel tried again after each line. */
  *#readLines(
    scan: PageScan,
    parser: ExpositionParser,
    edit: PageEdit,
    usesKernel: boolean,
  ): Generator<void, undefined> {
    const template = this.#template;
    let index: LineIndex | undefined;
    // Lines that the kernel read since the parser last knew the TYPE line in force, which tells how `le` is written.
    const unread: LineRun[] = scan.line > 0 ? [{ from: 0, to: scan.line }] : [];
    parser.setState("");
    for (let slowLines = 1; ; slowLines++) {
      if (slowLines % linesPerStep === 0) yield;
      const lineStart = scan.offset;
      parser.seek(lineStart);
      const kind = this.#nextSeries(scan, parser, () => {
        unread.length = 0;
      });
      if (kind === "end") return;
      // Comments stand between the start and the series.
      if (parser.offset - Math.max(lineStart, parser.seriesStart) > this.#limits.lineBytes) {
        throw new ScrapeError("own_limit", `line longer than the limit of ${this.#limits.lineBytes} bytes`);
      }
      edit.samples++;
      index ??= new LineIndex(template, this.#identities.hashKey);
      const line = template.lines === 0 ? -1 : index.find(scan.page, parser.seriesStart, parser.seriesEnd);
      if (line >= 0 && scan.seen[line] === 0) {
        if (!usesKernel) this.metadata.use(parser.labels());
        this.#takeKnown(scan, parser, edit, line, lineStart);
      } else {
        if (unread.length > 0) this.#restoreType(scan, parser, unread, lineStart);
        unread.length = 0;
        this.#takeNew(scan.page, parser, edit, line, lineStart);
      }
      scan.offset = parser.offset;
      if (!usesKernel) continue;
      const runStart = scan.line;
      scanPage(template, scan);
      if (scan.line > runStart) {
        edit.order.push({ from: runStart, to: scan.line });
        edit.samples += scan.line - runStart;
        unread.push({ from: runStart, to: scan.line });
      }
    }
  }

  /** Feeds comments to the metadata until a sample or the end. */
  #nextSeries(scan: PageScan, parser: ExpositionParser, typeSeen: () => void): "series" | "end" {
    const { lineBytes } = this.#limits;
    for (;;) {
      const start = parser.offset;
      const kind = parser.next();
      if (kind === "series" || kind === "end") return kind;
      const end = parser.offset;
      if (end - start > lineBytes && end - scan.page.lastIndexOf(newline, end - 2) - 1 > lineBytes) {
        throw new ScrapeError("own_limit", `comment longer than the limit of ${lineBytes} bytes`);
      }
      if (kind === "comment") continue;
      this.metadata.set(parser.metricName, kind, parser.text);
      if (kind === "type") typeSeen();
    }
  }

  /** Brings the parser into the state after the comments of lines that only the kernel read, then to `offset` again. */
  #restoreType(scan: PageScan, parser: ExpositionParser, unread: readonly LineRun[], offset: number): void {
    const before = parser.state;
    const state = typeWithin(this.#template, scan, parser, unread);
    parser.seek(offset);
    parser.setState(state ?? before);
    this.#nextSeries(scan, parser, () => {});
  }

  #takeKnown(scan: PageScan, parser: ExpositionParser, edit: PageEdit, line: number, lineStart: number): void {
    const { rows, outcomes } = this.#template;
    const row = rows === undefined ? line : (rows[line] as number);
    scan.values[row] = parser.value;
    if (parser.timestampMs !== undefined) this.#setTimestamp(scan, row, parser.timestampMs);
    if (parser.exemplar !== undefined && isRow(outcomes?.[line] ?? lineOutcome.row)) {
      edit.exemplars.push({ line, exemplar: parser.exemplar });
    }
    scan.starts[line] = lineStart;
    scan.seen[line] = 1;
    if (line < scan.line) edit.moved = true;
    edit.order.push({ line, start: lineStart, valueStart: parser.valueStart, seriesStart: parser.seriesStart });
    scan.line = line + 1;
  }

  #takeNew(page: Buffer, parser: ExpositionParser, edit: PageEdit, known: number, lineStart: number): void {
    const labels: Label[] = parser.labels();
    if (labels.length > this.#limits.labels) {
      throw new ScrapeError(
        "own_limit",
        `a series has ${labels.length} labels, over the limit of ${this.#limits.labels}`,
      );
    }
    if (edit.samples > this.#limits.series) throw tooManySeries(this.#limits.series);
    const { repeatedSets } = this.#template;
    const repeated =
      repeatedSets.size === 0 ? undefined : repeatedSets.get(seriesText(page, parser.seriesStart, parser.seriesEnd));
    const remembered = templateLabelSet(this.#template, this.#layout, known) ?? repeated;
    const labelSet = remembered ?? this.#labels.resolve(labels);
    const line: NewLine = {
      start: lineStart,
      valueStart: parser.valueStart,
      seriesStart: parser.seriesStart,
      labelSet,
      value: parser.value,
      timestampMs: parser.timestampMs,
      exposedName: this.metadata.use(labels),
      isKnown: known >= 0 || repeated !== undefined,
      outcome: labelSet === none ? lineOutcome.dropped : lineOutcome.row,
    };
    if (parser.timestampMs !== undefined) this.#hasTimestamps = true;
    if (parser.exemplar !== undefined && labelSet !== none) {
      edit.exemplars.push({ newLine: edit.newLines.length, exemplar: parser.exemplar });
    }
    edit.order.push({ newLine: edit.newLines.length });
    edit.newLines.push(line);
  }

  #setTimestamp(scan: PageScan, row: number, timestampMs: number): void {
    this.#hasTimestamps = true;
    scan.timestamps ??= new Float64Array(scan.values.length).fill(Number.NaN);
    scan.timestamps[row] = timestampMs;
  }

  #exemplarRows(edit: PageEdit): SampleExemplar[] {
    const { rows } = this.#template;
    return edit.exemplars.map(({ line = 0, exemplar }) => ({
      row: rows === undefined ? line : (rows[line] as number),
      ...exemplar,
    }));
  }

  #changed(scan: PageScan, edit: PageEdit, usesKernel: boolean): PageContent | undefined {
    const familiesChanged = this.metadata.version !== this.#metadataVersion;
    if (
      !familiesChanged &&
      this.#isWithinLimit() &&
      followsTemplate(this.#template, scan, edit) &&
      this.#isTail(scan.page, scan.offset, scan.length)
    ) {
      this.#addedByFailed = noLabelSets;
      return { ...this.#unchanged(scan), exemplars: this.#exemplarRows(edit) };
    }
    const result = rebuildTemplate({
      identities: this.#identities,
      template: this.#template,
      layout: this.#layout,
      origin: this.origin,
      marks: this.#marks,
      metadata: this.metadata,
      familiesChanged,
      usesKernel,
      scan,
      edit,
      sampleLimit: this.#limits.samples,
      ignoresTimestamps: this.#ignoresTimestamps,
    });
    if (result === undefined) return undefined;
    this.#template = result.template;
    this.#layout = result.content.layout;
    this.#metadataVersion = this.metadata.version;
    const seriesAdded = countAdded(scan.page, edit, this.#addedByFailed);
    this.#addedByFailed = noLabelSets;
    const timestamps = this.#ignoresTimestamps ? undefined : result.content.timestamps;
    return { ...result.content, timestamps, seriesAdded };
  }

  /** What is known of a failed page. */
  #failure(caught: unknown, scan: PageScan, edit: PageEdit): unknown {
    const isExpected = caught instanceof DecodeError || caught instanceof ScrapeError;
    if (!isExpected) return caught;
    const { error, added } = failPage(caught, {
      template: this.#template,
      layout: this.#layout,
      scan,
      edit,
      addedBefore: this.#addedByFailed,
      sampleLimit: this.#limits.samples,
    });
    this.#addedByFailed = added;
    return error;
  }
}
