/** Legacy metric and label names, and the schemes that turn any UTF-8 name into one. */

export type EscapingScheme = "allow-utf-8" | "underscores" | "dots" | "values";

const metricNamePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelNamePattern = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const firstLegacyChar = /[a-zA-Z_:]/;
const laterLegacyChar = /[a-zA-Z0-9_:]/;
const valuePrefix = "U__";

/** Whether a metric name can be written without quotes. */
export function isLegacyMetricName(name: string): boolean {
  return metricNamePattern.test(name);
}

/** Whether a label name can be written without quotes. */
export function isLegacyLabelName(name: string): boolean {
  return labelNamePattern.test(name);
}

/** A metric or label name in an escaping scheme of Prometheus 3. Only "dots" changes legacy names too. */
export function escapeName(name: string, scheme: EscapingScheme): string {
  if (scheme === "allow-utf-8" || name === "") return name;
  if (scheme !== "dots" && isLegacyMetricName(name)) return name;
  let escaped = scheme === "values" ? valuePrefix : "";
  let isFirst = true;
  for (const char of name) {
    escaped += escapeChar(char, scheme, isFirst);
    isFirst = false;
  }
  return escaped;
}

function escapeChar(char: string, scheme: EscapingScheme, isFirst: boolean): string {
  if (char === "_" && scheme !== "underscores") return "__";
  if (char === "." && scheme === "dots") return "_dot_";
  if ((isFirst ? firstLegacyChar : laterLegacyChar).test(char)) return char;
  if (scheme === "underscores") return "_";
  if (scheme === "dots") return "__";
  return `_${(char.codePointAt(0) ?? 0).toString(16)}_`;
}

/** The name that was escaped; the input itself where it cannot be told, as always with "underscores". */
export function unescapeName(name: string, scheme: EscapingScheme): string {
  if (scheme === "dots") return name.replaceAll("_dot_", ".").replaceAll("__", "_");
  if (scheme !== "values" || !name.startsWith(valuePrefix)) return name;
  const body = name.slice(valuePrefix.length);
  // Either everything can be told, or nothing is changed.
  if (!/^(?:[^_]|__|_[0-9a-fA-F]{1,5}_)*$/.test(body)) return name;
  let isValid = true;
  const unescaped = body.replace(/__|_([0-9a-fA-F]+)_/g, (_, hex: string | undefined) => {
    if (hex === undefined) return "_";
    const codePoint = Number.parseInt(hex, 16);
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) isValid = false;
    return isValid ? String.fromCodePoint(codePoint) : "";
  });
  return isValid ? unescaped : name;
}
