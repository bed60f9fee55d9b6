/** Which metrics the include and exclude sections name. */

import { RE2JS } from "re2js";
import { z } from "zod";
import { optionalSection } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../../component/define.ts";
import { sectionIssue } from "../../component/section-issues.ts";
import { toError } from "../../model/errors.ts";

const notForMetrics = (name: string) =>
  z.array(z.unknown()).max(0, "is not valid for metrics").optional().describe(`${name}; not valid for metrics.`);

const matchSchema = z.strictObject({
  match_type: z
    .enum(["strict", "regexp"])
    .optional()
    .describe("strict compares names, regexp matches them (RE2, not anchored)."),
  regexp: optionalSection(
    z.strictObject({
      cacheenabled: z.boolean().default(false).describe("Accepted: every result is remembered per series anyway."),
      cachemaxnumentries: z.number().int().min(0).default(0).describe("Accepted without effect, likewise."),
    }),
  ).describe("Options of match_type regexp."),
  metric_names: z
    .array(z.string())
    .default([])
    .describe("Names or expressions, one of which the metric's name must match."),
  resources: z
    .array(
      z.strictObject({
        key: z.string().describe("Name of a resource attribute."),
        value: z.unknown().optional().describe("Its value; left out, any value matches."),
      }),
    )
    .default([])
    .describe("Accepted; as in otelcol-contrib it does not narrow the choice of metrics."),
  services: notForMetrics("Services of spans"),
  span_names: notForMetrics("Names of spans"),
  span_kinds: notForMetrics("Kinds of spans"),
  attributes: notForMetrics("Attributes of spans and log records"),
  libraries: notForMetrics("Instrumentation libraries of spans and log records"),
  log_bodies: notForMetrics("Bodies of log records"),
  log_severity_texts: notForMetrics("Severities of log records"),
  log_severity_number: z
    .never("is not valid for metrics")
    .optional()
    .describe("Severity of log records; not valid for metrics."),
});

export type MatchConfig = z.output<typeof matchSchema>;

/** The schema of an include or exclude section. */
export function matchSection(description: string) {
  return optionalSection(matchSchema.superRefine(checkMatch)).describe(description);
}

function checkMatch(match: MatchConfig, context: z.RefinementCtx): void {
  const fault = (path: (string | number)[], message: string) => context.addIssue({ code: "custom", path, message });
  if (match.metric_names.length === 0 && match.resources.length === 0) {
    fault(["metric_names"], "required: at least one of metric_names and resources");
  }
  if (match.metric_names.length > 0 && match.match_type === undefined)
    fault(["match_type"], "required: strict or regexp");
  if (match.match_type !== "regexp") return;
  for (const [index, name] of match.metric_names.entries()) {
    try {
      RE2JS.compile(name);
    } catch (caught) {
      fault(["metric_names", index], `expected a regular expression: ${toError(caught).message}`);
    }
  }
}

/** Notices keys that are accepted without effect. */
export function noticeMatch(
  config: { include?: MatchConfig | undefined; exclude?: MatchConfig | undefined },
  section: CompleteContext,
): void {
  for (const key of ["include", "exclude"] as const) {
    if ((config[key]?.resources.length ?? 0) === 0) continue;
    section.notice(sectionIssue(section, [key, "resources"], "has no effect on metrics, as in otelcol-contrib"));
  }
}

/** A test of metric names; `otherwise` is its answer when the section names no metrics. */
export function compileMatch(match: MatchConfig | undefined, otherwise: boolean): (name: string) => boolean {
  if (match === undefined || match.metric_names.length === 0) return () => otherwise;
  if (match.match_type === "strict") {
    const names = new Set(match.metric_names);
    return (name) => names.has(name);
  }
  const regexes = match.metric_names.map((name) => RE2JS.compile(name));
  return (name) => regexes.some((regex) => regex.test(name));
}
