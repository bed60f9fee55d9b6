/** Reads the pages of one target: the kernel while a page follows its template, line by line where it does not. */

import type { ExpositionParser } from "../../codec/exposition/parser.ts";
import { scanPage } from "../../kernels/kernels.ts";
import { beginPageScan, EventLog, entriesOf, markSeen, type PageScan } from "../../kernels/page-scan.ts";
import { DecodeError } from "../../model/errors.ts";
import type { Identities } from "../../model/identities.ts";
import { none } from "../../model/intern-table.ts";
import { SamplesLayout } from "../../model/layout.ts";
import type { ScrapeOrigin } from "../translation/scrape-origin.ts";
import { countAdded } from "./count-added.ts";
import { declareFamilies } from "./declare-families.ts";
import { failPage } from "./fail-page.ts";
import { followsTemplate } from "./follows-template.ts";
import { contentOf } from "./known-content.ts";
import type { LabelSetMarks } from "./label-set-marks.ts";
import { LineLabels } from "./line-labels.ts";
import type { PageContent, PageLimits } from "./page-content.ts";
import { addComments, addEvents, createPageEdit, exemplarRows, hashOfPage, type PageEdit } from "./page-edit.ts";
import { hasMoreLines, linesPerStep, tooManySeries } from "./page-size.ts";
import {
  blockBefore,
  blockRepeats,
  emptyTemplate,
  entryWithHash,
  isRow,
  isTail,
  lineOutcome,
  repeatedLabelSet,
  type TargetTemplate,
  templateBytes,
  templateLabelSet,
} from "./page-template.ts";
import { rebuildTemplate } from "./rebuild-template.ts";
import { restoreType } from "./restore-type.ts";
import { type SampleLabels, ScrapeError } from "./sample-labels.ts";
import { TargetMetadata } from "./target-metadata.ts";

const newline = 0x0a;
const noLabelSets: ReadonlySet<number> = new Set();
/** Pages whose lines stand elsewhere each time get a new template after 1, 2, 4, ... and then every so many pages. */
const maxMovedPages = 64;
/** What the kernel found; taken at once after each call, so that one serves all. */
const events = new EventLog();

/** The page cache of one target. */
export class TargetPage {
  readonly metadata: TargetMetadata;
  readonly #identities: Identities;
  readonly #labels: LineLabels;
  readonly #marks: LabelSetMarks;
  #limits: PageLimits;
  readonly origin: ScrapeOrigin;
  #template: TargetTemplate = emptyTemplate;
  #layout: SamplesLayout;
  #isOpenMetrics = false;
  #hasTimestamps = false;
  readonly #ignoresTimestamps: boolean;
  #metadataVersion = 0;
  /** Pages in a row that had the lines of the template in another order. */
  #movedPages = 0;
  /** The page under way, where it differs from the template. */
  #edit: PageEdit | undefined;
  /** Series that the last page had added when it failed: they do not count as added again. */
  #addedByFailed: ReadonlySet<number> = noLabelSets;
  /** Used again by every scan: one is under way at a time. */
  #seen = new Uint8Array(0);

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
    this.#labels = new LineLabels(parts.identities, parts.labels);
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

