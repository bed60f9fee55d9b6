/** What the parsers of the two text formats share: the cursor, names, quoted strings, label lists, numbers, faults. */

import { isUtf8 } from "node:buffer";
import { DecodeError } from "../../model/errors.ts";
import type { EntryKind, Exemplar, ExpositionParser, ParserState } from "./exposition-parser.ts";
import { formatLabelFloat } from "./format-float.ts";
import { parseGoFloat, parseGoFloatText } from "./parse-float.ts";

export const newline = 0x0a;
export const space = 0x20;
export const hash = 0x23;
export const braceOpen = 0x7b;
const tab = 0x09;
const quote = 0x22;
const comma = 0x2c;
const equal = 0x3d;
const backslash = 0x5c;
const braceClose = 0x7d;

const letterClass = 1;
const colonClass = 2;
const digitClass = 4;
const classes = new Uint8Array(256);
for (let byte = 0; byte < 128; byte++) {
  const char = String.fromCharCode(byte);
  if (/[a-zA-Z_]/.test(char)) classes[byte] = letterClass;
  else if (char === ":") classes[byte] = colonClass;
  else if (/[0-9]/.test(char)) classes[byte] = digitClass;
}

const excerptBytes = 32;
/** Label spans of a page with more labels on a line than this are not kept for the next page. */
const keptSpans = 4096;

/** Byte ranges of label names and values: four numbers for each label. */
interface Spans {
  bounds: number[];
  used: number;
}

export abstract class LineParser implements ExpositionParser {
  offset = 0;
  seriesStart = 0;
  seriesEnd = 0;
  value = 0;
  valueStart = 0;
  valueEnd = 0;
  timestampMs: number | undefined = undefined;
  metricName = "";
  text = "";
  state: ParserState = "";
  protected bytes: Buffer = Buffer.alloc(0);
  protected length = 0;
  /** Where the current entry begins. */
  protected entryStart = 0;
  nameStart = -1;
  nameEnd = -1;
  /** The name that `seriesName` gave last, and where it stands. */
  #lastName = "";
  #lastNameStart = 0;
  #lastNameEnd = 0;
  readonly #format: "text" | "openmetrics";
  /** The text format allows blanks between tokens, labels without commas and newlines in label values. */
  readonly #isText: boolean;
  readonly #spans: Spans = { bounds: [], used: 0 };
  readonly #exemplarSpans: Spans = { bounds: [], used: 0 };
  protected hasExemplar = false;
  protected exemplarValue = 0;
  protected exemplarTimestampMs: number | undefined = undefined;

  constructor(format: "text" | "openmetrics") {
    this.#format = format;
    this.#isText = format === "text";
  }

  abstract next(): EntryKind;

