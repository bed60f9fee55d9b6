/** Reads floating point numbers exactly as Go's strconv.ParseFloat does, from bytes of a page or from a label value. */

const plus = 0x2b;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const upperE = 0x45;
const lowerE = 0x65;
const upperI = 0x49;
const lowerI = 0x69;
const upperN = 0x4e;
const lowerN = 0x6e;
const caseBit = 0x20;

/** Powers of ten that a double holds exactly. */
const powers = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
/** Mantissas below this stay exact when another digit is appended. */
const maxMantissa = 900_719_925_474_099;
const maxPower = 100_000;

/**
 * The number written in `bytes[start..end)`, or undefined when that is not one or too large for a double. Decimal numbers,
 * `NaN`, `Inf` and `Infinity` in any case; no hexadecimal and no underscores, which Prometheus refuses in sample values.
 */
export function parseGoFloat(bytes: Uint8Array, start: number, end: number): number | undefined {
  let at = start;
  let negative = false;
  if (at < end && (bytes[at] === plus || bytes[at] === minus)) negative = bytes[at++] === minus;
  const first = at < end ? (bytes[at] as number) : 0;
  if (first === lowerI || first === upperI || first === lowerN || first === upperN) {
    return parseWord(bytes, at, end, negative, at > start);
  }
  let mantissa = 0;
  let digits = 0;
  let power = 0;
  let exact = true;
  for (let point = -1; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === dot && point < 0) {
      point = at;
      continue;
    }
    if (byte < zero || byte > nine) break;
    digits++;
    if (mantissa >= maxMantissa) exact = false;
    else mantissa = mantissa * 10 + (byte - zero);
    if (point >= 0) power--;
  }
  if (digits === 0) return undefined;
  if (at < end) {
    const exponent = parseExponent(bytes, at, end);
    if (exponent === undefined) return undefined;
    power += exponent;
  }
  if (exact && power >= -22 && power <= 22) {
    const value = power < 0 ? mantissa / (powers[-power] as number) : mantissa * (powers[power] as number);
    return negative ? -value : value;
  }
  return finite(Number(latin1(bytes, start, end)));
}

/** The power of ten in `e+05`, bounded; undefined when it is malformed. */
function parseExponent(bytes: Uint8Array, start: number, end: number): number | undefined {
  let at = start;
  if (bytes[at] !== lowerE && bytes[at] !== upperE) return undefined;
  at++;
  let sign = 1;
  if (at < end && (bytes[at] === plus || bytes[at] === minus)) sign = bytes[at++] === minus ? -1 : 1;
  if (at === end) return undefined;
  let power = 0;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < zero || byte > nine) return undefined;
    if (power < maxPower) power = power * 10 + (byte - zero);
  }
  return sign * power;
}

function parseWord(bytes: Uint8Array, at: number, end: number, negative: boolean, signed: boolean): number | undefined {
  if (!signed && matches(bytes, at, end, "nan")) return Number.NaN;
  if (!matches(bytes, at, end, "inf") && !matches(bytes, at, end, "infinity")) return undefined;
  return negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function matches(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    if (((bytes[start + i] as number) | caseBit) !== word.charCodeAt(i)) return false;
  }
  return true;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

const decimalPattern = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const hexPattern = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?\d+)$/;
const infinityPattern = /^([+-]?)inf(?:inity)?$/i;
/** Underscores between digits, or between the base prefix and a digit. */
const misplacedUnderscore = /(?:^|[^0-9a-fA-FxX])_|_(?:$|[^0-9a-fA-F])/;

/**
 * The number in a label value, or undefined when it is not one or too large. Takes all that Go's ParseFloat takes: also
 * hexadecimal numbers and underscores between digits.
 */
export function parseGoFloatText(text: string): number | undefined {
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinity = infinityPattern.exec(text);
  if (infinity !== null) return infinity[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  let digits = text;
  if (text.includes("_")) {
    if (!underscoresAllowed(text)) return undefined;
    digits = text.replaceAll("_", "");
  }
  if (decimalPattern.test(digits)) return finite(Number(digits));
  const hex = hexPattern.exec(digits);
  if (hex === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = ""] = hex;
  if (whole === "" && fraction === "") return undefined;
  const value = hexValue(whole + fraction, Number(exponent) - 4 * fraction.length);
  return finite(sign === "-" ? -value : value);
}

function underscoresAllowed(text: string): boolean {
  const body = text.replace(/^[+-]/, "");
  const isHex = /^0[xX]/.test(body);
  // In a decimal number the letters of the exponent are no digits.
  return !misplacedUnderscore.test(isHex ? body : body.replace(/[a-zA-Z]/g, "."));
}

/** Hexadecimal digits that are kept exactly; what follows only decides how to round. */
const keptHexDigits = 20;
const doubleDigits = 53;
const minExponent = -1022;

/** `digits` (hexadecimal) times two to the `power`, rounded to the nearest double, ties to even. */
function hexValue(digits: string, power: number): number {
  const significant = digits.replace(/^0+/, "");
  if (significant === "") return 0;
  const dropped = Math.max(0, significant.length - keptHexDigits);
  const kept = dropped === 0 ? significant : significant.slice(0, keptHexDigits);
  const sticky = dropped > 0 && /[^0]/.test(significant.slice(keptHexDigits));
  const mantissa = BigInt(`0x${kept}`) * 2n + (sticky ? 1n : 0n);
  const scale = power + 4 * dropped - 1;
  const bits = mantissa.toString(2).length;
  const exponent = scale + bits - 1;
  if (exponent > 1023) return Number.POSITIVE_INFINITY;
  const precision = Math.min(doubleDigits, doubleDigits - (minExponent - exponent));
  if (precision < 0) return 0;
  const shift = bits - precision;
  if (shift <= 0) return Number(mantissa) * 2 ** scale;
  const cut = BigInt(shift);
  const half = 1n << (cut - 1n);
  let rounded = mantissa >> cut;
  const rest = mantissa - (rounded << cut);
  if (rest > half || (rest === half && rounded % 2n === 1n)) rounded++;
  return Number(rounded) * 2 ** (scale + shift);
}
