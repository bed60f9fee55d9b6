/** The number that the text of an `le` or `quantile` label stands for. */

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const infinity = /^([+-]?)inf(?:inity)?$/i;

/** The number, which may be NaN, or undefined for text that is none. */
export function parseBound(text: string): number | undefined {
  if (decimal.test(text)) return Number(text);
  if (/^nan$/i.test(text)) return Number.NaN;
  const match = infinity.exec(text);
  if (match === null) return undefined;
  return match[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