  reset(page: Uint8Array, length = page.length): void {
    this.length = Math.min(length, page.length);
    this.bytes = Buffer.from(page.buffer, page.byteOffset, this.length);
    this.offset = 0;
    this.state = "";
    this.hasExemplar = false;
    this.#lastName = "";
    this.#lastNameEnd = this.#lastNameStart = 0;
    for (const spans of [this.#spans, this.#exemplarSpans]) {
      if (spans.bounds.length > keptSpans) spans.bounds = [];
      spans.used = 0;
    }
  }

  seek(offset: number): void {
    this.offset = offset;
  }

  setState(state: ParserState): void {
    this.state = state;
  }

  labels(): [string, string][] {
    const labels: [string, string][] = [["__name__", this.#unescaped(this.nameStart, this.nameEnd)]];
    const { bounds, used } = this.#spans;
    const rewritten = this.state === "histogram" ? "le" : this.state === "summary" ? "quantile" : undefined;
    for (let i = 0; i < used; i += 4) {
      const name = this.#unescaped(bounds[i] as number, bounds[i + 1] as number);
      let value = this.#unescaped(bounds[i + 2] as number, bounds[i + 3] as number);
      if (name === rewritten) {
        const bound = parseGoFloatText(value);
        if (bound !== undefined) value = formatLabelFloat(bound);
      }
      labels.push([name, value]);
    }
    return labels;
  }

  get labelCount(): number {
    return this.#spans.used / 4 + 1;
  }

  get labelBounds(): readonly number[] {
    return this.#spans.bounds;
  }

  get seriesName(): string {
    const { bytes, nameStart, nameEnd } = this;
    let at = nameEnd - nameStart === this.#lastNameEnd - this.#lastNameStart ? nameStart : nameEnd + 1;
    const shift = this.#lastNameStart - nameStart;
    while (at < nameEnd && bytes[at] === bytes[at + shift]) at++;
    if (at === nameEnd) return this.#lastName;
    this.#lastName = this.#unescaped(nameStart, nameEnd);
    this.#lastNameStart = nameStart;
    this.#lastNameEnd = nameEnd;
    return this.#lastName;
  }

  get exemplar(): Exemplar | undefined {
    if (!this.hasExemplar) return undefined;
    const labels: [string, string][] = [];
    const { bounds, used } = this.#exemplarSpans;
    for (let i = 0; i < used; i += 4) {
      const name = this.decode(bounds[i] as number, bounds[i + 1] as number);
      labels.push([name, this.decode(bounds[i + 2] as number, bounds[i + 3] as number)]);
    }
    return { labels, value: this.exemplarValue, timestampMs: this.exemplarTimestampMs };
  }

  /** The byte at the cursor. Behind the page: a newline in the text format, -1 in OpenMetrics. */
  protected peek(): number {
    if (this.offset < this.length) return this.bytes[this.offset] as number;
    return this.#isText ? newline : -1;
  }

  protected skipBlanks(): void {
    const { bytes, length } = this;
    while (this.offset < length && isBlank(bytes[this.offset] as number)) this.offset++;
  }

  /** The first byte from `at` on that is not NUL: Prometheus' lexers pass NULs over in comments, help and label values. */
  protected skipNuls(at: number): number {
    let end = at;
    while (end < this.length && this.bytes[end] === 0) end++;
    return end;
  }

  /** Where `word` ends when it stands at `at`, NULs after each letter passed over; -1 when it does not. */
  protected matchWord(word: string, at: number): number {
    let end = at;
    for (let i = 0; i < word.length; i++) {
      if (end >= this.length || this.bytes[end] !== word.charCodeAt(i)) return -1;
      end = this.skipNuls(end + 1);
    }
    return end;
  }

  /** The newline from `at` on, or -1. */
  protected findNewline(at: number): number {
    return at < this.length ? this.bytes.indexOf(newline, at) : -1;
  }

  /** Passes a metric name over; false when none begins here. */
  protected skipMetricName(): boolean {
    return this.#skipName(letterClass | colonClass);
  }

  #skipName(start: number): boolean {
    const { bytes, length } = this;
    let at = this.offset;
    if (at >= length || ((classes[bytes[at] as number] as number) & start) === 0) return false;
    const others = start | digitClass;
    do at++;
    while (at < length && ((classes[bytes[at] as number] as number) & others) !== 0);
    this.offset = at;
    return true;
  }

  /** Reads the family name of a HELP, TYPE or UNIT line. */
  protected readMetadataName(): void {
    const start = this.offset;
    if (this.peek() === quote) {
      this.#skipQuoted(false, true);
      this.nameStart = start + 1;
      this.nameEnd = this.offset - 1;
    } else if (this.skipMetricName()) {
      this.nameStart = start;
      this.nameEnd = this.offset;
    } else {
      throw this.expected("a metric name");
    }
    this.metricName = this.decode(this.nameStart, this.nameEnd);
  }

  /** Begins a series: takes its name, or leaves it to the braces, and its labels. */
  protected readSeries(): void {
    this.seriesStart = this.entryStart;
    this.#spans.used = 0;
    this.hasExemplar = false;
    if (this.peek() === braceOpen) {
      this.nameStart = -1;
      this.offset++;
      this.#readLabels(this.#spans, false);
      this.seriesEnd = this.offset;
      if (this.nameStart < 0) throw this.fault(this.entryStart, "the series has no metric name");
      return;
    }
    if (!this.skipMetricName()) throw this.expected("a metric name, a comment or a brace");
    // Blanks before a name are part of it in Prometheus.
    this.nameStart = this.entryStart;
    this.nameEnd = this.offset;
    this.seriesEnd = this.offset;
    if (this.#isText) this.skipBlanks();
    if (this.peek() !== braceOpen) return;
    this.offset++;
    this.#readLabels(this.#spans, false);
    this.seriesEnd = this.offset;
  }

  /** Reads the labels of an exemplar from behind the opening brace on. */
  protected readExemplarLabels(): void {
    this.#exemplarSpans.used = 0;
    this.#readLabels(this.#exemplarSpans, true);
  }

  #readLabels(spans: Spans, isExemplar: boolean): void {
    const isText = this.#isText;
    for (;;) {
      if (isText) this.skipBlanks();
      const start = this.offset;
      const isQuoted = this.peek() === quote;
      if (isQuoted) {
        this.#skipQuoted(false, !isExemplar);
        if (!isExemplar) this.#checkUtf8(start, "a name");
      } else if (this.peek() === braceClose) {
        this.offset++;
        return;
      } else if (!this.#skipName(letterClass)) {
        throw this.expected("a label name");
      }
      const end = this.offset;
      if (isText) this.skipBlanks();
      const byte = this.peek();
      if (isQuoted && !isExemplar && (byte === comma || byte === braceClose)) {
        this.#takeName(start + 1, end - 1);
        this.offset++;
        if (byte === braceClose) return;
        continue;
      }
      if (byte !== equal) throw this.expected("an equal sign");
      this.offset++;
      const valueStart = this.#readLabelValue(isExemplar);
      if (isQuoted) addSpan(spans, start + 1, end - 1, valueStart + 1, this.offset - 1);
      else addSpan(spans, start, end, valueStart + 1, this.offset - 1);
      if (isText) this.skipBlanks();
      if (this.peek() === comma) this.offset++;
      else if (!isText && this.peek() !== braceClose) throw this.expected("a comma or a closing brace");
    }
  }

  #takeName(start: number, end: number): void {
    if (this.nameStart >= 0) throw this.fault(start - 1, "the series has a second metric name");
    this.nameStart = start;
    this.nameEnd = end;
  }

  /** Passes a label value over; returns where its opening quote stands. */
  #readLabelValue(isExemplar: boolean): number {
    if (this.#isText && isBlank(this.peek())) {
      do this.offset = this.skipNuls(this.offset + 1);
      while (isBlank(this.peek()));
    }
    if (this.peek() !== quote) throw this.expected("a quoted label value");
    const start = this.offset;
    this.#skipQuoted(!isExemplar, this.#isText);
    this.#checkUtf8(start, "a label value");
    return start;
  }

