/** Millrace's own metrics as a page, and what every process says of itself. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { getHeapStatistics } from "node:v8";
import { type ExpositionFormat, formatOfAccept } from "../codec/exposition/negotiate.ts";
import { contentTypes, writeExposition } from "../codec/exposition/write-text.ts";
import type { MetricRegistry } from "../component/metric-registry.ts";
import type { Meter } from "../component/telemetry.ts";
import type { Identities } from "../model/identities.ts";
import { observeMemory } from "./memory-metrics.ts";

export type MetricsLevel = "none" | "basic" | "normal" | "detailed";

const levels: readonly MetricsLevel[] = ["none", "basic", "normal", "detailed"];

export interface MetricsPageOptions {
  /** Families above it are left out. */
  readonly level: MetricsLevel;
  readonly constantLabels: Readonly<Record<string, string>>;
  /** Writes the names of counters with `_total`, which those of the Collector do not have by themselves. */
  readonly totalSuffix: boolean;
  readonly format: ExpositionFormat;
}

/** Answers with the page of all families of a level, under their own names, in the format that the request prefers. */
export function serveMetrics(
  registry: MetricRegistry,
  level: MetricsLevel,
  constantLabels: Readonly<Record<string, string>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const format = formatOfAccept(request.headers.accept);
  servePage(registry, { level, constantLabels, totalSuffix: false, format }, request, response);
}

/** Answers with a page. */
export function servePage(
  registry: MetricRegistry,
  { level, constantLabels, totalSuffix, format }: MetricsPageOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const families = registry
    .collect()
    .filter((family) => levels.indexOf(family.level) <= levels.indexOf(level))
    .map((family) => ({
      ...family,
      name: totalSuffix && family.type === "counter" ? withTotal(family.name) : family.name,
      samples: family.samples.map((sample) => ({ ...sample, labels: { ...constantLabels, ...sample.labels } })),
    }));
  const page = Buffer.from(writeExposition(families, format));
  response.writeHead(200, { "Content-Type": contentTypes[format], "Content-Length": page.length });
  response.end(request.method === "HEAD" ? undefined : page);
}

function withTotal(name: string): string {
  return name.endsWith("_total") ? name : `${name}_total`;
}

/** Registers process metrics under the Collector's and under the client libraries' names. */
export function observeProcess(
  meter: Meter,
  identities: Identities,
  startedMs: number,
  names: "otelcol" | "prometheus",
): void {
  const one = (value: number) => [{ labels: {}, value }];
  const gauge = (name: string, help: string, read: () => number) =>
    meter.observe(name, { help, type: "gauge" }, () => one(read()));
  const counter = (name: string, help: string, read: () => number) =>
    meter.observe(name, { help, type: "counter" }, () => one(read()));
  const cpuSeconds = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  if (names === "otelcol") {
    counter("otelcol_process_uptime", "Uptime of the process in seconds.", () => process.uptime());
    counter("otelcol_process_cpu_seconds", "Total CPU user and system time in seconds.", cpuSeconds);
    gauge("otelcol_process_memory_rss", "Total physical memory (resident set size).", () => process.memoryUsage.rss());
    gauge(
      "otelcol_process_runtime_heap_alloc_bytes",
      "Bytes of allocated heap objects.",
      () => getHeapStatistics().used_heap_size,
    );
    gauge(
      "otelcol_process_runtime_total_sys_memory_bytes",
      "Total bytes of memory obtained for the heap.",
      () => getHeapStatistics().total_heap_size,
    );
  } else {
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", cpuSeconds);
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () => process.memoryUsage.rss());
    gauge(
      "process_start_time_seconds",
      "Start time of the process since unix epoch in seconds.",
      () => startedMs / 1000,
    );
  }
  const table = (name: string, size: () => number) => ({ labels: { table: name }, value: size() });
  meter.observe("millrace_identities", { help: "Identities in the tables of the process.", type: "gauge" }, () => [
    table("label_pairs", () => identities.labelPairs.size),
    table("label_sets", () => identities.labelSets.size),
    table("attribute_pairs", () => identities.attributePairs.size),
    table("series", () => identities.series.size),
    table("metrics", () => identities.metrics.size),
    table("resources", () => identities.resources.size),
  ]);
  gauge("millrace_identities_bytes", "Bytes held by the identity tables.", () => identities.byteLength);
  observeMemory(meter, identities);
}
