/** Prometheus durations: `1h30m` to milliseconds and back in the form that `__scrape_interval__` shows. */

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

const UNITS = [
  ["y", 365 * 24 * 3_600_000],
  ["w", 7 * 24 * 3_600_000],
  ["d", 24 * 3_600_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** The longest duration, in milliseconds: what 64-bit nanoseconds hold, about 292 years. */
const MAX_DURATION_MS = 9_223_372_036_854;

/**
 * Milliseconds of a Prometheus duration: units y w d h m s ms in this order, each at most once, or a bare `0`.
 * Undefined where the text is something else or the duration is longer than 292 years.
 */
export function parsePromDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = text === "" ? null : DURATION.exec(text);
  if (parts === null) return undefined;
  let totalMs = 0;
  for (const [index, [, unitMs]] of UNITS.entries()) totalMs += Number(parts[index + 1] ?? "0") * unitMs;
  return totalMs <= MAX_DURATION_MS ? totalMs : undefined;
}

/** Prints whole milliseconds as Prometheus does: years and weeks only where they are exact, `0s` for zero. */
export function formatPromDuration(ms: number): string {
  if (ms === 0) return "0s";
  let rest = ms;
  let text = "";
  for (const [unit, unitMs] of UNITS) {
    const mustBeExact = unit === "y" || unit === "w";
    if (mustBeExact && rest % unitMs !== 0) continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}
