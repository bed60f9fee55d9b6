/** Decodes the `global` section: defaults, limits and external labels. */

import type { ConfigNode } from "../../codec/yaml/config-node.ts";
import type { NameScheme } from "../relabel/names.ts";
import { type DecodeContext, fail, noticeOnce } from "./decode-context.ts";
import { expandEnv } from "./expand-env.ts";
import { isConfigLabelName, isValidText } from "./label-names.ts";
import { decodeScrapeProtocols, noticeNativeHistogramKeys } from "./scrape-protocols.ts";
import { SectionReader } from "./section-reader.ts";
import type { EscapingScheme, GlobalConfig, ScrapeLimits } from "./types.ts";

export const LIMIT_KEYS = [
  "body_size_limit",
  "sample_limit",
  "target_limit",
  "label_limit",
  "label_name_length_limit",
  "label_value_length_limit",
  "keep_dropped_targets",
] as const;

export const NAME_SCHEME_KEYS = ["metric_name_validation_scheme", "metric_name_escaping_scheme"] as const;

export const HISTOGRAM_KEYS = [
  "scrape_native_histograms",
  "convert_classic_histograms_to_nhcb",
  "always_scrape_classic_histograms",
] as const;

const GLOBAL_KEYS = [
  "scrape_interval",
  "scrape_timeout",
  "scrape_protocols",
  "evaluation_interval",
  "rule_query_offset",
  "query_log_file",
  "scrape_failure_log_file",
  "external_labels",
  ...LIMIT_KEYS,
  ...NAME_SCHEME_KEYS,
  ...HISTOGRAM_KEYS,
  "extra_scrape_metrics",
] as const;

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const ESCAPING_SCHEMES: readonly EscapingScheme[] = ["allow-utf-8", "underscores", "dots", "values"];

/** Reads `global`; an absent or empty section gives the defaults. */
export function decodeGlobal(
  context: DecodeContext,
  node: ConfigNode | undefined,
  basePath: readonly (string | number)[],
): GlobalConfig {
  const section = new SectionReader(context, node, [...basePath, "global"], GLOBAL_KEYS);
  const validation = decodeValidationScheme(section) ?? "utf8";
  // 0 means the default: a global interval cannot be nothing.
  const scrapeIntervalMs = section.durationMs("scrape_interval", 0) || DEFAULT_INTERVAL_MS;
  const writtenTimeoutMs = section.durationMs("scrape_timeout", 0);
  if (writtenTimeoutMs > scrapeIntervalMs)
    section.fail("scrape_timeout", "scrape_timeout is longer than scrape_interval");
  noticeNativeHistogramKeys(section);
  for (const key of ["query_log_file", "evaluation_interval", "rule_query_offset"]) {
    if (section.hasValue(key))
      noticeOnce(context, key, section.pathOf(key), "has no effect: rules are not evaluated here", section.keyAt(key));
  }
  return {
    scrapeIntervalMs,
    scrapeTimeoutMs: writtenTimeoutMs || Math.min(DEFAULT_TIMEOUT_MS, scrapeIntervalMs),
    scrapeProtocols: decodeScrapeProtocols(section),
    evaluationIntervalMs: section.durationMs("evaluation_interval", 0) || DEFAULT_INTERVAL_MS,
    ruleQueryOffsetMs: section.durationMs("rule_query_offset", 0),
    queryLogFile: context.resolvePath(section.string("query_log_file")),
    scrapeFailureLogFile: context.resolvePath(section.string("scrape_failure_log_file")),
    externalLabels: decodeExternalLabels(section, validation),
    ...decodeLimits(section),
    metricNameValidationScheme: validation,
    metricNameEscapingScheme: decodeEscapingScheme(section) ?? defaultEscaping(validation),
    scrapeNativeHistograms: section.boolean("scrape_native_histograms", false),
    convertClassicHistogramsToNhcb: section.boolean("convert_classic_histograms_to_nhcb", false),
    alwaysScrapeClassicHistograms: section.boolean("always_scrape_classic_histograms", false),
    extraScrapeMetrics: section.boolean("extra_scrape_metrics", false),
  };
}

/** Reads the limits of `global` or of a job. */
export function decodeLimits(section: SectionReader): ScrapeLimits {
  return {
    bodySizeLimitBytes: section.sizeBytes("body_size_limit"),
    sampleLimit: section.unsigned("sample_limit"),
    targetLimit: section.unsigned("target_limit"),
    labelLimit: section.unsigned("label_limit"),
    labelNameLengthLimit: section.unsigned("label_name_length_limit"),
    labelValueLengthLimit: section.unsigned("label_value_length_limit"),
    keepDroppedTargets: section.unsigned("keep_dropped_targets"),
  };
}

/** Undefined where the key is absent or empty. */
export function decodeValidationScheme(section: SectionReader): NameScheme | undefined {
  const text = section.string("metric_name_validation_scheme");
  if (text === "" || text === "utf8" || text === "legacy") return text === "" ? undefined : text;
  section.fail("metric_name_validation_scheme", "expected utf8 or legacy");
  return undefined;
}

/** Undefined where the key is absent or empty. */
export function decodeEscapingScheme(section: SectionReader): EscapingScheme | undefined {
  const text = section.string("metric_name_escaping_scheme");
  if (text === "") return undefined;
  const scheme = ESCAPING_SCHEMES.find((known) => known === text);
  if (scheme === undefined) {
    section.failWord("metric_name_escaping_scheme", ESCAPING_SCHEMES);
  }
  return scheme;
}

/** The escaping that goes with a validation scheme. */
export function defaultEscaping(validation: NameScheme): EscapingScheme {
  return validation === "legacy" ? "underscores" : "allow-utf-8";
}

function decodeExternalLabels(section: SectionReader, scheme: NameScheme): [name: string, value: string][] {
  const { context } = section;
  const labels = section.stringMap("external_labels").map(([name, value]): [string, string] => {
    const path = [...section.pathOf("external_labels"), name];
    const at = section.entries("external_labels").find((entry) => entry.key === name)?.keyAt;
    if (!isConfigLabelName(name, scheme)) fail(context, path, "expected a label name", at);
    if (!isValidText(value)) fail(context, path, "expected a label value in UTF-8", at);
    const { text, missing } = expandEnv(value, context.env);
    for (const variable of missing) {
      noticeOnce(context, `env ${variable}`, path, `the environment variable ${variable} is empty or not set`, at);
    }
    return [name, text];
  });
  return labels.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
