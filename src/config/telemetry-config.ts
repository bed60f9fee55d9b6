/** `service::telemetry`: what Millrace says about itself, with the Collector's keys and defaults. */

import { z } from "zod";
import type { ConfigNode } from "../codec/yaml/config-node.ts";
import { childNode, formatPath, nodeAt, positionAt } from "../codec/yaml/config-node.ts";
import { duration, rawNode } from "../codec/yaml/field-types.ts";
import type { ConfigIssue } from "../model/errors.ts";
import { describeNode } from "./issue-wording.ts";
import { decodeWithSchema } from "./zod-issues.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";
export type MetricsLevel = "none" | "basic" | "normal" | "detailed";

const logLevels: Readonly<Record<string, LogLevel>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  dpanic: "fatal",
  panic: "fatal",
  fatal: "fatal",
};

const logLevel = z
  .string()
  .transform((text) => text.toLowerCase())
  .pipe(z.enum(Object.keys(logLevels)))
  .transform((text): LogLevel => logLevels[text] ?? "info");

const metricsLevel = z
  .string()
  .transform((text) => text.toLowerCase())
  .pipe(z.enum(["none", "basic", "normal", "detailed"]));

const sampling = z.strictObject({
  enabled: z.boolean().default(true).describe("Whether repeated log lines are thinned out."),
  tick: duration().default(10_000).describe("Length of the interval in which lines are counted."),
  initial: z.int().min(0).default(10).describe("Lines of one kind written in each interval before thinning starts."),
  thereafter: z.int().min(0).default(100).describe("After these, every n-th line is written; 0 writes none."),
});

const logs = z.strictObject({
  level: logLevel.default("info").describe("Least severe level that is written."),
  encoding: z.enum(["console", "json"]).default("console").describe("How a line is written."),
  development: z.boolean().default(false).describe("Development mode of the Collector's logger; has no effect."),
  disable_caller: z.boolean().default(false).describe("Leave the place in the code out of the line."),
  disable_stacktrace: z.boolean().default(false).describe("Leave stack traces out of the line."),
  disable_zap_resource: z.boolean().default(false).describe("Leave the resource out of the line."),
  sampling: sampling.prefault({}).describe("How repeated lines are thinned out."),
  output_paths: z.array(z.string().min(1)).default(["stderr"]).describe("Where lines go: stderr, stdout or files."),
  error_output_paths: z.array(z.string().min(1)).default(["stderr"]).describe("Where faults of the logger itself go."),
  initial_fields: z.record(z.string(), z.unknown()).default({}).describe("Fields that every line carries."),
  processors: z.array(rawNode()).default([]).describe("Exporters for the log lines; not there yet."),
});

const withConstantLabels = z.strictObject({
  included: z.array(z.string()).default([]).describe("Resource attributes to add; may contain * and ?."),
  excluded: z.array(z.string()).default([]).describe("Resource attributes to leave out, of the included ones."),
});

const prometheusReader = z.strictObject({
  host: z.string().default("localhost").describe("Address to listen on."),
  port: z.int().min(0).max(65_535).default(8888).describe("Port to listen on; 0 takes a free one."),
  without_scope_info: z.boolean().default(true).describe("Leave the scope's labels out."),
  without_units: z.boolean().default(true).describe("Leave units out of metric names."),
  without_type_suffix: z.boolean().default(true).describe("Leave _total out of the names of counters."),
  with_resource_constant_labels: withConstantLabels
    .optional()
    .describe("Resource attributes as labels of every series."),
});

const reader = z.strictObject({
  pull: z
    .strictObject({ exporter: z.strictObject({ prometheus: prometheusReader.prefault({}) }).prefault({}) })
    .optional(),
  periodic: rawNode().optional(),
});

const telemetry = z.strictObject({
  logs: logs.prefault({}),
  metrics: z
    .strictObject({
      level: metricsLevel.default("normal").describe("How much is measured: none, basic, normal or detailed."),
      readers: z.array(reader).default([{ pull: { exporter: { prometheus: prometheusReader.parse({}) } } }]),
      views: z.array(rawNode()).optional(),
    })
    .prefault({}),
  traces: z
    .strictObject({
      level: metricsLevel.default("normal"),
      propagators: z.array(z.string()).default([]),
      processors: z.array(rawNode()).default([]),
      sampler: rawNode().optional(),
      limits: rawNode().optional(),
    })
    .prefault({}),
  resource: rawNode().optional(),
});

/** One attribute of the resource that Millrace's own telemetry carries. */
export interface ResourceAttribute {
  readonly name: string;
  /** Null takes an attribute away that would be there by itself, such as `service.instance.id`. */
  readonly value: string | number | boolean | null;
}

export type PrometheusReaderSettings = z.infer<typeof prometheusReader>;

/** The decoded section, with the Collector's defaults. */
export interface TelemetrySettings {
  readonly logs: Omit<z.infer<typeof logs>, "processors">;
  readonly metrics: {
    readonly level: MetricsLevel;
    /** One server for each; empty when the level is `none`. */
    readonly prometheusReaders: readonly PrometheusReaderSettings[];
  };
  readonly resource: readonly ResourceAttribute[];
}

