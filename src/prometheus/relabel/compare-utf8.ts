/** The order in which Prometheus sorts label names: by their UTF-8 bytes. */

const firstSurrogate = 0xd800;
const lastSurrogate = 0xdfff;

/** Lifts the code units of astral characters above U+FFFF's, as in UTF-8, where UTF-16 puts them below U+E000. */
function rank(unit: number): number {
  return unit >= firstSurrogate && unit <= lastSurrogate ? unit + 0x10000 : unit;
}

/** Compares by UTF-8 byte order: negative, 0 or positive. Differs from `<` for astral characters only. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}
