import { describe, expect, test } from "vitest";
import { formatConfigIssue } from "../model/errors.ts";
import { resolveConfig } from "./resolve.ts";
import { decodeTelemetry } from "./telemetry-config.ts";

describe("service::telemetry", () => {
  function decode(text: string) {
    const { root } = resolveConfig({ uris: [`yaml:${text}`], sets: [], env: { LEVEL: "debug", VERSION: "1.0" } });
    return decodeTelemetry(root);
  }
  const reader = {
    host: "localhost",
    port: 8888,
    without_scope_info: true,
    without_units: true,
    without_type_suffix: true,
  };

  test("has the Collector's defaults", () => {
    expect(decodeTelemetry(undefined)).toEqual({
      settings: {
        logs: {
          level: "info",
          encoding: "console",
          development: false,
          disable_caller: false,
          disable_stacktrace: false,
          disable_zap_resource: false,
          sampling: { enabled: true, tick: 10_000, initial: 10, thereafter: 100 },
          output_paths: ["stderr"],
          error_output_paths: ["stderr"],
          initial_fields: {},
        },
        metrics: { level: "normal", prometheusReaders: [reader] },
        resource: [],
      },
      issues: [],
      warnings: [],
    });
  });

  const cases: [string, string, object][] = [
    ["a log level in capitals", "logs: {level: WARN}", { logs: { level: "warn" } }],
    ["a log level from the environment", "logs: {level: '${LEVEL}'}", { logs: { level: "debug" } }],
    [
      "json lines in a file",
      "logs: {encoding: json, output_paths: [/a]}",
      { logs: { encoding: "json", output_paths: ["/a"] } },
    ],
    ["no metrics", "metrics: {level: None}", { metrics: { level: "none", prometheusReaders: [] } }],
    [
      "a reader",
      "metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9999, without_units: false}}}}]}",
      { metrics: { prometheusReaders: [{ ...reader, host: "0.0.0.0", port: 9999, without_units: false }] } },
    ],
    [
      "an empty reader",
      "metrics: {readers: [{pull: {exporter: {prometheus: }}}]}",
      { metrics: { prometheusReaders: [reader] } },
    ],
    [
      "resource as a map",
      "resource: {a: b, service.instance.id: , v: '${VERSION}'}",
      {
        resource: [
          { name: "a", value: "b" },
          { name: "service.instance.id", value: null },
          { name: "v", value: "1.0" },
        ],
      },
    ],
    [
      "resource as a list",
      "resource: {attributes: [{name: a, value: 1}, {name: b, value: }]}",
      {
        resource: [
          { name: "a", value: 1 },
          { name: "b", value: null },
        ],
      },
    ],
  ];
  test.each(cases)("%s", (_title, text, expected) => {
    const { settings, issues } = decode(text);
    expect(issues).toEqual([]);
    expect(settings).toMatchObject(expected);
  });

  const faults: [string, string, string[]][] = [
    [
      "the old address",
      "metrics: {address: ':8888'}",
      [
        "service::telemetry::metrics::address: this key is gone: use metrics::readers with pull::exporter::prometheus and its host and port",
      ],
    ],
    [
      "an unknown level",
      "metrics: {level: norml}",
      [
        'service::telemetry::metrics::level: expected "none", "basic", "normal" or "detailed", got "norml", did you mean "normal"?',
      ],
    ],
    [
      "no readers",
      "metrics: {readers: []}",
      ['service::telemetry::metrics::readers: expected at least one reader, or the level "none"'],
    ],
    [
      "views without detail",
      "metrics: {views: []}",
      ['service::telemetry::metrics::views: expected views only with the level "detailed"'],
    ],
    [
      "a port out of range",
      "metrics: {readers: [{pull: {exporter: {prometheus: {port: 99999}}}}]}",
      ["service::telemetry::metrics::readers[0]::pull::exporter::prometheus::port: expected at most 65535, got 99999"],
    ],
    ["a misspelt key", "logs: {levle: info}", ['service::telemetry::logs::levle: unknown key, did you mean "level"?']],
    [
      "a number as a resource attribute",
      "resource: {b: 1}",
      ["service::telemetry::resource::b: expected a text or null, got 1"],
    ],
    ["a resource that is no map", "resource: 5", ["service::telemetry::resource: expected a map"]],
  ];
  test.each(faults)("%s is an issue", (_title, text, expected) => {
    expect(decode(text).issues.map((issue) => formatConfigIssue({ ...issue, at: undefined }))).toEqual(expected);
  });

  test("what comes later is a warning", () => {
    const text =
      "{logs: {processors: [{batch: {}}]}, metrics: {level: detailed, views: [{}], readers: [{periodic: {interval: 1}}]}, traces: {processors: [{}]}}";
    const { warnings, issues } = decode(text);
    expect(issues).toEqual([]);
    expect(warnings.map((issue) => issue.path)).toEqual([
      "service::telemetry::metrics::readers[0]::periodic",
      "service::telemetry::logs::processors",
      "service::telemetry::metrics::views",
      "service::telemetry::traces::processors",
    ]);
  });
});