export interface DecodedTelemetry {
  /** The defaults where the section is wrong. */
  readonly settings: TelemetrySettings;
  readonly issues: ConfigIssue[];
  readonly warnings: ConfigIssue[];
}

const basePath = ["service", "telemetry"];

/** Decodes `service::telemetry`. What is accepted but has no effect yet is a warning. */
export function decodeTelemetry(node: ConfigNode | undefined): DecodedTelemetry {
  const gone = goneKeys(node);
  const decoded = decodeWithSchema(telemetry, node, basePath);
  const issues = [...gone, ...decoded.issues.filter((issue) => !gone.some((one) => one.path === issue.path))];
  const warnings: ConfigIssue[] = [];
  const value = decoded.value ?? telemetry.parse({});
  const resource = decodeResource(node, issues);
  if (decoded.value !== undefined) checkMetrics(node, value, issues, warnings);
  for (const path of laterKeys) warnLater(node, path, warnings);
  const { processors: _later, ...logSettings } = value.logs;
  const readers = value.metrics.level === "none" ? [] : value.metrics.readers;
  const prometheusReaders = readers.flatMap((one) => (one.pull === undefined ? [] : [one.pull.exporter.prometheus]));
  return {
    settings: { logs: logSettings, metrics: { level: value.metrics.level, prometheusReaders }, resource },
    issues,
    warnings,
  };
}

const laterKeys = [
  ["logs", "processors"],
  ["metrics", "views"],
  ["traces", "processors"],
];

function warnLater(node: ConfigNode | undefined, path: readonly (string | number)[], warnings: ConfigIssue[]): void {
  const found = node === undefined ? undefined : nodeAt(node, path);
  if (found === undefined || (found.kind === "list" && found.items.length === 0)) return;
  warnings.push({
    path: formatPath([...basePath, ...path]),
    message: "comes later and has no effect yet",
    at: found.at,
  });
}

function goneKeys(node: ConfigNode | undefined): ConfigIssue[] {
  const path = ["metrics", "address"];
  if (node === undefined || nodeAt(node, path) === undefined) return [];
  const message = "this key is gone: use metrics::readers with pull::exporter::prometheus and its host and port";
  const metrics = childNode(node, "metrics");
  const keyAt = metrics?.kind === "map" ? metrics.entries.find((entry) => entry.key === "address")?.keyAt : undefined;
  return [{ path: formatPath([...basePath, ...path]), message, at: keyAt }];
}

function checkMetrics(
  node: ConfigNode | undefined,
  value: z.infer<typeof telemetry>,
  issues: ConfigIssue[],
  warnings: ConfigIssue[],
): void {
  const report = (to: ConfigIssue[], path: readonly (string | number)[], message: string) => {
    to.push({ path: formatPath([...basePath, ...path]), message, at: positionAt(node, path) });
  };
  const { level, readers, views } = value.metrics;
  if (level !== "none" && readers.length === 0) {
    report(issues, ["metrics", "readers"], 'expected at least one reader, or the level "none"');
  }
  if (views !== undefined && level !== "detailed") {
    report(issues, ["metrics", "views"], 'expected views only with the level "detailed"');
  }
  readers.forEach((one, index) => {
    const path = ["metrics", "readers", index];
    if (one.pull !== undefined && one.periodic !== undefined)
      report(issues, path, "expected either pull or periodic, got both");
    if (one.pull === undefined && one.periodic === undefined)
      report(warnings, path, "neither pull nor periodic: the reader does nothing");
    if (one.periodic !== undefined) report(warnings, [...path, "periodic"], "comes later and has no effect yet");
  });
}

/** The resource in its new form (`attributes`: a list) or its old one (a map from names to texts or null). */
function decodeResource(node: ConfigNode | undefined, issues: ConfigIssue[]): ResourceAttribute[] {
  const resource = childNode(node, "resource");
  if (resource?.kind !== "map") {
    if (resource !== undefined && !(resource.kind === "scalar" && resource.value === null)) {
      issues.push({ path: formatPath([...basePath, "resource"]), message: "expected a map", at: resource.at });
    }
    return [];
  }
  if (childNode(resource, "attributes")?.kind === "list") return decodeAttributeList(resource, issues);
  return resource.entries.flatMap(({ key, value }): ResourceAttribute[] => {
    if (value.kind === "scalar") {
      if (value.value === null && value.expansion === undefined) return [{ name: key, value: null }];
      if (typeof value.value === "string" || value.expansion !== undefined) return [{ name: key, value: value.text }];
    }
    const message = `expected a text or null, got ${describeNode(value)}`;
    issues.push({ path: formatPath([...basePath, "resource", key]), message, at: value.at });
    return [];
  });
}

const attributeList = z.strictObject({
  attributes: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        value: z.union([z.string(), z.number(), z.boolean(), z.null()]),
        type: z.enum(["string", "bool", "int", "double"]).optional(),
      }),
    )
    .default([]),
  detectors: rawNode().optional(),
  "detection/development": rawNode().optional(),
  schema_url: z.string().optional(),
});

function decodeAttributeList(node: ConfigNode, issues: ConfigIssue[]): ResourceAttribute[] {
  const decoded = decodeWithSchema(attributeList, node, [...basePath, "resource"]);
  issues.push(...decoded.issues);
  return (decoded.value?.attributes ?? []).map(({ name, value }) => ({ name, value }));
}
