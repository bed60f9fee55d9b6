/** The pull parser of OpenMetrics text, versions 0.0.1 and 1.0.0, as Prometheus 3 reads it. */

import type { EntryKind, ParserState } from "./exposition-parser.ts";
import { braceOpen, hash, LineParser, newline, space, unescapeQuoted } from "./line-parser.ts";

const typeWords: ReadonlySet<string> = new Set<ParserState>([
  "counter",
  "gauge",
  "histogram",
  "gaugehistogram",
  "summary",
  "info",
  "stateset",
  "unknown",
]);
const metadataKinds = ["help", "type", "unit"] as const;
const int64Limit = 2 ** 63;
const millisPerSecond = 1000;

export class OpenMetricsParser extends LineParser {
  #ended = false;

  constructor() {
    super("openmetrics");
  }

  override reset(page: Uint8Array, length?: number): void {
    super.reset(page, length);
    this.#ended = false;
  }

  override seek(offset: number): void {
    super.seek(offset);
    this.#ended = false;
  }

  next(): EntryKind {
    if (this.#ended) return "end";
    this.entryStart = this.offset;
    if (this.offset >= this.length) throw this.fault(this.length, "the page does not end with # EOF");
    if (this.peek() === hash) return this.#readComment();
    this.readSeries();
    this.#readValue();
    return "series";
  }

  #readComment(): EntryKind {
    const start = this.offset + 2;
    if (start > this.length || this.bytes[start - 1] !== space) throw this.expected("a blank behind the hash sign");
    for (const kind of metadataKinds) {
      const end = this.matchWord(kind.toUpperCase(), start);
      if (end < 0 || end >= this.length || this.bytes[end] !== space) continue;
      this.offset = this.skipNuls(end + 1);
      return this.#readMetadata(kind);
    }
    const end = this.matchWord("EOF", start);
    if (end < 0) throw this.expected("# HELP, # TYPE, # UNIT or # EOF");
    this.offset = end;
    if (this.peek() === newline) this.offset = this.skipNuls(end + 1);
    if (this.offset < this.length) throw this.fault(this.offset, "unexpected data after # EOF");
    this.#ended = true;
    return "end";
  }

  #readMetadata(kind: "help" | "type" | "unit"): EntryKind {
    this.readMetadataName();
    if (this.peek() !== space) throw this.expected("a blank");
    const start = this.offset + 1;
    const lineEnd = this.findNewline(start);
    if (lineEnd < 0) throw this.fault(this.length, "the page does not end with # EOF");
    // NULs behind the newline belong to the line for Prometheus' lexer, and all but the last byte to the text.
    this.offset = this.skipNuls(lineEnd + 1);
    this.#takeText(kind, start, this.offset - 1);
    return kind;
  }

  #takeText(kind: "help" | "type" | "unit", start: number, end: number): void {
    if (kind === "help") {
      this.checkHelpUtf8(start, end);
      this.text = unescapeQuoted(this.decode(start, end));
      return;
    }
    this.text = this.decode(start, end);
    if (kind === "type") {
      if (!typeWords.has(this.text)) throw this.fault(start, "unknown metric type");
      this.state = this.text as ParserState;
    } else if (start < end && !this.#isSuffixOfName(start, end)) {
      throw this.fault(start, "the unit is not a suffix of the metric name");
    }
  }

  /** Whether the family's name ends with an underscore and these bytes. */
  #isSuffixOfName(start: number, end: number): boolean {
    const { bytes, nameStart, nameEnd } = this;
    const from = nameEnd - (end - start);
    if (from <= nameStart || bytes[from - 1] !== 0x5f) return false;
    return bytes.compare(bytes, start, end, from, nameEnd) === 0;
  }

  #readValue(): void {
    this.valueEnd = this.#tokenEnd("a value");
    this.valueStart = this.offset + 1;
    this.value = this.readFloat(this.valueStart, this.valueEnd);
    this.timestampMs = undefined;
    this.offset = this.valueEnd;
    // Prometheus yields the sample and finds the fault at the next entry, which begins with this blank.
    if (this.peek() === space && this.#isNothingNext()) return;
    if (this.peek() === space && !this.#isExemplarNext()) this.timestampMs = this.#readTimestamp();
    if (this.peek() === space) this.#readExemplar();
    this.#endLine();
  }

  /** Where the token behind the blank at the cursor ends. */
  #tokenEnd(what: string): number {
    const { bytes, length, offset } = this;
    if (this.peek() !== space) throw this.expected(`a blank and ${what}`);
    let end = offset + 1;
    while (end < length && bytes[end] !== space && bytes[end] !== newline && bytes[end] !== 0) end++;
    if (end === offset + 1) {
      this.offset++;
      throw this.expected(what);
    }
    return end;
  }

  #endLine(): void {
    if (this.offset >= this.length) throw this.fault(this.length, "the page does not end with # EOF");
    if (this.peek() !== newline) throw this.expected("the end of the line");
    this.offset++;
  }

  /** Whether the blank at the cursor is followed by no timestamp and no exemplar. */
  #isNothingNext(): boolean {
    const byte = this.offset + 1 < this.length ? this.bytes[this.offset + 1] : undefined;
    return byte === space || byte === newline || (byte === hash && !this.#isExemplarNext());
  }

  #isExemplarNext(): boolean {
    const { bytes, offset } = this;
    return (
      offset + 4 <= this.length &&
      bytes[offset + 1] === hash &&
      bytes[offset + 2] === space &&
      bytes[offset + 3] === braceOpen
    );
  }

  #readExemplar(): void {
    if (!this.#isExemplarNext()) throw this.expected("an exemplar");
    this.offset += 4;
    this.readExemplarLabels();
    const end = this.#tokenEnd("the value of the exemplar");
    this.exemplarValue = this.readFloat(this.offset + 1, end);
    this.offset = end;
    this.exemplarTimestampMs = this.peek() === space ? this.#readTimestamp() : undefined;
    this.hasExemplar = true;
  }

  #readTimestamp(): number {
    const end = this.#tokenEnd("a timestamp");
    const seconds = this.readFloat(this.offset + 1, end);
    if (!Number.isFinite(seconds)) throw this.fault(this.offset + 1, "the timestamp is not finite");
    this.offset = end;
    const millis = Math.trunc(seconds * millisPerSecond);
    // What does not fit becomes the smallest int64, as in Go on amd64. The addition makes -0 a 0.
    return Math.abs(millis) < int64Limit ? millis + 0 : -int64Limit;
  }
}
