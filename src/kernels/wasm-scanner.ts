/** Runs the SIMD page scanner: copies its input into scratch memory, and its results out. */

import { buildEntryIndex } from "./entry-slots.ts";
import type { LineKey } from "./hash-line.ts";
import type { PageScan, PageTemplate, ScanPage } from "./page-scan.ts";
import { exactPowers } from "./scan-page.ts";
import { type WasmMemory, webAssembly } from "./webassembly.ts";

/** What assembly/scan-page.ts exports. */
export interface ScanModule {
  scan(): number;
  hash(start: number, size: number): bigint;
}

/** Index of the 32-bit fields; assembly/scan-page.ts has the same table, in bytes. */
const field = {
  page: 0,
  end: 1,
  isLast: 2,
  base: 3,
  offset: 4,
  line: 5,
  lines: 6,
  blocks: 7,
  passed: 8,
  moved: 9,
  read: 10,
  count: 11,
  eventCount: 12,
  oddCount: 13,
  sizes: 14,
  hashes: 15,
  seen: 16,
  blockLines: 17,
  blockSizes: 18,
  values: 19,
  times: 20,
  events: 21,
  odd: 22,
  oddLimit: 23,
  slots: 24,
  slotMask: 25,
} as const;
const scaleByte = 104;
const fieldBytes = 112;

const keyByte = 256;
const powersByte = keyByte + 1040 + 480;
const maskByte = powersByte + 184;
const dataByte = 2048;

const result = { done: 0, stopped: 1, more: 2, index: 3 } as const;

const wasmPage = 65_536;
/** Pages larger than this are scanned in pieces, which stay in the processor's cache. */
export const pieceBytes = 131_072;
/** The scanner reads this far over the end of a piece; what stands there has no influence. */
const slackBytes = 64;
/** Numbers for the runtime to round, between two returns of the scanner. */
const maxOdd = 1024;
/** Scratch memory of a process. */
export const maxScratchBytes = 67_108_864;

/** Where things are in the scratch memory, for one template. */
interface Plan {
  readonly sizes: number;
  readonly hashes: number;
  readonly seen: number;
  readonly blockLines: number;
  readonly blockSizes: number;
  readonly slots: number;
  readonly odd: number;
  readonly events: number;
  readonly values: number;
  readonly times: number;
  readonly page: number;
  readonly end: number;
}

const aligned = (at: number) => (at + 15) & ~15;

function planFor(template: PageTemplate, length: number): Plan {
  const { lines, hashes, blockLines } = template;
  const entries = hashes.length / 2;
  let slotCount = 16;
  while (slotCount < entries * 2) slotCount *= 2;
  const page = dataByte;
  const sizes = aligned(page + Math.min(length, pieceBytes) + slackBytes);
  const hashesAt = aligned(sizes + lines * 2);
  const seen = hashesAt + entries * 8;
  const blockLinesAt = aligned(seen + entries);
  const blockSizes = blockLinesAt + blockLines.length * 4;
  const values = aligned(blockSizes + blockLines.length * 4);
  const odd = values + lines * 8;
  const events = odd + maxOdd * 12;
  const times = aligned(events + (entries + 1) * 12);
  const slots = times + lines * 8;
  const end = slots + slotCount * 4;
  return {
    sizes,
    hashes: hashesAt,
    seen,
    blockLines: blockLinesAt,
    blockSizes,
    slots,
    odd,
    events,
    values,
    times,
    page,
    end,
  };
}

/** Scratch memory with its views, which are made anew when it grows. */
class Scratch {
  readonly memory: WasmMemory;
  words = new Uint32Array(0);
  halves = new Uint16Array(0);
  bytes = new Uint8Array(0);
  doubles = new Float64Array(0);
  #buffer: ArrayBufferLike | undefined;

  constructor(memory: WasmMemory) {
    this.memory = memory;
    this.refresh();
  }

  refresh(): void {
    const { buffer } = this.memory;
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    this.words = new Uint32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.doubles = new Float64Array(buffer);
  }

  /** False when that much is not to be had. */
  reserve(bytes: number): boolean {
    if (bytes > maxScratchBytes) return false;
    const missing = bytes - this.memory.buffer.byteLength;
    if (missing <= 0) return true;
    try {
      this.memory.grow(Math.ceil(missing / wasmPage));
    } catch {
      return false;
    }
    this.refresh();
    return true;
  }
}

