/** Case mapping of `lowercase` and `uppercase`: one character to one character, without context, as Go does it. */

const dotlessExpansion = "\u0130";

/** Lower case of every character for itself: no final sigma. */
export function toSimpleLowerCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  let lower = "";
  for (const char of text) lower += char === dotlessExpansion ? "i" : char.toLowerCase();
  return lower;
}

/** Upper case of every character for itself: sharp s and ligatures stay as they are. */
export function toSimpleUpperCase(text: string): string {
  if (isAscii(text)) return text.toUpperCase();
  let upper = "";
  for (const char of text) upper += upperCaseOf(char);
  return upper;
}

function upperCaseOf(char: string): string {
  const full = char.toUpperCase();
  if (full.length === char.length || codePoints(full) === 1) return full;
  return String.fromCodePoint(simpleUpperCase(char.codePointAt(0) ?? 0));
}

/** The one-character upper case where the full one has several: only Greek letters with iota subscript have any. */
function simpleUpperCase(code: number): number {
  const isSmallRow = code >= 0x1f80 && code <= 0x1faf && (code & 0x8) === 0;
  if (isSmallRow) return code + 8;
  const isSmallLetter = code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3;
  return isSmallLetter ? code + 9 : code;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
