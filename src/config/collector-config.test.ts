import { describe, expect, test } from "vitest";
import type { ComponentKind } from "../component/define.ts";
import { formatConfigIssue } from "../model/errors.ts";
import { planCollector, readOutsideComponents } from "./collector-config.ts";
import type { CatalogEntry, ComponentCatalog } from "./plan-types.ts";
import { resolveConfig } from "./resolve.ts";
import { decodeTelemetry } from "./telemetry-config.ts";

const metricsOnly = { signals: ["metrics"], connectorPairs: [] } as const;
const all = { signals: ["metrics", "traces", "logs"], connectorPairs: [] } as const;
const types: Record<ComponentKind, Record<string, Omit<CatalogEntry, "type" | "deprecatedAlias">>> = {
  receiver: { prometheus: metricsOnly, nop: all },
  processor: { batch: metricsOnly, memory_limiter: all },
  exporter: { prometheus_remote_write: metricsOnly, debug: all },
  connector: {
    forward: {
      signals: [],
      connectorPairs: [
        { from: "metrics", to: "metrics" },
        { from: "traces", to: "traces" },
      ],
    },
    span_metrics: { signals: [], connectorPairs: [{ from: "traces", to: "metrics" }] },
  },
  extension: { health_check: { signals: [], connectorPairs: [] } },
};
const aliases: Record<string, string> = {
  prometheusremotewrite: "prometheus_remote_write",
  spanmetrics: "span_metrics",
};
const catalog: ComponentCatalog = {
  find(kind, type) {
    const canonical = aliases[type] ?? type;
    const entry = types[kind][canonical];
    return entry === undefined ? undefined : { type: canonical, deprecatedAlias: canonical !== type, ...entry };
  },
  types: (kind) => Object.keys(types[kind]),
  later: (_kind, type) => type === "otlp",
};

function plan(text: string) {
  const { root, issues } = resolveConfig({ uris: [`yaml:${text}`], sets: [], env: { TOKEN: "hunter2" } });
  expect(issues).toEqual([]);
  return planCollector(root, catalog);
}

function linesOf(text: string): string[] {
  return plan(text).issues.map((issue) => formatConfigIssue({ ...issue, at: undefined }));
}

/** A valid configuration with parts replaced or added. */
function config(parts: Record<string, string> = {}): string {
  const whole: Record<string, string> = {
    receivers: "{prometheus: }",
    processors: "{batch: , batch/2: , memory_limiter: }",
    exporters: "{debug: , debug/2: }",
    extensions: "{health_check: }",
    pipelines: "{metrics: {receivers: [prometheus], processors: [batch], exporters: [debug]}}",
    ...parts,
  };
  const { pipelines, service = "", top = "", ...sections } = whole;
  const lines = Object.entries(sections).map(([key, value]) => `${key}: ${value}`);
  return `${lines.join("\n")}\n${top}\nservice:\n  pipelines: ${pipelines}\n  ${service}\n`;
}

