/** Turns attribute keys into Prometheus label names (the label namer of the OTLP to Prometheus translation). */

export interface LabelNameRules {
  /** Keys stay as they are. */
  readonly utf8: boolean;
  /** A name with one leading underscore gets `key` in front. */
  readonly prefixUnderscore: boolean;
  /** Runs of underscores are kept. */
  readonly keepRuns: boolean;
}

/** What series and external labels use. */
export const seriesLabelRules: LabelNameRules = { utf8: false, prefixUnderscore: true, keepRuns: false };

/** What the labels of `target_info` use; they differ from those of series, as in otelcol-contrib. */
export const targetInfoLabelRules: LabelNameRules = { utf8: false, prefixUnderscore: false, keepRuns: true };

/** The label name of an attribute key, or undefined when none can be made: an empty key, or one that is nothing but underscores. */
export function labelName(key: string, rules: LabelNameRules): string | undefined {
  if (key === "") return undefined;
  if (rules.utf8) return /^_+$/.test(key) ? undefined : key;
  let name = rules.keepRuns ? sanitize(key) : sanitizeAndCollapse(key);
  const first = name.charCodeAt(0);
  if (first >= 0x30 && first <= 0x39) name = `key_${name}`;
  else if (rules.prefixUnderscore && name.startsWith("_") && !name.startsWith("__")) name = `key${name}`;
  return /^_+$/.test(name) ? undefined : name;
}

function sanitize(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/gu, "_");
}

function sanitizeAndCollapse(key: string): string {
  const collapse = (text: string): string => sanitize(text).replace(/_{2,}/g, "_");
  // Names such as __replica__ have a meaning to receivers and keep their wrapper.
  if (key.length >= 4 && key.startsWith("__") && key.endsWith("__")) return `__${collapse(key.slice(2, -2))}__`;
  return collapse(key);
}
