/** Writes one string as the YAML package of Prometheus writes it: its choice of quotes, its escapes, its line folds. */

import { parsePlainScalar } from "../../codec/yaml/plain-scalar.ts";

/** A blank past this column becomes a line break. */
export const BEST_WIDTH = 80;

const YAML_1_1_BOOLEAN = /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/;
const BASE_60 = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;
const TIMESTAMP = /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d{2}:\d{2})?)?$/;
const BREAK = /[\n\r\u0085\u2028\u2029]/;
/** What may stand unescaped: neither tabs nor anything beyond 16 bits. */
const PRINTABLE = /^[\n\u0020-\u007e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]*$/;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\0", "\\0"],
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\t", "\\t"],
  ["\n", "\\n"],
  ["\v", "\\v"],
  ["\f", "\\f"],
  ["\r", "\\r"],
  ["\u001b", "\\e"],
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\u0085", "\\N"],
  ["\u2028", "\\L"],
  ["\u2029", "\\P"],
]);

export interface ScalarPlace {
  /** The column where the scalar begins. */
  readonly column: number;
  /** The column where its further lines begin. */
  readonly indent: number;
  readonly inFlow: boolean;
  readonly isKey: boolean;
}

/** The scalar as it stands in the file, without a line break at its end. */
export function goYamlScalar(text: string, place: ScalarPlace): string {
  const traits = analyze(text);
  if (text.includes("\n")) {
    return traits.blockAllowed && !place.inFlow && !place.isKey ? literal(text, place) : doubleQuoted(text, place);
  }
  if (!resolvesToText(text)) return doubleQuoted(text, place);
  const plainAllowed = place.inFlow ? traits.flowPlainAllowed : traits.blockPlainAllowed;
  if (plainAllowed) return folded(text, place, { quote: "" });
  return traits.singleQuotedAllowed ? folded(text, place, { quote: "'" }) : doubleQuoted(text, place);
}

/** False for text that would be read back as a number, a boolean, nothing or a time. */
function resolvesToText(text: string): boolean {
  if (typeof parsePlainScalar(text) !== "string") return false;
  return !YAML_1_1_BOOLEAN.test(text) && !BASE_60.test(text) && !TIMESTAMP.test(text);
}

interface Traits {
  readonly flowPlainAllowed: boolean;
  readonly blockPlainAllowed: boolean;
  readonly singleQuotedAllowed: boolean;
  readonly blockAllowed: boolean;
}

function analyze(text: string): Traits {
  const special = !PRINTABLE.test(text) || / [\n\r\u0085\u2028\u2029]/.test(text);
  const breakSpace = /[\n\r\u0085\u2028\u2029] /.test(text);
  const edges = /^[ \n\r\u0085\u2028\u2029]|[ \n\r\u0085\u2028\u2029]$/.test(text);
  const plain = !special && !breakSpace && !edges && !BREAK.test(text);
  const marker = text.startsWith("---") || text.startsWith("...");
  const blockIndicator = marker || /^[#,[\]{}&*!|>'"%@`]|^[?:-](?:\s|$)|.:(?:\s|$)|\s#/s.test(text);
  const flowIndicator = blockIndicator || /^[?:]|.[,?[\]{}:]/s.test(text);
  return {
    flowPlainAllowed: plain && !flowIndicator,
    blockPlainAllowed: plain && !blockIndicator,
    singleQuotedAllowed: !special && !breakSpace,
    blockAllowed: !special && !text.endsWith(" "),
  };
}

/** Plain or single-quoted text; a single blank past the width becomes a line break. */
function folded(text: string, place: ScalarPlace, { quote }: { quote: string }): string {
  let out = quote;
  let column = place.column + quote.length;
  const characters = Array.from(text);
  let afterSpace = false;
  for (const [index, character] of characters.entries()) {
    const isInner = quote === "" || (index > 0 && index < characters.length - 1);
    const mayBreak = character === " " && !afterSpace && column > BEST_WIDTH && isInner;
    afterSpace = character === " ";
    if (mayBreak && characters[index + 1] !== " " && !place.isKey) {
      out += `\n${" ".repeat(place.indent)}`;
      column = place.indent;
      continue;
    }
    const written = quote !== "" && character === "'" ? "''" : character;
    out += written;
    column += written.length;
  }
  return out + quote;
}

function doubleQuoted(text: string, place: ScalarPlace): string {
  let out = '"';
  let column = place.column + 1;
  const characters = Array.from(text);
  let afterSpace = false;
  for (const [index, character] of characters.entries()) {
    const isInner = index > 0 && index < characters.length - 1;
    const breaks = character === " " && !afterSpace && column > BEST_WIDTH && isInner && !place.isKey;
    afterSpace = character === " ";
    if (breaks) {
      const kept = characters[index + 1] === " " ? "\\" : "";
      out += `\n${" ".repeat(place.indent)}${kept}`;
      column = place.indent + kept.length;
      continue;
    }
    const written = escaped(character);
    out += written;
    column += written.length;
  }
  return `${out}"`;
}

function escaped(character: string): string {
  const short = ESCAPES.get(character);
  if (short !== undefined) return short;
  if (PRINTABLE.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

function literal(text: string, place: ScalarPlace): string {
  const indentHint = /^[ \n]/.test(text) ? "2" : "";
  const chomp = !text.endsWith("\n") ? "-" : /(?:^|\n)\n$/.test(text) ? "+" : "";
  const body = text.endsWith("\n") ? text.slice(0, -1) : text;
  const lines = body.split("\n").map((line) => (line === "" ? "" : " ".repeat(place.indent) + line));
  return [`|${indentHint}${chomp}`, ...lines].join("\n");
}