describe("a valid configuration", () => {
  test("becomes a plan", () => {
    const {
      plan: planned,
      issues,
      warnings,
    } = plan(
      config({
        exporters: "{debug: {verbosity: basic}, prometheusremotewrite/x: }",
        pipelines:
          "{metrics/in: {receivers: [prometheus], processors: [memory_limiter, batch], exporters: [debug, prometheus_remote_write/x]}}",
        service: "extensions: [health_check]",
      }),
    );
    expect(issues).toEqual([]);
    expect(warnings.map((issue) => issue.message)).toEqual([
      '"prometheusremotewrite" is an older name of the exporter "prometheus_remote_write"',
    ]);
    expect(planned.pipelines).toEqual([
      {
        id: "metrics/in",
        signal: "metrics",
        name: "in",
        receivers: ["prometheus"],
        fromConnectors: [],
        processors: ["memory_limiter", "batch"],
        exporters: ["debug", "prometheusremotewrite/x"],
        toConnectors: [],
        at: { file: "yaml:", line: 7, column: 15 },
      },
    ]);
    const exporter = planned.exporters.get("prometheusremotewrite/x");
    expect(exporter).toMatchObject({ type: "prometheus_remote_write", name: "x", used: true });
    expect(exporter?.path).toEqual(["exporters", "prometheusremotewrite/x"]);
    expect(planned.processors.get("batch/2")?.used).toBe(false);
    expect(planned.activeExtensions).toEqual(["health_check"]);
    expect(planned.telemetry).toEqual(decodeTelemetry(undefined).settings);
  });

  const accepted: [string, string][] = [
    [
      "blanks in ids",
      config({
        receivers: '{" prometheus / a ": }',
        pipelines: "{metrics: {receivers: [prometheus/a], exporters: [debug]}}",
      }),
    ],
    ["a text for a list", config({ pipelines: "{metrics: {receivers: prometheus, exporters: 'debug,debug/2'}}" })],
    ["an exporter twice", config({ pipelines: "{metrics: {receivers: [prometheus], exporters: [debug, debug]}}" })],
    [
      "no processors",
      config({ processors: "", pipelines: "{metrics: {receivers: [prometheus], processors: , exporters: [debug]}}" }),
    ],
    [
      "both spellings of a type",
      config({ exporters: "{debug: , prometheusremotewrite: , prometheus_remote_write: }" }),
    ],
    ["a name with a slash", config({ exporters: "{debug: , debug//x: }" })],
  ];
  test.each(accepted)("%s is accepted", (_title, text) => {
    expect(linesOf(text)).toEqual([]);
  });

  test("connectors join pipelines, and the plan says what to build first", () => {
    const { plan: planned, issues } = plan(
      config({
        receivers: "{nop: , prometheus: }",
        connectors: "{spanmetrics: , forward: }",
        pipelines: `
    traces: {receivers: [nop], exporters: [span_metrics, debug]}
    metrics/a: {receivers: [prometheus, spanmetrics], exporters: [forward]}
    metrics/b: {receivers: [forward], exporters: [debug]}`,
      }),
    );
    expect(issues).toEqual([]);
    expect(planned.buildOrder).toEqual(["metrics/b", "metrics/a", "traces"]);
    expect(planned.connections).toEqual([
      {
        connector: "spanmetrics",
        from: "traces",
        to: "metrics",
        fromPipelines: ["traces"],
        toPipelines: ["metrics/a"],
      },
      {
        connector: "forward",
        from: "metrics",
        to: "metrics",
        fromPipelines: ["metrics/a"],
        toPipelines: ["metrics/b"],
      },
    ]);
    expect(planned.pipelines[1]).toMatchObject({
      receivers: ["prometheus"],
      fromConnectors: ["spanmetrics"],
      toConnectors: ["forward"],
    });
  });
});

