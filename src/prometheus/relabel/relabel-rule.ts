/** The validated form of one entry of `relabel_configs`, `metric_relabel_configs` or `write_relabel_configs`. */

/** Every action of Prometheus, lower case. */
export const relabelActions = [
  "replace",
  "keep",
  "drop",
  "keepequal",
  "dropequal",
  "hashmod",
  "labelmap",
  "labeldrop",
  "labelkeep",
  "lowercase",
  "uppercase",
] as const;

export type RelabelAction = (typeof relabelActions)[number];

export interface RelabelRule {
  readonly sourceLabels: readonly string[];
  /** Stands between the source labels' values; default `;`. */
  readonly separator: string;
  /** RE2 text as written; it must match a value whole. Default `(.*)`. */
  readonly regex: string;
  /** Divisor of `hashmod`, an unsigned 64-bit number, not 0 for that action. */
  readonly modulus: bigint;
  readonly targetLabel: string;
  /** Template in which `$1` and `${name}` stand for groups; default `$1`. */
  readonly replacement: string;
  readonly action: RelabelAction;
}
