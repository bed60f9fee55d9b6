/** The pull parser of the Prometheus text format, versions 0.0.4 and 1.0.0, as Prometheus 3 reads it. */

import type { EntryKind, ParserState } from "./exposition-parser.ts";
import { braceOpen, hash, isBlank, LineParser, newline } from "./line-parser.ts";

const typeWords: ReadonlySet<string> = new Set<ParserState>(["counter", "gauge", "histogram", "summary", "untyped"]);
const zero = 0x30;
const nine = 0x39;
const maxInt64 = "9223372036854775807";

export class TextParser extends LineParser {
  constructor() {
    super("text");
  }

  next(): EntryKind {
    for (;;) {
      this.entryStart = this.offset;
      if (this.offset >= this.length) return "end";
      this.skipBlanks();
      const byte = this.peek();
      if (byte === newline) {
        this.#endLine();
        continue;
      }
      if (byte === 0) return this.#endEarly();
      if (byte === hash) return this.#readComment();
      this.readSeries();
      this.#readValue();
      return "series";
    }
  }

  /** A NUL where a line begins, or in a comment without a blank, silently ends the page for Prometheus. */
  #endEarly(): EntryKind {
    this.offset = this.length;
    return "end";
  }

  /** Passes the newline at the cursor over; the last line may be without one. */
  #endLine(): void {
    if (this.offset < this.length) this.offset++;
  }

  #lineEnd(at: number): number {
    const end = this.findNewline(at);
    return end < 0 ? this.length : end;
  }

  #readComment(): EntryKind {
    const { bytes } = this;
    const start = ++this.offset;
    this.skipBlanks();
    const lineEnd = this.#lineEnd(start);
    if (this.offset === start) {
      if (bytes.subarray(start, lineEnd).includes(0)) return this.#endEarly();
    } else {
      if (this.offset < this.length && bytes[this.offset] === 0) return this.#endEarly();
      for (const kind of ["help", "type"] as const) {
        const end = this.matchWord(kind.toUpperCase(), this.offset);
        if (end < 0 || end >= this.length || !isBlank(bytes[end] as number)) continue;
        this.offset = end;
        return this.#readMetadata(kind);
      }
    }
    this.offset = lineEnd;
    this.#endLine();
    return "comment";
  }

  #readMetadata(kind: "help" | "type"): EntryKind {
    while (isBlank(this.peek())) this.offset = this.skipNuls(this.offset + 1);
    this.readMetadataName();
    const { bytes, offset } = this;
    const lineEnd = this.#lineEnd(offset);
    if (offset < lineEnd && bytes[offset] === 0) throw this.expected("a blank");
    const start = this.#isBlankLine(offset, lineEnd) ? lineEnd : offset + 1;
    if (kind === "type") this.#takeType(start, lineEnd);
    else this.#takeHelp(start, lineEnd);
    this.offset = lineEnd;
    this.#endLine();
    return kind;
  }

  #isBlankLine(start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      if (!isBlank(this.bytes[at] as number) && this.bytes[at] !== 0) return false;
    }
    return true;
  }

  #takeType(start: number, end: number): void {
    const word = this.decode(start, end);
    if (!typeWords.has(word)) throw this.fault(start, "unknown metric type");
    this.text = word;
    this.state = word as ParserState;
  }

  #takeHelp(start: number, end: number): void {
    this.checkHelpUtf8(start, end);
    const help = this.decode(start, end);
    this.text = help.includes("\\")
      ? help.replace(/\\([\\n])/g, (_, char: string) => (char === "n" ? "\n" : char))
      : help;
  }

  #readValue(): void {
    this.skipBlanks();
    const { bytes, length, offset } = this;
    let end = offset;
    while (end < length && isValueByte(bytes[end] as number)) end++;
    if (end === offset) throw this.expected("a value");
    this.valueStart = offset;
    this.valueEnd = end;
    this.value = this.readFloat(offset, end);
    this.timestampMs = undefined;
    this.offset = end;
    this.skipBlanks();
    if (this.peek() !== newline) this.#readTimestamp();
    this.#endLine();
  }

  #readTimestamp(): void {
    const { bytes, length, offset } = this;
    let end = offset;
    while (end < length && (bytes[end] as number) >= zero && (bytes[end] as number) <= nine) end++;
    if (end === offset) throw this.expected("a timestamp or the end of the line");
    const digits = this.decode(offset, end).replace(/^0+/, "");
    if (digits.length > maxInt64.length || (digits.length === maxInt64.length && digits > maxInt64)) {
      throw this.fault(offset, "timestamp out of range");
    }
    this.timestampMs = Number(digits);
    this.offset = end;
    this.skipBlanks();
    if (this.peek() !== newline) throw this.expected("the end of the line");
  }
}

function isValueByte(byte: number): boolean {
  return byte !== 0 && byte !== newline && byte !== braceOpen && !isBlank(byte);
}