/** Memory for the module, as its import `env.memory`. */
export function createScratchMemory(): WasmMemory {
  return new (webAssembly().Memory)({ initial: 8, maximum: maxScratchBytes / wasmPage });
}

/** The kernel over an instance of the module; scans that would not fit go to `plain`. */
export class WasmScanner {
  readonly #module: ScanModule;
  readonly #scratch: Scratch;
  readonly #plain: ScanPage;
  #plan: Plan | undefined;
  /** The scan whose input the scratch memory holds, until another needs it: a scan that goes on need not copy again. */
  #loaded: PageScan | undefined;
  #hasSlots = false;
  #pieceStart = 0;
  #pieceEnd = 0;

  constructor(module: ScanModule, memory: WasmMemory, key: LineKey, plain: ScanPage) {
    this.#module = module;
    this.#scratch = new Scratch(memory);
    this.#plain = plain;
    const { bytes, words, doubles } = this.#scratch;
    new Int32Array(words.buffer).set(key.blockWords, keyByte >> 2);
    words.set(key.foldWords, (keyByte >> 2) + key.blockWords.length);
    doubles.set(exactPowers, powersByte >> 3);
    bytes.fill(0xff, maskByte, maskByte + 32);
    bytes.fill(0, maskByte + 32, maskByte + 64);
  }

  /** Bytes of scratch memory now. */
  get scratchBytes(): number {
    return this.#scratch.bytes.length;
  }

