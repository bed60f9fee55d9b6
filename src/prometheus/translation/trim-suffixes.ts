/** The option `trim_metric_suffixes`: takes type and unit off the end of a metric name. */

import type { MetricType } from "../../model/series.ts";

/** The name without a last `total` (sums only) and without the words of `unit`, the word of the page's UNIT line. */
export function trimMetricSuffixes(name: string, type: MetricType, unit: string): string {
  const tokens = name.split("_");
  if (tokens.length === 1) return name;
  if (type === "sum" && tokens.at(-1) === "total") tokens.pop();
  if (unit !== "") {
    const unitTokens = unit.split("_");
    if (tokens.length > unitTokens.length && tokens.slice(-unitTokens.length).join("_") === unit) {
      tokens.length -= unitTokens.length;
    }
  }
  return tokens.join("_");
}
