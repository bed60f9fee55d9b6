/** The include and exclude sections: which metrics, spans and log records are meant. */

import { RE2JS } from "re2js";
import { z } from "zod";
import { type KeyFault, keysTogether, optionalSection } from "../../codec/yaml/field-types.ts";
import type { CompleteContext } from "../../component/define.ts";
import { sectionIssue } from "../../component/section-issues.ts";
import { type ConfigIssue, toError } from "../../model/errors.ts";
import type { Signal } from "../../model/otlp-request.ts";

const texts = (what: string) => z.array(z.string()).default([]).describe(what);

const properties = (what: string) =>
  z
    .array(
      z.strictObject({
        key: z.string().min(1, "expected a name").describe("Name of the attribute."),
        value: z
          .union([z.string(), z.number(), z.boolean()])
          .optional()
          .describe("Its value, or an expression; left out, any value matches."),
      }),
    )
    .default([])
    .describe(what);

const matchSchema = z.strictObject({
  match_type: z
    .enum(["strict", "regexp"])
    .optional()
    .describe("strict compares texts, regexp matches them (RE2, not anchored)."),
  regexp: optionalSection(
    z.strictObject({
      cacheenabled: z.boolean().default(false).describe("Accepted without effect."),
      cachemaxnumentries: z.number().int().min(0).default(0).describe("Accepted without effect, likewise."),
    }),
  ).describe("Options of match_type regexp."),
  metric_names: texts("Names or expressions, one of which the metric's name must match. Of metrics only."),
  resources: properties(
    "Attributes that the resource must all have. On metrics accepted without effect, as in otelcol-contrib.",
  ),
  services: texts("Values of service.name, one of which must match. Of spans only."),
  span_names: texts("Names of spans, one of which must match."),
  span_kinds: texts("Kinds of spans, such as SPAN_KIND_SERVER, one of which must match."),
  attributes: properties("Attributes that the span or log record must all have."),
  libraries: z
    .array(
      z.strictObject({
        name: z.string().describe("Name of the scope."),
        version: z.string().optional().describe("Its version; left out, any version matches."),
      }),
    )
    .default([])
    .describe("Scopes, one of which a span or log record must be of."),
  log_bodies: texts("Texts, one of which the body of a log record must match."),
  log_severity_texts: texts("Texts, one of which the severity of a log record must match."),
  log_severity_number: z
    .strictObject({
      min: z.number().int().default(0).describe("Least severity number that matches."),
      match_undefined: z.boolean().default(false).describe("Whether records without a severity number match."),
    })
    .optional()
    .describe("Severity that a log record must have."),
});

export type MatchConfig = z.output<typeof matchSchema>;

/** The schema of an include or exclude section. */
export function matchSection(description: string) {
  return optionalSection(matchSchema.check(keysTogether(checkMatch))).describe(description);
}

const textLists = ["metric_names", "services", "span_names", "span_kinds", "log_bodies", "log_severity_texts"] as const;

function checkMatch(match: MatchConfig, fault: KeyFault): void {
  const needsType =
    textLists.some((key) => match[key].length > 0) || match.attributes.length > 0 || match.libraries.length > 0;
  if (needsType && match.match_type === undefined) fault(["match_type"], "required: strict or regexp");
  if (match.match_type !== "regexp") return;
  const check = (path: (string | number)[], text: unknown) => {
    if (typeof text !== "string") {
      fault(path, "expected a text for match_type regexp");
      return;
    }
    try {
      RE2JS.compile(text);
    } catch (caught) {
      fault(path, `expected a regular expression: ${toError(caught).message}`);
    }
  };
  for (const key of textLists) for (const [index, text] of match[key].entries()) check([key, index], text);
  for (const [index, { value }] of match.attributes.entries()) {
    if (value !== undefined) check(["attributes", index, "value"], value);
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

type MatchKey = Exclude<keyof MatchConfig, "match_type" | "regexp">;

/** What a section may say of each signal. */
const keysOf: Readonly<Record<Signal, readonly MatchKey[]>> = {
  metrics: ["metric_names", "resources"],
  traces: ["services", "span_names", "span_kinds", "attributes", "libraries", "resources"],
  logs: ["attributes", "libraries", "resources", "log_bodies", "log_severity_texts", "log_severity_number"],
};

/** What is wrong with a section in a pipeline of this signal, with paths below the processor's. */
export function matchIssues(match: MatchConfig | undefined, name: string, signal: Signal): ConfigIssue[] {
  if (match === undefined) return [];
  const isGiven = (key: MatchKey) => {
    const value = match[key];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  };
  const given = (Object.keys(match) as (keyof MatchConfig)[]).filter(
    (key): key is MatchKey => key !== "match_type" && key !== "regexp" && isGiven(key),
  );
  const valid = keysOf[signal];
  const issues = given
    .filter((key) => !valid.includes(key))
    .map((key) => ({ path: `${name}::${key}`, message: `is not valid for ${signal}` }));
  if (issues.length > 0 || given.length > 0) return issues;
  return [{ path: name, message: `required: at least one of ${valid.join(", ")}` }];
}

/** A test of metric names; `otherwise` is its answer when the section names no metrics. */
export function compileMatch(match: MatchConfig | undefined, otherwise: boolean): (name: string) => boolean {
  if (match === undefined || match.metric_names.length === 0) return () => otherwise;
  return compileTexts(match.metric_names, match.match_type);
}

/** Whether a text is one of these, or matches one of them. */
export function compileTexts(texts: readonly string[], type: MatchConfig["match_type"]): (text: string) => boolean {
  if (type !== "regexp") {
    const names = new Set(texts);
    return (text) => names.has(text);
  }
  const regexes = texts.map((text) => RE2JS.compile(text));
  return (text) => regexes.some((regex) => regex.test(text));
}
