/** Decodes one entry of `scrape_configs`, with everything that it inherits from `global`. */

import type { ConfigNode } from "../../codec/yaml/config-node.ts";
import type { NameScheme } from "../relabel/names.ts";
import { type ConfigPath, type DecodeContext, fail } from "./decode-context.ts";
import { fingerprintOf } from "./fingerprint.ts";
import {
  decodeEscapingScheme,
  decodeLimits,
  decodeValidationScheme,
  defaultEscaping,
  HISTOGRAM_KEYS,
  LIMIT_KEYS,
  NAME_SCHEME_KEYS,
} from "./global-config.ts";
import { decodeHttpClient, HTTP_CLIENT_KEYS } from "./http-client.ts";
import { decodeRelabelRules } from "./relabel-rules.ts";
import {
  DEFAULT_SCRAPE_PROTOCOLS,
  decodeScrapeProtocol,
  decodeScrapeProtocols,
  noticeNativeHistogramKeys,
} from "./scrape-protocols.ts";
import { decodeSdConfigs, SD_KEYS } from "./sd-configs.ts";
import { isNull, SectionReader } from "./section-reader.ts";
import type { EscapingScheme, GlobalConfig, ScrapeConfig, ScrapeLimits, ScrapeProtocol } from "./types.ts";

const SCRAPE_CONFIG_KEYS = [
  "job_name",
  "honor_labels",
  "honor_timestamps",
  "track_timestamps_staleness",
  "params",
  "scrape_interval",
  "scrape_timeout",
  "scrape_protocols",
  "fallback_scrape_protocol",
  ...HISTOGRAM_KEYS,
  "scrape_failure_log_file",
  "metrics_path",
  "scheme",
  "enable_compression",
  ...LIMIT_KEYS,
  "native_histogram_bucket_limit",
  "native_histogram_min_bucket_factor",
  ...NAME_SCHEME_KEYS,
  "extra_scrape_metrics",
  "relabel_configs",
  "metric_relabel_configs",
  ...SD_KEYS,
  ...HTTP_CLIENT_KEYS,
];

/** The text formats' fallback that the Collector's receiver sets for every job without one. */
const RECEIVER_FALLBACK: ScrapeProtocol = "PrometheusText0.0.4";

/** A job; undefined where the entry is nothing. Faults are reported and leave defaults behind. */
export function decodeScrapeConfig(
  context: DecodeContext,
  node: ConfigNode,
  path: ConfigPath,
  global: GlobalConfig,
): ScrapeConfig | undefined {
  if (isNull(node)) {
    fail(context, path, "expected a scrape configuration, found nothing", node.at);
    return undefined;
  }
  const section = new SectionReader(context, node, path, SCRAPE_CONFIG_KEYS);
  if (node.kind !== "map") return undefined;
  const jobName = section.string("job_name");
  if (jobName === "") section.fail("job_name", "job_name is missing or empty");
  const validation = decodeValidationScheme(section) ?? global.metricNameValidationScheme;
  noticeNativeHistogramKeys(section);
  const relabelConfigs = decodeRelabelRules(section, "relabel_configs", validation);
  const content = {
    jobName,
    honorLabels: section.boolean("honor_labels", false),
    honorTimestamps: section.boolean("honor_timestamps", true),
    trackTimestampsStaleness: section.boolean("track_timestamps_staleness", false),
    params: decodeParams(section),
    ...decodeTiming(section, global),
    ...decodeProtocols(section, global),
    scrapeFailureLogFile: context.resolvePath(section.string("scrape_failure_log_file")) || global.scrapeFailureLogFile,
    metricsPath: section.string("metrics_path", "/metrics"),
    scheme: section.string("scheme", "http"),
    enableCompression: section.boolean("enable_compression", true),
    ...inheritLimits(decodeLimits(section), global),
    nativeHistogramBucketLimit: section.unsigned("native_histogram_bucket_limit"),
    nativeHistogramMinBucketFactor: section.number("native_histogram_min_bucket_factor"),
    metricNameValidationScheme: validation,
    metricNameEscapingScheme: decodeEscaping(section, global, validation),
    extraScrapeMetrics: section.optionalBoolean("extra_scrape_metrics") ?? global.extraScrapeMetrics,
    relabelConfigs,
    metricRelabelConfigs: decodeRelabelRules(section, "metric_relabel_configs", validation),
    sdConfigs: decodeSdConfigs(section, { hasRelabelRules: section.items("relabel_configs").length > 0 }),
    http: decodeHttpClient(section, { enableHttp2: true }),
  };
  return { ...content, fingerprint: fingerprintOf(content), at: node.at };
}

