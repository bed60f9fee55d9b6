import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../model/errors.ts";
import { systemClock } from "./clock.ts";
import { Collector, validateConfig } from "./collector.ts";
import { SwitchableLogger } from "./switchable-logger.ts";

let folder = "";
let file = "";
let logFile = "";
const running: Collector[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-collector-"));
  file = join(folder, "config.yaml");
  logFile = join(folder, "log");
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((collector) => collector.shutdown()));
  rmSync(folder, { recursive: true, force: true });
});

interface Parts {
  readonly port?: number;
  readonly metrics?: string;
  readonly exporter?: string;
  readonly processors?: string;
  readonly more?: string;
}

/** A configuration that listens on free ports and scrapes nothing. */
function configText({ port = 0, metrics = "", exporter = "debug: {}", processors = "batch: {}", more = "" }: Parts) {
  return `
receivers:
  prometheus: {config: {scrape_configs: [{job_name: j, static_configs: []}]}}
processors: {${processors}}
exporters: {${exporter}}
service:
  telemetry:
    logs: {output_paths: [${JSON.stringify(logFile)}]}
    metrics: {${metrics}readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${port}}}}}]}
  pipelines:
    metrics: {receivers: [prometheus], processors: [${processors.split(":")[0]}], exporters: [${exporter.split(":")[0]}]}
${more}`;
}

async function start(parts: Parts = {}): Promise<Collector> {
  writeFileSync(file, configText(parts));
  const collector = create();
  await collector.start();
  return collector;
}

function create(): Collector {
  const sources = { uris: [file], sets: [], env: {} };
  const collector = new Collector({ ...sources, shutdownTimeoutMs: 1000 }, new SwitchableLogger(), systemClock);
  running.push(collector);
  return collector;
}

async function page(collector: Collector): Promise<string> {
  const response = await fetch(collector.metricsUrls[0] ?? "", { headers: { accept: "application/openmetrics-text" } });
  return await response.text();
}

async function configErrorOf(work: Promise<unknown>): Promise<readonly string[]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(({ path, at }) => `${path} ${at?.line}:${at?.column}`);
    throw error;
  }
  return [];
}

describe("own metrics", () => {
  test("are a text page with the names of the Collector, and the resource in target_info", async () => {
    const text = await page(await start());
    expect(text).toContain('otelcol_exporter_sent_metric_points{exporter="debug"} 0\n');
    expect(text).toMatch(/^target_info\{service_instance_id="[-0-9a-f]{36}",service_name="millrace",service_version=/m);
    expect(text).toMatch(/^otelcol_process_uptime [0-9.]+$/m);
  });

  test("carry what the resource says", async () => {
    writeFileSync(
      file,
      configText({}).replace(
        "  telemetry:\n",
        "  telemetry:\n    resource: {service.name: x, a.b: c, service.instance.id: null, service.version: null}\n",
      ),
    );
    const collector = create();
    await collector.start();
    expect(await page(collector)).toContain('target_info{a_b="c",service_name="x"} 1\n');
  });

  test("are not served at level none", async () => {
    expect((await start({ metrics: "level: none, " })).metricsUrls).toEqual([]);
  });

  test("leave out what is above the level", async () => {
    expect(await page(await start({ metrics: "level: basic, " }))).not.toContain("otelcol_processor_batch_");
  });

  test("a port in use is an error that names the key", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => void taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const issues = await configErrorOf(start({ port }));
    await new Promise((resolve) => void taken.close(resolve));
    expect(issues).toEqual([
      expect.stringMatching(/^service::telemetry::metrics::readers\[0\]::pull::exporter::prometheus::port 9:\d+$/),
    ]);
  });
});

test("accepted keys without effect and older names are logged once, with their place", async () => {
  writeFileSync(
    file,
    configText({ exporter: "prometheusremotewrite: {endpoint: 'http://127.0.0.1:9/'}" }).replace(
      "    logs: {",
      "    logs: {sampling: {enabled: false}, ",
    ),
  );
  const collector = create();
  await collector.start();
  await collector.reload();
  const warnings = readFileSync(logFile, "utf8")
    .split("\n")
    .filter((line) => line.includes("\twarn\t"));
  expect(warnings).toEqual([
    expect.stringMatching(/exporters::prometheusremotewrite: .* is an older name .*config\.yaml:5:13\)$/),
    expect.stringMatching(/service::telemetry::logs::sampling: has no effect \(.*config\.yaml:8:\d+\)$/),
  ]);
});

describe("reload", () => {
  test("refuses a bad file and goes on", async () => {
    const collector = await start();
    const before = collector.metricsUrls;
    writeFileSync(file, configText({ exporter: "debug: {verbosity: loud}" }));
    expect(await collector.reload()).toBe(false);
    expect([collector.isReady(), collector.metricsUrls]).toEqual([true, before]);
  });

  test("refuses what cannot be had and goes on, on the page as well", async () => {
    const collector = await start();
    writeFileSync(file, configText({ exporter: `file: {path: ${JSON.stringify(join(folder, "no", "such", "x"))}}` }));
    expect(await collector.reload()).toBe(false);
    expect(await page(collector)).toContain('otelcol_exporter_sent_metric_points{exporter="debug"} 0\n');
  });

  test("takes a good file; the page shows the new components and no longer the old", async () => {
    const collector = await start();
    writeFileSync(file, configText({ exporter: `file: {path: ${JSON.stringify(join(folder, "out"))}}` }));
    expect(await collector.reload()).toBe(true);
    const text = await page(collector);
    expect(text).toContain('otelcol_exporter_sent_metric_points{exporter="file"} 0\n');
    expect(text).not.toContain('exporter="debug"');
  });

  test("reloads one after another, and not while it ends", async () => {
    const collector = await start();
    const reloads = [collector.reload(), collector.reload()];
    const end = collector.shutdown();
    expect(await Promise.all(reloads)).toEqual([false, false]);
    await end;
  });
});

describe("validate", () => {
  const validate = (uris: string[]) => validateConfig({ uris, sets: [], env: {} }, new SwitchableLogger(), systemClock);

  test("finds everything that is wrong at once, in the order of the file, unused components too", async () => {
    writeFileSync(
      file,
      `receivers:
  prometheus: {config: {scrape_configs: [{job_name: j, scrape_intervall: 1s}]}}
  statsd:
processors:
  batch/unused: {timeoutt: 1s}
exporters:
  debug: {verbosity: loud}
service:
  components: [./none.ts]
  pipelines:
    metrics: {receivers: [prometheus], exporters: [debugg]}
`,
    );
    expect(await configErrorOf(validate([file]))).toEqual([
      "receivers::prometheus::config::scrape_configs[0]::scrape_intervall 2:56",
      "receivers::statsd 3:3",
      "processors::batch/unused::timeoutt 5:18",
      "exporters::debug::verbosity 7:22",
      "service::components[0] 9:16",
      "service::pipelines::metrics::exporters[0] 11:52",
    ]);
  });

  test("starts nothing", async () => {
    writeFileSync(file, configText({ exporter: `file: {path: ${JSON.stringify(join(folder, "no", "x"))}}` }));
    await validate([file]);
  });
});
