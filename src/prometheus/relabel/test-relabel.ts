/** Runs relabel rules for tests, from rules that say only what is not the default. */

import { LabelsBuilder } from "./labels-builder.ts";
import type { NameScheme } from "./names.ts";
import { compileRelabel, type RelabelRule } from "./relabel.ts";

/** Labels by name. */
export type LabelMap = Record<string, string>;

/** A rule of Prometheus' defaults with these fields. */
export function rule(fields: Partial<RelabelRule>): RelabelRule {
  return {
    sourceLabels: [],
    separator: ";",
    regex: "(.*)",
    modulus: 0n,
    targetLabel: "",
    replacement: "$1",
    action: "replace",
    ...fields,
  };
}

/** The labels that the rules leave, or `dropped`. */
export function relabel(labels: LabelMap, rules: readonly Partial<RelabelRule>[], scheme: NameScheme = "utf8") {
  const builder = new LabelsBuilder(Object.entries(labels));
  const isKept = compileRelabel(rules.map(rule), scheme).apply(builder);
  return isKept ? Object.fromEntries(builder.sortedEntries()) : "dropped";
}