  /**
   * Passes a quoted string over. Where NULs are allowed, those behind the closing quote are part of the token, so that
   * the value ends with what stands before the last of them: Prometheus' lexer does the same.
   */
  #skipQuoted(allowsNul: boolean, allowsNewline: boolean): void {
    const { bytes, length } = this;
    const start = this.offset;
    let at = start + 1;
    for (; at < length; at++) {
      const byte = bytes[at] as number;
      if (byte === quote) {
        this.offset = allowsNul ? this.skipNuls(at + 1) : at + 1;
        return;
      }
      if (byte === 0 && !allowsNul) break;
      if (byte === newline && !allowsNewline) break;
      if (byte !== backslash) continue;
      at = allowsNul ? this.skipNuls(at + 1) : at + 1;
      if (at >= length || bytes[at] === newline || bytes[at] === 0) break;
    }
    throw this.fault(Math.min(at, length), `unterminated quoted string that begins at byte ${start}`);
  }

  #checkUtf8(start: number, what: string): void {
    const { bytes, offset } = this;
    for (let at = start; at < offset; at++) {
      if ((bytes[at] as number) < 0x80) continue;
      if (!isUtf8(bytes.subarray(start, offset))) throw this.fault(start, `invalid UTF-8 in ${what}`);
      return;
    }
  }

  protected checkHelpUtf8(start: number, end: number): void {
    if (!isUtf8(this.bytes.subarray(start, end))) throw this.fault(start, "invalid UTF-8 in a help text");
  }

  /** The number in the token `[start..end)`. */
  protected readFloat(start: number, end: number): number {
    const value = parseGoFloat(this.bytes, start, end);
    if (value === undefined) throw this.fault(start, `expected a number, found ${this.#excerpt(start, end)}`);
    return value;
  }

  protected decode(start: number, end: number): string {
    return this.bytes.toString("utf8", start, end);
  }

  #unescaped(start: number, end: number): string {
    return unescapeQuoted(this.decode(start, end));
  }

  protected expected(what: string): DecodeError {
    const { offset } = this;
    const found = offset < this.length ? this.#excerpt(offset, this.length) : "the end of the page";
    return this.fault(Math.min(offset, this.length), `expected ${what}, found ${found}`);
  }

  /** A fault at a byte of the page, its line counted from 1. */
  protected fault(offset: number, message: string): DecodeError {
    let line = 1;
    for (let at = this.findNewline(0); at >= 0 && at < offset; at = this.findNewline(at + 1)) line++;
    return new DecodeError(this.#format, offset, `line ${line}: ${message}`);
  }

  #excerpt(start: number, end: number): string {
    const stop = this.findNewline(start);
    const limit = Math.min(end, start + excerptBytes, stop < 0 || stop === start ? end : stop);
    return JSON.stringify(this.bytes.toString("latin1", start, limit));
  }
}

/** Space or tab. */
export function isBlank(byte: number): boolean {
  return byte === space || byte === tab;
}

/** Resolves `\\`, `\"` and `\n`; other escapes stay as they are. */
export function unescapeQuoted(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(["\\n])/g, (_, char: string) => (char === "n" ? "\n" : char));
}

function addSpan(spans: Spans, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
  const { bounds, used } = spans;
  bounds[used] = nameStart;
  bounds[used + 1] = nameEnd;
  bounds[used + 2] = valueStart;
  bounds[used + 3] = valueEnd;
  spans.used = used + 4;
}
