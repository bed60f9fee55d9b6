/**
 * Golden files: pages in, what leaves a pipeline out. A case is a folder with a Collector configuration, pages in the
 * order of their scrapes (`1.txt`, `2.om` for OpenMetrics, `3.down` for a target that answers 503), and the expected
 * `otlp.jsonl` of the file exporter and `remote-write.txt` as it arrived. `UPDATE=1` writes the expected files anew.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { plainValue } from "../../src/codec/yaml/config-node.ts";
import { parseYaml } from "../../src/codec/yaml/parse-yaml.ts";
import type { ExporterDefinition, ProcessorDefinition } from "../../src/component/define.ts";
import file from "../../src/exporters/file/file.ts";
import prometheusRemoteWrite from "../../src/exporters/prometheus_remote_write/prometheus_remote_write.ts";
import type { MetricsBatch } from "../../src/model/batch.ts";
import { Identities } from "../../src/model/identities.ts";
import attributes from "../../src/processors/attributes/attributes.ts";
import batch from "../../src/processors/batch/batch.ts";
import resource from "../../src/processors/resource/resource.ts";
import type { ScrapeConfig } from "../../src/prometheus/config/types.ts";
import { LabelSetMarks } from "../../src/prometheus/scrape/label-set-marks.ts";
import { PageTurns } from "../../src/prometheus/scrape/page-turns.ts";
import { defaultOwnLimits } from "../../src/prometheus/scrape/scrape-environment.ts";
import { ScrapeManager } from "../../src/prometheus/scrape/scrape-manager.ts";
import { FetchError } from "../../src/prometheus/scrape/scrape-target.ts";
import { contribScopeName, createScrapeOrigin } from "../../src/prometheus/translation/scrape-origin.ts";
import { type PrometheusReceiverConfig, scrapeConfiguration } from "../../src/receivers/prometheus/config.ts";
import prometheusReceiver from "../../src/receivers/prometheus/prometheus.ts";
import { createFakeClock } from "../../src/testing/fake-clock.ts";
import { runProcessor } from "../../src/testing/run-processor.ts";
import { createTestContext, parseConfig } from "../../src/testing/test-context.ts";
import { readWriteRequest, showBits, type WireLabel, type WireSample } from "../kit/remote-write-message.ts";
import { serveHttp } from "../support/http-servers.ts";
import { type Answer, answering, openMetricsType, recordMetrics, textType } from "../support/scrape-kit.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const cases = readdirSync(folder, { withFileTypes: true })
  // Folders without a configuration have cases of their own kind, with a test of their own.
  .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "config.yaml")))
  .map((entry) => entry.name);

const processors: Readonly<Record<string, ProcessorDefinition<never>>> = {
  attributes: attributes as ProcessorDefinition<never>,
  batch: batch as ProcessorDefinition<never>,
  resource: resource as ProcessorDefinition<never>,
};
const startMs = 1_700_000_000_000;
const forever = new AbortController().signal;

interface CaseConfig {
  readonly receivers: { readonly prometheus: unknown };
  readonly processors: Readonly<Record<string, unknown>>;
  readonly exporters: { readonly prometheus_remote_write?: Readonly<Record<string, unknown>> | null };
  readonly service: { readonly pipelines: { readonly metrics: { readonly processors?: readonly string[] } } };
}

/** One line per object that matters, so that a change is one line of the difference. */
function splitObjects(json: string): string {
  return json.replaceAll(/([[,])(\{"(?!key"|asDouble"))/g, "$1\n$2");
}

function pagesOf(name: string): Answer[] {
  return readdirSync(join(folder, name))
    .filter((entry) => /^\d+\.(txt|om|down)$/.test(entry))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .map((entry) => {
      if (entry.endsWith(".down")) return new FetchError("status", "server returned HTTP status 503");
      const page = readFileSync(join(folder, name, entry), "utf8");
      return { page, contentType: entry.endsWith(".om") ? openMetricsType : textType };
    });
}

/** What the receiver hands on while its one target answers with these pages, one per interval. */
async function scrape(identities: Identities, job: ScrapeConfig, pages: readonly Answer[]): Promise<MetricsBatch[]> {
  const clock = createFakeClock(startMs);
  const left = [...pages];
  const batches: MetricsBatch[] = [];
  const manager = new ScrapeManager(
    {
      identities,
      marks: new LabelSetMarks(),
      turns: new PageTurns(),
      metrics: recordMetrics(),
      clock,
      ownLimits: defaultOwnLimits,
      externalLabels: [],
      readsOtlp: true,
      createFetcher: () => answering(() => left.shift() ?? new FetchError("network", "no page is left")),
      createOrigin: (target) =>
        createScrapeOrigin({
          identities,
          lane: target.hash,
          targetLabels: target.labels,
          discoveredLabels: Object.entries(target.discoveredLabels),
          scopeName: contribScopeName,
          scopeVersion: "VERSION",
        }),
      deliver: async (delivered) => void batches.push(delivered),
      scrapeFailed: () => {},
      batchRefused: () => {},
      targetFailed: () => {},
      targetsChanged: () => {},
      loopBroken: (_target, error) => {
        throw error;
      },
    },
    {
      createHttpClient: () => {
        throw new Error("no HTTP discovery here");
      },
      log: { warn: () => {}, error: () => {} },
    },
  );
  await manager.apply({ scrapeConfigs: [job] });
  for (let count = 0; left.length > 0 && count <= pages.length; count++) await clock.advance(job.scrapeIntervalMs);
  await manager.close(AbortSignal.abort());
  expect(left).toEqual([]);
  return batches;
}

async function runExporter(
  definition: ExporterDefinition<never>,
  section: unknown,
  identities: Identities,
  batches: readonly MetricsBatch[],
): Promise<void> {
  const context = createTestContext(parseConfig(definition, section) as never, { identities });
  const exporter = definition.create(context.context);
  await exporter.start?.();
  context.startLoops();
  for (const one of batches) await exporter.metrics?.(one);
  await context.stopLoops();
  await exporter.shutdown?.(forever);
}

async function exportToFile(identities: Identities, batches: readonly MetricsBatch[]): Promise<string> {
  const into = mkdtempSync(join(tmpdir(), "millrace-golden-"));
  onTestFinished(() => rmSync(into, { recursive: true, force: true }));
  const path = join(into, "otlp.jsonl");
  await runExporter(file as ExporterDefinition<never>, { path }, identities, batches);
  return splitObjects(readFileSync(path, "utf8"));
}

const showLabels = (labels: readonly WireLabel[]) =>
  `{${labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(", ")}}`;
const showSample = ({ bits, timestampMs }: WireSample) => `${showBits(bits)} @${timestampMs - startMs}`;

/** Series as `{labels} value @time`, times in milliseconds from the start, exemplars behind `#`. */
async function exportToRemoteWrite(
  section: Readonly<Record<string, unknown>>,
  identities: Identities,
  batches: readonly MetricsBatch[],
): Promise<string> {
  const lines: string[] = [];
  const server = await serveHttp(async (request, response) => {
    const { series, metadata } = readWriteRequest(await buffer(request));
    for (const { labels, samples, exemplars } of series) {
      const shown = exemplars.map((exemplar) => `# ${showLabels(exemplar.labels)} ${showSample(exemplar)}`);
      lines.push([showLabels(labels), ...samples.map(showSample), ...shown].join(" "));
    }
    for (const { family, type, help, unit } of metadata) lines.push(`# ${family} ${type} ${unit} ${help}`);
    response.writeHead(204).end();
  });
  // Metadata comes by a request of its own at any time, so the lines are put in an order of their own.
  const definition = prometheusRemoteWrite as ExporterDefinition<never>;
  await runExporter(
    definition,
    { ...section, endpoint: server.url, remote_write_queue: { enabled: false } },
    identities,
    batches,
  );
  const [comments, rows] = [
    lines.filter((line) => line.startsWith("# ")),
    lines.filter((line) => line.startsWith("{")),
  ];
  return [...comments.sort(), ...rows, ""].join("\n");
}

function expectFile(name: string, entry: string, text: string): void {
  const path = join(folder, name, entry);
  if (process.env["UPDATE"] === "1") writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}

function readConfig(name: string): CaseConfig {
  const { root, issues } = parseYaml(readFileSync(join(folder, name, "config.yaml"), "utf8"), `${name}/config.yaml`);
  if (root === undefined || issues.length > 0) throw new Error(JSON.stringify(issues));
  return plainValue(root) as CaseConfig;
}

function jobOf(config: CaseConfig): ScrapeConfig {
  const receiver = parseConfig(prometheusReceiver, config.receivers.prometheus) as PrometheusReceiverConfig;
  const [job] = scrapeConfiguration(receiver).scrapeConfigs;
  if (job === undefined) throw new Error("expected a job");
  return job;
}

test.each(cases)("%s", async (name) => {
  const config = readConfig(name);
  const identities = new Identities();
  let batches: readonly MetricsBatch[] = await scrape(identities, jobOf(config), pagesOf(name));
  for (const id of config.service.pipelines.metrics.processors ?? []) {
    const definition = processors[id.split("/")[0] ?? ""];
    if (definition === undefined) throw new Error(`no processor ${id}`);
    batches = await runProcessor(definition, config.processors[id], batches, { identities });
  }
  const { prometheus_remote_write: remoteWrite } = config.exporters;
  expectFile(name, "otlp.jsonl", await exportToFile(identities, batches));
  expectFile(name, "remote-write.txt", await exportToRemoteWrite(remoteWrite ?? {}, identities, batches));
});