describe("issues", () => {
  const pipeline = (text: string, more: Record<string, string> = {}) =>
    config({ ...more, pipelines: `{metrics: ${text}}` });
  const cases: [string, string, string[]][] = [
    [
      "an unknown top-level key",
      config({ top: "recievers: {}" }),
      ['recievers: unknown key, did you mean "receivers"?'],
    ],
    [
      "an unknown service key",
      config({ service: "telemetri: {}" }),
      ['service::telemetri: unknown key, did you mean "telemetry"?'],
    ],
    [
      "a section that is no map",
      config({ processors: "[batch]", pipelines: "{metrics: {receivers: [prometheus], exporters: [debug]}}" }),
      ["processors: expected a map of processors, got a list"],
    ],
    [
      "a bad id",
      config({ extensions: "{9x: }" }),
      ['extensions::9x: expected a component type of letters, digits and "_" that begins with a letter, got "9x"'],
    ],
    [
      "an unknown type",
      config({ extensions: "{health_chek: }" }),
      [
        'extensions::health_chek: unknown extension type "health_chek" (valid values: health_check), did you mean "health_check"?',
      ],
    ],
    [
      "a type that comes later",
      config({ receivers: "{prometheus: , otlp: }" }),
      ['receivers::otlp: the receiver "otlp" comes later: this version does not have it yet'],
    ],
    [
      "a type that comes later and is used",
      pipeline("{receivers: [otlp], exporters: [debug]}", { receivers: "{otlp: }" }),
      ['receivers::otlp: the receiver "otlp" comes later: this version does not have it yet'],
    ],
    [
      "an id twice",
      config({ exporters: '{debug: , debug/a: , "debug / a": }' }),
      ['exporters::debug / a: the exporter "debug/a" is configured twice, first given in line 3'],
    ],
    ["no pipelines", config({ pipelines: "{}" }), ["service::pipelines: expected at least one pipeline"]],
    ["no service", "receivers: {nop: }\nexporters: {debug: }", ["service::pipelines: expected at least one pipeline"]],
    [
      "no receivers",
      config({ receivers: "" }),
      [
        "receivers: expected at least one receiver",
        'service::pipelines::metrics::receivers[0]: references the receiver "prometheus" which is not configured',
      ],
    ],
    [
      "a pipeline of an unknown signal",
      config({ pipelines: "{metric: {receivers: [prometheus], exporters: [debug]}}" }),
      [
        'service::pipelines::metric: expected a pipeline id that begins with "metrics", "traces" or "logs", got "metric", did you mean "metrics"?',
      ],
    ],
    [
      "a pipeline of profiles",
      config({ pipelines: "{profiles: {receivers: [nop], exporters: [debug]}}" }),
      ["service::pipelines::profiles: pipelines of profiles come later: this version does not have them yet"],
    ],
    [
      "a pipeline twice",
      config({
        pipelines:
          "{metrics/a: {receivers: [prometheus], exporters: [debug]}, 'metrics/ a': {receivers: [prometheus], exporters: [debug]}}",
      }),
      ["service::pipelines::metrics/ a: this pipeline is configured twice"],
    ],
    [
      "a pipeline without receivers and exporters",
      pipeline("{processors: [batch]}"),
      [
        "service::pipelines::metrics::receivers: expected at least one receiver",
        "service::pipelines::metrics::exporters: expected at least one exporter",
      ],
    ],
    [
      "an empty pipeline",
      pipeline(""),
      [
        "service::pipelines::metrics::receivers: expected at least one receiver",
        "service::pipelines::metrics::exporters: expected at least one exporter",
      ],
    ],
    [
      "an unknown pipeline key",
      pipeline("{receivers: [prometheus], exporter: [debug], exporters: [debug]}"),
      ['service::pipelines::metrics::exporter: unknown key, did you mean "exporters"?'],
    ],
    [
      "references that lead nowhere",
      pipeline("{receivers: [prometeus], processors: [bach], exporters: [x]}"),
      [
        'service::pipelines::metrics::receivers[0]: references the receiver "prometeus" which is not configured, did you mean "prometheus"?',
        'service::pipelines::metrics::processors[0]: references the processor "bach" which is not configured, did you mean "batch"?',
        'service::pipelines::metrics::exporters[0]: references the exporter "x" which is not configured',
      ],
    ],
    [
      "a processor twice",
      pipeline("{receivers: [prometheus], processors: [batch, batch], exporters: [debug]}"),
      ['service::pipelines::metrics::processors[1]: the processor "batch" is named twice'],
    ],
    [
      "a reference that is no text",
      pipeline("{receivers: [5], exporters: {debug: }}"),
      [
        "service::pipelines::metrics::receivers[0]: expected a name, got 5",
        "service::pipelines::metrics::receivers: expected at least one receiver",
        "service::pipelines::metrics::exporters: expected a list of names, got a map",
      ],
    ],
    [
      "a signal that is not supported",
      config({
        receivers: "{prometheus: , nop: }",
        pipelines:
          "{metrics: {receivers: [nop], exporters: [debug]}, traces: {receivers: [nop, prometheus], processors: [batch], exporters: [debug]}}",
      }),
      [
        'service::pipelines::traces::receivers[1]: telemetry type is not supported: the receiver "prometheus" does not support traces, only metrics',
        'service::pipelines::traces::processors[0]: telemetry type is not supported: the processor "batch" does not support traces, only metrics',
      ],
    ],
    [
      "an extension that is not configured",
      config({ service: "extensions: [health_chek]" }),
      [
        'service::extensions[0]: references the extension "health_chek" which is not configured, did you mean "health_check"?',
      ],
    ],
    [
      "a connector only as an exporter",
      pipeline("{receivers: [prometheus], exporters: [forward]}", { connectors: "{forward: }" }),
      [
        'connectors::forward: the connector "forward" is an exporter of metrics, but no pipeline has it as a receiver of what it makes of metrics',
      ],
    ],
    [
      "a connector only as a receiver",
      pipeline("{receivers: [forward], exporters: [debug]}", { connectors: "{forward: }" }),
      [
        'connectors::forward: the connector "forward" is a receiver of metrics, but no pipeline has it as an exporter of what it makes metrics of',
      ],
    ],
    [
      "a connector in a signal it does not take",
      pipeline("{receivers: [prometheus], exporters: [span_metrics]}", { connectors: "{span_metrics: }" }),
      [
        'service::pipelines::metrics::exporters[0]: telemetry type is not supported: the connector "span_metrics" does not support metrics as an exporter, only traces',
        'connectors::span_metrics: the connector "span_metrics" is an exporter of metrics, but no pipeline has it as a receiver of what it makes of metrics',
      ],
    ],
    [
      "a connector called like an exporter",
      config({ connectors: "{forward: }", exporters: "{debug: , forward: }" }),
      [
        'exporters::forward: unknown exporter type "forward" (valid values: prometheus_remote_write, debug)',
        'connectors::forward: ambiguous: "forward" is the id of a connector and of an exporter',
      ],
    ],
    [
      "a cycle",
      config({
        connectors: "{forward: , forward/2: }",
        pipelines:
          "{metrics/a: {receivers: [prometheus, forward/2], exporters: [forward]}, metrics/b: {receivers: [forward], exporters: [forward/2]}}",
      }),
      [
        "service::pipelines: cycle of pipelines: metrics/a -> connector forward -> metrics/b -> connector forward/2 -> metrics/a",
      ],
    ],
    [
      "a pipeline that feeds itself",
      config({
        connectors: "{forward: }",
        pipelines: "{metrics: {receivers: [prometheus, forward], exporters: [forward]}}",
      }),
      ["service::pipelines: cycle of pipelines: metrics -> connector forward -> metrics"],
    ],
    ["an empty configuration", "{}", ["the configuration is empty"]],
    [
      "the file of a Prometheus",
      "global: {scrape_interval: 1m}\nscrape_configs: []\nremote_write: []\n",
      [
        "this looks like a prometheus.yml, which is for millrace agent --config.file; millrace run takes a collector's configuration",
      ],
    ],
  ];
  test.each(cases)("%s", (_title, text, expected) => {
    expect(linesOf(text)).toEqual(expected);
  });

  test("every issue of a file has its place", () => {
    const { issues } = plan(
      config({
        top: "recievers: {}",
        pipelines: "{metrics: {receivers: [x], exporters: []}}",
        service: "telemetry: {logs: {level: loud}}",
      }),
    );
    expect(issues.map((issue) => `${issue.path} ${issue.at?.line}:${issue.at?.column}`)).toEqual([
      "recievers 5:1",
      "service::pipelines::metrics::receivers[0] 7:37",
      "service::pipelines::metrics::exporters 7:52",
      "service::telemetry::logs::level 8:29",
    ]);
  });
});

describe("service::components", () => {
  test("names files and packages", () => {
    const { root } = resolveConfig({ uris: ["yaml:service: {components: [./a.ts, pkg]}"], sets: [], env: {} });
    expect(readOutsideComponents(root).components.map((one) => one.specifier)).toEqual(["./a.ts", "pkg"]);
    expect(plan(config({ service: "components: [./a.ts]" })).issues).toEqual([]);
  });

  test("refuses what is no name", () => {
    const { root } = resolveConfig({ uris: ["yaml:service: {components: [5, '']}"], sets: [], env: {} });
    expect(readOutsideComponents(root).issues.map((issue) => issue.path)).toEqual([
      "service::components[0]",
      "service::components[1]",
    ]);
  });
});
