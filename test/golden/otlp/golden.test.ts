/**
 * Golden files of OTLP pipelines: a case is a folder with processors, a request of each signal in JSON, and what
 * otelcol-contrib 0.155 made of it with the same processors (`UPDATE=1` writes that anew where otelcol is found).
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { MetricsDecoder } from "../../../src/codec/otlp/decode-metrics.ts";
import { MetricsEncoder } from "../../../src/codec/otlp/encode-metrics.ts";
import { joinRequests } from "../../../src/codec/otlp/join-requests.ts";
import { metricsSegment } from "../../../src/codec/otlp/metrics-segment.ts";
import { requestFromJson } from "../../../src/codec/otlp-json/request-from-json.ts";
import { requestToJson } from "../../../src/codec/otlp-json/request-to-json.ts";
import type { ProcessorDefinition } from "../../../src/component/define.ts";
import { type AnyBatch, logsBatch, signals, tracesBatch } from "../../../src/model/any-batch.ts";
import { metricsBatch } from "../../../src/model/batch.ts";
import { Identities } from "../../../src/model/identities.ts";
import type { Signal } from "../../../src/model/otlp-request.ts";
import attributes from "../../../src/processors/attributes/attributes.ts";
import batch from "../../../src/processors/batch/batch.ts";
import resource from "../../../src/processors/resource/resource.ts";
import { runProcessor } from "../../../src/testing/run-processor.ts";
import { freePort } from "../../kit/free-port.ts";
import { missingPeers, peerPath } from "../../kit/peers.ts";
import { startProcess } from "../../kit/processes.ts";
import { createTempFolder } from "../../kit/temp.ts";
import { waitFor } from "../../kit/wait.ts";

const root = fileURLToPath(new URL(".", import.meta.url));
const cases = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const updates = process.env["UPDATE"] === "1";

const definitions: Readonly<Record<string, ProcessorDefinition<never>>> = {
  attributes: attributes as ProcessorDefinition<never>,
  batch: batch as ProcessorDefinition<never>,
  resource: resource as ProcessorDefinition<never>,
};

interface CaseConfig {
  readonly processors: Readonly<Record<string, unknown>>;
  readonly service?: {
    readonly pipelines: Readonly<Partial<Record<Signal, { readonly processors: readonly string[] }>>>;
  };
}

function readCase(name: string): CaseConfig {
  return parse(readFileSync(join(root, name, "config.yaml"), "utf8")) as CaseConfig;
}

const processorsOf = ({ processors, service }: CaseConfig, signal: Signal) =>
  service?.pipelines[signal]?.processors ?? Object.keys(processors);

/** What the processors make of the request of the case, as JSON. */
async function ours(name: string, signal: Signal): Promise<string> {
  const config = readCase(name);
  const request = requestFromJson(signal, readFileSync(join(root, name, `${signal}.json`)));
  const identities = new Identities();
  let batches: readonly AnyBatch[] = [
    signal === "metrics"
      ? metricsBatch([metricsSegment(request, new MetricsDecoder(identities))])
      : signal === "traces"
        ? tracesBatch([request])
        : logsBatch([request]),
  ];
  for (const id of processorsOf(config, signal)) {
    const definition = definitions[id.split("/")[0] ?? ""];
    if (definition === undefined) throw new Error(`no processor ${id}`);
    batches = await runProcessor(definition, config.processors[id], batches, { identities });
  }
  const encoder = new MetricsEncoder();
  const requests = batches.flatMap((one) => (one.signal === "metrics" ? [encoder.encode(one.segments)] : one.requests));
  return requestToJson(joinRequests(signal, requests));
}

/** What otelcol makes of it. */
async function theirs(name: string): Promise<Record<Signal, string>> {
  const config = readCase(name);
  using folder = createTempFolder("golden-otlp");
  const port = await freePort();
  const exporters = Object.fromEntries(
    signals.map((signal) => [`file/${signal}`, { path: folder.file(signal), flush_interval: "20ms" }]),
  );
  const file = folder.write(
    "config.yaml",
    stringify({
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
      processors: config.processors,
      exporters,
      service: {
        telemetry: { metrics: { level: "none" } },
        pipelines: Object.fromEntries(
          signals.map((signal) => [
            signal,
            { receivers: ["otlp"], processors: processorsOf(config, signal), exporters: [`file/${signal}`] },
          ]),
        ),
      },
    }),
  );
  const command = { title: "otelcol", file: peerPath("otelcol"), args: ["--config", file] };
  const { process: collector } = await startProcess(command, /Everything is ready/);
  await using _collector = collector;
  const found: Partial<Record<Signal, string>> = {};
  for (const signal of signals) {
    const response = await fetch(`http://127.0.0.1:${port}/v1/${signal}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: readFileSync(join(root, name, `${signal}.json`)),
    });
    expect(response.status).toBe(200);
    found[signal] = await waitFor(`the file of ${signal}`, () => {
      const text = readFileSync(folder.file(signal), "utf8");
      return text.endsWith("\n") ? text.trimEnd() : undefined;
    });
  }
  return found as Record<Signal, string>;
}

/** Messages that otelcol writes also where they are empty. */
const mayBeAbsent = new Set(["resource", "scope", "status", "body", "positive", "negative"]);
const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** Sorted keys and attributes: their order says nothing. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(normal);
    const arePairs =
      value.length > 0 && value.every((item) => typeof item === "object" && item !== null && "key" in item);
    return arePairs ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key, item]) => !(mayBeAbsent.has(key) && isEmpty(item)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, normal(item)]));
}

test.skipIf(!updates || missingPeers("otelcol") !== undefined).each(cases)(
  "%s: the expected files are written",
  async (name) => {
    const texts = await theirs(name);
    for (const signal of signals) {
      const pretty = JSON.stringify(normal(JSON.parse(texts[signal])), undefined, 1);
      writeFileSync(join(root, name, `${signal}.expected.json`), `${pretty}\n`);
    }
  },
);

test.each(cases.flatMap((name) => signals.map((signal) => [name, signal] as const)))(
  "%s: %s are as otelcol-contrib makes them",
  async (name, signal) => {
    const expected = JSON.parse(readFileSync(join(root, name, `${signal}.expected.json`), "utf8")) as unknown;
    expect(normal(JSON.parse(await ours(name, signal)))).toEqual(normal(expected));
  },
);
