/** Compares the page scanners with one another and with the parser, on mutations of pages; used by tests and by the fuzz run. */

import { createOpenMetricsParser, createTextParser } from "../../src/codec/exposition/parser.ts";
import { hashLine, processLineKey } from "../../src/kernels/hash-line.ts";
import { loadWasmScanner } from "../../src/kernels/load-kernels.ts";
import { markSeen, type PageScan, type ScanPage, viewOfPage } from "../../src/kernels/page-scan.ts";
import { scanPagePlain } from "../../src/kernels/scan-page.ts";
import type { TargetTemplate } from "../../src/prometheus/scrape/page-template.ts";
import { scanOf } from "./kernel-template.ts";

export const plainKernel: ScanPage = (template, scan) => scanPagePlain(template, scan);
const scanner = loadWasmScanner(plainKernel);
export const wasmKernel: ScanPage = (template, scan) => scanner.scan(template, scan);

export interface KernelCase {
  readonly template: TargetTemplate;
  readonly page: Buffer;
  readonly isOpenMetrics: boolean;
  readonly hasTimes: boolean;
}

interface Entry {
  readonly start: number;
  readonly series: string;
  readonly value: number;
  readonly timestampMs: number;
  /** Where the next line begins. */
  readonly end: number;
}

/** The samples of a page up to its fault, if it has one, by where they begin. */
function parse(page: Buffer, isOpenMetrics: boolean): Map<number, Entry> {
  const parser = isOpenMetrics ? createOpenMetricsParser(page) : createTextParser(page);
  const entries = new Map<number, Entry>();
  try {
    for (let kind = parser.next(); kind !== "end"; kind = parser.next()) {
      if (kind !== "series") continue;
      const { value, timestampMs = Number.NaN, seriesStart: start, seriesEnd, offset: end } = parser;
      entries.set(start, { start, series: page.toString("latin1", start, seriesEnd), value, timestampMs, end });
    }
  } catch {
    // The fault ends the list.
  }
  return entries;
}

function begin({ template, page, isOpenMetrics, hasTimes }: KernelCase): PageScan {
  // What stands behind the page belongs to the page before.
  const buffer = Buffer.concat([page, Buffer.from("00 1\n7\n".repeat(4))]);
  return scanOf(template, buffer, page.length, { times: hasTimes, scale: isOpenMetrics ? 1000 : 1 });
}

function fail(what: string, plain: unknown, wasm: unknown): never {
  throw new Error(`${what}: ${String(plain)} and ${String(wasm)}`);
}

function isSameColumn(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return a.length === b.length;
}

/** Throws where the two scans differ. */
function compareScans(plain: PageScan, wasm: PageScan): void {
  for (const name of ["line", "offset", "passed", "moved", "read"] as const) {
    if (plain[name] !== wasm[name]) fail(name, plain[name], wasm[name]);
  }
  const events = ({ events: { data, count } }: PageScan) => data.slice(0, count * 3);
  if (!isSameColumn(events(plain), events(wasm))) fail("events", events(plain), events(wasm));
  if (!isSameColumn(plain.values, wasm.values)) fail("values", plain.values, wasm.values);
  if (!isSameColumn(plain.timestamps, wasm.timestamps)) fail("times", plain.timestamps, wasm.timestamps);
  if (!isSameColumn(plain.seen, wasm.seen)) fail("seen", plain.seen, wasm.seen);
}

const words = new Uint32Array(2);

/** Everything that the kernel found since it was called is what the parser reads there. Returns how many lines. */
function checkEvents(template: TargetTemplate, scan: PageScan, entries: ReadonlyMap<number, Entry>): number {
  const { data, count } = scan.events;
  const limit = Math.max(0, ...[...entries.values()].slice(-1).map(({ end }) => end));
  let lines = 0;
  for (let i = 0; i < count * 3; i += 3) {
    const [from = 0, to = 0, start = 0] = data.subarray(i, i + 3);
    if (from >= template.lines) continue;
    let at = start;
    for (let line = from; line < to; line++, lines++) {
      const entry = entries.get(at);
      // Behind a fault of the page the parser has nothing to say.
      if (entry === undefined && at >= limit) return lines;
      if (entry === undefined) throw new Error(`line ${line} at byte ${at} is none for the parser`);
      hashLine(processLineKey, scan.page, viewOfPage(scan), at, at + entry.series.length, words);
      if (words[0] !== template.hashes[line * 2] || words[1] !== template.hashes[line * 2 + 1]) {
        throw new Error(`line ${line} at byte ${at} is another series: ${entry.series}`);
      }
      if (!Object.is(scan.values[line], entry.value)) fail(`value at byte ${at}`, scan.values[line], entry.value);
      const time = scan.timestamps === undefined ? Number.NaN : scan.timestamps[line];
      if (!Object.is(time, entry.timestampMs)) fail(`time at byte ${at}`, time, entry.timestampMs);
      at = entry.end;
    }
  }
  return lines;
}

