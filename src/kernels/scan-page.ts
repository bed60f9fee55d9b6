/** Scans an exposition page against the remembered one: recognises its lines by hash, parses the values. */

import { buildEntryIndex, findEntry } from "./entry-slots.ts";
import { hashLine, type LineKey, maxHashedBytes, processLineKey } from "./hash-line.ts";
import {
  blockFlag,
  firstBlockFrom,
  longLine,
  type PageScan,
  type PageTemplate,
  sizeMask,
  viewOfPage,
} from "./page-scan.ts";

const newline = 0x0a;
const space = 0x20;
const zero = 0x30;
const nine = 0x39;
const dot = 0x2e;
const minus = 0x2d;
const plus = 0x2b;
const lowerE = 0x65;
const hash = 0x23;

/** Longer numbers, and powers of ten beyond the second, are the slow path's. */
export const maxTokenBytes = 64;
const maxPower = 230;
/** A line and its number are looked for within this many bytes. */
const maxSpan = maxHashedBytes + 2 * maxTokenBytes;
/** Lines ahead that are tried before an index is made. */
const linesAhead = 4;

/** Powers of ten that a double holds exactly. */
export const exactPowers: Float64Array = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
/** Mantissas below this stay exact when another digit is appended. */
const maxMantissa = 900_719_925_474_099;

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** What `parseSample` found: how it ends its line. */
let parsedValue = 0;
let parsedTime = 0;

/**
 * Parses the value at `at`, and the time behind it. Returns where the next line begins, or -1 when the line needs the
 * slow path: no plain decimal number, NaN, +Inf or -Inf, an exemplar, blanks, a time while times are not expected.
 */
function parseSample(scan: PageScan, at: number): number {
  const { page, length } = scan;
  let p = at;
  let byte = page[p] as number;
  const isNegative = byte === minus;
  if (isNegative) byte = page[++p] as number;
  let mantissa = 0;
  let digits = 0;
  let exponent = 0;
  while (byte >= zero && byte <= nine && mantissa < maxMantissa) {
    mantissa = mantissa * 10 + (byte - zero);
    digits++;
    byte = page[++p] as number;
  }
  if (byte === dot) {
    byte = page[++p] as number;
    const start = p;
    while (byte >= zero && byte <= nine && mantissa < maxMantissa) {
      mantissa = mantissa * 10 + (byte - zero);
      byte = page[++p] as number;
    }
    exponent = start - p;
    digits -= exponent;
  }
  let isExact = digits > 0;
  if ((byte | 0x20) === lowerE) {
    byte = page[++p] as number;
    const sign = byte === minus ? -1 : 1;
    if (byte === minus || byte === plus) byte = page[++p] as number;
    if (!(byte >= zero && byte <= nine)) isExact = false;
    let power = 0;
    while (byte >= zero && byte <= nine && power < 1000) {
      power = power * 10 + (byte - zero);
      byte = page[++p] as number;
    }
    exponent += sign * power;
  }
  if (isExact && p < length && p - at <= maxTokenBytes && exponent <= 22 && exponent >= -22 && endsValue(byte)) {
    let value = mantissa;
    if (exponent > 0) value *= exactPowers[exponent] as number;
    else if (exponent < 0) value /= exactPowers[-exponent] as number;
    parsedValue = isNegative ? -value : value;
  } else {
    p = parseOther(page, at, length);
    if (p < 0) return -1;
  }
  return parseTime(scan, p);
}

function endsValue(byte: number): boolean {
  return byte === newline || byte === space;
}

/** A value that the runtime has to round, or that is no decimal number; returns where it ends, or -1. */
function parseOther(page: Buffer, at: number, length: number): number {
  let end = at;
  while (end < length && !endsValue(page[end] as number) && end - at <= maxTokenBytes) end++;
  if (end === length || end - at > maxTokenBytes) return -1;
  const text = page.toString("latin1", at, end);
  if (text === "NaN") parsedValue = Number.NaN;
  else if (text === "+Inf") parsedValue = Number.POSITIVE_INFINITY;
  else if (text === "-Inf") parsedValue = Number.NEGATIVE_INFINITY;
  else {
    if (!decimal.test(text)) return -1;
    const power = /[eE]\+?(\d+)$/.exec(text)?.[1];
    if (power !== undefined && Number(power) > maxPower) return -1;
    parsedValue = Number(text);
  }
  return end;
}

/** A timestamp as the text format has it: digits and a newline. */
function parseTime({ page, length, timestamps }: PageScan, end: number): number {
  parsedTime = Number.NaN;
  if (page[end] === newline) return end + 1;
  if (timestamps === undefined) return -1;
  let time = 0;
  let p = end + 1;
  let byte = page[p] as number;
  while (byte >= zero && byte <= nine && p - end <= 15) {
    time = time * 10 + (byte - zero);
    byte = page[++p] as number;
  }
  if (p === end + 1 || p >= length || byte !== newline) return -1;
  parsedTime = time;
  return p + 1;
}

const words = new Uint32Array(2);

/** Whether `page[start..start + size)` is the text of an entry; false where the page is too short for it. */
function isEntry(key: LineKey, template: PageTemplate, scan: PageScan, entry: number, start: number, size: number) {
  if (size > maxHashedBytes || start + size > scan.length) return false;
  hashLine(key, scan.page, viewOfPage(scan), start, start + size, words);
  return words[0] === template.hashes[entry * 2] && words[1] === template.hashes[entry * 2 + 1];
}