  /** Bytes of what is remembered of the page, its layout apart. */
  get templateBytes(): number {
    return templateBytes(this.#template) + this.#seen.byteLength;
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
    const steps = this.begin(page, length, parser, isOpenMetrics);
    if ("layout" in steps) return steps;
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  }

  /** Label sets of the page under way, which nothing else names yet. */
  get pendingLabelSets(): Uint32Array {
    return Uint32Array.from(this.#edit?.newLines ?? [], (line) => line.labelSet);
  }

  /**
   * The content of a page that is known. Of one that differs the same as `read` in steps of some milliseconds, so that
   * others can go on between them; the parser may be given its page before the first step.
   */
  begin(
    page: Buffer,
    length: number,
    parser: ExpositionParser,
    isOpenMetrics: boolean,
  ): PageContent | Generator<void, PageContent> {
    const template = this.#template;
    const followsFormat = isOpenMetrics === this.#isOpenMetrics && !this.metadata.wantsWholePage;
    const scan = this.#beginScan(page, length, isOpenMetrics);
    const isWhole = followsFormat && scanPage(template, scan) && template.lines > 0 && !scan.moved;
    if (isWhole && this.#mayFollow(scan) && isTail(template, page, scan.offset, length)) {
      this.#addedByFailed = noLabelSets;
      this.#movedPages = 0;
      template.index = undefined;
      this.metadata.countPage();
      return contentOf(template, this.#layout, scan, this.#ignoresTimestamps);
    }
    const usesKernel = followsFormat && !this.metadata.isContradictory;
    // Whether a line repeats another is seen anew: the kernel and the index leave such lines alone.
    const isClean = usesKernel && !template.hasRepeats;
    // Taken now: `events` are gone when the kernel reads another page, which may be before the first step.
    const begun = isClean ? { scan, edit: createPageEdit(template, scan) } : undefined;
    return this.#readInSteps(scan, parser, isOpenMetrics, usesKernel, begun);
  }

  *#readInSteps(
    { page, length }: PageScan,
    parser: ExpositionParser,
    isOpenMetrics: boolean,
    usesKernel: boolean,
    begun: { scan: PageScan; edit: PageEdit } | undefined,
  ): Generator<void, PageContent> {
    const begin = (withKernel: boolean) => {
      const scan = this.#beginScan(page, length, isOpenMetrics);
      blockRepeats(this.#template, scan.seen);
      if (!withKernel) return { scan, edit: createPageEdit() };
      scanPage(this.#template, scan);
      return { scan, edit: createPageEdit(this.#template, scan) };
    };
    const content = yield* this.#readChanged(begun ?? begin(usesKernel), parser, usesKernel);
    return content ?? ((yield* this.#readChanged(begin(false), parser, false)) as PageContent);
  }

  /** Reads a page that differs; undefined when the comments that the kernel passed over matter. Throws PageError. */
  *#readChanged(
    { scan, edit }: { scan: PageScan; edit: PageEdit },
    parser: ExpositionParser,
    usesKernel: boolean,
  ): Generator<void, PageContent | undefined> {
    this.metadata.beginPage();
    // A page before may have been given up between two steps.
    this.#labels.clear();
    this.#edit = edit;
    try {
      if (hasMoreLines(scan.page, scan.length, this.#limits.series)) throw tooManySeries(this.#limits.series);
      yield* this.#readLines(scan, parser, edit, usesKernel);
      declareFamilies({ template: this.#template, scan, edit }, parser, this.metadata);
      const content = usesKernel && this.metadata.isContradictory ? undefined : this.#changed(scan, edit, usesKernel);
      if (content === undefined) {
        this.metadata.rollback();
        return undefined;
      }
      this.#isOpenMetrics = scan.timestampScale !== 1;
      this.metadata.endPage();
      return content;
    } catch (error) {
      this.metadata.rollback();
      this.metadata.countFailed();
      throw this.#failure(error, scan, edit);
    } finally {
      this.#edit = undefined;
      this.#labels.clear();
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
    const entries = entriesOf(this.#template);
    if (this.#seen.length === entries) this.#seen.fill(0);
    else this.#seen = new Uint8Array(entries);
    return beginPageScan(this.#template, page, length, {
      seen: this.#seen,
      rows: this.#layout.length,
      events,
      hasTimestamps: this.#hasTimestamps,
      timestampScale: isOpenMetrics ? 1000 : 1,
    });
  }

  /** Line by line from where the kernel stopped, with the kernel tried again after each line. */
  *#readLines(
    scan: PageScan,
    parser: ExpositionParser,
    edit: PageEdit,
    usesKernel: boolean,
  ): Generator<void, undefined> {
    const template = this.#template;
    // From where on the parser does not know the TYPE line in force, which tells how `le` is written.
    let unread = 0;
    parser.setState("");
    for (let slowLines = 1; ; slowLines++) {
      if (slowLines % linesPerStep === 0) yield;
      const lineStart = scan.offset;
      parser.seek(lineStart);
      let hasType = false;
      const kind = this.#nextSeries(scan, parser, () => {
        hasType = true;
      });
      if (kind === "end") return;
      // Comments stand between the start and the series.
      if (parser.offset - Math.max(lineStart, parser.seriesStart) > this.#limits.lineBytes) {
        throw new ScrapeError("own_limit", `line longer than the limit of ${this.#limits.lineBytes} bytes`);
      }
      edit.samples++;
      const block = addComments(template, scan, edit, { start: lineStart, end: parser.seriesStart, hasType });
      if (hasType) unread = edit.order.length;
      const hash = hashOfPage(scan, parser.seriesStart, parser.seriesEnd);
      const line = entryWithHash(template, hash);
      if (line >= 0 && line < template.lines && scan.seen[line] === 0) {
        if (!usesKernel) this.metadata.use(parser.seriesName);
        this.#takeKnown(scan, parser, edit, line, block);
      } else {
        if (restoreType(parser, edit.order, unread)) {
          parser.seek(lineStart);
          this.#nextSeries(scan, parser, () => {});
        }
        unread = edit.order.length + 1;
        this.#takeNew(scan, parser, edit, line < template.lines ? line : -1, hash);
      }
      scan.passed = -1;
      scan.offset = parser.offset;
      if (!usesKernel) continue;
      scanPage(template, scan);
      addEvents(template, scan, edit);
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

  #takeKnown(scan: PageScan, parser: ExpositionParser, edit: PageEdit, line: number, block: number): void {
    const { rows, outcomes } = this.#template;
    const row = rows === undefined ? line : (rows[line] as number);
    scan.values[row] = parser.value;
    if (parser.timestampMs !== undefined) this.#setTimestamp(scan, row, parser.timestampMs);
    if (parser.exemplar !== undefined && isRow(outcomes?.[line] ?? lineOutcome.row)) {
      edit.exemplars.push({ line, exemplar: parser.exemplar });
    }
    markSeen(scan, line);
    if (line !== scan.line || block !== blockBefore(this.#template, line)) scan.moved = true;
    edit.order.push({ from: line, to: line + 1, start: parser.seriesStart });
    scan.line = line + 1;
    scan.read++;
  }

  #takeNew(scan: PageScan, parser: ExpositionParser, edit: PageEdit, known: number, hash: Uint32Array): void {
    const { labelCount } = parser;
    if (labelCount > this.#limits.labels) {
      throw new ScrapeError("own_limit", `a series has ${labelCount} labels, over the limit of ${this.#limits.labels}`);
    }
    if (edit.samples > this.#limits.series) throw tooManySeries(this.#limits.series);
    const repeated = repeatedLabelSet(this.#template, hash);
    const remembered = templateLabelSet(this.#template, this.#layout, known) ?? repeated;
    const labelSet = remembered ?? this.#labels.resolve(parser, scan.page);
    edit.order.push({ newLine: edit.newLines.length });
    if (parser.timestampMs !== undefined) this.#hasTimestamps = true;
    if (parser.exemplar !== undefined && labelSet !== none) {
      edit.exemplars.push({ newLine: edit.newLines.length, exemplar: parser.exemplar });
    }
    edit.newLines.push({
      seriesStart: parser.seriesStart,
      seriesEnd: parser.seriesEnd,
      low: hash[0] as number,
      high: hash[1] as number,
      labelSet,
      value: parser.value,
      timestampMs: parser.timestampMs,
      exposedName: this.metadata.use(parser.seriesName),
      isKnown: known >= 0 || repeated !== undefined,
      outcome: labelSet === none ? lineOutcome.dropped : lineOutcome.row,
    });
  }

  #setTimestamp(scan: PageScan, row: number, timestampMs: number): void {
    this.#hasTimestamps = true;
    scan.timestamps ??= new Float64Array(scan.values.length).fill(Number.NaN);
    scan.timestamps[row] = timestampMs;
  }

  #changed(scan: PageScan, edit: PageEdit, usesKernel: boolean): PageContent | undefined {
    const familiesChanged = this.metadata.version !== this.#metadataVersion;
    const follows =
      !familiesChanged &&
      this.#isWithinLimit() &&
      followsTemplate(this.#template, edit) &&
      isTail(this.#template, scan.page, scan.offset, scan.length);
    if (follows && this.#keepsOrder(scan.moved)) {
      this.#addedByFailed = noLabelSets;
      const content = contentOf(this.#template, this.#layout, scan, this.#ignoresTimestamps);
      return { ...content, exemplars: exemplarRows(this.#template, edit) };
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

  /**
   * Whether the template stays for a page with its lines in this order. A new order is learnt when it is seen first; where
   * every page has another it would be for nothing, and the kernel finds lines by their hash.
   */
  #keepsOrder(moved: boolean): boolean {
    this.#movedPages = moved ? this.#movedPages + 1 : 0;
    const isDue = (this.#movedPages & (this.#movedPages - 1)) === 0 || this.#movedPages % maxMovedPages === 0;
    return !moved || !isDue;
  }

  /** What is known of a failed page. */
  #failure(caught: unknown, scan: PageScan, edit: PageEdit): unknown {
    if (!(caught instanceof DecodeError || caught instanceof ScrapeError)) return caught;
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
