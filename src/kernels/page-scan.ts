/** What a page scanner reads and writes: the remembered page, the page under way, and what was found in it. */

/**
 * What stood between the values of a page, by hash: lines (the series of each, without the blank behind it) and comment
 * blocks (all bytes between a line's newline and the next series). Lines and then blocks are its entries, in page order.
 */
export interface PageTemplate {
  readonly lines: number;
  /** Of each line the bytes of its series, or `longLine`; with `blockFlag` when a comment block stands before it. */
  readonly sizes: Uint16Array;
  /** Two words of `hashLine` per entry. */
  readonly hashes: Uint32Array;
  /** The line that each block stands before, ascending. */
  readonly blockLines: Uint32Array;
  readonly blockSizes: Uint32Array;
  /** Where the value of a line goes: its row; lines without a row share the row behind the last. Undefined: row = line. */
  readonly rows: Uint32Array | undefined;
  /** Finds entries by hash (`buildEntryIndex`); made when a page needs it, and kept while pages need it. */
  index: Uint32Array | undefined;
}

/** In `sizes`: a comment block stands before the line. */
export const blockFlag = 0x8000;
/** In `sizes`: the line is too long for the kernels. */
export const longLine = 0x7fff;
export const sizeMask = 0x7fff;

/** A page being scanned, and how far the scan came. The slow path reads and moves `line`, `offset`, `passed`, `moved`. */
export interface PageScan {
  readonly page: Buffer;
  /** Over the bytes of `page`, made when it is asked for (`viewOfPage`). */
  view: DataView | undefined;
  readonly length: number;
  /** The next line of the template to expect. */
  line: number;
  /** Where the next unread line of the page begins. */
  offset: number;
  /** The comment block that stood directly before `offset`, or -1. */
  passed: number;
  /** Whether lines or comments stand elsewhere than in the template. */
  moved: boolean;
  /** Lines read so far by kernels, and taken by the slow path. */
  read: number;
  /** By row; where there are lines without a row, one element more than rows is theirs. */
  readonly values: Float64Array;
  /** By row, milliseconds; NaN where the line has none. Undefined until a page has timestamps. */
  timestamps: Float64Array | undefined;
  /** Milliseconds per unit of an integer timestamp: 1 in the text format, 1000 in OpenMetrics. */
  readonly timestampScale: number;
  /** 1 for each entry that the page had; the kernels stop before an entry that they meet again. */
  readonly seen: Uint8Array;
  /** Entries that others than the kernel marked in `seen` since it last ran; it empties the list. */
  readonly marked: number[];
  /** What the kernel found since it was last called, in page order. */
  readonly events: EventLog;
}

/** Marks an entry of the template as seen in the page. */
export function markSeen(scan: PageScan, entry: number): void {
  scan.seen[entry] = 1;
  scan.marked.push(entry);
}

/** Stretches of entries in page order: a run of lines, or one block. Each has three numbers: from, to, place in the page. */
export class EventLog {
  data: Uint32Array<ArrayBuffer> = new Uint32Array(192);
  /** Events, not numbers. */
  count = 0;

  /** Adds an event, or lengthens the last one when it ends where this one begins and `lines` are no blocks. */
  push(from: number, to: number, offset: number, lines: number): void {
    const last = this.count * 3 - 3;
    if (this.count > 0 && to <= lines && this.data[last + 1] === from) {
      this.data[last + 1] = to;
      return;
    }
    if (this.data.length < this.count * 3 + 3) {
      const grown = new Uint32Array(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data[last + 3] = from;
    this.data[last + 4] = to;
    this.data[last + 5] = offset;
    this.count++;
  }
}

/** A kernel reads lines as long as it knows them; true when all lines of the template were read. */
export type ScanPage = (template: PageTemplate, scan: PageScan) => boolean;

/** Elements of `seen` for scans against a template. */
export function entriesOf({ lines, blockLines }: PageTemplate): number {
  return lines + blockLines.length;
}

/** The view over the page of a scan. */
export function viewOfPage(scan: PageScan): DataView {
  const { page } = scan;
  scan.view ??= new DataView(page.buffer, page.byteOffset, page.byteLength);
  return scan.view;
}

/**
 * How a scan begins, on a page whose bytes are `page[0..length)`. `seen` may be given to be used again: `entriesOf` zeros.
 */
export function beginPageScan(
  template: PageTemplate,
  page: Buffer,
  length: number,
  parts: { rows: number; events: EventLog; hasTimestamps: boolean; timestampScale: number; seen?: Uint8Array },
): PageScan {
  const rows = template.rows === undefined ? parts.rows : parts.rows + 1;
  return {
    page,
    view: undefined,
    length,
    line: 0,
    offset: 0,
    passed: -1,
    moved: false,
    read: 0,
    values: new Float64Array(rows),
    timestamps: parts.hasTimestamps ? new Float64Array(rows).fill(Number.NaN) : undefined,
    timestampScale: parts.timestampScale,
    seen: parts.seen ?? new Uint8Array(entriesOf(template)),
    marked: [],
    events: parts.events,
  };
}

/** The first block that stands before `line` or a later one. */
export function firstBlockFrom(blockLines: Uint32Array, line: number): number {
  let low = 0;
  let high = blockLines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blockLines[middle] as number) < line) low = middle + 1;
    else high = middle;
  }
  return low;
}
