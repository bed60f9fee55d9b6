/** Which label and metric names a job accepts. */

/** `legacy`: ASCII identifiers; `utf8`: any text. Prometheus calls it the name validation scheme. */
export type NameScheme = "utf8" | "legacy";

const legacyLabelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const legacyMetricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** True for a name a label may have. A lone surrogate has no UTF-8 form and is refused by both schemes. */
export function isValidLabelName(name: string, scheme: NameScheme): boolean {
  return scheme === "legacy" ? legacyLabelName.test(name) : name !== "" && name.isWellFormed();
}

/** True for a name a metric may have. */
export function isValidMetricName(name: string, scheme: NameScheme): boolean {
  return scheme === "legacy" ? legacyMetricName.test(name) : name !== "" && name.isWellFormed();
}
