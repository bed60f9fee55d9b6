/** Writes doubles exactly as Go and Prometheus do. */

/** Exponents from which Go's shortest `g` form uses an exponent. */
const smallestPlainExponent = -4;
const firstLargeExponent = 6;

/** The same text as Go's `strconv.FormatFloat(value, format, -1, 64)`: as few digits as bring the same double back. */
export function formatGoFloat(value: number, format: "e" | "f" | "g"): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa = "0", power = "0"] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  const scientific = format === "e" || (format === "g" && !isPlain(exponent));
  return sign + (scientific ? formatScientific(digits, exponent) : formatPlain(digits, exponent));
}

function isPlain(exponent: number): boolean {
  return exponent >= smallestPlainExponent && exponent < firstLargeExponent;
}

function formatScientific(digits: string, exponent: number): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${digits.slice(0, 1)}${fraction}e${exponent < 0 ? "-" : "+"}${size}`;
}

function formatPlain(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = exponent + 1;
  if (digits.length <= whole) return digits.padEnd(whole, "0");
  return `${digits.slice(0, whole)}.${digits.slice(whole)}`;
}

/**
 * The text that Prometheus 3 gives the values of `le` and `quantile`: the shortest `g` form with `.0` behind whole numbers
 * (`1.0`, `100000.0`, `1e+06`, `+Inf`).
 */
export function formatLabelFloat(value: number): string {
  if (value === 0) return "0.0";
  const text = formatGoFloat(value, "g");
  return Number.isFinite(value) && !/[.e]/.test(text) ? `${text}.0` : text;
}
