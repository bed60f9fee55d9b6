import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MetricsDecoder } from "../../codec/otlp/decode-metrics.ts";
import { metricsSegment } from "../../codec/otlp/metrics-segment.ts";
import { requestFromJson } from "../../codec/otlp-json/request-from-json.ts";
import { logsBatch, tracesBatch } from "../../model/any-batch.ts";
import { metricsBatch } from "../../model/batch.ts";
import { ConfigError } from "../../model/errors.ts";
import { Identities } from "../../model/identities.ts";
import { buildNumbers } from "../../testing/build-points.ts";
import { sampleMetrics } from "../../testing/sample-metrics.ts";
import { createTestContext, parseConfig } from "../../testing/test-context.ts";
import debug from "./debug.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-debug-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function setUp(section: object) {
  const test = createTestContext(parseConfig(debug, section) as never, { id: "debug/1" });
  return { ...test, exporter: debug.create(test.context) };
}

const golden = (verbosity: string) => readFileSync(new URL(`golden/${verbosity}.txt`, import.meta.url), "utf8");

const verbosities = ["basic", "normal", "detailed"] as const;

describe("debug", () => {
  test.each(["basic", "normal", "detailed"])("writes %s text as the Collector 0.155 does", async (verbosity) => {
    const path = join(folder, "out.txt");
    const { exporter } = setUp({ verbosity, use_internal_logger: false, output_paths: [path] });
    await exporter.start?.();
    await exporter.metrics?.(sampleMetrics());
    await exporter.shutdown?.(AbortSignal.abort());
    expect(await readFile(path, "utf8")).toBe(golden(verbosity));
  });

  test.each(
    (["traces", "logs"] as const).flatMap((signal) => verbosities.map((verbosity) => [signal, verbosity] as const)),
  )("writes %s with verbosity %s as the Collector 0.155 does", async (signal, verbosity) => {
    const path = join(folder, "out.txt");
    const { exporter } = setUp({ verbosity, use_internal_logger: false, output_paths: [path] });
    await exporter.start?.();
    const request = requestFromJson(signal, readFileSync(new URL(`golden/${signal}.json`, import.meta.url)));
    if (signal === "traces") await exporter.traces?.(tracesBatch([request]));
    else await exporter.logs?.(logsBatch([request]));
    await exporter.shutdown?.(AbortSignal.abort());
    expect(await readFile(path, "utf8")).toBe(golden(`${signal}-${verbosity}`));
  });

  test.each(["metrics", "traces", "logs"] as const)("writes the entities of a resource of %s", async (signal) => {
    const resource = {
      entityRefs: [{ type: "t", schemaUrl: "s", idKeys: ["k", "l"], descriptionKeys: ["d"] }, { type: "u" }],
    };
    const requests = {
      metrics: {
        resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [{ gauge: { dataPoints: [{ asInt: 1 }] } }] }] }],
      },
      traces: { resourceSpans: [{ resource, scopeSpans: [{ spans: [{}] }] }] },
      logs: { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [{}] }] }] },
    };
    const { exporter, log } = setUp({ verbosity: "detailed" });
    const request = requestFromJson(signal, Buffer.from(JSON.stringify(requests[signal])));
    if (signal === "traces") await exporter.traces?.(tracesBatch([request]));
    else if (signal === "logs") await exporter.logs?.(logsBatch([request]));
    else await exporter.metrics?.(metricsBatch([metricsSegment(request, new MetricsDecoder(new Identities()))]));
    // As the Collector 0.155 writes it.
    const text = [
      "Resource entity refs:",
      "     -> Entity ref #0:",
      "          -> Type: t",
      "          -> Schema URL: s",
      "          -> ID keys:",
      "               -> k",
      "               -> l",
      "          -> Description keys:",
      "               -> d",
      "     -> Entity ref #1:",
      "          -> Type: u",
    ];
    expect(log.entries[1]?.message.split("\n").slice(2, 13)).toEqual(text);
  });

  test("writes through the log of the process unless told otherwise", async () => {
    const { exporter, log } = setUp({ verbosity: "normal" });
    await exporter.metrics?.(buildNumbers([{ name: "m", value: 1.5, attributes: { a: "b" } }]));
    expect(log.entries).toEqual([
      { level: "info", message: "Metrics", fields: { "resource metrics": 1, metrics: 1, "data points": 1 } },
      { level: "info", message: "ResourceMetrics #0\nScopeMetrics #0\nm{a=b} 1.5\n", fields: {} },
    ]);
  });

  test.each([
    ["all batches by default", {}, 10],
    ["the first of a second", { sampling_initial: 3, sampling_thereafter: 0 }, 3],
    ["every fourth after the first two", { sampling_thereafter: 4 }, 4],
  ])("shows %s", async (_title, section, shown) => {
    const { exporter, log, clock } = setUp(section);
    for (let i = 0; i < 10; i++) await exporter.metrics?.(buildNumbers([{ name: "m", value: i }]));
    expect(log.entries.length).toBe(shown);
    await clock.advance(1000);
    await exporter.metrics?.(buildNumbers([{ name: "m", value: 1 }]));
    expect(log.entries.length).toBe(shown + 1);
  });

  test("names the key of a path that cannot be opened", async () => {
    const { exporter } = setUp({ use_internal_logger: false, output_paths: [join(folder, "no", "such")] });
    const error = await exporter.start?.().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain("exporters::debug/1::output_paths[0]: cannot open");
    await exporter.shutdown?.(AbortSignal.abort());
  });

  test.each([
    [{ verbosity: "loud" }, "verbosity"],
    [{ output_paths: ["stdout"] }, "use_internal_logger"],
    [{ use_internal_logger: false, output_paths: [] }, "at least one path"],
    [{ verbosty: "basic" }, "verbosty"],
  ])("refuses %j", (section, message) => {
    expect(() => parseConfig(debug, section)).toThrow(message);
  });
});
