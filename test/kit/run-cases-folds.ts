/** Pages whose rows join the families of other names: what remains of them depends on their order. */

import { open, text } from "./run-texts.ts";
import type { OracleCase } from "./scrape-oracle.ts";

/** The cases of this file. */
export function foldCases(): OracleCase[] {
  return [besideGauge, foldedGauges, foldedCounters, foldedGroups, foldedFacts, lateDeclarations];
}

const besideGauge = text("beside_gauge", (slot) => [
  "# TYPE level gauge",
  `level ${slot}`,
  `level_sum ${slot}`,
  `level_count ${slot}`,
  'level_bucket{le="1"} 1',
  `level_total ${slot}`,
]);

/** Rows before, between and behind those of the family, with labels of their own, in several scopes. */
const foldedGauges = text("folded_gauges", (slot) => [
  "# TYPE early gauge",
  `early_total ${slot}`,
  "early 1",
  'early{a="1"} 2',
  "# TYPE between gauge",
  'between{a="1"} 1',
  'between{a="2"} 2',
  'between_sum{a="3"} 3',
  `between{a="1"} ${slot}.5`,
  'between{a="4"} 4',
  "# TYPE several untyped",
  'several_total{a="1"} 1',
  'several_total{a="2"} 2',
  'several_total{a="3"} 3',
  "# HELP only_help Words.",
  "only_help 1",
  "only_help_info 2",
  "# TYPE scoped gauge",
  'scoped{otel_scope_name="a"} 1',
  'scoped{otel_scope_name="b"} 2',
  'scoped_total{otel_scope_name="b"} 3',
  "# TYPE ends_total gauge",
  "ends_total 1",
  "ends_total_count 2",
  "ends 3",
  "ends_count 4",
  "# TYPE own gauge",
  "# TYPE own_count gauge",
  "own 1",
  "own_count 2",
  "plain 1",
  "plain_total 2",
]);

const foldedCounters = text("folded_counters", (slot) => [
  "# TYPE first counter",
  `first ${slot}`,
  'first{a="1"} 1',
  "first_total 2",
  'first_total{a="2"} 3',
  "first_created 1.7e9",
  "# TYPE second counter",
  "second_total 2",
  `second ${slot}`,
  'second_total{a="2"} 3',
  "second_created 1.7e9",
  "# TYPE third counter",
  "third_total 1",
  "third_sum 2",
  "third_count 3",
  "# TYPE fourth_total counter",
  "fourth_total 1",
  "fourth 2",
  "fourth_created 3",
]);

/** Rows of histograms and summaries that are no parts of them by right. */
const foldedGroups = text("folded_groups", (slot) => [
  "# TYPE h histogram",
  'h_bucket{le="1"} 1',
  'h_total{le="2"} 2',
  "h_total 7",
  'h_bucket{le="+Inf"} 3',
  "h_sum 3",
  `h_count ${slot + 3}`,
  "h_info 9",
  "# TYPE s summary",
  's{quantile="0.5"} 1',
  's_bucket{quantile="0.9"} 2',
  's_bucket{le="1"} 2',
  "s_sum 1",
  `s_count ${slot}`,
  "# TYPE a_sum histogram",
  'a_sum_bucket{le="1"} 1',
  "a_sum 5",
  "a_sum_count 4",
]);

const foldedFacts = open("folded_facts", (slot) => [
  "# TYPE build info",
  'build_info{version="1"} 1',
  `build{version="1"} ${slot}`,
  'build_sum{version="2"} 3',
  "# TYPE mode stateset",
  'mode{mode="on"} 1',
  'mode_total{mode="on"} 0',
  'mode_total{mode="off"} 1',
  "# TYPE size gaugehistogram",
  'size_bucket{le="1"} 1',
  'size_bucket{le="+Inf"} 2',
  "size_sum 3",
  `size_total ${slot}`,
  "size_gcount 5",
]);

const lateDeclarations = text("late_declarations", (slot) => [
  ...(slot % 2 === 0 ? ["# TYPE late gauge"] : []),
  `late ${slot}`,
  "late_total 2",
  "here 1",
]);
