/** Gives an unquoted YAML scalar its type, by the rules of Go's yaml.v3, which is what the Collector reads. */

import type { ScalarValue } from "./config-node.ts";

const named = new Map<string, ScalarValue>([
  ["", null],
  ["~", null],
  ["null", null],
  ["Null", null],
  ["NULL", null],
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
  [".nan", Number.NaN],
  [".NaN", Number.NaN],
  [".NAN", Number.NaN],
  [".inf", Number.POSITIVE_INFINITY],
  [".Inf", Number.POSITIVE_INFINITY],
  [".INF", Number.POSITIVE_INFINITY],
  ["+.inf", Number.POSITIVE_INFINITY],
  ["+.Inf", Number.POSITIVE_INFINITY],
  ["+.INF", Number.POSITIVE_INFINITY],
  ["-.inf", Number.NEGATIVE_INFINITY],
  ["-.Inf", Number.NEGATIVE_INFINITY],
  ["-.INF", Number.NEGATIVE_INFINITY],
]);

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** Longer than any number that fits 64 bits in any base; the rest is text, or a float. */
const maxIntegerDigits = 80;
const minInt64 = -(2n ** 63n);
const maxUint64 = 2n ** 64n - 1n;

/**
 * The value of an unquoted scalar: null, boolean, number or text. Integers that a number cannot hold exactly are
 * bigints. `yes`, `no`, `on` and `off` are text, and so are dates, which Go would read as times.
 */
export function parsePlainScalar(text: string): ScalarValue {
  const value = named.get(text);
  if (value !== undefined) return value;
  const first = text.charCodeAt(0);
  const isDigitOrSign = (first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d;
  if (!isDigitOrSign && first !== 0x2e) return text;
  const plain = isDigitOrSign ? text.replaceAll("_", "") : text;
  return parseInteger(plain) ?? parseFloatText(plain) ?? text;
}

function parseInteger(text: string): number | bigint | undefined {
  if (text.length > maxIntegerDigits) return undefined;
  const match = integer.exec(text);
  if (match === null) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const magnitude = BigInt(
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : (decimal ?? ""),
  );
  const exact = sign === "-" ? -magnitude : magnitude;
  if (exact < minInt64 || exact > maxUint64) return undefined;
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number : exact;
}

function parseFloatText(text: string): number | undefined {
  if (!float.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}