/** Takes the comment block before the expected line when it stands there; whether the line can follow in its place. */
function passBlock(key: LineKey, template: PageTemplate, scan: PageScan): boolean {
  const { lines, blockLines, blockSizes } = template;
  const block = firstBlockFrom(blockLines, scan.line);
  if (scan.passed === block) return true;
  const entry = lines + block;
  if (scan.seen[entry] !== 0) return false;
  const size = blockSizes[block] as number;
  if (!isEntry(key, template, scan, entry, scan.offset, size)) return false;
  scan.events.push(entry, entry + 1, scan.offset, lines);
  scan.seen[entry] = 1;
  scan.passed = block;
  scan.offset += size;
  return true;
}

/** Where the value of a line that was found begins. */
let foundValue = 0;

/** The line of the template at `offset` when it is the expected one, else -1. */
function findInPlace(key: LineKey, template: PageTemplate, scan: PageScan): number {
  const { line, page, seen } = scan;
  if (line >= template.lines || seen[line] !== 0) return -1;
  const word = template.sizes[line] as number;
  if ((word & blockFlag) !== 0 && !passBlock(key, template, scan)) return -1;
  const size = word & sizeMask;
  const end = scan.offset + size;
  if (size === longLine || end + 3 > scan.length || page[end] !== space) return -1;
  foundValue = end + 1;
  return isEntry(key, template, scan, line, scan.offset, size) ? line : -1;
}

/** Takes a comment block of the template that stands somewhere else; whether there was one. */
function passMovedBlock(key: LineKey, template: PageTemplate, scan: PageScan): boolean {
  const { page, length, offset } = scan;
  const limit = Math.min(length, offset + maxSpan);
  let end = offset;
  while (end < limit && page[end] === hash) {
    const at = page.indexOf(newline, end);
    if (at < 0 || at >= limit) return false;
    end = at + 1;
  }
  if (end >= limit || scan.passed >= 0 || end - offset > maxHashedBytes) return false;
  template.index ??= buildEntryIndex(template);
  hashLine(key, page, viewOfPage(scan), offset, end, words);
  const entry = findEntry(template.hashes, template.index, words[0] as number, words[1] as number);
  if (entry < template.lines || scan.seen[entry] !== 0) return false;
  scan.events.push(entry, entry + 1, offset, template.lines);
  scan.seen[entry] = 1;
  scan.passed = entry - template.lines;
  scan.moved = true;
  scan.line = template.blockLines[scan.passed] as number;
  scan.offset = end;
  return true;
}

/** The line of the template at `offset`, wherever it stood, or -1: its series ends before the last or last but one blank. */
function findMoved(key: LineKey, template: PageTemplate, scan: PageScan): number {
  const { page, length, offset } = scan;
  const limit = Math.min(length, offset + maxSpan);
  let blank = page.indexOf(newline, offset);
  if (blank < 0 || blank >= limit) return -1;
  for (let tries = scan.timestamps === undefined ? 1 : 2; tries > 0; tries--) {
    const lowest = Math.max(offset, blank - maxTokenBytes - 1);
    let p = blank - 1;
    while (p > lowest && page[p] !== space) p--;
    if (p <= offset || page[p] !== space || p - offset > maxHashedBytes) return -1;
    blank = p;
    hashLine(key, page, viewOfPage(scan), offset, blank, words);
    const entry = findByHash(template, scan.line);
    if (entry < 0) continue;
    foundValue = blank + 1;
    return entry < template.lines && scan.seen[entry] === 0 ? entry : -1;
  }
  return -1;
}

function findByHash(template: PageTemplate, line: number): number {
  const { hashes, lines } = template;
  const [low, high] = words as unknown as readonly [number, number];
  for (let next = line; next < lines && next <= line + linesAhead; next++) {
    if (hashes[next * 2] === low && hashes[next * 2 + 1] === high) return next;
  }
  template.index ??= buildEntryIndex(template);
  return findEntry(hashes, template.index, low, high);
}

/**
 * Reads lines of the template with plain numbers behind them, in its order or in any other. Returns true when all lines
 * of the template were read, false when the line at `scan.offset` needs the slow path. Never throws, never reads outside
 * `page[0..length)` but for bytes without influence. This is the definition; the SIMD twin does the same.
 */
export function scanPagePlain(template: PageTemplate, scan: PageScan, key: LineKey = processLineKey): boolean {
  const { lines, rows, sizes, blockLines } = template;
  const { values, timestamps, timestampScale, seen, events } = scan;
  events.count = 0;
  scan.marked.length = 0;
  while (scan.read < lines) {
    let line = findInPlace(key, template, scan);
    if (line < 0) {
      if (scan.offset >= scan.length) break;
      if (scan.page[scan.offset] === hash) {
        if (passMovedBlock(key, template, scan)) continue;
        break;
      }
      line = findMoved(key, template, scan);
      if (line < 0) break;
    }
    const next = parseSample(scan, foundValue);
    if (next < 0) break;
    const hasBlock = ((sizes[line] as number) & blockFlag) !== 0;
    const isInPlace = hasBlock ? scan.passed >= 0 && blockLines[scan.passed] === line : scan.passed < 0;
    if (line !== scan.line || !isInPlace) scan.moved = true;
    const row = rows === undefined ? line : (rows[line] as number);
    values[row] = parsedValue;
    if (timestamps !== undefined) timestamps[row] = parsedTime * timestampScale;
    events.push(line, line + 1, scan.offset, lines);
    seen[line] = 1;
    scan.read++;
    scan.passed = -1;
    scan.line = line + 1;
    scan.offset = next;
  }
  return scan.read === lines;
}
