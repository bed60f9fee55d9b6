/** Numbers in Go's notations: reading what Go reads, and writing what fmt writes. */

const maxInt64 = 2n ** 63n - 1n;

/** A decimal int64 with an optional sign and nothing else; undefined when the text is none or does not fit. */
export function parseGoInt(text: string): bigint | undefined {
  if (text.length > 64 || !/^[-+]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return value > maxInt64 || value < -maxInt64 - 1n ? undefined : value;
}

const decimal = /^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;
const infinity = /^([-+]?)(?:inf|infinity)$/i;
const hexadecimal = /^([-+]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([-+]?[0-9]{1,6})$/;

/** A float64 as Go's strconv reads it; undefined when the text is none or beyond the largest float. */
export function parseGoFloat(written: string): number | undefined {
  if (written.length > 1024) return undefined;
  const text = withoutSeparators(written);
  if (text === undefined) return undefined;
  if (decimal.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinite = infinity.exec(text);
  if (infinite !== null) return infinite[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return parseHexFloat(text);
}

/** Go lets single underscores stand between digits, and behind `0x`. */
function withoutSeparators(text: string): string | undefined {
  if (!text.includes("_")) return text;
  const isHexadecimal = /^[-+]?0[xX]/.test(text);
  const misplaced = isHexadecimal ? /(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])/ : /(?<![0-9])_|_(?![0-9])/;
  return misplaced.test(text) ? undefined : text.replaceAll("_", "");
}

function parseHexFloat(text: string): number | undefined {
  const match = hexadecimal.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent] = match;
  if (whole + fraction === "") return undefined;
  const mantissa = Number(BigInt(`0x${whole}${fraction}`));
  const value = mantissa * 2 ** (Number(exponent) - 4 * fraction.length);
  if (!Number.isFinite(value)) return undefined;
  return sign === "-" ? -value : value;
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? "+Inf" : "-Inf";
}

/** Six decimals, as Go's `%f`: halves go to the even digit. */
export function formatFixed(value: number): string {
  const name = special(value);
  if (name !== undefined) return name;
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}.000000`;
  const longer = value.toFixed(7);
  const text = longer.endsWith("5") && isExactly(value, longer) ? roundHalfToEven(longer) : value.toFixed(6);
  return Object.is(value, -0) ? "-0.000000" : text;
}

/** Whether the value has no further digits: toFixed writes up to 100 exactly. */
function isExactly(value: number, text: string): boolean {
  return /^0*$/.test(value.toFixed(100).slice(text.length));
}

/** Takes the last digit, a 5, off; the one before it becomes even. */
function roundHalfToEven(text: string): string {
  const cut = text.slice(0, -1);
  if (Number(cut.at(-1)) % 2 === 0) return cut;
  const digits = BigInt(cut.replace(/[-.]/g, "")) + 1n;
  const padded = String(digits).padStart(7, "0");
  return `${text.startsWith("-") ? "-" : ""}${padded.slice(0, -6)}.${padded.slice(-6)}`;
}

/** The shortest exact text, as Go's `%v`: with an exponent from a million on and below 1e-4. */
export function formatShortest(value: number): string {
  const name = special(value);
  if (name !== undefined) return name;
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "", exponentText = ""] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 6) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return String(value);
}