  /** The hash of at most `pieceBytes` bytes, by the module. */
  hash(text: Uint8Array): bigint {
    this.#loaded = undefined;
    this.#scratch.bytes.set(text, dataByte);
    return BigInt.asUintN(64, this.#module.hash(dataByte, text.length));
  }

  /** See `ScanPage`. */
  scan(template: PageTemplate, scan: PageScan): boolean {
    scan.events.count = 0;
    if (scan.read === template.lines) return true;
    if (!this.#load(template, scan)) return this.#plain(template, scan);
    const { words } = this.#scratch;
    for (;;) {
      words[field.count] = 0;
      words[field.eventCount] = 0;
      words[field.oddCount] = 0;
      const why = this.#module.scan();
      this.#takeResults(template, scan);
      if (why === result.done) return true;
      if (why === result.stopped) return false;
      if (why === result.index) this.#loadIndex(template);
      else if (why === result.more) {
        // A piece holds any line that the scanner takes, so the next one begins behind this one's beginning.
        if (scan.offset === this.#pieceStart) return false;
        this.#loadPiece(scan);
      }
    }
  }

  /** Brings the scratch memory to the state of the scan; false when it does not fit. */
  #load(template: PageTemplate, scan: PageScan): boolean {
    const scratch = this.#scratch;
    if (this.#loaded !== scan) {
      this.#loaded = undefined;
      const plan = planFor(template, scan.length);
      if (!scratch.reserve(plan.end)) return false;
      this.#plan = plan;
      this.#loadTemplate(template, scan, plan);
      this.#loaded = scan;
      this.#pieceEnd = -1;
    } else if (scan.marked.length > 0) {
      const { seen } = this.#plan as Plan;
      for (const entry of scan.marked) scratch.bytes[seen + entry] = 1;
    }
    scan.marked.length = 0;
    const { words } = scratch;
    words[field.line] = scan.line;
    words[field.passed] = scan.passed;
    words[field.moved] = scan.moved ? 1 : 0;
    words[field.read] = scan.read;
    words[field.times] = scan.timestamps === undefined ? 0 : (this.#plan as Plan).times;
    if (template.index !== undefined && !this.#hasSlots) this.#loadIndex(template);
    if (scan.offset > this.#pieceEnd) this.#loadPiece(scan);
    else words[field.offset] = scan.offset - this.#pieceStart;
    return true;
  }

  #loadTemplate(template: PageTemplate, scan: PageScan, plan: Plan): void {
    const { words, halves, bytes, doubles } = this.#scratch;
    words.fill(0, 0, fieldBytes >> 2);
    words[field.lines] = template.lines;
    words[field.blocks] = template.blockLines.length;
    words[field.oddLimit] = maxOdd;
    words[field.page] = plan.page;
    words[field.sizes] = plan.sizes;
    words[field.hashes] = plan.hashes;
    words[field.seen] = plan.seen;
    words[field.blockLines] = plan.blockLines;
    words[field.blockSizes] = plan.blockSizes;
    words[field.values] = plan.values;
    words[field.events] = plan.events;
    words[field.odd] = plan.odd;
    doubles[scaleByte >> 3] = scan.timestampScale;
    halves.set(template.sizes, plan.sizes >> 1);
    words.set(template.hashes, plan.hashes >> 2);
    words.set(template.blockLines, plan.blockLines >> 2);
    words.set(template.blockSizes, plan.blockSizes >> 2);
    bytes.set(scan.seen, plan.seen);
    this.#hasSlots = false;
  }

  #loadIndex(template: PageTemplate): void {
    const { words } = this.#scratch;
    const { slots } = this.#plan as Plan;
    template.index ??= buildEntryIndex(template);
    words.set(template.index, slots >> 2);
    words[field.slots] = slots;
    words[field.slotMask] = template.index.length - 1;
    this.#hasSlots = true;
  }

  #loadPiece(scan: PageScan): void {
    const { words, bytes } = this.#scratch;
    const { page } = this.#plan as Plan;
    const size = Math.min(pieceBytes, scan.length - scan.offset);
    this.#pieceStart = scan.offset;
    this.#pieceEnd = scan.offset + size;
    bytes.set(scan.page.subarray(scan.offset, scan.offset + size), page);
    // Zeros end every number.
    bytes.fill(0, page + size, page + size + slackBytes);
    words[field.end] = page + size;
    words[field.isLast] = this.#pieceEnd === scan.length ? 1 : 0;
    words[field.base] = scan.offset;
    words[field.offset] = 0;
  }

  #takeResults(template: PageTemplate, scan: PageScan): void {
    const { words } = this.#scratch;
    const plan = this.#plan as Plan;
    scan.offset = this.#pieceStart + (words[field.offset] as number);
    scan.line = words[field.line] as number;
    scan.passed = (words[field.passed] as number) | 0;
    scan.moved = words[field.moved] !== 0;
    scan.read = words[field.read] as number;
    this.#roundOdd(scan, plan);
    const count = words[field.eventCount] as number;
    const { lines } = template;
    let taken = 0;
    for (let event = plan.events >> 2, end = event + count * 3; event < end; event += 3) {
      const from = words[event] as number;
      const to = words[event + 1] as number;
      scan.events.push(from, to, words[event + 2] as number, lines);
      if (to - from < 16) for (let entry = from; entry < to; entry++) scan.seen[entry] = 1;
      else scan.seen.fill(1, from, to);
      if (from >= lines) continue;
      this.#takeColumn(scan.values, template.rows, plan.values, taken, from, to);
      if (scan.timestamps !== undefined) {
        this.#takeColumn(scan.timestamps, template.rows, plan.times, taken, from, to);
      }
      taken += to - from;
    }
  }

  /** Copies values `taken` and following to the rows of the lines `from` to `to`. */
  #takeColumn(
    column: Float64Array,
    rows: Uint32Array | undefined,
    start: number,
    taken: number,
    from: number,
    to: number,
  ): void {
    const { doubles } = this.#scratch;
    const source = (start >> 3) + taken;
    const count = to - from;
    if (rows !== undefined) {
      for (let i = 0; i < count; i++) column[rows[from + i] as number] = doubles[source + i] as number;
    } else if (count < 16) {
      for (let i = 0; i < count; i++) column[from + i] = doubles[source + i] as number;
    } else column.set(doubles.subarray(source, source + count), from);
  }

  /** Decimal numbers that need more than one exact operation: the runtime rounds them correctly. */
  #roundOdd(scan: PageScan, plan: Plan): void {
    const { words, doubles } = this.#scratch;
    const count = words[field.oddCount] as number;
    for (let odd = plan.odd >> 2, end = odd + count * 3; odd < end; odd += 3) {
      const text = scan.page.toString("latin1", words[odd + 1], words[odd + 2]);
      doubles[(plan.values >> 3) + (words[odd] as number)] = Number(text);
    }
  }
}
