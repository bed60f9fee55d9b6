/** Durations as Go writes them: `1h30m`, `200ms`, `-1.5s`. */

const nanosPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const part = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
/** Go holds a duration in 64 bits of nanoseconds, about 292 years. */
const maxNanos = 2 ** 63;
const maxTextLength = 100;

/** The milliseconds of a Go duration, with fractions; undefined when the text is none. A bare `0` is valid. */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > maxTextLength) return undefined;
  const sign = text.startsWith("-") ? -1 : 1;
  const body = /^[-+]/.test(text) ? text.slice(1) : text;
  if (body === "0") return 0;
  let nanos = 0;
  part.lastIndex = 0;
  let end = 0;
  while (end < body.length) {
    const match = part.exec(body);
    if (match === null) return undefined;
    nanos += Number(match[1]) * (nanosPerUnit[match[2] ?? ""] ?? Number.NaN);
    end = part.lastIndex;
  }
  if (end === 0 || nanos >= maxNanos) return undefined;
  return nanos === 0 ? 0 : (sign * nanos) / 1e6;
}

/** Writes milliseconds as Go prints a duration: `1h30m0s`, `1.5s`, `200ms`, `0s`. Precise to a nanosecond. */
export function formatGoDuration(ms: number): string {
  const nanos = Math.round(Math.abs(ms) * 1e6);
  if (nanos === 0) return "0s";
  const sign = ms < 0 ? "-" : "";
  if (nanos < 1e3) return `${sign}${nanos}ns`;
  if (nanos < 1e6) return `${sign}${trimmed(nanos, 1e3, 3)}\u00b5s`;
  if (nanos < 1e9) return `${sign}${trimmed(nanos, 1e6, 6)}ms`;
  const hours = Math.floor(nanos / 3600e9);
  const minutes = Math.floor((nanos % 3600e9) / 60e9);
  const seconds = `${trimmed(nanos % 60e9, 1e9, 9)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : sign + seconds;
}

function trimmed(nanos: number, unit: number, digits: number): string {
  const fraction = String(nanos % unit)
    .padStart(digits, "0")
    .replace(/0+$/, "");
  const whole = String(Math.floor(nanos / unit));
  return fraction === "" ? whole : `${whole}.${fraction}`;
}