function decodeParams(section: SectionReader): Readonly<Record<string, readonly string[]>> {
  const names = section.entries("params").map((entry) => entry.key);
  const params = new SectionReader(section.context, section.node("params"), section.pathOf("params"), names);
  return Object.fromEntries(names.map((name) => [name, params.strings(name)]));
}

type Timing = Pick<ScrapeConfig, "scrapeIntervalMs" | "scrapeTimeoutMs">;

function decodeTiming(section: SectionReader, global: GlobalConfig): Timing {
  const scrapeIntervalMs = section.durationMs("scrape_interval", 0) || global.scrapeIntervalMs;
  const writtenMs = section.durationMs("scrape_timeout", 0);
  if (writtenMs > scrapeIntervalMs) section.fail("scrape_timeout", "scrape_timeout is longer than scrape_interval");
  return { scrapeIntervalMs, scrapeTimeoutMs: writtenMs || Math.min(global.scrapeTimeoutMs, scrapeIntervalMs) };
}

type Protocols = Pick<
  ScrapeConfig,
  | "scrapeProtocols"
  | "fallbackScrapeProtocol"
  | "scrapeNativeHistograms"
  | "convertClassicHistogramsToNhcb"
  | "alwaysScrapeClassicHistograms"
>;

function decodeProtocols(section: SectionReader, global: GlobalConfig): Protocols {
  const scrapeNativeHistograms = section.optionalBoolean("scrape_native_histograms") ?? global.scrapeNativeHistograms;
  const standard: readonly ScrapeProtocol[] = scrapeNativeHistograms
    ? ["PrometheusProto", ...DEFAULT_SCRAPE_PROTOCOLS]
    : DEFAULT_SCRAPE_PROTOCOLS;
  return {
    scrapeProtocols: decodeScrapeProtocols(section) ?? global.scrapeProtocols ?? standard,
    fallbackScrapeProtocol: decodeFallback(section),
    scrapeNativeHistograms,
    convertClassicHistogramsToNhcb:
      section.optionalBoolean("convert_classic_histograms_to_nhcb") ?? global.convertClassicHistogramsToNhcb,
    alwaysScrapeClassicHistograms:
      section.optionalBoolean("always_scrape_classic_histograms") ?? global.alwaysScrapeClassicHistograms,
  };
}

function decodeFallback(section: SectionReader): ScrapeProtocol | undefined {
  const name = section.string("fallback_scrape_protocol");
  if (name === "") return section.context.mode === "receiver" ? RECEIVER_FALLBACK : undefined;
  return decodeScrapeProtocol(section, "fallback_scrape_protocol", name);
}

/** A limit of 0 takes the global one, so that a job cannot switch a global limit off. */
function inheritLimits(own: ScrapeLimits, global: GlobalConfig): ScrapeLimits {
  return {
    bodySizeLimitBytes: own.bodySizeLimitBytes || global.bodySizeLimitBytes,
    sampleLimit: own.sampleLimit || global.sampleLimit,
    targetLimit: own.targetLimit || global.targetLimit,
    labelLimit: own.labelLimit || global.labelLimit,
    labelNameLengthLimit: own.labelNameLengthLimit || global.labelNameLengthLimit,
    labelValueLengthLimit: own.labelValueLengthLimit || global.labelValueLengthLimit,
    keepDroppedTargets: own.keepDroppedTargets || global.keepDroppedTargets,
  };
}

/** A job that names its own validation does not inherit the global escaping. */
function decodeEscaping(section: SectionReader, global: GlobalConfig, validation: NameScheme): EscapingScheme {
  const inherited = section.string("metric_name_validation_scheme") === "";
  const escaping =
    decodeEscapingScheme(section) ?? (inherited ? global.metricNameEscapingScheme : defaultEscaping(validation));
  if (escaping === "allow-utf-8" && validation === "legacy") {
    section.fail("metric_name_escaping_scheme", "allow-utf-8 needs the validation scheme utf8");
  }
  return escaping;
}
