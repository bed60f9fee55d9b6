/** Checks the sections that do not act in Millrace: what Prometheus would refuse is refused, the rest is named once. */

import type { NameScheme } from "../relabel/names.ts";
import { decodeTls } from "./client-parts.ts";
import { noticeOnce } from "./decode-context.ts";
import { RESERVED_HEADERS } from "./http-client.ts";
import type { SectionReader } from "./section-reader.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"];
const TRANSLATION_STRATEGIES = [
  "UnderscoreEscapingWithSuffixes",
  "UnderscoreEscapingWithoutSuffixes",
  "NoUTF8EscapingWithSuffixes",
  "NoTranslation",
];
const UTF8_STRATEGIES = ["NoUTF8EscapingWithSuffixes", "NoTranslation"];
const CHUNK_ENCODINGS = ["xor", "xor2"];

const OTLP_KEYS = [
  "promote_all_resource_attributes",
  "promote_resource_attributes",
  "ignore_resource_attributes",
  "translation_strategy",
  "keep_identifying_resource_attributes",
  "convert_histograms_to_nhcb",
  "promote_scope_metadata",
  "label_name_underscore_sanitization",
  "label_name_preserve_multiple_underscores",
];
const TRACING_KEYS = [
  "client_type",
  "endpoint",
  "sampling_fraction",
  "insecure",
  "tls_config",
  "headers",
  "compression",
  "timeout",
];
const TSDB_KEYS = ["out_of_order_time_window", "stale_series_compaction_threshold", "retention", "chunk_encoding"];

/** Checks `runtime`, `storage`, `tracing` and `otlp` of a whole configuration. */
export function checkInertSections(root: SectionReader, scheme: NameScheme): void {
  checkRuntime(root.section("runtime", ["gogc", "log_level"]));
  checkStorage(root.section("storage", ["exemplars", "tsdb"]));
  if (root.hasValue("tracing")) checkTracing(root.section("tracing", TRACING_KEYS));
  checkOtlp(root.section("otlp", OTLP_KEYS), scheme);
  for (const key of ["runtime", "storage", "tracing", "otlp"]) {
    if (!root.hasValue(key)) continue;
    const message = "this section is accepted and has no effect";
    noticeOnce(root.context, key, root.pathOf(key), message, root.keyAt(key));
  }
}

function checkRuntime(runtime: SectionReader): void {
  runtime.integer("gogc");
  const level = runtime.string("log_level");
  if (level !== "" && !LOG_LEVELS.includes(level.toLowerCase())) {
    runtime.failWord("log_level", LOG_LEVELS);
  }
}

function checkStorage(storage: SectionReader): void {
  storage.section("exemplars", ["max_exemplars"]).integer("max_exemplars");
  const tsdb = storage.section("tsdb", TSDB_KEYS);
  tsdb.durationMs("out_of_order_time_window", 0);
  tsdb.number("stale_series_compaction_threshold");
  const encoding = tsdb.section("chunk_encoding", ["floats"]);
  const floats = encoding.string("floats");
  if (floats !== "" && !CHUNK_ENCODINGS.includes(floats)) {
    encoding.failWord("floats", CHUNK_ENCODINGS);
  }
  const retention = tsdb.section("retention", ["time", "size", "percentage"]);
  retention.durationMs("time", 0);
  if (retention.sizeBytes("size") < 0) retention.fail("size", "expected a size of at least 0");
  const percentage = retention.number("percentage");
  if (!(percentage >= 0 && percentage <= 100)) retention.fail("percentage", "expected a number from 0 to 100");
}

function checkTracing(tracing: SectionReader): void {
  const endpoint = tracing.string("endpoint");
  if (endpoint === "") tracing.fail("endpoint", "endpoint is missing");
  const client = tracing.string("client_type", "grpc");
  if (client !== "grpc" && client !== "http") tracing.fail("client_type", "expected grpc or http");
  const compression = tracing.string("compression");
  if (compression !== "" && compression !== "gzip") tracing.fail("compression", "expected gzip");
  tracing.number("sampling_fraction");
  tracing.boolean("insecure", false);
  tracing.durationMs("timeout", 0);
  decodeTls(tracing);
  for (const { key } of tracing.entries("headers")) {
    const name = key.toLowerCase();
    if (name === "authorization" || RESERVED_HEADERS.has(name)) {
      tracing.fail("headers", `the header ${JSON.stringify(key)} cannot be set`);
    }
  }
}

function checkOtlp(otlp: SectionReader, scheme: NameScheme): void {
  const strategy = otlp.string("translation_strategy");
  if (strategy !== "" && !TRANSLATION_STRATEGIES.includes(strategy)) {
    otlp.failWord("translation_strategy", TRANSLATION_STRATEGIES);
  } else if (scheme === "legacy" && UTF8_STRATEGIES.includes(strategy)) {
    otlp.fail("translation_strategy", `${strategy} needs the validation scheme utf8`);
  }
  const promotesAll = otlp.boolean("promote_all_resource_attributes", false);
  const promoted = attributeNames(otlp, "promote_resource_attributes");
  const ignored = attributeNames(otlp, "ignore_resource_attributes");
  if (promotesAll && promoted.length > 0) {
    otlp.fail("promote_resource_attributes", "promote_all_resource_attributes excludes this list");
  }
  if (!promotesAll && ignored.length > 0) {
    otlp.fail("ignore_resource_attributes", "this list needs promote_all_resource_attributes");
  }
  for (const key of OTLP_KEYS.slice(4)) otlp.boolean(key, false);
}

function attributeNames(otlp: SectionReader, key: string): string[] {
  const names = otlp.strings(key).map((name) => name.trim());
  if (names.includes("")) otlp.fail(key, "expected no empty attribute name");
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) otlp.fail(key, `the attribute ${JSON.stringify(repeated)} is listed twice`);
  return names;
}

/** Sections that neither mode can serve: in agent mode only lists with entries are refused, as in Prometheus. */
export function refuseUnsupported(root: SectionReader): void {
  const reason =
    root.context.mode === "agent" ? "is not allowed in agent mode" : "is not supported by the prometheus receiver";
  const keys =
    root.context.mode === "agent" ? ["rule_files", "remote_read"] : ["rule_files", "remote_read", "remote_write"];
  for (const key of keys) if (root.items(key).length > 0) root.fail(key, `${key} ${reason}`);
  const alerting = root.section("alerting", ["alertmanagers", "alert_relabel_configs"]);
  for (const key of ["alertmanagers", "alert_relabel_configs"]) {
    if (alerting.items(key).length > 0) alerting.fail(key, `alerting ${reason}`);
  }
}