/** Takes the line where the kernels stopped, as the slow path does; false where the parser finds no more. */
function step(scan: PageScan, entries: ReadonlyMap<number, Entry>, takesLine: boolean): boolean {
  let next: Entry | undefined;
  for (const entry of entries.values()) {
    if (entry.start < scan.offset) continue;
    next = entry;
    break;
  }
  if (next === undefined) return false;
  // Sometimes the slow path knows the line; which one it is does not matter to the kernels.
  if (takesLine && scan.line < scan.seen.length && scan.seen[scan.line] === 0) {
    markSeen(scan, scan.line);
    scan.line++;
    scan.read++;
  }
  scan.passed = -1;
  scan.offset = next.end;
  return true;
}

/** Scans the page with both kernels, past every stop; throws where they differ. Returns how many lines they read. */
export function compareKernels(given: KernelCase): number {
  const plain = begin(given);
  const wasm = begin(given);
  const entries = parse(given.page, given.isOpenMetrics);
  const { template } = given;
  template.index = undefined;
  let lines = 0;
  for (let stops = 0; stops < 200; stops++) {
    const done = plainKernel(template, plain);
    if (stops % 2 === 0) template.index = undefined;
    if (done !== wasmKernel(template, wasm)) fail("result", done, !done);
    compareScans(plain, wasm);
    lines += checkEvents(template, plain, entries);
    const takesLine = template.lines > plain.line && stops % 3 === 0;
    if (done || !step(plain, entries, takesLine) || !step(wasm, entries, takesLine)) break;
  }
  return lines;
}

/** A small random generator, so that a failing mutation can be named by its seed. */
function random(seed: number): (below: number) => number {
  let state = Math.imul(seed ^ 0x5bd1e995, 0x27d4eb2d) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const hostileBytes = [
  ...[0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x23, 0x2b, 0x2d, 0x2e, 0x30, 0x39, 0x5c, 0x65, 0x7b, 0x7d, 0x80, 0xc3, 0xff],
];
const hostileValues = [
  ...[
    "NaN",
    "+Inf",
    "-Inf",
    "Inf",
    "nan",
    "1e",
    "1e+",
    "1.",
    ".5",
    ".",
    "-",
    "+1",
    "0x1",
    "1e400",
    "1e-400",
    "1e230",
    "1e231",
  ],
  ...[
    "12345678901234567890",
    "0.30000000000000004",
    "1.7976931348623157e+308",
    "5e-324",
    "9007199254740993",
    "-0",
    "1 17",
  ],
  ...[
    "1e22",
    "1e23",
    "1.234567e+06",
    "123456.789",
    "1 1700000000123",
    "1 # {} 1",
    "1  ",
    "1\r",
    "0".repeat(64),
    "0".repeat(65),
  ],
];

/** One to three changes of bytes, values, lines, their order or the length. */
export function mutatePage(page: Buffer, seed: number): Buffer {
  const below = random(seed);
  let bytes = Buffer.from(page);
  for (let count = 1 + below(3); count > 0; count--) {
    const at = below(bytes.length + 1);
    const line = bytes.indexOf(0x0a, at) + 1;
    const next = bytes.indexOf(0x0a, line) + 1;
    const cut = (start: number, end: number, middle = Buffer.alloc(0)) => {
      bytes = Buffer.concat([bytes.subarray(0, start), middle, bytes.subarray(end)]);
    };
    const kind = below(9);
    const byte = Buffer.of(hostileBytes[below(hostileBytes.length)] as number);
    if (kind === 0) cut(at, bytes.length);
    else if (kind === 1) cut(at, at + 1, byte);
    else if (kind === 2) cut(at, at + 1 + below(5));
    else if (kind === 3 && next > line) cut(line, next);
    else if (kind === 4 && next > line) cut(next, next, bytes.subarray(line, next));
    else if (kind <= 6 && next > line) {
      const moved = bytes.subarray(line, next);
      cut(line, next);
      const place = bytes.indexOf(0x0a, below(bytes.length + 1)) + 1;
      cut(place, place, moved);
    } else if (kind === 7 && next > line) {
      const blank = bytes.lastIndexOf(0x20, next - 1);
      if (blank > line) cut(blank + 1, next - 1, Buffer.from(hostileValues[below(hostileValues.length)] as string));
    } else cut(at, at, byte);
  }
  return bytes;
}

/** Pieces of a page of some lines each, for many mutations a second. */
export function pieces(page: Buffer, lines: number): Buffer[] {
  const list = page.toString("latin1").split("\n").slice(0, -1);
  const found: Buffer[] = [];
  for (let i = 0; i < list.length; i += lines) {
    found.push(Buffer.from(`${list.slice(i, i + lines).join("\n")}\n`, "latin1"));
  }
  return found;
}
