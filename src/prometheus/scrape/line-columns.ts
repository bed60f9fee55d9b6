/** Lays out the lines and comments of a page as the hashes of its next template. */

import { maxHashedBytes } from "../../kernels/hash-line.ts";
import { blockFlag, longLine, type PageScan, sizeMask } from "../../kernels/page-scan.ts";
import { hashOfPage, type NewLine, type PageEdit } from "./page-edit.ts";
import type { TargetTemplate } from "./page-template.ts";

type ColumnParts = Pick<TargetTemplate, "sizes" | "hashes" | "blockLines" | "blockSizes" | "blockTypes" | "tail">;

/** The lines of a template in the making, in page order. */
export class LineColumns {
  readonly lines: number;
  readonly #scan: PageScan;
  readonly #sizes: Uint16Array;
  readonly #hashes: Uint32Array;
  #next = 0;
  readonly #blocks: { line: number; size: number; hasType: boolean; low: number; high: number }[] = [];
  /** Comments since the last line; -1 when there are none. */
  #commentStart = -1;
  #hasType = false;

  constructor(scan: PageScan, lines: number, blocks: number) {
    this.#scan = scan;
    this.lines = lines;
    this.#sizes = new Uint16Array(lines);
    this.#hashes = new Uint32Array((lines + blocks) * 2);
  }

  /** Lines of the old template, the first at `start` of the page. */
  pushRun(template: TargetTemplate, from: number, to: number, start: number): void {
    const at = this.#next;
    this.#hashes.set(template.hashes.subarray(from * 2, to * 2), at * 2);
    for (let line = from; line < to; line++)
      this.#sizes[at + line - from] = (template.sizes[line] as number) & sizeMask;
    this.#endComments(start);
    this.#next += to - from;
  }

  pushNew({ seriesStart, seriesEnd, low, high }: NewLine): void {
    const size = seriesEnd - seriesStart;
    this.#hashes[this.#next * 2] = low;
    this.#hashes[this.#next * 2 + 1] = high;
    this.#sizes[this.#next] = size > maxHashedBytes ? longLine : size;
    this.#endComments(seriesStart);
    this.#next++;
  }

  /** Comments from `start` to the next line; those directly behind others belong to them. */
  pushComments(start: number, hasType: boolean): void {
    if (this.#commentStart < 0) this.#commentStart = start;
    this.#hasType ||= hasType;
  }

  #endComments(end: number): void {
    if (this.#commentStart < 0) return;
    const [low = 0, high = 0] = hashOfPage(this.#scan, this.#commentStart, end);
    const size = end - this.#commentStart;
    this.#blocks.push({ line: this.#next, size, hasType: this.#hasType, low, high });
    this.#sizes[this.#next] = (this.#sizes[this.#next] as number) | blockFlag;
    this.#commentStart = -1;
    this.#hasType = false;
  }

  parts(): ColumnParts {
    const { page, offset, length } = this.#scan;
    const { lines } = this;
    const blocks = this.#blocks;
    let hashes = this.#hashes;
    if (hashes.length > (lines + blocks.length) * 2) hashes = hashes.slice(0, (lines + blocks.length) * 2);
    for (const [block, { low, high }] of blocks.entries()) {
      hashes[(lines + block) * 2] = low;
      hashes[(lines + block) * 2 + 1] = high;
    }
    const tailStart = this.#commentStart < 0 ? offset : this.#commentStart;
    return {
      sizes: this.#sizes,
      hashes,
      blockLines: Uint32Array.from(blocks, ({ line }) => line),
      blockSizes: Uint32Array.from(blocks, ({ size }) => size),
      blockTypes: Uint8Array.from(blocks, ({ hasType }) => (hasType ? 1 : 0)),
      // A copy: the page lives in a buffer that is used again.
      tail: Uint8Array.from(page.subarray(tailStart, length)),
    };
  }
}

/** The columns of a page that was read whole. */
export function collectColumns(page: { edit: PageEdit; template: TargetTemplate; scan: PageScan }): LineColumns {
  const { edit, template, scan } = page;
  let lines = 0;
  let comments = 0;
  for (const stretch of edit.order) {
    if ("from" in stretch) lines += stretch.to - stretch.from;
    else if ("newLine" in stretch) lines++;
    else comments++;
  }
  const columns = new LineColumns(scan, lines, comments);
  for (const stretch of edit.order) {
    if ("from" in stretch) columns.pushRun(template, stretch.from, stretch.to, stretch.start);
    else if ("newLine" in stretch) columns.pushNew(edit.newLines[stretch.newLine] as NewLine);
    else columns.pushComments(stretch.start, stretch.hasType);
  }
  return columns;
}
